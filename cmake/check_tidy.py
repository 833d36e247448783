"""Runs clang-tidy on the folders of the house, in parallel; what has passed is not looked at again until it changes.

    check_tidy.py CLANG_TIDY BUILD_DIR [--torch] [--jobs N]

A file that reaches LibTorch takes several times as long as one that does not, so those are left out unless --torch is
given. Prints what clang-tidy finds and how long it took; the exit code is 1 if it finds anything.
"""

import argparse
import hashlib
import json
import os
import resource
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from check_arrows import HEADERS, MAY_INCLUDE, Source

ROOT = Path(__file__).resolve().parent.parent


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


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs clang-tidy on the folders of the house.")
    parser.add_argument("clang_tidy")
    parser.add_argument("build", type=Path)
    parser.add_argument("--torch", action="store_true", help="also the files that reach LibTorch")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="files at a time; as many as cores")
    arguments = parser.parse_args()
    sources = house()
    configuration = (ROOT / ".clang-tidy").read_bytes()
    passed = arguments.build / "tidy"
    passed.mkdir(exist_ok=True)

    def run(entry: dict) -> str | None:
        """What clang-tidy finds in the file; None where it need not look."""
        path = Path(entry["file"]).relative_to(ROOT).as_posix()
        files = reached(sources[path], sources)
        if uses_torch(files) and not arguments.torch:
            return None
        flags = compiler_arguments(entry["command"])
        digest = hashlib.sha256(configuration + " ".join([arguments.clang_tidy, path, *flags]).encode())
        for file in files:
            digest.update((ROOT / file.path).read_bytes())
        stamp = passed / digest.hexdigest()
        if stamp.exists():
            return None
        command = [
            arguments.clang_tidy,
            "--quiet",
            f"--header-filter=^{ROOT}/({'|'.join(MAY_INCLUDE)})/",
            entry["file"],
            "--",
            *flags,
        ]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode == 0:
            stamp.touch()
            return ""
        return result.stdout or result.stderr

    entries = json.loads((arguments.build / "compile_commands.json").read_text())
    entries = [entry for entry in entries if Path(entry["file"]).is_relative_to(ROOT)]
    entries = [entry for entry in entries if Path(entry["file"]).relative_to(ROOT).as_posix() in sources]
    if not entries:
        sys.exit(
            f"error: expected compile commands of {ROOT}, found none, in {arguments.build}; configure with CMake first"
        )
    begin = time.monotonic()
    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = [result for result in pool.map(run, entries) if result is not None]
    findings = [result for result in results if result]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print("\n".join(findings) or "clang-tidy found nothing")
    print(
        f"looked at {len(results)} of {len(entries)} files in {time.monotonic() - begin:.0f} s "
        f"({used.ru_utime + used.ru_stime:.0f} s of processor time)"
    )
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
