"""The states of each method's run after so many edits, each measured once and kept on disk.

    OUT/settings.json       what all measurements have in common
    OUT/edits.json          the edits in their order
    OUT/heldout.txt         the text for the loss
    OUT/statistics.h5       second moments of the keys
    OUT/known.json          of the known facts, those that the model answers before any edit: only they are asked again
    OUT/before.json         the model before any edit
    OUT/pilot.json          the mean norm of the targets of PILOT_EDITS edits on the unedited model
    OUT/pilot/              their run
    OUT/<method>/run/       the run
    OUT/<method>/<N>.json   what `anchorage eval` says after N edits

Whatever is there is not made again, so that a comparison that was interrupted continues where it stopped.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from methods import PILOT, method_of
from program import Program, write_whole


PILOT_EDITS = 100


def spread(edits: list[dict], sample: int) -> list[dict]:
    """So many of the edits, spread over all; 0, or more than there are: all."""
    count = min(len(edits), sample or len(edits))
    return [edits[i * len(edits) // count] for i in range(count)]


@dataclass(frozen=True)
class Sources:
    model: Path
    edits: Path
    first: int
    known: Path
    lambada: Path
    lambada_items: int
    sentiment: Path
    sentiment_items: int  # four examples among them; 0: not measured
    generate: bool
    subjects: Path
    heldout: Path
    heldout_characters: int
    corpus: Path
    statistics_tokens: int
    hparams: Path
    batch: int
    sample: int  # edits evaluated at each state, spread over those made; 0: all

    def settings(self) -> dict:
        return {key: str(value) for key, value in self.__dict__.items()} | {"hparams": self.hparams.read_text()}


class Comparison:
    def __init__(self, folder: Path, sources: Sources, program: Program) -> None:
        self.folder, self.sources, self.program = folder, sources, program
        folder.mkdir(parents=True, exist_ok=True)
        self._check_settings()
        self.edits = json.loads(sources.edits.read_text(encoding="utf-8"))[sources.first :]
        with sources.heldout.open(encoding="utf-8") as text:
            write_whole(folder / "heldout.txt", text.read(sources.heldout_characters))
        # The run's own file of edits keeps its place and content: a resumed run reads it again.
        if not (folder / "edits.json").exists():
            write_whole(folder / "edits.json", json.dumps(self.edits))

    def _check_settings(self) -> None:
        path, settings = self.folder / "settings.json", self.sources.settings() | {"dtype": self.program.dtype}
        if not path.exists():
            write_whole(path, json.dumps(settings, indent=1))
        found = json.loads(path.read_text())
        # What was begun before these were settings measured no sentiment and let no model write.
        found = {"sentiment_items": "0", "generate": "False"} | found
        unknown = {"sentiment", "subjects"} - found.keys()
        changed = [key for key in settings if key not in unknown and found.get(key) != settings[key]]
        if changed:
            raise SystemExit(f"error: {path} has another {', '.join(changed)}; choose another --out")

    def prepare(self) -> dict:
        """The statistics, and the model before any edit."""
        before = self.folder / "before.json"
        if not (self.folder / "statistics.h5").exists() or not before.exists():
            layers = next(
                line for line in self.sources.hparams.read_text().splitlines() if line.startswith("layers:")
            )
            self.program(
                "stats",
                self.sources.model,
                "--corpus",
                self.sources.corpus,
                "--out",
                self.folder / "statistics.h5",
                "--tokens",
                self.sources.statistics_tokens,
                "--layers",
                layers.split("[")[1].split("]")[0].replace(" ", ""),
                "--subjects",
                self.sources.subjects,
                *self._sequence_length(),
            )
        if not before.exists():
            asked = self._keep_known_facts()
            write_whole(before, json.dumps(self._evaluate(self.sources.model) | {"known_asked": asked}))
        return json.loads(before.read_text())

    def _keep_known_facts(self) -> int:
        """Keeps those that the unedited model answers (all, if it answers none); returns how many it was asked."""
        facts = json.loads(self.sources.known.read_text(encoding="utf-8"))
        report = self.program("eval", self.sources.model, "--tasks", f"known={self.sources.known}")
        answered = report["tasks"]["known"]["answered"]
        write_whole(self.folder / "known.json", json.dumps([facts[number] for number in answered] or facts))
        return len(facts)

    def state(self, method: str, edits: int) -> dict:
        """What is measured after the first `edits` edits; the states before it must have been asked for."""
        folder = self.folder / method
        report = folder / f"{edits:05d}.json"
        if not report.exists():
            folder.mkdir(exist_ok=True)
            self._edit(method, edits)
            facts = ["--edits", self._evaluated_edits(edits)] + ["--generate"] * self.sources.generate
            before = ("--baseline", self._before(edits, facts))
            measured = self._evaluate(folder / "run", *facts, *before) | self._journal_of(method)
            write_whole(report, json.dumps(measured))
        return json.loads(report.read_text())

    def _before(self, edits: int, facts: list) -> Path:
        """The model before any edit; with what it says of these edits' prompts, where that is asked for."""
        if not self.sources.generate:
            return self.folder / "before.json"
        path = self.folder / f"before-{edits:05d}.json"
        if not path.exists():
            write_whole(path, json.dumps(self._evaluate(self.sources.model, *facts)))
        return path

    def _edit(self, method: str, edits: int) -> None:
        run = self.folder / method / "run"
        name, changes = method_of(method)
        # MEMIT cannot take an edit out again for a later one with another target.
        conflicts = ("--on-conflict", "keep-both") if name == "memit" else ()
        if (run / "run.yaml").exists():
            self.program("edit", "--run", run, "--resume", "--limit", edits, *conflicts)
            return
        if changes.get("target_norm") == PILOT:
            changes |= {"target_norm": str(self._pilot_norm())}
        self._begin(run, edits, self.sources.batch, name, changes, conflicts)

    def _begin(self, run: Path, edits: int, batch: int, method: str, changes: dict, conflicts: tuple = ()) -> None:
        assignments = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
        self.program(
            "edit",
            self.sources.model,
            "--edits",
            self.folder / "edits.json",
            "--run",
            run,
            "--limit",
            edits,
            "--hparams",
            self.sources.hparams,
            "--stats",
            self.folder / "statistics.h5",
            "--batch",
            batch,
            "--method",
            method,
            *assignments,
            *conflicts,
        )

    def _pilot_norm(self) -> float:
        path, run = self.folder / "pilot.json", self.folder / "pilot"
        if not path.exists():
            shutil.rmtree(run, ignore_errors=True)
            self._begin(run, PILOT_EDITS, PILOT_EDITS, "memit_seq", {"v_optimizer": "adam"})
            batch = (run / "metrics.jsonl").read_text().splitlines()[0]
            write_whole(path, json.dumps(json.loads(batch)["target_norm"]))
        return json.loads(path.read_text())

    def _evaluated_edits(self, edits: int) -> Path:
        path = self.folder / f"evaluated-{edits:05d}.json"
        write_whole(path, json.dumps(spread(self.edits[:edits], self.sources.sample)))
        return path

    def _evaluate(self, model: Path, *more: object) -> dict:
        sources = self.sources
        tasks = [
            f"known={self.folder / 'known.json'}",
            f"lambada={self._first_lines(sources.lambada, sources.lambada_items)}",
        ]
        if sources.sentiment_items:
            tasks.append(f"sentiment={self._first_lines(sources.sentiment, sources.sentiment_items)}")
        return self.program(
            "eval",
            model,
            "--tasks",
            ",".join(tasks),
            *(("--shots", 4) if sources.sentiment_items else ()),
            "--heldout",
            self.folder / "heldout.txt",
            *self._sequence_length(),
            *more,
        )

    def _first_lines(self, file: Path, count: int) -> Path:
        path = self.folder / file.name
        if not path.exists():
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
            write_whole(path, "".join(lines[:count]))
        return path

    def _sequence_length(self) -> tuple[str, int]:
        config = json.loads((self.sources.model / "config.json").read_text())
        positions = config.get("max_position_embeddings", config.get("n_positions", 512))
        return "--sequence-length", min(512, positions)

    def _journal_of(self, method: str) -> dict:
        """The drift of the layers, the edits set aside and the seconds of the run so far."""
        lines = (self.folder / method / "run" / "metrics.jsonl").read_text().splitlines()
        batches = [json.loads(line) for line in lines]
        return {
            "drift": next((batch["drift"] for batch in reversed(batches) if batch["drift"]), {}),
            "set_aside": sum(batch["edits"]["set_aside"] for batch in batches),
            "seconds": {name: sum(batch["seconds"][name] for batch in batches) for name in batches[0]["seconds"]},
        }
