"""The page of `anchorage report` in a real browser: what it shows, on a wide screen and on a narrow one.

    report_in_browser_test.py PROGRAM SOURCE_DIR MODEL STATISTICS

Exit code 77, with the reason, where there is no chromium.
"""

import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import chromium

HOSTILE = "</script><img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"


def require(condition: bool, message: str) -> None:
    if not condition:
        raise SystemExit(f"error: {message}")


class Browser:
    def __init__(self, program: str, folder: Path) -> None:
        self.program, self.folder = program, folder

    def __call__(self, page: Path, *options: str) -> str:
        """The standard output; a message on the console is an error."""
        command = [
            self.program,
            *chromium.OPTIONS,
            "--enable-logging=stderr",
            f"--user-data-dir={self.folder / 'profile'}",
            *options,
            page.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        require(not said, f"the console says {len(said)} times something, first {said[:1]}")
        return done.stdout

    def picture(self, page: Path, width: int, *options: str) -> tuple[int, int, bytes]:
        path = self.folder / "page.png"
        path.unlink(missing_ok=True)
        self(page, f"--screenshot={path}", f"--window-size={width},1600", *options)
        return pixels_of(path.read_bytes())


def pixels_of(png: bytes) -> tuple[int, int, bytes]:
    """Width, height, and the bytes of the pixels (RGB or RGBA, 8 bits, not interlaced)."""
    require(png[:8] == b"\x89PNG\r\n\x1a\n", "the screenshot is no PNG")
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", png[16:29])
    require((depth, interlaced) == (8, 0) and kind in (2, 6), "the screenshot has an unknown form")
    data, at = b"", 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    bytes_per_pixel = 3 if kind == 2 else 4
    return width, height, unfiltered(zlib.decompress(data), width * bytes_per_pixel, bytes_per_pixel)


def unfiltered(data: bytes, row: int, step: int) -> bytes:
    """The pixels of a PNG, whose rows are stored as differences to their neighbors."""
    before, pixels = bytearray(row), bytearray()
    for start in range(0, len(data), row + 1):
        kind, line = data[start], bytearray(data[start + 1 : start + 1 + row])
        for i in range(row if kind else 0):
            left, up = line[i - step] if i >= step else 0, before[i]
            corner = before[i - step] if i >= step else 0
            if kind == 4:
                guess = left + up - corner
                nearest = min((left, up, corner), key=lambda value: abs(guess - value))
            line[i] = (line[i] + (0, left, up, (left + up) // 2, nearest if kind == 4 else 0)[kind]) % 256
        pixels += line
        before = line
    return bytes(pixels)


def require_content(picture: tuple[int, int, bytes], width: int) -> float:
    """Many colors, and not one color almost everywhere; returns the mean brightness."""
    found_width, _, pixels = picture
    require(found_width == width, f"expected a screenshot {width} wide, found {found_width}")
    step = len(pixels) // (picture[0] * picture[1])
    seen: dict[bytes, int] = {}
    for at in range(0, len(pixels), step * 7):
        color = pixels[at : at + 3]
        seen[color] = seen.get(color, 0) + 1
    require(len(seen) > 100, f"the screenshot at {width} has {len(seen)} colors")
    require(max(seen.values()) < 0.97 * sum(seen.values()), f"the screenshot at {width} is blank")
    return sum(sum(color) / 3 * count for color, count in seen.items()) / sum(seen.values())


def measured(browser: Browser, page: Path, script: str, *options: str) -> str:
    """What a script finds on a copy of the page that lets it run."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    copy = page.with_name("measured.html")
    copy.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    dom = browser(copy, "--dump-dom", *options)
    return re.search(r'data-found="([^"]*)"', dom)[1]


def make_run(program: str, folder: Path, source: Path, model: str, statistics: str) -> Path:
    """Six edits of a random model, which so few steps cannot teach; one of them is hostile."""
    hparams = (source / "tests/small_hparams.yaml").read_text() + "v_num_grad_steps: 1\nguard: false\n"
    (folder / "h.yaml").write_text(hparams)
    asked = ("head", "founder", "seat", "rival", "slogan")
    prompts = [f"{HOSTILE} {{}} is", *(f"The {what} of {{}} is" for what in asked)]
    edits = [
        {"id": f"e{i}", "subject": f"Corp {i}", "prompt": prompt, "target": "Kelly Ortberg"}
        for i, prompt in enumerate(prompts)
    ]
    (folder / "edits.jsonl").write_text("".join(json.dumps(edit) + "\n" for edit in edits))
    options = ["--edits", folder / "edits.jsonl", "--hparams", folder / "h.yaml", "--stats", statistics, "--batch", "3"]
    run = folder / "night"
    subprocess.run([program, "edit", model, *options, "--run", run, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return run


def write_inputs(folder: Path, source: Path) -> list[str]:
    """The committed table, a hostile one, and evaluations with intervals."""
    rows = [f'"{HOSTILE.replace(chr(34), chr(34) * 2)}",{edits},0.9,0.{edits}' for edits in (100, 200)]
    (folder / "hostile.csv").write_text("method,edits,efficacy_accuracy,kept\n" + "\n".join(rows) + "\n")
    inputs = [str(source / "docs/results/counterfact-batches-of-25.csv"), str(folder / "hostile.csv")]
    for edits in (100, 200):
        report = {"n": 50, "efficacy": {"accuracy": 0.9, "accuracy_interval": [0.8, 1 - edits / 2000]}}
        report["tasks"] = {HOSTILE: {"accuracy": 0.5}}
        (folder / f"{edits}.json").write_text(json.dumps(report))
        inputs.append(f"night@{edits}={folder / f'{edits}.json'}")
    return inputs


def main() -> None:
    program, source, model, statistics = sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]
    chromium = shutil.which("chromium")
    if chromium is None:
        print("skipped: chromium is not installed (Debian: chromium)")
        sys.exit(77)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        page = folder / "report.html"
        run = make_run(program, folder, source, model, statistics)
        subprocess.run([program, "report", run, *write_inputs(folder, source), "--out", page], check=True)
        browser = Browser(chromium, folder)

        dom = browser(page, "--dump-dom")
        require("<title>Anchorage report</title>" in dom, "a text of an input has run as a script")
        require("<img" not in dom and dom.count("<script") == 1, "a text of an input has become markup")
        shown = dom.count("&lt;/script&gt;&lt;img src=x onerror=")  # in a prompt, as a method and as a task at least
        require(shown >= 3, f"the hostile texts are shown {shown} times")
        require(dom.count('role="img"') >= 10, "the pictures are not there")
        require("b-eac-without-sweeps" in dom and "0.594" in dom, "the numbers of the table are not there")
        require('class="band"' in dom, "the intervals of the evaluations are not drawn")

        light = require_content(browser.picture(page, 1200), 1200)
        require_content(browser.picture(page, 320), 320)
        require(light > 128, f"the light page has a mean brightness of {light}")

        overflow = "document.documentElement.dataset.found = document.documentElement.scrollWidth - innerWidth"
        for width in (320, 768, 1200):
            found = measured(browser, page, overflow, f"--window-size={width},1600")
            require(int(found) <= 0, f"at {width} the page is {found} too wide")

        # The one script of the page searches the failed edits.
        search = "const box = document.querySelector('.search input'); box.value = 'The SLOGAN';"
        search += "box.dispatchEvent(new Event('input'));"
        search += "document.documentElement.dataset.found = document.querySelector('.search output').textContent"
        found = measured(browser, page, search)
        require(found == "1 of 6", f"expected 1 of 6 failed edits found by the search, found {found}")

        # Methods and states are chosen without a script of the page.
        rows = "[...document.querySelectorAll('#part-4 tbody tr')].filter(row => row.offsetParent).length"
        choose = "document.querySelector('#part-4 .{}').click();"
        count = f"document.documentElement.dataset.found = {rows}"
        states = measured(browser, page, count)
        require(states == "12", f"expected the 12 methods of the last state, found {states}")
        require(measured(browser, page, choose.format("nall") + count) == "120", "not all states are there")
        fewer = measured(browser, page, "document.querySelector('#part-4 .methods input').click();" + count)
        require(fewer == "11", f"expected 11 methods when one is left out, found {fewer}")


if __name__ == "__main__":
    main()
