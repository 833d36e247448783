"""Takes the keys of a finished run's edits anew on the edited model, solves again and measures what that does.

    refresh.py --comparison DIR --method METHOD --edits N --out OUT [--variants all,moved,...]

DIR is the folder of compare.py in which METHOD was measured after N edits. A run's change of a layer is D = B A^-1
with A = w C + sum k k^T and B = sum t k^T over its edits (docs/method.md section 4). Here the keys of some edits are
exchanged for those that the edited model has now, in both sums, and the targets stay: what was meant at the recorded
key is demanded at the new one ("output": of the whole weight). "restored" leaves the run's solution and writes over it
what is left to what each edit's residual stream was right after its batch. Writes OUT/<variant>.json for each variant:
the report of `anchorage eval`, the exact matches and losses of all edits, and how far the keys have moved. What is
there is not made again.

The model is one of those that transformers computes as Llama, in one file. Needs h5py, transformers and yaml.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from edit_rows import EditRows
from edited_model import evaluate
from journal import Journal, prior_of, record_of, shares_along, solve
from program import Program, write_whole

# Whose keys are exchanged, and how: the layers one after another upward, or all at once so many times.
VARIANTS = {
    "recorded": ("none", "upward"),
    "all": ("all", "upward"),
    "all-at-once": ("all", "once"),
    "all-at-once-twice": ("all", "twice"),
    "moved": ("moved", "upward"),
    "loss": ("loss", "upward"),
    "output": ("output", "upward"),
    "restored": ("restored", "upward"),
}


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def by_age(figure: Callable[[np.ndarray], float], of_edits: np.ndarray) -> list[float]:
    """The figure of each quarter of the edits, the oldest first."""
    return [float(figure(quarter)) for quarter in np.array_split(of_edits, 4)]


def chosen_edits(whose: str, journal: Journal, moved: np.ndarray, loss_now: np.ndarray) -> np.ndarray:
    """[n] bool: the quarter that `whose` names, none or all."""
    rank = {"moved": moved, "loss": loss_now - journal.loss}.get(whose)
    if rank is None:
        return np.full(len(journal.loss), whose != "none")
    return np.argsort(np.argsort(-rank, kind="stable")) < len(rank) // 4


class Refresh:
    def __init__(self, journal: Journal, prior: dict[int, np.ndarray], rows: EditRows) -> None:
        self.journal, self.prior, self.rows = journal, prior, rows
        rows.set_changes(journal.change)
        self.keys_now = rows.keys()
        self.loss_now, _ = rows.scores()
        upper = [layer for layer in journal.keys if layer != min(journal.keys)]  # the lowest layer's keys stay
        self.moved = np.mean([1 - cosines(journal.keys[layer], self.keys_now[layer]) for layer in upper], 0)

    def change_of(self, layer: int, now: np.ndarray, whose: str, chosen: np.ndarray) -> np.ndarray:
        recorded, targets = self.journal.keys[layer], self.journal.targets[layer]
        if whose == "output":  # what the whole weight was to give, not what its change was
            targets = targets + (recorded - now) @ self.rows.base_weight(layer).T
        return solve(self.prior[layer], np.where(chosen[:, None], now, recorded), targets)

    def streams_written(self) -> np.ndarray:
        """The residual stream that each edit had right after its batch, [n, d]."""
        state = {layer: np.zeros_like(change) for layer, change in self.journal.change.items()}
        written, begin = [], 0
        for end, updates in self.journal.batches:
            state = {layer: change + updates[layer][0] @ updates[layer][1].T for layer, change in state.items()}
            self.rows.set_changes(state)
            written.append(self.rows.streams(begin, end))
            begin = end
        return np.concatenate(written)

    def restored(self) -> dict[int, np.ndarray]:
        """Writes, over the run's changes, what is left to the streams right after each edit's batch: as MEMIT writes a
        batch of all edits, each layer its share, upward."""
        written, changes = self.streams_written(), dict(self.journal.change)
        self.rows.set_changes(changes)
        for left, layer in zip(range(len(changes), 0, -1), sorted(changes), strict=True):
            remaining = (written - self.rows.streams()) / left
            changes[layer] = changes[layer] + solve(self.prior[layer], self.rows.keys()[layer], remaining)
            self.rows.set_changes(changes)
        return changes

    def changes(self, variant: str) -> dict[int, np.ndarray]:
        whose, order = VARIANTS[variant]
        if whose == "restored":
            return self.restored()
        chosen = chosen_edits(whose, self.journal, self.moved, self.loss_now)
        self.rows.set_changes(self.journal.change)
        if whose == "none" or order != "upward":
            changes, now = {}, self.keys_now
            for _ in range(2 if order == "twice" else 1):
                changes = {layer: self.change_of(layer, now[layer], whose, chosen) for layer in now}
                self.rows.set_changes(changes)
                now = self.rows.keys()
            return changes
        changes = {}

        def solve_layer(layer: int, now: np.ndarray) -> np.ndarray:
            changes[layer] = self.change_of(layer, now, whose, chosen)
            return changes[layer]

        self.rows.keys(solve_layer)
        return changes

    def state(self, changes: dict[int, np.ndarray]) -> dict:
        """What is seen of the changed model without evaluating it; leaves the changes in the model."""
        self.rows.set_changes(changes)
        now = self.rows.keys()
        loss, exact = self.rows.scores()
        journal, layers = self.journal, {}
        for layer, change in changes.items():
            targets, recorded, of_run = journal.targets[layer], journal.keys[layer], journal.change[layer]
            layers[layer] = {
                "cosine": by_age(np.mean, cosines(recorded, now[layer])),
                "reached_recorded": by_age(np.median, shares_along(recorded @ change.T, targets)),
                "reached_now": by_age(np.median, shares_along(now[layer] @ change.T, targets)),
                "norm": float(np.linalg.norm(change)),
                "apart": float(np.linalg.norm(change - of_run) / np.linalg.norm(of_run)),
            }
        return {
            "layers": layers,
            "loss": loss.tolist(),
            "loss_after_batch": journal.loss.tolist(),
            "exact": exact.tolist(),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--comparison", type=Path, required=True)
    add("--method", required=True)
    add("--edits", type=int, required=True)
    add("--out", type=Path, required=True)
    add("--variants", default=",".join(VARIANTS))
    add("--weight", type=float, help="w, where it is not that of the run")
    add("--program", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    run = given.comparison / given.method / "run"
    record, hparams = record_of(run)
    journal = Journal(run)
    if journal.batches[-1][0] != len(journal.requests):
        raise SystemExit(f"error: expected a run whose edits are all live, found superseded ones in {run}")
    layers = sorted(journal.keys)
    weight = given.weight or hparams["mom2_update_weight"]
    prior = prior_of(given.comparison / "statistics.h5", layers, hparams, weight)
    rows = EditRows(Path(record["model"]), run, given.comparison / "statistics.h5", hparams, journal.requests)
    refresh = Refresh(journal, prior, rows)
    given.out.mkdir(parents=True, exist_ok=True)
    program = Program(given.program.resolve(), 1, record["dtype"])
    for variant in given.variants.split(","):
        report = given.out / f"{variant}{'' if given.weight is None else f'@{given.weight:g}'}.json"
        if report.exists():
            continue
        state = refresh.state(refresh.changes(variant))
        rows.write_model(given.out / "model")
        evaluated = given.comparison / f"evaluated-{given.edits:05d}.json"
        state["eval"] = evaluate(program, given.out / "model", given.comparison, evaluated)
        write_whole(report, json.dumps(state))
        print(report, flush=True)


if __name__ == "__main__":
    main()
