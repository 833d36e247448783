// What the page shows, section by section.

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
