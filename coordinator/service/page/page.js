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

// ---- Pictures

const MARKS = ["M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z", "M-2.8-2.8h5.6v5.6h-5.6z", "M0-3.8L3.8 3H-3.8z", "M0-4.2L4.2 0L0 4.2L-4.2 0z",
  "M0 3.8L3.8-3H-3.8z"];
const MOST_POINTS = 120;  // of longer runs a picture shows means over as many batches as make this many points

function ticksOver(low, high, whole = false) {
  if (!(high > low)) [low, high] = whole ? [low, low] : [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  const rough = (high - low || 1) / (whole ? 6 : 4.5), power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * (1 - 1e-9));
  if (whole) step = Math.max(1, Math.ceil(step));
  const first = whole ? Math.ceil(low / step) : Math.floor(low / step + 1e-6);
  const last = whole ? Math.floor(high / step) : Math.ceil(high / step - 1e-6);
  const decimals = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step) - 1e-9) + (/2\.5|^25/.test(String(step / power)) ? 1 : 0)));
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { ticks, text: (tick) => number(tick, whole ? 0 : decimals) };
}

function thinned(points) {
  const size = Math.ceil(points.length / MOST_POINTS) || 1, groups = [];
  for (let i = 0; i < points.length; i += size) {
    const group = points.slice(i, i + size);
    groups.push([group.at(-1)[0], mean(group.map((point) => point[1]))]);
  }
  return groups;
}

function picture(id, title, description, width, height, style, ...content) {
  return draw("svg", { class: style, role: "img", "aria-labelledby": `${id}-title ${id}-desc`, viewBox: `0 0 ${width} ${height}` },
    draw("title", { id: `${id}-title` }, title), draw("desc", { id: `${id}-desc` }, description), ...content);
}

