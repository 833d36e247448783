"""What is edited, the worlds of ranks that edit it, and what a run of a world takes."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

DONE, SOME_SET_ASIDE = 0, 3

ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


@dataclass(frozen=True)
class World:
    stages: int
    replicas: int

    @property
    def ranks(self) -> int:
        return self.stages * self.replicas

    def __str__(self) -> str:
        return f"{self.stages}x{self.replicas}"


def world_named(name: str) -> World:
    """`2x1`: two stages, one replica."""
    stages, replicas = (int(number) for number in name.split("x"))
    return World(stages, replicas)


@dataclass(frozen=True)
class Case:
    """What is edited, and how: the same in every world."""

    program: Path
    model: Path
    hparams: Path
    settings: tuple[str, ...]  # KEY=VALUE, over those of the file
    statistics: Path
    facts: Path
    edits: int
    batch: int
    threads: int  # of a rank
    checkpoint_every: int = 0  # batches; 0: none

    def options(self, dtype: str) -> list[object]:
        """Those that `edit` and `plan` share."""
        chosen = ["--hparams", self.hparams, "--batch", self.batch, "--threads", self.threads, "--dtype", dtype, "--json"]
        return chosen + [word for setting in self.settings for word in ("--set", setting)]


@dataclass(frozen=True)
class Run:
    seconds: float  # of all batches, from their submission to their commit
    busy: list[float]  # by rank, shares of 1
    memory: list[dict[str, int]]  # by rank, as rank_memory.py writes it
    committed: int
    drift: dict[str, float]  # of each edited layer
    wall: float  # seconds of the whole command: with reading the model, the inverses, and leaving


def said_by(command: list[object]) -> dict:
    """The JSON document that the program prints; its log goes to this one's stderr."""
    words = [str(word) for word in command]
    ended = subprocess.run(words, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    if ended.returncode not in (DONE, SOME_SET_ASIDE):
        raise SystemExit(f"exit code {ended.returncode} of: {' '.join(words)}")
    return json.loads(ended.stdout)


def edit(case: Case, world: World, dtype: str, folder: Path) -> Run:
    """Edits in a new run, in `folder`, of which nothing is kept."""
    shutil.rmtree(folder, ignore_errors=True)
    memory = folder / "memory"
    memory.mkdir(parents=True)
    launcher = ["env", "--ignore-signal=PIPE", "mpirun", "-n", world.ranks, "--bind-to", "none", "--oversubscribe"]
    wrapper = [sys.executable, Path(__file__).with_name("rank_memory.py"), memory]
    command = [case.program, "edit", case.model, "--edits", case.facts, "--limit", case.edits, "--run", folder / "run"]
    command += ["--stats", case.statistics, "--stages", world.stages, "--checkpoint-every", case.checkpoint_every]
    start = time.monotonic()
    said = said_by([*launcher, *wrapper, *command, *case.options(dtype), "--device", "cpu", "--quiet"])
    wall = time.monotonic() - start
    run = Run(
        seconds=said["seconds"]["total"],
        busy=[rank["busy"] for rank in said["rank_seconds"]],
        memory=[json.loads((memory / f"{rank}.json").read_text()) for rank in range(world.ranks)],
        committed=said["edits"]["committed"],
        drift={str(layer["layer"]): layer["drift"] for layer in said["layers"]},
        wall=wall,
    )
    shutil.rmtree(folder)
    return run
