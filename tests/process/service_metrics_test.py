"""The metrics of `anchorage serve`, their documentation and the dashboard over them.

    service_metrics_test.py [--base URL --token TOKEN] DASHBOARD OPERATIONS_MD

Every name in an expression of the dashboard is one of the table in OPERATIONS_MD (Metrics). With --base, the service's
/metrics is what the table says, name by name with type and labels, and no more; promtool finds nothing against it; and
a Prometheus scrapes it and evaluates every expression of the dashboard. What is not installed of the last two is
skipped with a line that says so.
"""

import argparse
import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

SECONDS = 60  # until Prometheus answers, and until it has scraped
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"(?:,|$)')
OF_REFRESHES = "anchorage_refresh_"  # not of the service, but of jobs that end
STATES = {"starting", "replaying", "waiting", "editing", "paused", "stopping", "finished"}
EDIT_STATES = {"proposed", "accepted", "queued", "committed", "set_aside", "removed", "superseded", "withdrawn"}


def require(condition: bool, message: str) -> None:
    if not condition:
        raise SystemExit(f"error: {message}")


@dataclass
class Metric:
    kind: str = ""
    help: str = ""
    labels: set[str] = field(default_factory=set)
    samples: list[tuple[dict[str, str], float]] = field(default_factory=list)


def documented_in(operations: Path) -> dict[str, Metric]:
    """The rows of the tables in the section Metrics; those of refreshes have neither type nor labels."""
    section = re.search(r"^## Metrics\n(.*?)(?=^## |\Z)", operations.read_text(encoding="utf-8"), re.M | re.S)
    require(section is not None, f"expected a section 'Metrics', found none, in {operations}")
    metrics = {}
    for line in section[1].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = re.fullmatch(r"`(anchorage_\w+)`", cells[0])
        if not name:
            continue
        require(name[1] not in metrics, f"{name[1]} is documented twice in {operations}")
        metrics[name[1]] = Metric(cells[1], "", set(re.findall(r"`(\w+)`", cells[2]))) if len(cells) > 3 else Metric()
    require(bool(metrics), f"expected tables of metrics, found none, in {operations}")
    return metrics


