"""Fails where a document leads nowhere, draws another tree than there is, or has lines that are too long.

    check_links.py [SOURCE_DIR]

Of every Markdown file that git tracks (without git: of every one outside build/) it checks that

- relative links and images lead to a file, and their anchors to a heading in it;
- what looks like a path of the tree exists, in `backticks` and in blocks of code: it begins with one of the tree's
  folders, or with one after `anchorage/`. `*` and `{a,b}` may stand in it, and a name without an ending stands for
  its source files;
- a block of code that begins with ```tree draws the folders that there are: each that is drawn exists, and no folder
  beside it is left out;
- no line is longer than 120 characters, but in tables, in blocks of code, and where it is one word.

Prints one line a finding, as file:line: message; the exit code is 1 if there is any.
"""

import re
import sys
from dataclasses import dataclass, field
from itertools import groupby, product
from pathlib import Path
from urllib.parse import unquote

from tree_texts import Line, files_of, markdown_lines

WIDTH = 120

LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
SPAN = re.compile(r"(`+)(.+?)\1")
BRACES = re.compile(r"\{([^{}]*)\}")
DRAWN = re.compile(r"( *)([\w.-]+(?:/[\w.-]+)*/)(?:\s{2,}.*)?$")


@dataclass
class Document:
    path: str
    lines: list[Line]
    trees: list[list[Line]] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)


def anchor_of(heading: str) -> str:
    """As GitHub makes it: links and markup dropped, lower case, hyphens for spaces, other punctuation dropped."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def read(root: Path, path: str) -> Document:
    document = Document(path, list(markdown_lines((root / path).read_text(encoding="utf-8"))))
    blocks = groupby(document.lines, lambda line: line.block)
    document.trees = [list(lines) for block, lines in blocks if block == "tree"]
    for line in document.lines:
        heading = HEADING.match(line.text)
        if heading and not line.is_code:
            anchor, count = anchor_of(heading[2]), 0
            while (f"{anchor}-{count}" if count else anchor) in document.anchors:
                count += 1
            document.anchors.add(f"{anchor}-{count}" if count else anchor)
    return document


def expansions(path: str) -> list[str]:
    """a/{b,c}.d -> a/b.d, a/c.d"""
    parts = BRACES.split(path)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(choice) for choice in product(*choices)]


class Checker:
    def __init__(self, root: Path):
        self.root = root
        self.files = files_of(root)
        self.folders = {parent.as_posix() for name in self.files for parent in Path(name).parents} - {"."}
        top = sorted({folder for folder in self.folders if "/" not in folder and not folder.startswith(".")})
        names = "|".join(map(re.escape, top))
        begin = r"(?:^|(?<=[\"'=(,:])|(?<=anchorage/))"
        self.tree_path = re.compile(rf"{begin}(?:{names})/[\w./*{{}},+-]*") if top else None
        self.documents = {name: read(root, name) for name in self.files if name.endswith(".md")}
        self.found: list[str] = []

    def report(self, document: Document, line: Line, message: str) -> None:
        self.found.append(f"{document.path}:{line.number}: {message}")

    def check_link(self, document: Document, line: Line, target: str) -> None:
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            return
        name, _, anchor = unquote(target).partition("#")
        path = document.path
        if name:
            start = self.root if name.startswith("/") else (self.root / document.path).parent
            resolved = (start / name.lstrip("/")).resolve()
            if not resolved.is_relative_to(self.root.resolve()) or not resolved.exists():
                self.report(document, line, f"expected a file of the tree as the link's target, found none: {target}")
                return
            path = resolved.relative_to(self.root.resolve()).as_posix()
        if anchor and path in self.documents and anchor not in self.documents[path].anchors:
            self.report(document, line, f"expected a heading '#{anchor}' in {path}, found none")

    def is_there(self, path: str) -> bool:
        if "*" in path:
            return any(Path(name).match(path) for name in (*self.files, *self.folders))
        path = path.rstrip("/")
        return path in self.folders or path in self.files or any(name.startswith(path + ".") for name in self.files)

    def check_paths(self, document: Document, line: Line, code: str) -> None:
        for word in code.split():
            if "://" in word:
                continue
            for match in self.tree_path.finditer(word) if self.tree_path else ():
                for path in expansions(match[0].rstrip(".,")):
                    if not self.is_there(path):
                        self.report(document, line, f"expected a file of the tree, found none: {path}")

    def check_tree(self, document: Document, tree: list[Line]) -> None:
        drawn: dict[str, Line] = {}
        above: list[tuple[int, str]] = []
        for line in tree:
            match = DRAWN.match(line.text)
            if not match:
                continue
            indent = len(match[1])
            above = [entry for entry in above if entry[0] < indent]
            path = "/".join([*(name for _, name in above), match[2].rstrip("/")])
            above.append((indent, match[2].rstrip("/")))
            drawn[path] = line
            if path not in self.folders:
                self.report(document, line, f"expected a folder of the tree, found none: {path}/")
        parents = {str(Path(path).parent) for path in drawn}
        for folder in sorted(self.folders - set(drawn)):
            parent = str(Path(folder).parent)
            if parent in parents and not folder.startswith("."):
                self.report(document, tree[0], f"expected the folder {folder}/ in the tree that is drawn, found none")

    def check(self) -> list[str]:
        for document in self.documents.values():
            for line in document.lines:
                if line.is_code:
                    self.check_paths(document, line, line.text)
                    continue
                for span in SPAN.finditer(line.text):
                    self.check_paths(document, line, span[2])
                for link in LINK.finditer(SPAN.sub("", line.text)):
                    self.check_link(document, line, link[1])
                too_long = len(line.text) > WIDTH and not line.text.startswith("|")
                if too_long and " " in line.text.strip():
                    self.report(document, line, f"expected at most {WIDTH} characters, found {len(line.text)}")
            for tree in document.trees:
                self.check_tree(document, tree)
        if not self.documents:
            return [f"{self.root}:1: expected Markdown documents, found none"]
        return self.found


def main() -> None:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = Checker(root).check()
    print("\n".join(found) or "every link leads somewhere, every path exists, no line is too long")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
