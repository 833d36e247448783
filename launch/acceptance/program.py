"""Starts the program, alone or on several ranks, within the time that is left."""

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

DONE, SOME_SET_ASIDE = 0, 3
LONGEST = 300.0  # seconds that one command may take

ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    "OMP_NUM_THREADS": "1",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as nvidia-smi counts
}

# NCCL refuses two ranks on one GPU unless they seem to be on different machines, which then talk over sockets.
ON_SHARED_GPUS = (
    'export NCCL_HOSTID="rank-$OMPI_COMM_WORLD_RANK" NCCL_SOCKET_IFNAME=lo NCCL_IB_DISABLE=1; exec "$0" "$@"'
)


class Broken(Exception):
    """The program did something else than was expected of it: the check that asked for it has failed."""


class NotRun(Exception):
    """A check cannot be run here, and why."""


class OutOfTime(Exception):
    """A check was begun and cut by the time limit."""


class Clock:
    """The time limit of the whole acceptance."""

    def __init__(self, seconds: float):
        self.begin = time.monotonic()
        self.seconds = seconds

    def left(self) -> float:
        return self.seconds - (time.monotonic() - self.begin)


@dataclass(frozen=True)
class World:
    stages: int = 1
    replicas: int = 1

    @property
    def ranks(self) -> int:
        return self.stages * self.replicas

    def __str__(self) -> str:
        return f"{self.stages}x{self.replicas}"


ALONE = World()


def mpirun_of(program: Path) -> str | None:
    """That of an archive which brings its own Open MPI, else the one in PATH."""
    own = program.parent / "mpirun"
    return str(own) if os.access(own, os.X_OK) else shutil.which("mpirun")


def end(process: subprocess.Popen) -> None:
    """Ends the process and what it has started. mpirun ends its ranks, which are in groups of their own, on SIGTERM."""
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


@dataclass
class Program:
    path: Path
    folder: Path  # that it runs in
    clock: Clock
    gpus: int = 0
    seconds: list[float] = field(default_factory=list)  # of commands that ended

    def command(self, words: tuple[object, ...], world: World, on_gpu: bool) -> list[str]:
        own = [str(self.path), *map(str, words)]
        if world.ranks == 1:
            return own
        mpirun = mpirun_of(self.path)
        if mpirun is None:
            raise NotRun("there is no mpirun beside the program or in PATH")
        shared = ["bash", "-c", ON_SHARED_GPUS] if on_gpu and world.ranks > self.gpus else []
        ranks = ["-n", str(world.ranks), "--bind-to", "none", "--oversubscribe"]
        return ["env", "--ignore-signal=PIPE", mpirun, *ranks, *shared, *own]

    def start(self, *words: object, world: World = ALONE) -> subprocess.Popen:
        on_gpu = "cpu" not in words
        variables = os.environ | ENVIRONMENT
        if not on_gpu:
            variables["CUDA_VISIBLE_DEVICES"] = ""  # so that nothing of a GPU is touched
        return subprocess.Popen(
            self.command(words, world, on_gpu), cwd=self.folder, env=variables, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")

    def __call__(
        self, *words: object, world: World = ALONE, expected: tuple[int, ...] = (DONE,), longest: float = LONGEST,
    ) -> subprocess.CompletedProcess[str]:
        left = self.clock.left()
        if left <= 0:
            raise OutOfTime
        begin = time.monotonic()
        process = self.start(*words, world=world)
        try:
            out, err = process.communicate(timeout=min(longest, left))
        except subprocess.TimeoutExpired:
            end(process)
            if self.clock.left() <= 0:
                raise OutOfTime from None
            raise Broken(f"expected an end within {longest:.0f} s, found none: {said(process)}") from None
        except BaseException:
            end(process)
            raise
        self.seconds.append(time.monotonic() - begin)
        if process.returncode not in expected:
            codes = " or ".join(map(str, expected))
            last = " | ".join((err.strip() or out.strip()).splitlines()[-4:])
            raise Broken(f"expected exit code {codes}, found {process.returncode}: {said(process)}: {last}")
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def json(self, *words: object, **how: object) -> dict:
        """The JSON document that it prints with --json."""
        ended = self(*words, "--json", **how)
        try:
            return json.loads(ended.stdout)
        except json.JSONDecodeError as error:
            found = f"'{ended.stdout[:200]}' ({error})"
            raise Broken(f"expected a JSON document, found {found}: {' '.join(ended.args)}") from None

    def typical_seconds(self) -> float:
        """Of a command on a small model, as far as is known."""
        return sum(self.seconds) / len(self.seconds) if self.seconds else 6.0 if self.gpus else 1.0


def said(process: subprocess.Popen) -> str:
    return " ".join(map(str, process.args))
