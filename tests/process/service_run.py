"""A service on a small random model, for the tests of `anchorage serve`: started, asked, killed, started again."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

TOKENS = {role: f"{role}-token-of-the-test" for role in ("read", "write", "approve", "lee")}
TESTS = Path(__file__).parents[1]
HPARAMS = "".join([
    (TESTS / "small_hparams.yaml").read_text(),
    "v_lr: 0.2\ngroup: 2\n",
    (TESTS / "process" / "small_run.yaml").read_text(),
])


def require(condition: object, message: str) -> None:
    if not condition:
        raise SystemExit(f"error: {message}")


def edit(number: int, **fields: str) -> dict:
    """An edit whose target follows its subject at once, which these models learn to say."""
    letter = chr(ord("A") + number % 26)
    return {
        "id": f"e{number}",
        "subject": f"{letter}corp {number}",
        "prompt": "Ask for {}",
        "target": 2 * letter,
        "target_prefix": "",
        **fields,
    }


class Refused(Exception):
    def __init__(self, status: int, problem: dict) -> None:
        super().__init__(f"{status}: {problem}")
        self.status, self.problem = status, problem


class Service:
    def __init__(self, program: str, model: str, statistics: str, folder: Path) -> None:
        self.program, self.model, self.folder = program, model, folder
        shutil.copy(statistics, folder / "s.h5")
        (folder / "h.yaml").write_text(HPARAMS)
        tokens = folder / "tokens"
        lines = [f"{TOKENS[role]} {role}\n" for role in ("read", "write", "approve")]
        tokens.write_text("".join(lines) + f"{TOKENS['lee']} approve lee\n")
        tokens.chmod(0o600)
        self.process: subprocess.Popen | None = None
        self.base = ""
        self.said: list[str] = []

    def command(self, *arguments: str, ranks: int = 0) -> list[str]:
        """The program's; with ranks, under mpirun."""
        launcher = ["env", "--ignore-signal=PIPE", "mpirun", "-n", str(ranks), "--bind-to", "none", "--oversubscribe"]
        return [*(launcher if ranks else []), self.program, *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(*arguments), cwd=self.folder, capture_output=True, text=True, timeout=300, env=self.environment()
        )

    @staticmethod
    def environment() -> dict[str, str]:
        return {**os.environ, "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

    def start(self, *more: str, ranks: int = 0, until: str = "ready") -> None:
        """Until it is ready, or only until it listens."""
        arguments = ["serve", self.model, "--run", "run", "--hparams", "h.yaml", "--stats", "s.h5", "--batch", "2"]
        arguments += ["--listen", "127.0.0.1:0", "--token-file", "tokens", "--linger", "0.2", "--threads", "1", *more]
        self.process = subprocess.Popen(
            self.command(*arguments, ranks=ranks),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
            start_new_session=True,
        )
        self.base = ""
        self.said = []
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        self.wait_for(lambda: self.base, "an address to be listened on")
        if until == "ready":
            self.wait_for(lambda: self.status("/readyz") == 200, "the service to be ready")

    def _listen(self, process: subprocess.Popen) -> None:
        for line in process.stderr:
            self.said.append(line)
            if found := re.search(r"listening on (http://\S+)", line):
                self.base = found[1]

    def wait_for(self, condition, what: str, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not condition():
            ended = self.process.poll()
            require(ended is None, f"waiting for {what}, the service ended with {ended}: {''.join(self.said[-20:])}")
            require(time.monotonic() < end, f"waited {seconds} s for {what}: {''.join(self.said[-20:])}")
            time.sleep(0.02)

    def request(self, method: str, path: str, body: object = None, role: str = "approve", seconds: float = 120):
        """The answer's document; its text where it is none. Raises Refused."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {TOKENS[role]}"} if role else {}
        try:
            with urlopen(Request(self.base + path, data, headers, method=method), timeout=seconds) as answer:
                text = answer.read().decode()
                return json.loads(text) if answer.headers.get_content_type() == "application/json" else text
        except HTTPError as error:
            text = error.read().decode()
            is_problem = error.headers.get_content_type() == "application/problem+json"
            raise Refused(error.code, json.loads(text) if is_problem else {"detail": text}) from None

    def status(self, path: str, **how) -> int:
        try:
            self.request("GET", path, **how)
        except Refused as refused:
            return refused.status
        except OSError:
            return 0
        return 200

    def refusal(self, method: str, path: str, body: object = None, role: str = "approve") -> Refused:
        try:
            answer = self.request(method, path, body, role)
        except Refused as refused:
            return refused
        raise SystemExit(f"error: {method} {path} as {role or 'nobody'} was not refused but answered {answer}")

    def state_of(self, identifier: str) -> str:
        return self.request("GET", f"/v1/edits/{identifier}")["state"]

    def wait_until(self, identifier: str, state: str) -> dict:
        self.wait_for(lambda: self.state_of(identifier) == state, f"edit {identifier} to be {state}")
        return self.request("GET", f"/v1/edits/{identifier}")

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """By request; the exit code."""
        self.request("POST", "/v1/stop", {})
        return self.process.wait(timeout=120)
