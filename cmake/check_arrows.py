"""Fails on an include, a namespace or a name against the rules of the house (docs/architecture.md).

    check_arrows.py [SOURCE_DIR]

    io  <-  sharding  <-  worker       <-  launch
                      <-  coordinator  <-

- A folder includes itself and the folders its arrows lead to; includes are written from the source root.
- io and coordinator never reach torch, CUDA, NCCL or MPI, not even through another folder's headers.
- HDF5 is used in io/hdf5 only, MPI in sharding/collective/mpi_*, NCCL in sharding/collective/nccl_*, CUDA there, in
  worker/device.* and in worker/kernels/cuda.
- A file's namespace is its folder's; another's is opened for forward declarations alone. No file or folder is called utils, helpers, common, manager or the like.

Prints one line a violation, as file:line: message; the exit code is 1 if there is any.
"""

import re
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

MAY_INCLUDE = {
    "io": {"io"},
    "sharding": {"io", "sharding"},
    "worker": {"io", "sharding", "worker"},
    "coordinator": {"io", "sharding", "coordinator"},
    "launch": {"io", "sharding", "worker", "coordinator", "launch"},
}
HEADERS = {
    "torch": re.compile(r"(torch|ATen|c10)/"),
    "CUDA": re.compile(r"(cuda|cublas|nvml|nvrtc)[\w/]*\.h$|(torch|ATen|c10)/(csrc/)?cuda[./]"),
    "NCCL": re.compile(r"nccl\w*\.h$"),
    "MPI": re.compile(r"mpi\.h$"),
    "HDF5": re.compile(r"(hdf5\w*|H5\w+)\.h$"),
}
MUST_NOT_REACH = {"io": ("torch", "CUDA", "NCCL", "MPI"), "coordinator": ("torch", "CUDA", "NCCL", "MPI")}
# What may be used only under the paths that match: its headers, and names that give it away.
KEPT_TO = {
    "HDF5": (re.compile(r"io/hdf5[/.]"), re.compile(r"\bhid_t\b|\bH5[A-Z][a-z]?\w*\(")),
    "MPI": (re.compile(r"sharding/collective/mpi_"), re.compile(r"\bMPI_[A-Z]\w+")),
    "NCCL": (re.compile(r"sharding/collective/nccl_"), re.compile(r"\bnccl[A-Z]\w+")),
    "CUDA": (
        re.compile(r"sharding/collective/nccl_|worker/device\.|worker/kernels/cuda/"),
        re.compile(r"\bcuda[A-Z]\w*|\b(at|c10|torch)::cuda\b|\b(cublas|nvrtc)[A-Z]\w*"),
    ),
}
FORBIDDEN_WORDS = {"common", "helper", "helpers", "manager", "misc", "util", "utils", "utilities"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
NAMESPACE = re.compile(r"^\s*namespace\s+anchorage((?:::\w+)*)\s*\{")
FORWARD_DECLARATION = re.compile(r"\b(?:class|struct)\s+\w+;")
NOT_CODE = re.compile(r'R"(\w*)\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)


@dataclass(frozen=True)
class Include:
    line: int
    path: str
    is_quoted: bool


class Source:
    """A file of the house: its includes, the namespaces it opens, its code without comments and strings."""

    def __init__(self, root: Path, path: Path):
        self.path = path.relative_to(root).as_posix()
        self.folder = self.path.split("/")[0]
        text = path.read_text(encoding="utf-8")
        numbered = list(enumerate(text.splitlines(), start=1))
        matches = [(number, INCLUDE.match(line)) for number, line in numbered]
        self.includes = [Include(number, match[2], match[1] == '"') for number, match in matches if match]
        self.code = NOT_CODE.sub(lambda match: "\n" * match[0].count("\n"), text).splitlines()
        spaces = [(number, NAMESPACE.match(line)) for number, line in enumerate(self.code, start=1)]
        self.namespaces = [(number, match[1]) for number, match in spaces if match]
        self.declared = {number for number, _ in self.namespaces if self.only_declares(number)}

    def only_declares(self, line: int) -> bool:
        """Whether the namespace that this line opens holds forward declarations and nothing else."""
        inside = "\n".join(self.code[line - 1 :]).partition("{")[2].partition("}")[0]
        return bool(inside.strip()) and not FORWARD_DECLARATION.sub("", inside).strip()


def check_includes(root: Path, source: Source) -> list[str]:
    found = []
    for include in source.includes:
        folder = include.path.split("/")[0]
        if include.is_quoted and not (root / include.path).is_file():
            found.append(f'{source.path}:{include.line}: "{include.path}" is not a file from the source root')
        elif folder in MAY_INCLUDE and include.is_quoted and folder not in MAY_INCLUDE[source.folder]:
            found.append(
                f"{source.path}:{include.line}: {source.folder} must not include {folder} ({include.path})"
            )
        elif folder == "tests" and include.is_quoted:
            found.append(f"{source.path}:{include.line}: {source.folder} must not include tests ({include.path})")
    return found


def check_reach(source: Source, sources: dict[str, Source]) -> list[str]:
    """Walks what the file includes, through the project's headers, and reports the way to what it must not reach."""
    forbidden = MUST_NOT_REACH.get(source.folder, ())
    found, seen, queue = [], {source.path}, deque([(source, (source.path,), 0)])
    while queue:
        at, way, first_line = queue.popleft()
        for include in at.includes:
            line = first_line or include.line
            for library in forbidden:
                if HEADERS[library].match(include.path):
                    chain = " -> ".join((*way, include.path))
                    found.append(f"{source.path}:{line}: {source.folder} must not reach {library}: {chain}")
            if include.path in sources and include.path not in seen:
                seen.add(include.path)
                queue.append((sources[include.path], (*way, include.path), line))
    return found


def check_kept(source: Source) -> list[str]:
    found = []
    for library, (where, names) in KEPT_TO.items():
        if where.match(source.path):
            continue
        lines = [include.line for include in source.includes if HEADERS[library].match(include.path)]
        lines += [number for number, line in enumerate(source.code, start=1) if names.search(line)]
        found += [f"{source.path}:{line}: {library} is used outside its place" for line in lines]
    return found


def check_namespaces(source: Source) -> list[str]:
    own = f"::{source.folder}"
    found = [
        f"{source.path}:{line}: namespace anchorage{name} in folder {source.folder}"
        for line, name in source.namespaces
        if line not in source.declared and name != own and not name.startswith(own + "::")
    ]
    if not source.namespaces and source.path != "launch/program/main.cpp":
        found.append(f"{source.path}:1: expected namespace anchorage{own}, found none")
    return found


def check_name(source: Source) -> list[str]:
    words = set(re.split(r"[/_.]", source.path.lower()))
    return [
        f"{source.path}:1: the name says '{word}', not what the file is" for word in sorted(words & FORBIDDEN_WORDS)
    ]


def violations(root: Path) -> list[str]:
    paths = [
        p for folder in MAY_INCLUDE for p in sorted((root / folder).rglob("*")) if p.suffix in (".hpp", ".cpp")
    ]
    sources = {source.path: source for source in (Source(root, path) for path in paths)}
    if not sources:
        return [f"{root}:1: expected the folders {', '.join(MAY_INCLUDE)} with sources, found none"]
    found = []
    for source in sources.values():
        found += check_includes(root, source) + check_reach(source, sources) + check_kept(source)
        found += check_namespaces(source) + check_name(source)
    return found


def main() -> None:
    found = violations(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
    print("\n".join(found) or "no includes, namespaces or names against the rules")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
