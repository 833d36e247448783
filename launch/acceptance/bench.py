"""What checks share: small models with their statistics, edits of them, and what was found so far."""

import itertools
import json
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import small_models
import weights
from program import ALONE, Program, World

EDITS, BATCH = 8, 4  # two batches
REFERENCE = ("all",)


@dataclass(frozen=True)
class Edit:
    """A run that edits a small model, by what decides about its result."""

    device: str
    family: str = "llama"
    method: str = "memit"
    dtype: str = "fp32"
    references: tuple[str, ...] = ()  # kernels in reference form
    statistics: str | None = None  # device that they are of; "cpu" with reference kernels where not given
    world: World = ALONE
    contexts: int = 2  # the bare prompt, and one after a text that the model has generated
    batch: int = BATCH
    group: int = 2
    checkpoint_every: int = 0
    turn: int = 0  # of a repetition


@dataclass(frozen=True)
class Edited:
    export: Path
    said: dict  # by `edit --json`


class Bench:
    def __init__(self, program: Program, device: str, shape: str, machine: dict):
        self.program = program
        self.folder = program.folder
        self.device = device
        self.shape = shape  # asked for, for times
        self.machine = machine
        self.is_exclusive = any("Exclusive" in str(gpu.get("compute_mode")) for gpu in machine["gpus"])
        self.jobs = 1 if self.is_exclusive and device == "cuda" else min(4, len(os.sched_getaffinity(0)))
        self._made: dict[object, object] = {}
        self._locks: dict[object, threading.Lock] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        small_models.write_inputs(self.folder, EDITS)

    def once(self, key: object, make: Callable[[], object]) -> object:
        """What `make` gives, made once."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]

    def new_folder(self, name: str) -> Path:
        return self.folder / f"{os.getpid()}-{next(self._numbers)}-{name}"

    def model(self, family: str) -> Path:
        return self.once(("model", family), lambda: small_models.make(family, self.folder / "models" / family))

    def statistics(self, family: str, device: str) -> Path:
        """Of the device; "cpu" collects them with reference kernels."""

        def collect() -> Path:
            out = self.new_folder(f"{family}-{device}.h5")
            kernels = ["--reference-kernels", "all"] if device == "cpu" else []
            self.program(
                "stats", self.model(family), "--corpus", "text.txt", "--layers", small_models.EDITED, "--tokens",
                small_models.STATISTICS_TOKENS, "--sequence-length", 64, "--out", out, "--quiet", "--threads", 1,
                "--device", "cpu" if device == "cpu" else self.device, *kernels)
            return out

        return self.once(("statistics", family, device), collect)

    def edit_words(self, edit: Edit, run: Path) -> list[object]:
        statistics = self.statistics(edit.family, edit.statistics or "cpu")
        words = ["edit", self.model(edit.family), "--edits", "edits.jsonl", "--run", run, "--hparams", "hparams.yaml"]
        words += ["--stats", statistics, "--batch", edit.batch, "--method", edit.method]
        words += ["--set", f"group={edit.group}", "--set", f"contexts={edit.contexts}"]
        words += ["--stages", edit.world.stages, "--deadline", 60, "--checkpoint-every", edit.checkpoint_every]
        return words + how_words(edit)

    def export(self, run: Path) -> Path:
        out = run.with_name(run.name + "-model")
        self.program("export", run, "--out", out, "--device", "cpu", "--threads", 1, "--quiet")
        return out

    def edit(self, edit: Edit) -> Edited:
        def make() -> Edited:
            run = self.new_folder(f"{edit.family}-{edit.method}-{edit.device}")
            said = self.program.json(*self.edit_words(edit, run), world=edit.world)
            return Edited(self.export(run), said)

        return self.once(edit, make)

    def edit_all(self, edits: Iterable[Edit]) -> list[Edited]:
        """Some at a time: starting takes longer than editing a small model."""
        edits = list(edits)
        with ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(self.edit, edits))

    def digest(self, edit: Edit) -> str:
        return weights.digest(self.edit(edit).export)

    def distance(self, edit: Edit, reference: Edit) -> float:
        """Of the changes that two runs make to the weights."""
        base = self.model(edit.family)
        found, expected = (weights.changes(base, self.edit(one).export) for one in (edit, reference))
        return weights.distance(found, expected)

    def _scores(self, model: Path, requests: str, how: Edit) -> list[float]:
        ended = self.program("score", model, "--requests", requests, "--json", *how_words(how))
        return [number for line in ended.stdout.splitlines() for number in json.loads(line)["logprobs"]]

    def score_all(self, edits: Iterable[Edit]) -> list[list[float]]:
        """Log-probabilities of the tokens of some texts, by the families' models."""
        with ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(lambda one: self._scores(self.model(one.family), "requests.jsonl", one), edits))

    def gain(self, edit: Edit) -> float:
        """How much more probable the edits have become on average, nats per token; by the reference, in fp32."""
        reference = by_reference(Edit(self.device, edit.family))

        def mean(model: Path) -> float:
            scores = self._scores(model, "targets.jsonl", reference)
            return sum(scores) / len(scores)

        before = self.once(("before", edit.family), lambda: mean(self.model(edit.family)))
        return self.once(("after", edit), lambda: mean(self.edit(edit).export)) - before


def how_words(edit: Edit) -> list[object]:
    """Where and how a command computes."""
    words = ["--device", edit.device, "--dtype", edit.dtype, "--threads", 1, "--quiet"]
    return words + (["--reference-kernels", ",".join(edit.references)] if edit.references else [])


def by_reference(edit: Edit) -> Edit:
    """The same on the CPU, alone, in torch's own operations."""
    return replace(edit, device="cpu", references=REFERENCE, statistics=None, world=ALONE, turn=0)
