"""Makes the demo's English text: Wikipedia articles, mark-up removed, one paragraph a line.

    prepare_corpus.py DIRECTORY [--wheel FILE]

DIRECTORY/wikipedia.txt   for the second moments of the keys
DIRECTORY/heldout.txt     other articles, to measure the language model's loss before and after edits
DIRECTORY/README.md       where the text comes from, and its license (CC BY-SA)

The articles (English Wikipedia of May 2016, letter A) are a test file of the PyPI package gensim, which is
downloaded, not installed. The opening of every article is taken rather than the whole of a few, so that the
text is broad. The same package gives the same text; files that exist are left as they are.
"""

import argparse
import bz2
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import mwparserfromhell

PACKAGE = "gensim==4.4.0"
DUMP = "gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
CHARACTERS_PER_ARTICLE = 4500
SHORTEST_PARAGRAPH = 200
HELDOUT_EVERY = 8  # each eighth article is held out

# Templates that show nothing, and those whose text is in one of their arguments. A paragraph with any other one
# is left out: its sentence would have a hole.
INVISIBLE = {
    "-", "about", "anchor", "better source", "by whom", "citation needed", "citation needed span", "clarify", "clear",
    "cn", "cref", "cref2", "dubious", "efn", "fact", "featured article", "further", "good article", "harvnb",
    "image frame", "main", "multiple image", "not verified in body", "other uses", "page needed", "quote box", "r",
    "redirect", "ref", "refn", "rp", "see also", "sfn", "sfnp", "when", "who",
}  # fmt: skip
ARGUMENT = {
    "abbr": 0,
    "angbr": 0,
    "em": 0,
    "lang": 1,
    "nihongo": 0,
    "nowrap": 0,
    "small": 0,
    "smallcaps": 0,
    "transl": 1,
}
HOLE = "\ufffc"

README = f"""Openings of English Wikipedia articles of May 2016, without mark-up. Authors: the contributors to Wikipedia,
https://en.wikipedia.org; each article's history page names them. License: Creative Commons Attribution-ShareAlike 3.0,
https://creativecommons.org/licenses/by-sa/3.0/. Taken by Anchorage's launch/demo/prepare_corpus.py from a test file of
PyPI's {PACKAGE}.
"""


def download_wheel(folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
    subprocess.run(pip, check=True)
    return next(folder.glob("gensim-*"))


def articles(wheel: Path) -> Iterator[tuple[str, str]]:
    """Title and wikitext of each article in the dump, without redirects, lists and disambiguations."""
    with zipfile.ZipFile(wheel) as archive:
        root = ElementTree.fromstring(bz2.decompress(archive.read(DUMP)))
    namespace = root.tag[: root.tag.index("}") + 1]
    for page in root.iter(f"{namespace}page"):
        title = page.findtext(f"{namespace}title")
        text = page.findtext(f"{namespace}revision/{namespace}text")
        is_prose = page.find(f"{namespace}redirect") is None and page.findtext(f"{namespace}ns") == "0"
        if is_prose and "(disambiguation)" not in title and not title.startswith("List of") and len(text) > 4000:
            yield title, text


def shown_text(template) -> str:
    name = str(template.name).strip().lower().replace("_", " ")
    values = [str(parameter.value) for parameter in template.params if not parameter.showkey]
    if name in INVISIBLE or name.startswith(("infobox", "use ", "pp-")):
        return ""
    if name in ("convert", "cvt") and len(values) >= 2:
        return f"{values[0]} {values[1]}" if values[1].isalpha() else HOLE
    argument = ARGUMENT.get(name)
    return values[argument] if argument is not None and argument < len(values) else HOLE


def paragraphs(wikitext: str) -> Iterator[str]:
    """The article's paragraphs of prose, in order; headings, lists, tables, images and notes are left out."""
    wikitext = re.sub(r"<!--.*?-->", "", wikitext, flags=re.S)
    wikitext = re.sub(r"<ref[^>/]*/>|<ref[^>]*>.*?</ref>", "", wikitext, flags=re.S)
    wikitext = re.sub(r"<(gallery|math|timeline|score)[^>]*>.*?</\1>", HOLE, wikitext, flags=re.S)
    for section in re.split(r"\n(?===)", wikitext):
        for line in strip_markup(section).split("\n"):
            if cleaned := clean(line):
                yield cleaned


def strip_markup(wikitext: str) -> str:
    code = mwparserfromhell.parse(wikitext, skip_style_tags=False)
    for template in code.filter_templates(recursive=True):
        if code.contains(template):
            code.replace(template, shown_text(template))
    for link in code.filter_wikilinks(recursive=True):
        if code.contains(link) and str(link.title).lower().startswith(("file:", "image:", "category:")):
            code.remove(link)
    for tag in code.filter_tags(matches=lambda node: node.tag in ("table", "div", "center"), recursive=True):
        if code.contains(tag):
            code.remove(tag)
    return code.strip_code(collapse=False)


def clean(line: str) -> str:
    """The line as a reader would want it, or nothing where it is no paragraph of prose."""
    line = re.sub(r"\s+", " ", line.replace("\u00a0", " ")).strip()
    line = re.sub(r"\(\s*[;,:]*\s*\)", "", line)
    line = re.sub(r"\(\s*[;,]\s*", "(", line)
    line = re.sub(r"\s+([,.;:)])", r"\1", re.sub(r" {2,}", " ", line))
    is_prose = line[:1].isupper() and line[-1:] in '."' and len(line) >= SHORTEST_PARAGRAPH
    has_markup = any(mark in line for mark in (HOLE, "{", "}", "[", "]", "|", "<", ">", "''", "http"))
    return line if is_prose and not has_markup else ""


def opening(wikitext: str) -> list[str]:
    taken, characters = [], 0
    for paragraph in paragraphs(wikitext):
        if characters + len(paragraph) > CHARACTERS_PER_ARTICLE:
            break
        taken.append(paragraph)
        characters += len(paragraph)
    return taken


def write(path: Path, lines: list[str]) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    unfinished.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the demo's English text.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--wheel", type=Path, help=f"use this file instead of downloading {PACKAGE}")
    arguments = parser.parse_args()
    corpus, heldout = arguments.directory / "wikipedia.txt", arguments.directory / "heldout.txt"
    if corpus.exists() and heldout.exists():
        return

    arguments.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        openings = [opening(text) for _, text in articles(arguments.wheel or download_wheel(Path(scratch)))]
    openings = [lines for lines in openings if lines]
    write(arguments.directory / "README.md", README.splitlines())
    write(heldout, [line for lines in openings[HELDOUT_EVERY - 1 :: HELDOUT_EVERY] for line in lines])
    del openings[HELDOUT_EVERY - 1 :: HELDOUT_EVERY]
    write(corpus, [line for lines in openings for line in lines])


if __name__ == "__main__":
    main()
