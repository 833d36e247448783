"""A night with `anchorage serve`, as a person lives it, over HTTP.

    service_test.py PROGRAM SOURCE_DIR MODEL STATISTICS

Edits arrive, one is approved, a canary stops a bad one, the page shows it, one is withdrawn, and the run is resumed
on another number of ranks, and exported. Beside it: who may do what, requests that are repeated, questions to the
model, events, metrics and the interface's description. Exit code 0; 77 is not used: what is not installed of the
browser and Prometheus is said in a line.
"""

import http.client
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from service_run import TOKENS, Service, edit, require


class Events:
    """What a service says by events, from a connection of its own."""

    def __init__(self, base: str) -> None:
        place = urlsplit(base)
        self.connection = http.client.HTTPConnection(place.hostname, place.port, timeout=120)
        self.connection.request("GET", f"/events?token={TOKENS['read']}")
        self.answer = self.connection.getresponse()
        require(self.answer.status == 200, f"events are answered with {self.answer.status}")
        self.seen: list[tuple[str, dict]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        name = ""
        try:
            for line in iter(self.answer.readline, b""):
                text = line.decode().rstrip("\n")
                if text.startswith("event: "):
                    name = text[7:]
                elif text.startswith("data: "):
                    self.seen.append((name, json.loads(text[6:])))
        except (OSError, http.client.HTTPException):
            pass

    def of(self, name: str) -> list[dict]:
        return [data for one, data in list(self.seen) if one == name]


def check_who_may_do_what(service: Service) -> None:
    require(service.status("/livez", role="") == 200, "/livez wants a token")
    require(service.refusal("GET", "/v1/run", role="").status == 401, "a run is shown without a token")
    refused = service.refusal("POST", "/v1/edits", edit(0), role="read")
    require(refused.status == 403, f"a reader may give edits: {refused}")
    require({"expected", "found", "where", "remedy"} <= refused.problem.keys(), f"what to do is not said: {refused}")
    require(service.refusal("POST", "/v1/edits/e0/approve", {"by": "kim"}, "write").status == 403, "a writer approves")
    require(service.refusal("GET", "/v1/nothing").status == 404, "a path that there is not")
    require(service.refusal("PUT", "/v1/edits", edit(0)).status == 405, "a method that there is not")


def check_what_is_refused(service: Service) -> None:
    for body, what in ((b"", "nothing"), (b"{", "half"), (b"[1]", "a number"), (b"\xff\xfe", "no UTF-8"),
                       (b"[" * 100000, "depth"), ({"subject": "x"}, "half an edit")):  # fmt: skip
        status = service.refusal("POST", "/v1/edits", body).status
        require(status == 400, f"{what} is answered with {status}")
    require(service.refusal("POST", "/v1/generate", {"prompts": "x"}).status == 400, "prompts that are no list")
    require(service.refusal("GET", "/v1/batches?after=x").status == 400, "a number that is none")
    require(service.refusal("GET", "/v1/edits/unknown").status == 404, "an edit that there is not")


def check_approval(service: Service) -> None:
    forged = edit(0, author="feed", approved_by="kim")
    first = service.request("POST", "/v1/edits", forged, role="write")
    require([one["state"] for one in first["edits"]] == ["proposed"], f"a writer approves by itself: {first}")
    require(service.request("POST", "/v1/edits", forged, role="write") == first, "the same request, another answer")
    more = service.request("POST", "/v1/edits", [edit(1, author="feed"), edit(2, author="feed"), {"id": "broken"}])
    require(len(more["edits"]) == 2 and len(more["rejected"]) == 1, f"a broken record spoils others: {more}")
    require(service.refusal("POST", "/v1/edits/e0/approve", {"by": "feed"}).status == 409, "its author approves")
    require(service.refusal("POST", "/v1/edits/e0/approve", {}).status == 400, "nobody approves")
    service.request("POST", "/v1/edits/e0/approve", {"by": "kim"})
    for by, role in (("kim", "lee"), ("lee", "approve")):
        forged = service.refusal("POST", "/v1/edits/e1/approve", {"by": by}, role)
        require(forged.status == 403, f"the token '{role}' approves as {by}: {forged}")
    own = service.request("POST", "/v1/edits", edit(20, approved_by="lee"), "lee")["edits"][0]
    require(own["state"] == "proposed", f"lee approves what is lee's own: {own}")
    require(service.refusal("POST", "/v1/edits/e20/approve", {}, "lee").status == 409, "lee approves what is lee's own")
    service.request("DELETE", "/v1/edits/e20")
    forged = service.refusal("POST", "/v1/edits", edit(21, author="feed", approved_by="lee"), "lee")
    require(forged.status == 400, f"lee, who may approve, gives an edit under another's name: {forged}")
    approved = service.request("POST", "/v1/edits/e1/approve", {}, "lee")
    require(approved["approved_by"] == "lee", f"the token's name is not the one that approves: {approved}")
    for number in (0, 1):
        service.wait_until(f"e{number}", "committed")
    require(service.state_of("e2") == "proposed", "an edit that nobody approved")
    other = service.refusal("POST", "/v1/edits", edit(9, id="e0"))
    require(other.status == 409, f"an id of another fact: {other}")


def check_canary(service: Service) -> None:
    service.request("POST", "/v1/edits/e2/approve", {"by": "kim"})
    stopped = service.wait_until("e2", "set_aside")
    require("canary 'third' broke" in stopped["reason"], f"the canary is not named: {stopped}")


def check_questions(service: Service) -> None:
    prompt = "Ask for Acorp 0"
    text = service.request("POST", "/v1/generate", {"prompts": [prompt, ""], "max_new_tokens": 2}, "read")["texts"]
    require(text[0]["edited"] != text[0]["base"] and text[0]["edited"].startswith("AA"), f"nothing learned: {text}")
    again = service.request("POST", "/v1/generate", {"prompts": [prompt], "max_new_tokens": 2}, "read")["texts"]
    require(again[0] == text[0], f"the base was left in the model: {again}, before {text}")
    requests = [{"prompt": prompt, "completion": "AA"}]
    score = service.request("POST", "/v1/score", {"requests": requests}, "read")["scores"][0]
    require(score["argmax"] and all(value <= 0 for value in score["logprobs"]), f"a score: {score}")


def check_withdrawing(service: Service) -> None:
    service.request("POST", "/v1/pause", {})
    service.wait_for(lambda: service.request("GET", "/v1/run")["state"] == "paused", "the batch in flight to end")
    service.request("POST", "/v1/edits", edit(3, approved_by="kim"))
    time.sleep(0.6)  # three times as long as an edit lingers
    require(service.state_of("e3") == "accepted", "an edit is written while the service is paused")
    service.request("DELETE", "/v1/edits/e3")
    require(service.state_of("e3") == "withdrawn", "an edit that was withdrawn in time")
    service.request("POST", "/v1/resume", {})
    service.request("DELETE", "/v1/edits/e0")
    service.wait_until("e0", "removed")
    said = service.request("POST", "/v1/generate", {"prompts": ["Ask for Acorp 0"], "max_new_tokens": 2})["texts"][0]
    require(said["edited"] == said["base"], f"a removed edit is still known: {said}")
    repeated = service.request("DELETE", "/v1/edits/e0")
    require(repeated["state"] == "removed", f"withdrawn twice: {repeated}")
    repeated = service.request("POST", "/v1/edits", edit(0))
    require(repeated["edits"][0]["state"] == "removed", f"a repeated request writes it again: {repeated}")


def check_export(service: Service) -> None:
    """Beside the run; one that fails says why, and what was written is known after a restart."""
    for body in ({}, {"name": "a/b"}, {"name": ".a"}, {"name": "a", "format": "zip"}, {"name": "a", "batch": 1000}):
        require(service.refusal("POST", "/v1/export", body).status == 400, f"an export of {body}")
    require(service.refusal("POST", "/v1/export", {"name": "a"}, "read").status == 403, "a reader exports")
    batch = service.request("GET", "/v1/run")["segments"]
    begun = service.request("POST", "/v1/export", {"name": "night", "verify": True, "canaries": True})
    require((begun["state"], begun["batch"]) == ("writing", batch), f"an export that begins: {begun}")
    written = wait_for_export(service, "night")
    require(written["state"] == "written", f"an export: {written}")
    require(written["report"]["canaries"] == 1, f"the canaries were not asked: {written}")
    require((Path(written["directory"]) / "adapter_model.safetensors").exists(), f"no adapter: {written}")
    repeated = service.request("POST", "/v1/export", {"name": "night"})
    require(repeated == written, f"the same request again: {repeated}, before {written}")
    require(service.refusal("POST", "/v1/export", {"name": "night", "format": "hf"}).status == 409, "another format")
    service.request("POST", "/v1/export", {"name": "tiny", "rank": 3, "format": "peft", "batch": 1})
    require(wait_for_export(service, "tiny")["report"]["rank"] == 3, "the rank of an adapter")
    (service.folder / "run" / "exports" / "full").write_text("")  # a file in its way
    service.request("POST", "/v1/export", {"name": "full", "format": "hf"})
    failed = wait_for_export(service, "full")
    require(failed["state"] == "failed" and "found a file" in failed["reason"], f"an export that fails: {failed}")
    listed = [one["name"] for one in service.request("GET", "/v1/exports", role="read")["exports"]]
    require(listed == ["full", "night", "tiny"], f"the exports: {listed}")


def wait_for_export(service: Service, name: str) -> dict:
    path = f"/v1/exports/{name}"
    service.wait_for(lambda: service.request("GET", path)["state"] != "writing", f"export {name} to end")
    return service.request("GET", path)


def check_rollback(service: Service) -> None:
    before = service.request("GET", "/v1/run")
    service.request("POST", "/v1/edits", edit(5, approved_by="kim"))
    service.wait_until("e5", "committed")
    for body in ({}, {"to_batch": -1}, {"to_batch": 1000}, {"to_batch": "1"}):
        require(service.refusal("POST", "/v1/rollback", body).status == 400, f"a rollback by {body}")
    service.request("POST", "/v1/rollback", {"to_batch": before["segments"]})
    service.wait_until("e5", "withdrawn")
    service.wait_for(lambda: service.status("/readyz") == 200, "the service to be ready again")
    after = service.request("GET", "/v1/run")
    require(after["layers"] == before["layers"], f"another drift: {after['layers']}, before {before['layers']}")
    require(service.state_of("e1") == "committed" and service.state_of("e0") == "removed", "earlier edits changed")
    said = service.request("POST", "/v1/generate", {"prompts": ["Ask for Fcorp 5"], "max_new_tokens": 2})["texts"][0]
    require(said["edited"] != "FF", f"an edit that was rolled back is still known: {said}")


def check_description(program: str, source: Path, model: str, statistics: str, folder: Path) -> None:
    """Every operation answers as openapi.json says, in a run of its own."""
    folder.mkdir()
    service = Service(program, model, statistics, folder)
    service.start("--require-approval")
    test = source / "tests" / "process" / "service_openapi_test.py"
    tokens = ["--token", TOKENS["approve"], "--read-token", TOKENS["read"]]
    command = [sys.executable, test, f"{service.base}/openapi.json", "--base", service.base, *tokens, "--stop"]
    done = subprocess.run(command)
    require(done.returncode in (0, 77), "the service is not as it is described")
    if done.returncode == 77:
        service.stop()
    require(service.process.wait(timeout=120) == 0, "the service, told to stop, fails")


def check_watching(service: Service, folder: Path) -> None:
    """A run of `edit`, which has its edits, can be watched while it lasts, and no more."""
    (folder / "edits.jsonl").write_text("".join(json.dumps(edit(i)) + "\n" for i in range(12)))
    files = ["--edits", "edits.jsonl", "--run", "watched", "--hparams", "h.yaml", "--stats", "s.h5", "--batch", "2"]
    command = service.command("edit", service.model, *files, "--listen", "127.0.0.1:0", "--threads", "1")
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    said = ""
    while "listening on " not in said:
        said = process.stderr.readline()
        require(said, "the run ended before it listened")
    threading.Thread(target=process.stderr.read, daemon=True).start()
    service.base = said.split("listening on ")[1].strip()
    run = service.request("GET", "/v1/run", role="")
    require(run["run"] == "watched", f"another run: {run}")
    require(service.refusal("POST", "/v1/edits", edit(20), role="").status == 403, "a run that is watched takes edits")
    require(process.wait(timeout=120) == 0, "the run that was watched fails")


def check_other_tests(service: Service, source: Path, folder: Path) -> None:
    python, tests = sys.executable, source / "tests" / "process"
    token = TOKENS["approve"]
    metrics = ["--base", service.base, "--token", token, source / "launch/observe/grafana.json", source / "docs/operations.md"]
    subprocess.run([python, tests / "service_metrics_test.py", *metrics], check=True)
    browser = shutil.which("chromium")
    if browser is None:
        print("skipped: the page, for there is no chromium")
        return
    shown = ["Ask for Bcorp 1", "canary 'third' broke"]
    page = f"{service.base}/?token={token}"
    subprocess.run([python, tests / "service_page_check.py", browser, page, folder / "pages", *shown], check=True)


def main() -> None:
    program, source, model, statistics = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "canaries.jsonl").write_text('{"id": "third", "prompt": "Ask for Ccorp 2"}\n')
        service = Service(program, model, statistics, folder)
        service.start("--require-approval", "--canaries", "canaries.jsonl")
        events = Events(service.base)
        check_who_may_do_what(service)
        check_what_is_refused(service)
        check_approval(service)
        check_canary(service)
        check_questions(service)
        check_withdrawing(service)
        check_export(service)
        check_rollback(service)
        states = [one["state"] for one in events.of("export") if one["name"] == "night"]
        require(states == ["writing", "written"], f"events of an export: {states}")
        require({one["batch"] for one in events.of("batch")} >= {1, 2}, f"events: {events.seen}")
        require(events.of("reverted") or events.of("run"), "no event of the run")
        service.request("POST", "/v1/checkpoint", {})
        check_other_tests(service, Path(source), folder)
        require(service.stop() == 0, f"the service, told to stop, fails: {''.join(service.said[-20:])}")

        # The same command resumes, here with two ranks; what was decided stays decided.
        service.start("--require-approval", "--canaries", "canaries.jsonl", ranks=2)
        states = {f"e{i}": service.state_of(f"e{i}") for i in range(3)}
        require(states == {"e0": "removed", "e1": "committed", "e2": "set_aside"}, f"after a restart: {states}")
        exports = service.request("GET", "/v1/exports")["exports"]
        require([one["name"] for one in exports] == ["night", "tiny"], f"exports after a restart: {exports}")
        service.request("POST", "/v1/export", {"name": "by-a-rank", "format": "hf"})
        of_a_rank = wait_for_export(service, "by-a-rank")
        require(of_a_rank["state"] == "written", f"an export beside several ranks: {of_a_rank}")
        orphan = service.run("export", "run", "--out", "orphan", "--parent", "1")
        require(orphan.returncode == 1 and "--parent" in orphan.stderr, f"an export without its parent: {orphan}")
        service.request("POST", "/v1/edits", edit(4, author="feed", approved_by="kim"))
        service.wait_until("e4", "committed")
        ranks = service.request("GET", "/v1/run")["ranks"]
        require(ranks[1]["rank"] == 1, f"the second rank is not described: {ranks}")
        require(all(rank["memory_bytes"] > 1 << 20 for rank in ranks), f"no memory of the ranks: {ranks}")
        require(any(rank["wait_seconds"] > 0 for rank in ranks), f"no rank has waited for the other: {ranks}")

        # What it has accepted and not written, `edit --resume` writes.
        service.request("POST", "/v1/pause", {})
        service.request("POST", "/v1/edits", edit(6, author="feed", approved_by="kim"))
        require(service.stop() == 0, f"the service, told to stop, fails: {''.join(service.said[-20:])}")
        resumed = service.run("edit", "--run", "run", "--resume", "--threads", "1")
        require(resumed.returncode == 3, f"edit --resume, with one edit set aside: {resumed.stderr}")
        history = service.run("journal", "history", "run", "--subject", "Gcorp 6").stdout
        require("e6" in history, f"an accepted edit is not written by edit --resume: {history}")

        for arguments in (["journal", "verify", "run"], ["export", "run", "--format", "peft", "--out", "adapter"]):
            done = service.run(*arguments)
            require(done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}")
        viewed = service.run("view", "run", "--out", "page.html")
        require(viewed.returncode == 0, f"view: {viewed.stderr}")
        if browser := shutil.which("chromium"):
            check = Path(source) / "tests" / "process" / "service_page_check.py"
            page = (folder / "page.html").as_uri()
            subprocess.run([sys.executable, check, browser, page, folder / "viewed", "Ask for Bcorp 1"], check=True)
        history = service.run("journal", "history", "run", "--subject", "Bcorp 1").stdout
        require("lee" in history, f"who approved it is not in the journal: {history}")

        check_watching(service, folder)
        check_description(program, Path(source), model, statistics, folder / "described")

        # On an address that others reach, or for writing, tokens are needed.
        listening = ["serve", model, "--run", "other", "--hparams", "h.yaml", "--stats", "s.h5", "--listen"]
        refused = service.run(*listening, "0.0.0.0:0")
        require(refused.returncode == 2 and "--token-file" in refused.stderr, f"it is open to all: {refused.stderr}")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            refused = service.run(*listening, f"127.0.0.1:{taken.getsockname()[1]}")
        require(refused.returncode == 2 and "another port" in refused.stderr, f"a port in use: {refused.stderr}")
        require(not (folder / "other").exists(), "a service that never began leaves a run")


if __name__ == "__main__":
    main()
