"""Solves a finished run again with other targets, and measures what that does.

    targets.py --comparison DIR --method METHOD --edits N --out OUT --program PROGRAM VARIANT...

DIR is the folder of compare.py in which METHOD has a run of at least N edits. A run's change of a layer is D = B A^-1
with A = w C + sum k k^T and B = sum t k^T over its edits (docs/method.md section 4), and of its target t an edit reaches
the share (D k . t) / |t|^2. A variant multiplies the targets before it solves:

    weight:W            as they are, at the weight W
    scaled:W:F          all by F
    uniform:W:S         each by what it takes for it to reach the share S
    power:W:P           each by (its share / the layer's median share) ^ P
    tilt:W:T            those of the layers by 1 - T in the lowest to 1 + T in the highest

Writes OUT/<variant>.json: the report of `anchorage eval` of 200 of the edits, and of each layer what its edits reach and
|D C^1/2|, the root mean square of what the change does to a key of the second moment. What is there is not made again.

Needs h5py, safetensors and yaml.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from edited_model import evaluate, name_of, write_model
from journal import Journal, prior_of, record_of, shares_along, solve
from program import Program, write_whole
from safetensors.torch import load_file
from states import spread

EVALUATED = 200  # edits, spread over all
MOST, LEAST = 5.0, 0.2  # what `uniform` multiplies a target by at most, and at least


@dataclass(frozen=True)
class Variant:
    text: str
    name: str
    weight: float
    value: float  # what targets are multiplied by, share, power or tilt

    @staticmethod
    def of(text: str) -> "Variant":
        name, *values = text.split(":")
        try:
            weight, value = map(float, values if name != "weight" else [*values, 1])
        except ValueError:
            name = ""
        if name not in ("weight", "scaled", "uniform", "power", "tilt"):
            expected = "weight:W, or scaled, uniform, power or tilt:W:NUMBER"
            raise argparse.ArgumentTypeError(f"expected {expected}, found {text}")
        return Variant(text, name, weight, value)


def factors_for(share: float, prior: np.ndarray, keys: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """What the targets are multiplied by so that each reaches this share: [n]."""
    given = keys @ np.linalg.solve(prior + keys.T @ keys, keys.T)  # what a target at one key gives at another
    factors = np.ones(len(keys))
    for _ in range(30):
        reached = shares_along(given @ (targets * factors[:, None]), targets)
        factors = np.clip(factors * (share / np.maximum(reached, 0.02)) ** 0.7, LEAST, MOST)
    return factors


def change_of(variant: Variant, place: float, moment: np.ndarray, keys: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """D of one layer, [d, f]; `place`: from -1 in the lowest edited layer to 1 in the highest."""
    name, value = variant.name, variant.value
    prior = variant.weight * moment
    factors = np.ones(len(keys))
    if name == "scaled":
        factors *= value
    elif name == "tilt":
        factors *= 1 + value * place
    elif name == "power":
        reached = np.clip(shares_along(keys @ solve(prior, keys, targets).T, targets), 0.02, 1)
        factors = (reached / np.median(reached)) ** value
    elif name == "uniform":
        factors = factors_for(value, prior, keys, targets)
    return solve(prior, keys, targets * factors[:, None])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--comparison", type=Path, required=True)
    add("--method", required=True)
    add("--edits", type=int, required=True)
    add("--out", type=Path, required=True)
    add("--program", type=Path, required=True)
    add("variants", nargs="+", type=Variant.of, metavar="VARIANT")
    given = parser.parse_args()
    torch.set_num_threads(1)
    of, run = given.comparison, given.comparison / given.method / "run"
    record, hparams = record_of(run)
    journal, number = Journal(run), given.edits
    layers = sorted(journal.keys)
    moments = prior_of(of / "statistics.h5", layers, hparams, 1.0)
    given.out.mkdir(parents=True, exist_ok=True)
    edits = json.loads((of / "edits.json").read_text())[:number]
    write_whole(given.out / "evaluated.json", json.dumps(spread(edits, EVALUATED)))
    base = load_file(Path(record["model"]) / "model.safetensors")
    program = Program(given.program.resolve(), 1, record["dtype"])
    for variant in given.variants:
        report = given.out / f"{variant.text}.json"
        if report.exists():
            continue
        changes, seen = {}, {}
        for layer, place in zip(layers, np.linspace(-1, 1, len(layers)), strict=True):
            keys, targets, moment = journal.keys[layer][:number], journal.targets[layer][:number], moments[layer]
            change = change_of(variant, place, moment, keys, targets)
            reached = np.quantile(shares_along(keys @ change.T, targets), (0.05, 0.5, 0.95))
            seen[layer] = {"reached": reached.tolist(), "moved": float(np.sqrt(((change @ moment) * change).sum()))}
            changes[layer] = change
        weights = {layer: base[name_of(layer)].float() + torch.from_numpy(change).float() for layer, change in changes.items()}
        write_model(Path(record["model"]), weights, given.out / "model", torch.float32)
        found = {"layers": seen, "eval": evaluate(program, given.out / "model", of, given.out / "evaluated.json")}
        write_whole(report, json.dumps(found))
        print(report, flush=True)


if __name__ == "__main__":
    main()
