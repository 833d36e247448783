// The page follows the service, or shows the data that stands in it.

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
