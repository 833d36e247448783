"""What the checks of texts read: the files of the tree, and the lines of a Markdown document."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"\s*(```+|~~~+)\s*(\w*)")


def files_of(root: Path) -> list[str]:
    """The files that git tracks; without git, all outside build/, but Python's caches."""
    if (root / ".git").exists():
        listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, check=True, text=True)
        return sorted(name for name in listed.stdout.split("\0") if name and (root / name).is_file())
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(
        path.as_posix() for path in found if path.parts[0] != "build" and "__pycache__" not in path.parts
    )


@dataclass
class Line:
    number: int
    text: str
    is_code: bool  # in an indented or a fenced block, its fences included
    block: str = ""  # the word after the fence of the block that it stands in, between the fences


def markdown_lines(text: str) -> Iterator[Line]:
    fence, block, previous_is_blank, indented = "", "", True, False
    for number, line in enumerate(text.splitlines(), start=1):
        mark = FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2]:
                fence, block = "", ""
            yield Line(number, line, True, block)
            continue
        if mark:
            yield Line(number, line, True)
            fence, block = mark[1], mark[2]
            continue
        indented = bool(line.strip()) and line.startswith("    ") and (indented or previous_is_blank)
        previous_is_blank = not line.strip()
        yield Line(number, line, indented)
