"""Fails on British spelling, on phrases that read as translated, and on terms that the field does not use.

    check_words.py [SOURCE_DIR]

Reads every text file that git tracks (without git: every one outside build/). Of Markdown it reads what is not code;
of a source whole lines for the spelling, names included, and comments and strings for phrases and terms. Data are not
read: JSON, CSV, SVG, licenses.

Prints one line a finding, as file:line: the word, and what to write instead; the exit code is 1 if there is any.
"""

import re
import sys
from pathlib import Path

from tree_texts import files_of, markdown_lines

SPELLING = {
    r"neighbour\w*": "neighbor",
    r"colour\w*": "color",
    r"behaviour\w*": "behavior",
    r"favour\w*": "favor",
    r"honour\w*": "honor",
    r"labour\w*": "labor",
    r"licen[c]e\w*": "license",
    r"defence": "defense",
    r"centre[sd]?": "center",
    r"metres?": "meter",
    r"grey\w*": "gray",
    r"analys(?:e|ed|ing)": "analyze",
    r"judgements?": "judgment",
    r"learnt": "learned",
    r"artefact\w*": "artifact",
    r"travell(?:ed|ing)": "traveled",
    r"modell(?:ed|ing)": "modeled",
    r"labell(?:ed|ing)": "labeled",
    r"fulfil": "fulfill",
    r"whilst": "while",
    r"programmes?": "program",
    r"(?:un)?(?:normal|regular|optim|recogn|minim|maxim|initial|serial|summar|token|synchron|factor|general|organ|"
    r"material|character|priorit|parallel|util|random|quant|vector|special|visual|custom|emphas|penal|local)"
    r"is(?:e|ed|er|ers|es|ing|ation|ations)": "-ize",
}
PHRASES = {
    r"behind": "after",
    r"word for word": "exactly; an exact match",
    r"at hand": "current",
    r"under way": "in flight",
    r"(?:goes|gone|going|go) on": "resumes; continues",
    r"(?-i:[Mm]end(?:s|ed|ing)?)(?!-zsre)": "fix",  # MEND is a method
    r"tells": "says; reports",
    r"tak(?:es?|en|ing)(?: \w+)? back": "remove (an edit), roll back (a run)",
    r"edits an? batch": "edits per batch",
    r"of the edits, the first": "the first N edits",
    r"does not belong into": "does not belong in",
    r"in the mean": "on average",
    r"(?:bytes|seconds|tokens|edits|groups|rows|steps|threads|prompts|nats|ranks|[kMG]B|s) an? "
    r"(?:batch|edit|edited layer|layer|group|token|step|rank|replica|GPU|task|node|GB|method|fact)": "per",
}
TERMS = {
    r"KeyMetric": "key covariance",
    r"essences?": "KL prompt",
    r"objections?": "rejection",
    r"complaints?": "diagnostic",
    r"standing (?:segments?|edits?)": "live",
    r"standing anchors?": "active anchors",
    r"idle[ _]settings?": "unused hyper-parameters",
}
# What stays as it is, with the reason; what is found inside of one of these passes.
ALLOWED = (
    re.compile(r"\b(?:left|leaves?|leaving|fell|falls?|falling|lags?) (?:\w+ ){0,2}behind\b"),  # other senses
    re.compile(r"\b(?:nothing|stays?) behind\b"),
    re.compile(r"\btells (?:the (?:others|ranks|user|workers)|[\w ]+ apart)\b", re.I),  # whom, not what
    re.compile(r"\b\w+ an? \w+ needs\b"),
    re.compile(r"counterfact_500_multi_neighbour\.json|zsre_mend_train-1k\.json"),  # published under these names
    re.compile(r"""["']neighbourhood["']"""),  # the misspelled field that a test has refused
)
NOT_READ = {
    "LICENSE",
    "THIRD_PARTY_NOTICES.md",  # texts of others
    "cmake/check_words.py",
    "tests/unit/checks/check_words_test.py",
    "tests/golden/tokenizer_strings.py",  # data
}
SOURCES = {".cpp", ".hpp", ".py", ".cmake", ".txt", ".sh", ".in", ".sbatch", ".yaml", ".yml", ".cff", ".dot", ""}


def pattern(words: dict[str, str]) -> re.Pattern:
    return re.compile(r"(?<![A-Za-z])(?:" + "|".join(f"({word})" for word in words) + r")(?![A-Za-z])", re.I)


class Words:
    """Words to find, each with what is written instead."""

    def __init__(self, words: dict[str, str]):
        self.pattern = pattern(words)
        self.instead = list(words.values())

    def in_text(self, text: str) -> list[str]:
        found = []
        for match in self.pattern.finditer(text):
            allowed = (one.span() for each in ALLOWED for one in each.finditer(text))
            if any(begin <= match.start() < end for begin, end in allowed):
                continue
            found.append(f"'{match[0]}'; write: {self.instead[match.lastindex - 1]}")
        return found


EVERYWHERE = Words(SPELLING)
IN_PROSE = Words(PHRASES | TERMS)

C_PROSE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)
PYTHON_PROSE = re.compile(r'"""[\s\S]*?"""|#[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')
SHELL_PROSE = re.compile(r'(?:^|(?<=\s))#[^\n]*|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.M)


def only(keep: re.Pattern, text: str) -> str:
    """The text with all but what matches blanked, lines kept."""
    blank = [" " if character != "\n" else "\n" for character in text]
    for match in keep.finditer(text):
        blank[match.start() : match.end()] = match[0]
    return "".join(blank)


def without_code(text: str) -> str:
    """Markdown without fenced and indented blocks, code spans and the targets of links."""
    return "\n".join(
        "" if line.is_code else re.sub(r"\]\([^)]*\)", "]", re.sub(r"(`+).+?\1", "", line.text))
        for line in markdown_lines(text)
    )


def prose_of(path: str, text: str) -> str:
    suffix = Path(path).suffix
    if suffix == ".md":
        return without_code(text)
    if suffix in (".cpp", ".hpp") or path.endswith(".hpp.in"):
        return only(C_PROSE, text)
    return only(PYTHON_PROSE if suffix == ".py" else SHELL_PROSE, text)


def read_files(root: Path) -> list[str]:
    readable = SOURCES | {".md"}
    return [name for name in files_of(root) if name not in NOT_READ and Path(name).suffix in readable]


def findings(root: Path) -> list[str]:
    files = read_files(root)
    if not files:
        return [f"{root}:1: expected documents or sources, found none"]
    found = []
    for path in files:
        text = (root / path).read_text(encoding="utf-8")
        prose = prose_of(path, text)
        spelled = prose if path.endswith(".md") else text
        for number, (line, prose_line) in enumerate(zip(spelled.splitlines(), prose.splitlines()), start=1):
            for word in EVERYWHERE.in_text(line) + IN_PROSE.in_text(prose_line):
                found.append(f"{path}:{number}: {word}")
    return found


def main() -> None:
    found = findings(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
    print("\n".join(found) or "American spelling, the field's words")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
