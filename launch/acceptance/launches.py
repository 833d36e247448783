"""How many kernels a step of the optimizer launches, by counting the program's calls (launches.c)."""

import shutil
import subprocess
from pathlib import Path

from program import NotRun

SOURCE = Path(__file__).with_name("launches.c")


def counter(folder: Path) -> Path:
    """The library that counts, compiled here."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NotRun("there is no C compiler to make what counts them")
    out = folder / "launches.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(out), str(SOURCE), "-ldl"]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode != 0:
        raise NotRun(f"what counts them does not compile: {made.stderr[:200]}")
    return out


def counts(file: Path) -> dict[str, tuple[int, float]]:
    """Calls and seconds by what they are; the file has some lines of each process that called."""
    found: dict[str, tuple[int, float]] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        name, count, seconds = line.split()
        before = found.get(name, (0, 0.0))
        found[name] = (before[0] + int(count), before[1] + float(seconds))
    return found


def per_step(few: dict[str, tuple[int, float]], many: dict[str, tuple[int, float]], steps: int) -> dict[str, float]:
    """Of two runs that differ by so many steps alone."""
    return {name: (many[name][0] - few.get(name, (0, 0.0))[0]) / steps for name in many}
