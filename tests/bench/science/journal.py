"""A finished run's journal, as what the run's changes of the weights are made of, and the closed form of their sum."""

import json
from pathlib import Path

import h5py
import numpy as np
import yaml


def record_of(run: Path) -> tuple[dict, dict]:
    """A run's record and hyper-parameters. SystemExit: its change is not the closed form B A^-1 with A = w C + sum k k^T."""
    record = yaml.safe_load((run / "run.yaml").read_text())
    if record["method"] in ("memit", "alphaedit") or (run / "protected.h5").exists():
        raise SystemExit(f"error: expected a run whose A is w C and the edits' keys, found {record['method']} in {run}")
    return record, yaml.safe_load(record["hparams"])


class Journal:
    """The edits of a run of batches that are live in the end, in their order: keys [n, f] and targets [n, d] of each layer,
    f64. An edit that a later one has superseded is in none of them; the change has its removal."""

    def __init__(self, run: Path) -> None:
        requests: list[dict] = []
        keys, targets, loss = {}, {}, []
        place_of: dict[tuple[int, int], int] = {}  # of a segment's row, among all edits
        removed: set[int] = set()
        self.change: dict[int, np.ndarray] = {}  # D as the sum of u v^T: [d, f]
        self.batches: list[tuple[int, dict]] = []  # edits so far, and u and v of each layer
        for path in sorted((run / "journal").glob("seg-*.h5"))[1:]:
            with h5py.File(path) as segment:
                if segment.attrs["kind"] != "batch":
                    raise SystemExit(f"error: expected batches alone, found a {segment.attrs['kind']} in {path}")
                rows = np.flatnonzero(segment["edits/state"][:] == b"committed")
                place_of |= {(int(segment.attrs["batch"]), int(row)): len(requests) + i for i, row in enumerate(rows)}
                requests += [json.loads(segment["edits/request"][row]) for row in rows]
                loss.append(segment["edits/nll_after"][:][rows])
                removals = {}
                if "removal" in segment:
                    of = zip(segment["removal/segments"][:], segment["removal/edits"][:], strict=True)
                    removed |= {place_of[int(number), int(row)] for number, row in of}
                    removals = segment["removal/layers"]
                updates = {}
                for name, group in segment["layers"].items():
                    layer, (u, v) = int(name), factors(group["update"])
                    before = self.change.setdefault(layer, np.zeros((len(u), len(v))))
                    if name in removals:
                        taken = factors(removals[name])
                        before = before + taken[0] @ taken[1].T
                        u, v = np.hstack((taken[0], u)), np.hstack((taken[1], v))
                    k = group["keys"][:].astype(np.float64)[rows]
                    r = dense_rows(group["residuals"], len(u))[rows]
                    keys.setdefault(layer, []).append(k)
                    targets.setdefault(layer, []).append(k @ before.T + r)
                    updates[layer] = (u, v)
                    self.change[layer] = self.change[layer] + u @ v.T
                self.batches.append((len(requests), updates))
        live = np.array([place not in removed for place in range(len(requests))])
        self.requests = [request for request, is_live in zip(requests, live, strict=True) if is_live]
        self.keys = {layer: np.concatenate(parts)[live] for layer, parts in keys.items()}
        self.targets = {layer: np.concatenate(parts)[live] for layer, parts in targets.items()}
        self.loss = np.concatenate(loss)[live]  # of each edit's bare prompt after its batch: [n]


def factors(group: h5py.Group) -> tuple[np.ndarray, np.ndarray]:
    """u [d, b] and v [f, b] of a change u v^T."""
    return group["u"][:].astype(np.float64), group["v"][:].astype(np.float64)


def dense_rows(group: h5py.Group, width: int) -> np.ndarray:
    offsets, indices, values = (group[name][:] for name in ("offsets", "indices", "values"))
    rows = np.zeros((len(offsets) - 1, width))
    rows[np.repeat(np.arange(len(rows)), np.diff(offsets)), indices] = values
    return rows


def prior_of(statistics: Path, layers: list[int], hparams: dict, weight: float) -> dict[int, np.ndarray]:
    """w C of each layer, [f, f]."""
    share = hparams["subject_share"]
    with h5py.File(statistics) as file:
        groups = {layer: file[f"layers/{layer}"] for layer in layers}
        moment = {layer: (1 - share) * group["moment"][:].astype(np.float64) for layer, group in groups.items()}
        if share:
            moment = {layer: sum_ + share * groups[layer]["subject_moment"][:] for layer, sum_ in moment.items()}
    return {layer: weight * sum_ for layer, sum_ in moment.items()}


def solve(prior: np.ndarray, keys: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """D = B A^-1, [d, f]."""
    return np.linalg.solve(prior + keys.T @ keys, keys.T @ targets).T


def shares_along(given: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """What share of each target is given at its key, along the target: [n]."""
    return (given * targets).sum(1) / (targets * targets).sum(1)
