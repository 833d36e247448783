"""The page of `anchorage serve` in a real browser: what it shows, wide and narrow, light and dark.

    service_page_check.py CHROMIUM URL OUT_DIR [TEXT ...]

URL is the page of a service that runs, with `?token=` where it wants one, or a file that has a finished run. Each TEXT
has to be shown on the page. The screenshots go to OUT_DIR. Chromium is spoken to over its debugging pipe, because a
page that listens to events never ends loading.
"""

import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import chromium

SECTIONS = ("progress", "batches", "anchors", "canaries", "ranks", "edits")
VIEWS = (("light", 1280), ("dark", 1280), ("light", 768), ("light", 320), ("dark", 320))

# What a reader of the screen needs: a name for each control, picture, and scrolled region; ids that are there once.
UNNAMED = """(() => {
  const wrong = [];
  const visible = (node) => node.getClientRects().length > 0;
  const named = (node) => node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length;
  for (const node of document.querySelectorAll("button, input, a[href], summary, [role=region]"))
    if (visible(node) && !named(node)) wrong.push(`no name: ${node.outerHTML.slice(0, 80)}`);
  for (const node of document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
    for (const name of ["aria-labelledby", "aria-describedby"])
      for (const id of (node.getAttribute(name) ?? "").split(" ").filter(Boolean))
        if (!document.getElementById(id)) wrong.push(`no #${id}`);
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) wrong.push(`#${id} twice`);
  for (const node of document.querySelectorAll("nav a"))
    if (visible(node) && !visible(document.querySelector(node.hash))) wrong.push(`${node.hash} leads nowhere`);
  for (const node of document.querySelectorAll("svg[role=img]"))
    for (const words of ["title", "desc"])
      if (!node.querySelector(words)?.textContent) wrong.push(`a picture without its ${words}`);
  return wrong;
})()"""

# Texts of a picture that leave it or cover each other.
CLIPPED = """(() => {
  const wrong = [];
  for (const picture of document.querySelectorAll("svg.chart")) {
    const around = picture.getBoundingClientRect();
    const texts = [...picture.querySelectorAll("text")];
    const boxes = texts.map((node) => [node.textContent, node.getBoundingClientRect()]);
    boxes.forEach(([words, box], i) => {
      if (box.left < around.left - 1 || box.right > around.right + 1 || box.bottom > around.bottom + 1)
        wrong.push(`clipped: ${words}`);
      for (const [other, its] of boxes.slice(i + 1))
        if (box.left < its.right - 1 && its.left < box.right - 1 &&
            box.top < its.bottom - 3 && its.top < box.bottom - 3)
          wrong.push(`${picture.closest("figure").id}: '${words}' covers '${other}'`);
    });
  }
  return wrong;
})()"""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise SystemExit(f"error: {message}")


class Browser:
    """A page in a headless chromium, by the DevTools protocol: JSON texts that end with a zero byte."""

    def __init__(self, program: str, profile: Path) -> None:
        to_browser, self.out = os.pipe()
        self.into, from_browser = os.pipe()

        def arrange() -> None:  # chromium reads the descriptor 3 and writes 4
            reading, writing = os.dup(to_browser), os.dup(from_browser)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        command = [
            program,
            *chromium.OPTIONS,
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            "about:blank",
        ]
        self.process = subprocess.Popen(
            command, preexec_fn=arrange, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(from_browser)
        self.rest, self.number, self.session, self.said = b"", 0, None, []
        pages = self.call("Target.getTargets")["targetInfos"]
        target = next(page["targetId"] for page in pages if page["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)

    def message(self, deadline: float) -> dict:
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.into], [], [], max(0.0, deadline - time.monotonic()))
            require(bool(ready), "chromium does not answer")
            data = os.read(self.into, 1 << 16)
            require(bool(data), "chromium has ended")
            self.rest += data
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method: str, **parameters: object) -> dict:
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.out, json.dumps(command).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            message = self.message(deadline)
            if message.get("id") == self.number:
                require("error" not in message, f"{method}: {message.get('error')}")
                return message["result"]
            if message.get("method") == "Runtime.exceptionThrown":
                details = message["params"]["exceptionDetails"]
                self.said.append(details.get("exception", {}).get("description", details["text"]))
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.said.append(message["params"]["entry"]["text"])

    def run(self, script: str) -> object:
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        require("exceptionDetails" not in done, f"{script}: {done.get('exceptionDetails')}")
        return done["result"].get("value")

    def wait_for(self, script: str, what: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not self.run(script):
            require(time.monotonic() < deadline, f"after {seconds} s not there: {what}; the page says {self.said[:2]}")
            time.sleep(0.1)

    def look(self, scheme: str, width: int, height: int = 900) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        time.sleep(0.5)  # pictures are drawn anew for another width

    def picture(self, path: Path) -> None:
        """The whole page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


def check_keyboard(browser: Browser) -> None:
    """Tab reaches what is there, each with a visible ring."""
    browser.run("document.activeElement.blur(); window.scrollTo(0, 0); window.met = new Set()")
    for _ in range(60):
        for kind in ("rawKeyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        browser.run(
            "met.add(document.activeElement.closest('section, form, nav, .skip')?.id ?? 'other');"
            "if (document.activeElement !== document.body"
            "    && getComputedStyle(document.activeElement).outlineStyle === 'none')"
            "  met.add(`no ring: ${document.activeElement.outerHTML.slice(0, 80)}`)"
        )
    met = browser.run("[...met]")
    require(not [one for one in met if one.startswith("no ring")], f"focus is not seen: {met}")
    require({"batches", "edits"} <= set(met), f"Tab reaches {met} alone")


def main() -> None:
    program, url, out, texts = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:]
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, Browser(program, Path(folder)) as browser:
        browser.look("light", 1280)
        browser.call("Page.navigate", url=url)
        browser.wait_for("document.querySelector('#batch-rows')?.children.length > 0", "a batch")
        if url.startswith("http"):
            browser.wait_for("document.querySelector('#connection').className.includes('live')", "the events")
            require("token" not in browser.run("location.href"), "the token is left in the address")
        for section in SECTIONS:
            height = browser.run(f"document.getElementById('{section}').offsetHeight")
            require(height > 40, f"section {section} is {height} high")
        require(browser.run("document.querySelectorAll('svg[role=img]').length") >= 4, "pictures are missing")
        shown = browser.run("document.body.innerText")
        for text in texts:
            require(text in shown, f"the page does not show '{text}'")
        browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        require(browser.run("document.querySelectorAll('img, iframe, object').length") == 0, "a text became markup")
        require(browser.run("document.scripts.length") == 2, "a text became a script")
        wrong = browser.run(UNNAMED)
        require(not wrong, f"labels: {wrong[:4]}")
        check_keyboard(browser)
        browser.run("document.querySelectorAll('details').forEach((one) => { one.open = false; })")
        for scheme, width in VIEWS:
            browser.look(scheme, width)
            over = browser.run("document.documentElement.scrollWidth - innerWidth")
            require(over <= 0, f"at {width} the page is {over} too wide")
            wrong = browser.run(CLIPPED)
            require(not wrong, f"at {width} in pictures: {wrong[:4]}")
            light = browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(246, 247, 249)"
            require(light == (scheme == "light"), f"the page does not look {scheme} where that is asked for")
            browser.run("window.scrollTo(0, 0)")
            browser.picture(out / f"{scheme}-{width}.png")
        require(not browser.said, f"the page says {browser.said[:3]}")
    print(f"checked; screenshots in {out}")


if __name__ == "__main__":
    main()