const text = (x, y, style, content) => draw("text", { x: x.toFixed(1), y: y.toFixed(1), class: style }, content);
const mark = (i, x, y, tip) =>
  draw("path", { class: "mark", d: MARKS[i % MARKS.length], transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` },
    draw("title", {}, tip));
const line = (x1, y1, x2, y2, style) => draw("line", { x1, y1, x2, y2, class: style });

// `series` are {name, points: [[batch, value]]}, `limits` {value, name}.
// A limit far from all values stands in the figure's text and is not drawn.
function lineChart(id, chart, width) {
  const height = 220, left = 50, right = width - 8, top = 12, bottom = height - 40;
  const lines = chart.series.map((one) => thinned(one.points));
  const xs = lines.flat().map((point) => point[0]), ys = lines.flat().map((point) => point[1]);
  const lowest = Math.min(...ys), highest = Math.max(...ys), reach = 4 * Math.max(highest - lowest, Math.abs(highest) / 2);
  const [first, last] = [Math.min(...xs), Math.max(...xs)];
  const limits = chart.limits.map((one) => one.value).filter((value) => value >= lowest - reach && value <= highest + reach);
  const bounds = [lowest, highest, ...limits, ...(chart.range ?? [])];
  const y = ticksOver(Math.min(...bounds), Math.max(...bounds));
  const [low, high] = [y.ticks[0], y.ticks.at(-1)];
  const x = ticksOver(first, last, true);
  const placeX = (value) => (last > first ? left + ((value - first) / (last - first)) * (right - left - 8) + 4 : (left + right) / 2);
  const placeY = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
  const path = (points) =>
    points.map(([at, value], i) => `${i ? "L" : "M"}${placeX(at).toFixed(1)} ${placeY(value).toFixed(1)}`).join("");
  const svg = picture(id, `${chart.title} by batch`, described(chart), width, height, "chart");
  for (const tick of y.ticks) {
    const at = placeY(tick);
    svg.append(line(left, at, right, at, "grid"), text(left - 6, at + 4, "y", y.text(tick)));
  }
  svg.append(line(left, bottom, right, bottom, "axis"), text((left + right) / 2, height - 6, "x label", "batch"));
  for (const tick of x.ticks) {
    const at = placeX(tick);
    svg.append(line(at, bottom, at, bottom + 4, "axis"), text(at, bottom + 16, "x", x.text(tick)));
  }
  lines.forEach((points, i) => {
    const group = draw("g", { class: `c${i % 8}` }, draw("path", { class: "line", d: path(points) }));
    for (const [at, value] of points.length <= 60 ? points : []) {
      group.append(mark(i, placeX(at), placeY(value), `batch ${at}, ${chart.series[i].name}: ${number(value, chart.decimals)}`));
    }
    svg.append(group);
  });
  for (const value of limits) {
    const at = placeY(value);
    svg.append(line(left, at, right, at, "limit"),
      text(right - 2, at < top + 16 ? at + 14 : at - 5, "limit-text", `guard: ${value}`));
  }
  return svg;
}

function described(chart) {
  const last = chart.series.map((one) => `${one.name} ${number(one.points.at(-1)[1], chart.decimals)}`);
  const limits = chart.limits.map(({ name }) => ` ${name}.`);
  return `In the last batch: ${last.join(", ")}.${limits.join("")} All figures are in the table below.`;
}

// A figure stays in the page, so that an open table stays open; what is in it is drawn anew.
function figure(parent, id, heading, meaning, content, table) {
  const existing = byId(`figure-${id}`);
  const node = existing ?? make("figure", { id: `figure-${id}` },
    make("figcaption", {}, make("b", {}, heading), make("span", {})), make("div", { class: "drawn" }));
  if (!existing) parent.append(node);
  put(node.querySelector("figcaption span"), meaning);
  put(node.querySelector(".drawn"), ...content);
  let details = node.querySelector("details");
  if (!details && table) {
    details = make("details", {}, make("summary", {}, "Figures as a table"),
      make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `${heading}, as a table` }));
    details.addEventListener("toggle", () => details.fillTable());
    node.append(details);
  }
  if (!details) return;
  details.hidden = !table;
  details.fillTable = () => details.open && table && put(details.lastChild, tableOf(heading, ...table()));
  details.fillTable();
}

function tableOf(caption, heads, rows) {
  return make("table", {}, make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...rows.map(([head, ...cells]) =>
      make("tr", {}, make("th", { scope: "row" }, head), ...cells.map((cell) => make("td", {}, cell))))));
}

const swatch = (i) => draw("svg", { class: `swatch c${i % 8}`, viewBox: "0 0 26 12", "aria-hidden": "true" },
  draw("path", { class: "line", d: "M0 6L26 6" }), mark(i, 13, 6, ""));

function lineFigure(id, chart) {
  const parent = byId("charts");
  chart = { limits: [], decimals: 3, ...chart };
  chart.series = chart.series.filter((one) => one.points.length);
  const said = chart.limits.map(({ name }) => ` ${name}.`).join("");
  if (!chart.series.length) {
    const nothing = make("p", { class: "none" }, chart.empty ?? "Nothing was measured yet.");
    return figure(parent, id, chart.title, chart.meaning + said, [nothing], null);
  }
  const width = Math.max(230, Math.min(560, (byId(`figure-${id}`)?.clientWidth || parent.clientWidth || 360) - 30));
  const legend = chart.series.length > 1
    ? [make("div", { class: "legend" }, ...chart.series.map((one, i) => make("span", {}, swatch(i), one.name)))] : [];
  figure(parent, id, chart.title, chart.meaning + said, [lineChart(id, chart, width), ...legend], () => {
    const values = chart.series.map((one) => new Map(one.points));
    const batches = [...new Set(values.flatMap((one) => [...one.keys()]))].sort((a, b) => b - a);
    return [["Batch", ...chart.series.map((one) => one.name)],
      batches.map((batch) => [String(batch), ...values.map((one) => number(one.get(batch), chart.decimals))])];
  });
}

// ---- The sections

// The guard's measure: the share of written edits whose target became more probable.
function improved(batch) {
  const written = (batch.edits ?? []).filter((edit) =>
    edit.state !== "set_aside" && isNumber(edit.nll_before) && isNumber(edit.nll_after));
  return mean(written.map((edit) => (edit.nll_after < edit.nll_before ? 1 : 0)));
}

// What the guard measured.
const CANARIES = "canaries that hold";
const probe = (batch, name) => (batch.probes ?? []).find((one) => one.name === name);
const rise = (one) => (one && isNumber(one.before) && isNumber(one.after) ? one.after - one.before : null);
const changes = (batch) => (batch.probes ?? []).filter((one) => one.name.startsWith("change of layer")).map((one) => one.after);
const largest = (values) => (values.length ? Math.max(...values) : null);

const take = (batch) => seen.batches.set(batch.batch, { ...batch, improved: improved(batch) });

function showCharts(run, batches) {
  const guard = run.guard?.on ? run.guard : {};
  const series = (name, value) =>
    ({ name, points: batches.map((batch) => [batch.batch, value(batch)]).filter((point) => isNumber(point[1])) });
  const limit = (value, words) => (isNumber(value) ? [{ value, name: `Guard: ${words} ${value}` }] : []);
  lineFigure("success", { title: "Success",
    meaning: "Shares of a batch's edits: target more probable than before, and answer matched exactly.",
    range: [0, 1], limits: limit(guard.success, "more probable, at least"),
    series: [series("more probable", (batch) => batch.improved), series("matched", (batch) => batch.match_after)] });
  lineFigure("targets", { title: "Targets", meaning: "What the new answers cost before and after their batch, nats per token.",
    series: [series("after", (batch) => batch.nll_after), series("before", (batch) => batch.nll_before)] });
  lineFigure("loss", { title: "Held-out loss", meaning: "How much a batch raised the loss on the guard's text, nats per token.",
    decimals: 4, limits: limit(guard.loss_rise, "rise, at most"), empty: "No batch says its held-out loss.",
    series: [series("rise", (batch) => rise(probe(batch, "held-out loss")))] });
  lineFigure("changes", { title: "Change by batch", meaning: "The largest change of a layer's weight by one batch, as a share of its norm.",
    decimals: 4, limits: limit(guard.drift, "at most"),
    series: [series("largest change", (batch) => largest(changes(batch)))] });
  const layers = [...new Set(batches.flatMap((batch) => (batch.layers ?? []).map(({ layer }) => layer)))].sort((a, b) => a - b);
  lineFigure("drift", { title: "Drift by layer", meaning: "How far the weights are from the base, as a share of their norm.",
    decimals: 4, series: layers.map((layer) => series(`layer ${layer}`, (batch) => batch.layers?.find((one) => one.layer === layer)?.drift)) });
  lineFigure("seconds", { title: "Time", meaning: "Seconds that a batch took, and what for.", decimals: 1,
    series: ["total", "values", "solve", "communicate", "evaluate"].map((part) => series(part, (batch) => batch.seconds?.[part])) });
  lineFigure("rate", { title: "Rate", meaning: "Edits a minute that a batch committed.", decimals: 1,
    series: [series("edits a minute", (batch) => (batch.seconds?.total > 0 ? (60 * batch.committed) / batch.seconds.total : null))] });
}

// "The CEO of Alphabet is -> Sundar Pichai"
function fact(edit) {
  const subject = edit.subject ?? "", prompt = edit.prompt ?? "";
  const asked = prompt.includes("{}") ? prompt.split("{}").join(subject) : prompt || subject;
  return asked || edit.target ? [`${asked} \u2192 `, make("b", {}, edit.target ?? "")] : [none];
}

const cell = (content, style) => make("td", style ? { class: style } : {}, ...[content].flat());
const idCell = (id) => make("th", { scope: "row", class: "id" }, String(id));
const terms = (pairs) => pairs.map(([term, value, bad]) =>
  make("div", bad ? { class: "bad" } : {}, make("dt", {}, term), make("dd", {}, value)));

function show(section, shown) {
  byId(section).hidden = !shown;
  document.querySelector(`nav a[href="#${section}"]`).parentElement.hidden = !shown;
}

function setAsideEdits(batches) {
  if (seen.setAside) return seen.setAside;
  return batches.flatMap((batch) => (batch.set_aside ?? []).map((one) =>
    ({ ...batch.edits?.find((edit) => edit.id === one.id), ...one, batch: batch.batch }))).reverse();
}

function showFailures(run, batches) {
  const isCanary = (edit) => /^canary /i.test(edit.reason ?? "");
  const all = setAsideEdits(batches), failed = [...all.filter(isCanary), ...all.filter((edit) => !isCanary(edit))];
  const total = Math.max(run.edits?.set_aside ?? 0, failed.length);
  const failure = typeof run.failure === "object" && run.failure ? run.failure.detail ?? JSON.stringify(run.failure)
    : run.failure ?? "";
  show("failures", Boolean(failure || failed.length || seen.undone.length));
  byId("failure").hidden = !failure;
  byId("failure").textContent = failure && `The run has failed: ${failure}`;
  put(byId("undone"),
    ...seen.undone.map((one) => make("li", {}, `${one.at ? `${moment(one.at)}: ` : ""}a batch of ` +
      `${counted(one.edits, "edit")} was undone and is tried again in parts: ${one.reason}`)));
  byId("failed-edits").closest(".scroll").hidden = !failed.length;
  const broke = failed.filter(isCanary).length;
  byId("failed-caption").textContent = `${counted(total, "edit")} set aside` +
    (total > failed.length ? `, the newest ${failed.length} shown` : "") +
    (broke ? `; ${broke} of them broke a canary` : "");
  putRows("failed-edits", failed.slice(0, 200).map((edit) =>
    make("tr", {}, idCell(edit.id), cell(fact(edit), "text"), cell(edit.reason ?? none, "text bad"), cell(number(edit.batch)))));
}

function showProposed() {
  show("approvals", seen.proposed.length > 0 && !embedded);
  const body = byId("proposed-edits"), hadFocus = body.contains(document.activeElement);
  byId("proposed-caption").textContent = counted(seen.proposed.length, "proposed edit");
  putRows("proposed-edits", seen.proposed.map((edit) => {
    const button = make("button", { type: "button", "aria-label": `Approve edit ${edit.id}` }, "Approve");
    button.addEventListener("click", () => approve(edit.id, button));
    return make("tr", {}, idCell(edit.id), cell(fact(edit), "text"), cell(edit.author || none, "text"),
      cell(edit.source || none, "text"), cell(button));
  }));
  if (hadFocus && !body.contains(document.activeElement)) (body.querySelector("button") ?? byId("main")).focus();
}

function showProgress(run, batches) {
  const edits = run.edits ?? {}, of = (...states) => sum(states.map((state) => edits[state] ?? 0));
  const through = of("committed", "set_aside", "removed", "superseded", "withdrawn"), waiting = of("accepted", "queued", "proposed");
  const last = batches.slice(-10).filter((batch) => batch.seconds?.total > 0);
  const rate = last.length ? sum(last.map((batch) => batch.committed ?? 0)) / sum(last.map((batch) => batch.seconds.total)) : null;
  byId("done").max = Math.max(1, through + waiting);
  byId("done").value = through;
  byId("done-text").textContent = `${number(through)} of ${counted(through + waiting, "edit")} are through` +
    (of("accepted", "queued") && rate ? `; the others take about ${duration(of("accepted", "queued") / rate)} of editing.` : ".");
  put(byId("figures"), ...terms([
    ["Committed", number(edits.committed)], ["Being written", number(edits.queued)], ["Waiting for a batch", number(edits.accepted)],
    ["Proposed", number(edits.proposed)], ["Set aside", number(edits.set_aside), edits.set_aside > 0],
    ["Removed or replaced", number(of("removed", "superseded", "withdrawn"))],
    ["Batches", number(batches.length)], ["Edits a minute of editing", number(rate === null ? null : 60 * rate, 1)]]));
  put(byId("about-run"), ...terms([
    ["Method", run.method ?? none], ["Model", run.model ?? none], ["Run", run.run ?? none], ["Batch size", number(run.batch_size)],
    ["Linger", isNumber(run.linger) ? `${run.linger} s` : none], ["Approval", run.require_approval ? "required" : "not required"],
    ["Segments", number(run.segments)], ["Version", run.version ?? none]]));
}

function showBatches(run, batches) {
  const guard = run.guard;
  byId("guard-text").textContent = !guard ? "" : !guard.on ? "The guard is off: no batch is reverted."
    : `The guard reverts a batch where less than a share of ${guard.success} of its edits became more probable, ` +
      `the held-out loss rises by more than ${guard.loss_rise} nats per token, ` +
      `or a layer changes by more than ${guard.drift} of its norm.`;
  showCharts(run, batches);
  const shown = batches.slice(-100).reverse();
  byId("batches-caption").textContent = !batches.length ? "No batch has been written yet"
    : batches.length === shown.length ? "All batches, newest first"
    : `The last ${shown.length} of ${number(batches.length)} batches, newest first`;
  putRows("batch-rows", shown.map((batch) => {
    const aside = batch.set_aside?.length ?? 0, drifts = (batch.layers ?? []).map((one) => one.drift).filter(isNumber);
    return make("tr", {}, make("th", { scope: "row" }, String(batch.batch)), cell(moment(batch.utc)), cell(number(batch.committed)),
      cell(number(aside), aside ? "bad" : ""), cell(number(batch.superseded?.length ?? 0)), cell(number(batch.match_after, 3)),
      cell(number(batch.nll_before, 3)), cell(number(batch.nll_after, 3)), cell(number(batch.target_norm, 1)),
      cell(number(drifts.length ? Math.max(...drifts) : null, 4)), cell(number(batch.seconds?.total, 1)));
  }));
}

// Rows are layers and columns batches; the higher a layer's rolling score, the stronger its cell.
function showAnchors(run, batches) {
  const records = batches.flatMap((batch) => (batch.anchors ?? []).map((one) => ({ batch: batch.batch, ...one })));
  byId("anchors-text").textContent = records.length ? "" : batches.length ? `The method ${run.method} selects no anchors.`
    : "No batch has anchors yet.";
  byId("anchor-map").hidden = !records.length;
  if (!records.length) return;
  const layers = [...new Set(records.map((one) => one.layer))].sort((a, b) => a - b);
  const numbers = [...new Set(records.map((one) => one.batch))].sort((a, b) => a - b);
  const left = 56, high = 26, room = Math.min(1180, byId("anchors").clientWidth || 800) - left - 34;
  const size = Math.ceil(numbers.length / Math.max(4, Math.min(60, Math.floor(room / 26)))), columns = [];
  for (let i = 0; i < numbers.length; i += size) columns.push(numbers.slice(i, i + size));
  const at = new Map(records.map((one) => [`${one.layer} ${one.batch}`, one]));
  const most = Math.max(...records.map((one) => one.score ?? 0)) || 1;
  const wide = Math.min(56, Math.floor(room / columns.length));
  const width = left + wide * columns.length, height = high * layers.length + 40;
  const svg = picture("anchor-picture", "Anchors by layer and batch",
    `Layers ${layers.join(", ")}, batches ${numbers[0]} to ${numbers.at(-1)}. All figures are in the table below.`,
    width, height, "chart map");
  svg.setAttribute("width", width);
  layers.forEach((layer, row) => {
    svg.append(text(left - 8, row * high + 17, "y", `layer ${layer}`));
    columns.forEach((group, column) => {
      const found = group.map((batch) => at.get(`${layer} ${batch}`)).filter(Boolean);
      if (!found.length) return;
      const score = mean(found.map((one) => one.score).filter(isNumber)), anchors = mean(found.map((one) => one.anchors).filter(isNumber));
      const strength = score === null ? 0 : 0.1 + 0.9 * Math.max(0, score) / most, x = left + column * wide, y = row * high;
      const name = group.length > 1 ? `batches ${group[0]}\u2013${group.at(-1)}` : `batch ${group[0]}`;
      svg.append(draw("g", {}, draw("title", {}, `layer ${layer}, ${name}: ${number(anchors)} anchors, rolling score ${number(score, 3)}`),
        draw("rect", { class: "heat", x, y, width: wide - 1, height: high - 1, rx: 2, "fill-opacity": strength.toFixed(3) }),
        text(x + wide / 2, y + 17, strength > 0.55 ? "in strong" : "in", number(anchors))));
    });
  });
  const every = Math.ceil(34 / wide);
  columns.forEach((group, i) => {
    if (i % every === 0) svg.append(text(left + i * wide + wide / 2, layers.length * high + 14, "x", String(group.at(-1))));
  });
  svg.append(text((left + width) / 2, height - 8, "x label", "batch"));
  figure(byId("anchor-map"), "anchors", "Anchors by layer and batch",
    "The number is how many anchors a layer has; the higher its rolling score, the stronger the cell.", [svg], () =>
      [["Batch", "Layer", "Anchors", "Rolling score"], [...records].reverse().map((one) =>
        [String(one.batch), String(one.layer), number(one.anchors), number(one.score, 3)])]);
}

// As the last batch left them. Of batches of an earlier run of the program only their count is known.
function showCanaries(batches) {
  const last = batches.findLast((batch) => batch.canaries?.length || probe(batch, CANARIES));
  show("canaries", Boolean(last));
  if (!last) return;
  const looks = last.canaries ?? [], counts = probe(last, CANARIES);
  const held = looks.length ? looks.filter((look) => look.holds).length : counts.after;
  byId("canaries-text").textContent = `After batch ${last.batch}, ` +
    (looks.length ? `${number(held)} of ${counted(looks.length, "canary", "canaries")} hold.`
      : `${number(held)} held, before it ${number(counts.before)}.`);
  byId("canary-rows").closest(".scroll").hidden = !looks.length;
  putRows("canary-rows", [...looks].sort((a, b) => a.holds - b.holds).map((look) =>
    make("tr", {}, idCell(look.id), cell(look.prompt, "text"), cell(look.expected, "text"), cell(look.said, "text"),
      cell(look.holds ? "yes" : look.held_before ? "no more" : "no, nor before", look.holds ? "text" : "text bad"))));
}

function showRanks(run) {
  const ranks = run.ranks ?? [], edited = (run.layers ?? []).map((one) => one.layer);
  const kinds = (of, one) => counted(new Set(ranks.map(of)).size, one);
  byId("ranks-text").textContent = ranks.length
    ? `${counted(ranks.length, "rank")}, ${kinds((rank) => rank.stage, "stage")}, ${kinds((rank) => rank.replica, "replica")}.`
    : "The run does not say on which ranks it is.";
  byId("rank-rows").closest(".scroll").hidden = !ranks.length;
  putRows("rank-rows", ranks.map((rank) => {
    const held = [];  // ranges, each by its first and last layer
    for (let i = 0; i + 1 < (rank.layers ?? []).length; i += 2) held.push([rank.layers[i], rank.layers[i + 1]]);
    const owned = edited.filter((layer) => held.some(([first, last]) => layer >= first && layer <= last));
    return make("tr", {}, make("th", { scope: "row" }, String(rank.rank)), cell(rank.host ?? none, "text"),
      cell(number(rank.stage)), cell(number(rank.replica)), cell(held.map((range) => range.join("\u2013")).join(", ") || none), cell(owned.join(", ") || none),
      cell(gibibytes(rank.weight_bytes)), cell(gibibytes(rank.memory_bytes)), cell(number(rank.wait_seconds, 1)));
  }));
}

function showEdits(batches) {
  const last = [];
  for (const batch of [...batches].reverse()) {
    for (const edit of batch.edits ?? []) last.push({ ...edit, batch: batch.batch });
    if (last.length >= 50) break;
  }
  byId("edit-rows").closest(".scroll").hidden = !last.length;
  putRows("edit-rows", last.slice(0, 50).map((edit) => {
    const state = [String(edit.state ?? none).replace("_", " "), edit.reason ? make("small", {}, edit.reason) : null].filter(Boolean);
    return make("tr", {}, idCell(edit.id), cell(fact(edit), "text"), cell(number(edit.nll_before, 3)), cell(number(edit.nll_after, 3)),
      cell(state, edit.state === "set_aside" ? "text bad" : "text"), cell(number(edit.batch)));
  }));
}

function render() {
  const { run } = seen;
  if (!run) return;
  document.body.className = "read";
  const batches = allBatches(), state = run.failure ? "failed" : run.state ?? "finished";
  byId("run-name").textContent = run.run ?? "";
  byId("state").textContent = state;
  byId("state").className = `state ${["editing", "failed"].includes(state) ? state : ""}`;
  byId("state-detail").textContent = run.since ? `since ${moment(run.since)}` : "";
  document.title = `${state} \u2013 ${run.run ?? "run"} \u2013 Anchorage`;
  showFailures(run, batches);
  showProposed();
  showProgress(run, batches);
  showBatches(run, batches);
  showAnchors(run, batches);
  showCanaries(batches);
  showRanks(run);
  showEdits(batches);
}

let planned = null;
function renderSoon() {
  planned ??= setTimeout(() => { planned = null; render(); }, 100);
}

// ---- The service

function kept(key, value) {  // storage may be forbidden: then the page forgets when it is closed
  try {
    if (value !== undefined) sessionStorage.setItem(key, value);
    return sessionStorage.getItem(key) ?? "";
  } catch {
    return value ?? "";
  }
}

let token = "", source = null, retry = null, wasLost = false;

function connection(state, words) {
  const node = byId("connection");
  node.className = `connection ${state}`;
  if (node.textContent !== words) node.textContent = words;
}

async function request(path, body) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(new URL(path, base),
    { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), cache: "no-store" });
  const said = await answer.json().catch(() => ({}));
  if (answer.status === 401) askForToken();
  if (!answer.ok) {
    const words = said.detail ?? said.title ?? `the service answers ${answer.status}`;
    throw Object.assign(new Error(words), { status: answer.status });
  }
  return said;
}

function askForToken() {
  source?.close();
  clearTimeout(retry);
  byId("token-why").textContent = token ? "The service does not know this token, or it has run out."
    : "The service asks for a token. It stays in this tab and is forgotten with it.";
  byId("token-form").hidden = false;
  connection("", "Waiting for a token.");
  byId("token").focus();
}

async function loadBatches(after) {
  for (;;) {
    const { batches } = await request(`v1/batches?${after === null ? "" : `after=${after}&`}limit=100`);
    for (const batch of batches) take(batch);
    if (batches.length < 100) return;
    after = batches.at(-1).batch;
  }
}

async function loadLists() {
  const [aside, proposed] = await Promise.allSettled(
    ["set_aside", "proposed"].map((state) => request(`v1/edits?state=${state}&limit=100`)));
  if (aside.status === "fulfilled") seen.setAside = aside.value.edits ?? [];
  if (proposed.status === "fulfilled") seen.proposed = proposed.value.edits ?? [];
  renderSoon();
}

// After a lost connection the run may have been rolled back, so that all of it is read again.
async function load(anew) {
  seen.run = await request("v1/run");
  if (anew) seen.batches.clear();
  await loadBatches(seen.batches.size ? Math.max(...seen.batches.keys()) : null);
  await loadLists();
  render();
}

function lost() {
  wasLost = true;
  connection("lost", seen.run?.state === "finished" || seen.run?.state === "stopping"
    ? "The service has ended; looking for it again." : "Connection lost, trying again.");
}

function tryLater() {
  source?.close();
  clearTimeout(retry);
  retry = setTimeout(start, 5000);
}

async function loadOrTryLater(anew) {
  try {
    await load(anew);
    return true;
  } catch (error) {
    if (error.status === 401) return false;
    if (error.status) connection("lost", `Trying again: ${error.message}`);
    else lost();
    tryLater();
    return false;
  }
}

function listen() {
  source?.close();
  const address = new URL("events", base);
  if (token) address.searchParams.set("token", token);
  const events = (source = new EventSource(address));
  const on = (name, act) => events.addEventListener(name, (event) => { act(JSON.parse(event.data)); renderSoon(); });
  events.onopen = async () => {
    const anew = wasLost;
    if (!(await loadOrTryLater(anew))) return;
    wasLost = false;
    connection("live", "Live: the page follows the run.");
  };
  events.onerror = () => {
    if (events !== source) return;
    lost();
    if (events.readyState === EventSource.CLOSED) tryLater();  // refused for good: the browser does not try again
  };
  on("run", (run) => {
    const before = seen.run?.edits ?? {};
    seen.run = { ...seen.run, ...run };
    if (["set_aside", "proposed"].some((state) => before[state] !== run.edits?.[state])) loadLists();
  });
  on("batch", (batch) => {
    take(batch);
    const aside = number(batch.set_aside?.length ?? 0);
    byId("news").textContent = `Batch ${batch.batch}: ${number(batch.committed)} committed, ${aside} set aside.`;
    if (batch.set_aside?.length) loadLists();
  });
  on("reverted", (one) => {
    seen.undone = [{ ...one, at: new Date().toISOString() }, ...seen.undone].slice(0, 20);
    byId("news").textContent = `A batch of ${counted(one.edits, "edit")} was undone: ${one.reason}`;
  });
}

async function start() {
  if (!seen.run) connection("", "Connecting.");
  if (await loadOrTryLater(wasLost)) listen();
}

async function approve(id, button) {
  const field = byId("approver"), by = field.value.trim(), news = byId("approval-news");
  const tell = (words, bad) => { news.textContent = words; news.className = bad ? "bad" : ""; };
  field.setAttribute("aria-invalid", "false");
  if (button.ariaDisabled) return;
  button.ariaDisabled = "true";  // and not disabled: the focus stays
  kept("approver", by);
  try {
    const { approved_by: name } = await request(`v1/edits/${encodeURIComponent(id)}/approve`, by ? { by } : {});
    tell(`Edit ${id} is approved by ${name}.`);
    await loadLists();
  } catch (error) {
    const wantsName = !by && error.status === 400;  // this token has none
    tell(wantsName ? "An approval needs your name." : `Edit ${id} is not approved: ${error.message}`, true);
    if (wantsName) {
      field.setAttribute("aria-invalid", "true");
      field.focus();
    }
  }
  button.ariaDisabled = null;
}

async function ask(event) {
  event.preventDefault();
  const prompt = byId("prompt").value, news = byId("ask-news"), button = byId("ask-form").querySelector("button");
  if (button.ariaDisabled) return;
  button.ariaDisabled = "true";
  news.className = "";
  news.textContent = "The model is being asked.";
  try {
    const { texts: [said] } = await request("v1/generate", { prompts: [prompt], max_new_tokens: 24 });
    const atHand = typeof said.base === "string";
    const answer = (model, ...words) => make("div", {}, make("dt", {}, model), make("dd", ...words));
    byId("answers").prepend(make("article", { class: "answer" }, make("h3", {}, prompt), make("dl", {},
      answer("Edited", {}, said.edited),
      atHand ? answer("Base", {}, said.base) : answer("Base", { class: "absent" }, "The base is not available here."))));
    while (byId("answers").children.length > 10) byId("answers").lastChild.remove();
    news.textContent = `Edited: ${said.edited}${atHand ? ` Base: ${said.base}` : ""}`;
    news.className = "unseen";
  } catch (error) {
    news.textContent = `No answer: ${error.message}`;
    news.className = "bad";
  }
  button.ariaDisabled = null;
}

// ---- Begin

let resized = null, lastWidth = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === lastWidth) return;
  lastWidth = innerWidth;
  clearTimeout(resized);
  resized = setTimeout(render, 150);
});

if (embedded) {
  seen.run = embedded.run;
  for (const batch of embedded.batches ?? []) take(batch);
  connection("", "A run as it was when this page was made.");
  render();
} else {
  const address = new URL(location.href);
  if (address.searchParams.has("token")) {
    token = kept("token", address.searchParams.get("token")) || address.searchParams.get("token");
    address.searchParams.delete("token");
    history.replaceState(null, "", address);
  } else {
    token = kept("token");
  }
  byId("approver").value = kept("approver");
  show("ask", true);
  byId("ask-form").addEventListener("submit", ask);
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    token = byId("token").value.trim();
    kept("token", token);
    byId("token").value = "";
    byId("token-form").hidden = true;
    start();
  });
  start();
}
