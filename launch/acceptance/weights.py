"""What exports of runs say: the bits of the edited weights, and how far two edited models are apart."""

import hashlib
import math
from pathlib import Path

import torch
from safetensors import safe_open


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def digest(folder: Path) -> str:
    """The SHA-256 of all weights' files."""
    total = hashlib.sha256()
    for file in files(folder):
        total.update(file.name.encode() + b"\0")
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def read(folder: Path) -> dict[str, torch.Tensor]:
    found = {}
    for file in files(folder):
        with safe_open(file, framework="pt") as tensors:
            found |= {name: tensors.get_tensor(name) for name in tensors.keys()}
    return found


def changes(base: Path, edited: Path) -> dict[str, torch.Tensor]:
    """W - W_0 in f64, of the tensors that are not as in the base."""
    before, after = read(base), read(edited)
    if before.keys() != after.keys():
        others = sorted(before.keys() ^ after.keys())
        raise ValueError(f"expected the tensors of {base}, found others in {edited}: {', '.join(others[:4])}")
    return {
        name: after[name].double() - before[name].double()
        for name in before
        if not torch.equal(before[name], after[name])
    }


def distance(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """The largest over the edited tensors of |found - expected| / |expected|, Frobenius norms; infinite where other
    tensors were edited, or what was found is not finite."""
    if not expected or found.keys() != expected.keys():
        return math.inf
    ratios = [((found[name] - expected[name]).norm() / expected[name].norm()).item() for name in expected]
    return max(ratio if math.isfinite(ratio) else math.inf for ratio in ratios)
