"""A finished run's journal, as what the run's changes of the weights are made of, and the closed form of their sum."""

import json
from pathlib import Path

import h5py
import numpy as np


class Journal:
    """A run's committed edits in their order: keys [n, f] and targets [n, d] of each layer, f64."""

    def __init__(self, run: Path) -> None:
        self.requests: list[dict] = []
        keys, targets, loss = {}, {}, []
        self.change: dict[int, np.ndarray] = {}  # D as the sum of u v^T: [d, f]
        self.batches: list[tuple[int, dict]] = []  # edits so far, and u and v of each layer
        for path in sorted((run / "journal").glob("seg-*.h5"))[1:]:
            with h5py.File(path) as segment:
                if segment.attrs["kind"] != "batch" or "removal" in segment:
                    raise SystemExit(f"error: expected batches alone, found a {segment.attrs['kind']} in {path}")
                rows = np.flatnonzero(segment["edits/state"][:] == b"committed")
                self.requests += [json.loads(segment["edits/request"][row]) for row in rows]
                loss.append(segment["edits/nll_after"][:][rows])
                updates = {}
                for layer, group in ((int(name), group) for name, group in segment["layers"].items()):
                    u, v = (group["update"][name][:].astype(np.float64) for name in "uv")
                    before = self.change.setdefault(layer, np.zeros((len(u), len(v))))
                    k = group["keys"][:].astype(np.float64)[rows]
                    r = dense_rows(group["residuals"], len(u))[rows]
                    keys.setdefault(layer, []).append(k)
                    targets.setdefault(layer, []).append(k @ before.T + r)
                    updates[layer] = (u, v)
                    self.change[layer] = before + u @ v.T
                self.batches.append((len(self.requests), updates))
        self.keys = {layer: np.concatenate(parts) for layer, parts in keys.items()}
        self.targets = {layer: np.concatenate(parts) for layer, parts in targets.items()}
        self.loss = np.concatenate(loss)  # of each edit's bare prompt after its batch: [n]


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