def expressions_of(node: object) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from expressions_of(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query", "definition") and isinstance(value, str):
                yield value
            else:
                yield from expressions_of(value)


def check_dashboard(dashboard: dict, documented: dict[str, Metric], path: Path) -> list[str]:
    """Returns the expressions in which a metric is named."""
    expressions = [each for each in dict.fromkeys(expressions_of(dashboard)) if "anchorage_" in each]
    require(len(expressions) > 5, f"expected expressions, found {len(expressions)}, in {path}")
    for expression in expressions:
        for name in re.findall(r"\banchorage_\w+", expression):
            require(name in documented, f"{name} is not documented; it is in '{expression}' of {path}")
    variables = [each["type"] for each in dashboard["templating"]["list"]]
    require("datasource" in variables, f"expected a variable for the data source, found none, in {path}")
    return expressions


def get(url: str, token: str = "") -> tuple[str, str]:
    """Returns what kind of text it is, and the text."""
    request = Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urlopen(request, timeout=SECONDS) as answer:
        return answer.headers["Content-Type"], answer.read().decode("utf-8")


def parsed(text: str) -> dict[str, Metric]:
    require(text.endswith("\n"), "the last line of /metrics does not end")
    metrics: dict[str, Metric] = {}
    for line in text.splitlines():
        if line.startswith(("# HELP ", "# TYPE ")):
            _, what, name, rest = line.split(" ", 3)
            setattr(metrics.setdefault(name, Metric()), "help" if what == "HELP" else "kind", rest)
            continue
        match = SAMPLE.fullmatch(line)
        require(match is not None, f"expected a sample, found '{line}'")
        labels = dict(LABEL.findall(match[2] or ""))
        require(match[1] in metrics, f"expected HELP and TYPE before '{line}'")
        metrics[match[1]].labels |= set(labels)
        metrics[match[1]].samples.append((labels, float(match[3])))
    return metrics


def check_scrape(text: str, documented: dict[str, Metric]) -> None:
    served = parsed(text)
    for name in served:
        require(name in documented, f"{name} is in /metrics and not documented")
    for name, expected in documented.items():
        found = served.get(name)
        require(found is not None, f"{name} is documented and not in /metrics")
        require(bool(found.help), f"expected HELP of {name}, found none")
        require(found.kind == expected.kind, f"expected {expected.kind} as the type of {name}, found {found.kind}")
        for labels, _ in found.samples:
            require(set(labels) == expected.labels, f"expected labels {expected.labels} of {name}, found {labels}")
        label_sets = [tuple(sorted(labels.items())) for labels, _ in found.samples]
        require(len(label_sets) == len(set(label_sets)), f"a sample of {name} is there twice")

    def by_state(name: str) -> dict[str, float]:
        return {labels["state"]: value for labels, value in served[name].samples}

    states = by_state("anchorage_run_state")
    require(set(states) == STATES, f"expected states {STATES}, found {set(states)}")
    require(sorted(states.values()) == [0] * (len(STATES) - 1) + [1], f"the run is in several states: {states}")
    edits = by_state("anchorage_edits")
    require(set(edits) == EDIT_STATES, f"expected edits in states {EDIT_STATES}, found {set(edits)}")
    require([value for _, value in served["anchorage_build_info"].samples] == [1], "anchorage_build_info is not 1")


def check_by_promtool(text: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        print("skipped: what promtool says of the metrics: it is not installed (Debian: prometheus)")
        return
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=SECONDS)
    said = done.stdout + done.stderr
    require(done.returncode == 0 and not said.strip(), f"promtool check metrics, exit code {done.returncode}: {said}")
    print("promtool finds nothing against the metrics")


class Prometheus:
    """A server with one target, in a folder of its own."""

    def __init__(self, program: str, folder: Path, base: str, token: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.base = f"http://127.0.0.1:{free.getsockname()[1]}"
        (folder / "token").write_text(token)
        job = {
            "job_name": "anchorage",
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "authorization": {"credentials_file": str(folder / "token")},
            "static_configs": [{"targets": [urlsplit(base).netloc]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": [job]}))  # JSON is YAML
        self.log = folder / "log"
        options = [
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={urlsplit(self.base).netloc}",
        ]
        with self.log.open("w") as log:
            self.process = subprocess.Popen([program, *options], stdout=log, stderr=log)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(self, path: str, **parameters: str) -> dict:
        """Returns what the API says, of errors too; nothing while there is no answer."""
        try:
            return json.loads(get(f"{self.base}/api/v1/{path}?{urlencode(parameters)}")[1])["data"]
        except HTTPError as error:
            return {"error": error.read().decode(errors="replace")}
        except (URLError, ConnectionError, TimeoutError):
            return {}

    def wait_for_scrape(self) -> None:
        deadline, target = time.monotonic() + SECONDS, {}
        while time.monotonic() < deadline:
            require(self.process.poll() is None, f"Prometheus has ended: {self.log.read_text()[-2000:]}")
            target = next(iter(self.ask("targets").get("activeTargets", [])), {})
            if target.get("health") == "up":
                return
            time.sleep(0.2)
        said = target.get("lastError") or self.log.read_text()[-2000:]
        require(False, f"expected a scrape within {SECONDS} s, found none: {said}")


def check_by_prometheus(base: str, token: str, expressions: list[str]) -> None:
    program = shutil.which("prometheus")
    if program is None:
        print("skipped: what Prometheus reads of the metrics: it is not installed (Debian: prometheus)")
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        prometheus = Prometheus(program, Path(name), base, token)
        try:
            prometheus.wait_for_scrape()
            version = prometheus.ask("query", query="anchorage_build_info")["result"]
            require(len(version) == 1 and version[0]["value"][1] == "1", f"anchorage_build_info is {version}")
            for expression in expressions:
                if expression.startswith("label_values("):  # Grafana's own
                    continue
                query = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
                said = prometheus.ask("query", query=query)
                require("result" in said, f"Prometheus does not understand '{query}': {said.get('error')}")
        finally:
            prometheus.stop()
    print(f"Prometheus has scraped version {version[0]['metric']['version']} and understands {len(expressions)} expressions")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--base")
    arguments.add_argument("--token", default="")
    arguments.add_argument("dashboard", type=Path)
    arguments.add_argument("operations", type=Path)
    options = arguments.parse_args()
    documented = documented_in(options.operations)
    dashboard = json.loads(options.dashboard.read_text(encoding="utf-8"))
    expressions = check_dashboard(dashboard, documented, options.dashboard)
    print(f"{len(documented)} names are documented, {len(expressions)} expressions use no others")
    if not options.base:
        return

    kind, text = get(f"{options.base}/metrics", options.token)
    require(kind.replace(" ", "").startswith("text/plain;version=0.0.4"), f"the type of /metrics is '{kind}'")
    of_service = {name: each for name, each in documented.items() if not name.startswith(OF_REFRESHES)}
    check_scrape(text, of_service)
    print(f"/metrics has the {len(of_service)} names of the service, and no others")
    check_by_promtool(text)
    check_by_prometheus(options.base, options.token, expressions)


if __name__ == "__main__":
    main()
