// Charts of batches, as SVG.

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
