"""Statistics of a model's keys from few tokens, made regular: for times and memory, which do not depend on them."""

import os
import subprocess
from pathlib import Path

RIDGE = 0.1  # of the mean of the diagonal


def make(program: Path, model: Path, layers: list[int], corpus: Path, tokens: int, path: Path) -> Path:
    """Collects them, unless they are there, and adds a ridge to each second moment, which would be singular."""
    if path.exists():
        return path
    import h5py
    import numpy

    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    command = [program, "stats", model, "--corpus", corpus, "--layers", ",".join(map(str, layers)), "--tokens", tokens]
    command += ["--sequence-length", 64, "--threads", len(os.sched_getaffinity(0)), "--out", unfinished, "--quiet"]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    with h5py.File(unfinished, "r+") as file:
        for layer in layers:
            dataset = file[f"layers/{layer}/moment"]
            moment = dataset[...]
            diagonal = numpy.einsum("ii->i", moment)
            diagonal += RIDGE * diagonal.mean()
            dataset[...] = moment
    unfinished.rename(path)
    return path
