"use strict";
// The page of a run: live from the service's requests and events, or from the data that stands in the page.
// Whatever edits, prompts and answers hold is set as text and never as markup.

const byId = (id) => document.getElementById(id);
const embedded = JSON.parse(byId("data").textContent);
const base = new URL(".", location.href);
const none = "\u2013";

const seen = {
  run: null,
  batches: new Map(),  // by number
  setAside: null,      // as the service lists them; null: taken from the batches
  proposed: [],
  undone: [],          // events `reverted`
};

// ---- Elements and numbers

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const make = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// Sets what a node holds, and leaves it alone where nothing would change: a selection and the focus stay.
function put(node, ...children) {
  const fresh = fill(node.cloneNode(false), {}, children);
  if (!fresh.isEqualNode(node)) node.replaceChildren(...fresh.childNodes);
}

// On a narrow screen tables of class `stack` are shown cell below cell, each with its column's name. A cell that is no
// table cell on the screen is none for a screen reader either, unless it has its role in words.
function putRows(id, rows) {
  const table = byId(id).closest("table"), heads = [...table.tHead.rows[0].cells];
  if (table.classList.contains("stack")) {
    const roles = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };
    const above = [table, ...table.querySelectorAll("thead, tbody, thead tr, thead th")];
    for (const node of [...above, ...rows, ...rows.flatMap((row) => [...row.cells])]) {
      node.setAttribute("role", roles[node.tagName] ?? (node.scope === "col" ? "columnheader" : "rowheader"));
      if (rows.includes(node.parentElement)) node.dataset.name = heads[node.cellIndex].textContent;
    }
  }
  put(byId(id), ...rows);
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const number = (value, decimals = 0) =>
  isNumber(value)
    ? value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
    : none;
const gibibytes = (bytes) => number(isNumber(bytes) ? bytes / 2 ** 30 : null, 2);
const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
const sum = (values) => values.reduce((total, value) => total + value, 0);
const mean = (values) => (values.length ? sum(values) / values.length : null);
const moment = (utc) => String(utc ?? none).replace("T", " ").replace(/(\.\d+)?Z$/, "");
const duration = (seconds) =>
  seconds < 90 ? `${Math.ceil(seconds)} s` : seconds < 5400 ? `${Math.ceil(seconds / 60)} min` : `${number(seconds / 3600, 1)} h`;
const allBatches = () => [...seen.batches.values()].sort((a, b) => a.batch - b.batch);
