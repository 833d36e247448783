"""Runs clang-tidy on the folders of the house, in parallel; what has passed is not looked at again until it changes.
Files that are compiled alike are read several at a time, since most of the time goes into the headers that they share.

    check_tidy.py CLANG_TIDY BUILD_DIR [--torch] [--jobs N]

A file that reaches LibTorch takes several times as long as one that does not, so those are left out unless --torch is
given. Prints what clang-tidy finds and how long it took; the exit code is 1 if it finds anything.
"""

import argparse
import hashlib
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from check_arrows import HEADERS, MAY_INCLUDE, Source

ROOT = Path(__file__).resolve().parent.parent
BATCH = 8  # files that clang-tidy reads as one: most of its time goes into headers, which it then reads once
UNITY_INCLUDE = re.compile(r'^#include "(.*)"$', re.MULTILINE)


def house() -> dict[str, Source]:
    paths = [path for folder in MAY_INCLUDE for path in (ROOT / folder).rglob("*.[ch]pp")]
    return {source.path: source for source in (Source(ROOT, path) for path in paths)}


def reached(source: Source, sources: dict[str, Source]) -> list[Source]:
    """The file itself and the project's headers that it includes, directly or not."""
    found = {source.path: source}
    queue = [source]
    while queue:
        for include in queue.pop().includes:
            if include.path in sources and include.path not in found:
                found[include.path] = sources[include.path]
                queue.append(sources[include.path])
    return [found[path] for path in sorted(found)]


def uses_torch(sources: list[Source]) -> bool:
    return any(HEADERS["torch"].match(include.path) for source in sources for include in source.includes)


def compiler_arguments(command: str) -> list[str]:
    """The defines, include folders and standard of a compile command, without GCC's precompiled header and warnings."""
    words = iter(shlex.split(command))
    kept = []
    for word in words:
        if word in ("-isystem", "-idirafter", "-I"):
            kept += [word, next(words)]
        elif word in ("-include", "-o", "-c"):
            next(words)
        elif word.startswith(("-I", "-D", "-std=")):
            kept.append(word)
    return kept


@dataclass(frozen=True)
class Unit:
    path: str  # from the root
    flags: tuple[str, ...]


def units_of(build: Path) -> list[Unit]:
    """What is compiled of the tree, file by file, also where a unity build compiles several files as one."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        file = Path(entry["file"])
        files = [file]
        if file.parent.name == "Unity":
            files = [Path(path) for path in UNITY_INCLUDE.findall(file.read_text())]
        for path in files:
            if path.is_relative_to(ROOT):
                unit = Unit(path.relative_to(ROOT).as_posix(), tuple(compiler_arguments(entry["command"])))
                found.setdefault(unit)
    return list(found)


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs clang-tidy on the folders of the house.")
    parser.add_argument("clang_tidy")
    parser.add_argument("build", type=Path)
    parser.add_argument("--torch", action="store_true", help="also the files that reach LibTorch")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time; as many as cores")
    arguments = parser.parse_args()
    sources = house()
    configuration = (ROOT / ".clang-tidy").read_bytes()
    passed = arguments.build / "tidy"
    passed.mkdir(exist_ok=True)

    def stamp_of(unit: Unit, files: list[Source]) -> Path:
        digest = hashlib.sha256(configuration + " ".join([arguments.clang_tidy, unit.path, *unit.flags]).encode())
        for file in files:
            digest.update((ROOT / file.path).read_bytes())
        return passed / digest.hexdigest()

    def findings_in(batch: list[tuple[Unit, Path]]) -> str:
        """What clang-tidy finds in the files, which it reads as one."""
        together = passed / f"{batch[0][1].name}.cpp"
        together.write_text("".join(f'#include "{unit.path}"\n' for unit, _ in batch))
        command = [
            arguments.clang_tidy,
            "--quiet",
            f"--config-file={ROOT}/.clang-tidy",
            "--checks=-bugprone-suspicious-include",  # of the file that includes them
            f"--header-filter=^{ROOT}/({'|'.join(MAY_INCLUDE)})/",
            together,
            "--",
            *batch[0][0].flags,
        ]
        result = subprocess.run(command, capture_output=True, text=True)
        together.unlink()
        if result.returncode == 0:
            for _, stamp in batch:
                stamp.touch()
            return ""
        return result.stdout or result.stderr

    units = [unit for unit in units_of(arguments.build) if unit.path in sources]
    if not units:
        sys.exit(
            f"error: expected compile commands of {ROOT}, found none, in {arguments.build}; configure with CMake first"
        )
    begin = time.monotonic()
    alike: dict[tuple[str, ...], list[tuple[Unit, Path]]] = {}
    for unit in units:
        files = reached(sources[unit.path], sources)
        if uses_torch(files) and not arguments.torch:
            continue
        stamp = stamp_of(unit, files)
        if not stamp.exists():
            # Highway includes such a file once for each set of instructions, which it can do of one file alone.
            alone = [unit.path] if any(i.path == "hwy/foreach_target.h" for i in sources[unit.path].includes) else []
            alike.setdefault((sources[unit.path].folder, *unit.flags, *alone), []).append((unit, stamp))
    batches = [group[i : i + BATCH] for group in alike.values() for i in range(0, len(group), BATCH)]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        findings = [found for found in pool.map(findings_in, batches) if found]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print("\n".join(findings) or "clang-tidy found nothing")
    print(
        f"looked at {sum(map(len, batches))} of {len(units)} files in {time.monotonic() - begin:.0f} s "
        f"({used.ru_utime + used.ru_stime:.0f} s of processor time)"
    )
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
