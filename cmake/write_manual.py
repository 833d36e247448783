"""Writes man pages and completion from what the program says of itself with --help.

    write_manual.py PROGRAM OUT [--help2man HELP2MAN] [PAGE ...]

makes OUT/anchorage.bash, OUT/_anchorage (zsh) and, with help2man, a page a command: OUT/man1/anchorage.1.gz,
anchorage-edit.1.gz, anchorage-journal-list.1.gz, ... Every option and every command of the program is in them, because
they are read from it. Pages that were written by hand join them.
"""

import argparse
import gzip
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

COMMAND = re.compile(r"^  ([a-z][\w-]*)\s{2,}(\S.*)$")
OPTION = re.compile(r"^  ((?:-\w,)?--[\w-]+)(?: ([A-Z]+(?::\S+)?.*?))?(?:\s{2,}(\S.*))?$")
CHOICES = re.compile(r"\{([^}]+)\}")
TOUCHING = re.compile(r"^(  -.{25}\S) (?=\S)", re.M)  # what ends in the last column before the descriptions
FOLDED = re.compile(r"\n {20,}(?=\S)")  # descriptions that begin on a line of their own

MANUAL = {
    "EXIT STATUS": """\
0: done. 1: failed. 2: bad usage or bad input, nothing was changed. 3: done, but some edits were set aside. 75: stopped
by a signal after the last commit, --resume continues.
""",
    "ENVIRONMENT": """\
.TP
ANCHORAGE_PYTHON
A virtual environment with transformers, which renders chat templates; where the program was installed from a package
or an archive, the one whose torch it uses too.
""",
}


@dataclass
class Option:
    names: list[str]
    takes_value: bool
    takes_file: bool  # or other text
    choices: list[str]
    description: str


@dataclass
class Command:
    words: list[str]  # after the program's name
    help: str
    description: str = ""
    options: list[Option] = field(default_factory=list)
    commands: list["Command"] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "-".join(["anchorage", *self.words])

    def all(self) -> list["Command"]:
        return [self, *(below for command in self.commands for below in command.all())]


def read_option(line: str) -> Option | None:
    match = OPTION.match(line)
    if not match:
        return None
    kind = match[2] or ""
    choices = CHOICES.search(kind)
    takes_value = bool(re.match(r"(TEXT|INT|UINT|FLOAT)\b", kind))
    return Option(
        match[1].split(","),
        takes_value,
        kind.startswith("TEXT"),
        choices[1].split(",") if choices else [],
        match[3] or "",
    )


def read_command(program: Path, words: list[str]) -> Command:
    """Asks the program for the help of a command, and of those below it."""
    result = subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True)
    text = result.stdout.replace(str(program), "anchorage")
    text = TOUCHING.sub(r"\1  ", text)
    if words:
        text = text.replace("Usage: anchorage " + words[-1], "Usage: anchorage " + " ".join(words))
    command = Command(words, text)
    command.description = next(line for line in text.splitlines() if line.strip())
    section, below = "", []
    for line in FOLDED.sub("  ", text).splitlines():
        if re.match(r"^\S.*:$", line):
            section = line
        elif section.startswith("Subcommands"):
            below += COMMAND.findall(line)
        elif option := read_option(line):
            command.options.append(option)
    with ThreadPoolExecutor(2) as pool:
        command.commands = list(
            pool.map(lambda name: read_command(program, [*words, name]), [name for name, _ in below])
        )
    for (_, description), child in zip(below, command.commands):
        child.description = description
    return command


def bash_completion(root: Command) -> str:
    cases, values = [], {}
    for command in root.all():
        words = [child.words[-1] for child in command.commands]
        options = [name for option in command.options for name in option.names]
        cases.append(f'    "{" ".join(command.words)}") words="{" ".join(words)}" options="{" ".join(options)}" ;;')
        for option in command.options:
            if option.choices:
                values.setdefault(option.names[-1], option.choices)
    choices = [
        f'    {name}) COMPREPLY=($(compgen -W "{" ".join(of)}" -- "$word")); return ;;'
        for name, of in values.items()
    ]
    names = "|".join(sorted({" ".join(command.words) for command in root.all() if command.words}, key=len))
    lines = [
        "# bash completion for anchorage, written from its --help. Arguments that are not listed are files.",
        "_anchorage() {",
        "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command='' next words='' options=''",
        "  local -i i",
        "  for ((i = 1; i < COMP_CWORD; ++i)); do",
        '    next="${command:+$command }${COMP_WORDS[i]}"',
        '    case "$next" in',
        "      " + "|".join(f'"{name}"' for name in names.split("|")) + ') command="$next" ;;',
        "    esac",
        "  done",
        '  case "$before" in',
        *choices,
        "  esac",
        '  case "$command" in',
        *cases,
        "  esac",
        "  if [[ $word == -* ]]; then",
        '    COMPREPLY=($(compgen -W "$options" -- "$word"))',
        "  elif [[ $words ]]; then",
        '    COMPREPLY=($(compgen -W "$words" -- "$word"))',
        "  fi",
        "}",
        "complete -o default -F _anchorage anchorage",
    ]
    return "\n".join(lines) + "\n"


def zsh_text(text: str) -> str:
    return re.sub(r"([\[\]:\\])", r"\\\1", text).replace("'", "'\\''")


def zsh_option(option: Option) -> str:
    value = ""
    if option.takes_value:
        value = (
            f":value:({' '.join(option.choices)})"
            if option.choices
            else ":value:_files" if option.takes_file else ":value: "
        )
    names = option.names
    described = f"[{zsh_text(option.description)}]{value}"
    if len(names) == 1:
        return f"'{names[0]}{described}'"
    return f"'({' '.join(names)})'{{{','.join(names)}}}'{described}'"


def zsh_completion(root: Command) -> str:
    lines = ["#compdef anchorage", "# zsh completion for anchorage, written from its --help.", ""]
    for command in reversed(root.all()):
        function = "_" + command.name.replace("-", "_")
        lines.append(f"{function}() {{")
        options = " \\\n    ".join(zsh_option(option) for option in command.options)
        if command.commands:
            described = " ".join(f"'{child.words[-1]}:{zsh_text(child.description)}'" for child in command.commands)
            arms = "\n".join(
                f"        {child.words[-1]}) _{child.name.replace('-', '_')} ;;" for child in command.commands
            )
            lines += [
                "  local state line",
                f"  local -a commands=({described})",
                f"  _arguments -C \\\n    {options} \\\n    '1:command:->command' '*::argument:->argument'",
                "  case $state in",
                "    command) _describe command commands ;;",
                "    argument)",
                "      case $line[1] in",
                arms,
                "      esac ;;",
                "  esac",
            ]
        else:
            lines.append(f"  _arguments \\\n    {options} \\\n    '*:file:_files'")
        lines += ["}", ""]
    lines.append('_anchorage "$@"')
    return "\n".join(lines) + "\n"


def pack(page: Path, out: Path) -> None:
    """The same bytes each time: without the name and the time."""
    (out / f"{page.name}.gz").write_bytes(gzip.compress(page.read_bytes(), 9, mtime=0))


def write_page(command: Command, root: Command, version: str, help2man: str, out: Path, folder: Path) -> None:
    """help2man runs what it describes: here a script that repeats what the program has already said."""
    speaker = folder / command.name
    (folder / f"{command.name}.help").write_text(command.help)
    speaker.write_text(
        f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{command.name} {version}"\n'
        f'else cat "{folder}/{command.name}.help"; fi\n'
    )
    speaker.chmod(0o755)
    others = [
        other.name for other in root.all() if other is not command and (not command.words or len(other.words) == 0)
    ]
    others += [child.name for child in command.commands if child.name not in others]
    sections = dict(MANUAL)
    sections["SEE ALSO"] = ", ".join(f"\\fB{name}\\fP(1)" for name in others) + "\n"
    included = folder / f"{command.name}.h2m"
    included.write_text("".join(f"[{title}]\n{text}\n" for title, text in sections.items()))
    subprocess.run(
        [
            help2man,
            "--no-info",
            "--section=1",
            f"--include={included}",
            "--manual=Anchorage",
            f"--source=Anchorage {version}",
            f"--name={command.description.rstrip('.')}",
            f"--output={folder / (command.name + '.1')}",
            speaker,
        ],
        check=True,
    )
    pack(folder / (command.name + ".1"), out)


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes man pages and completion from the program's --help.")
    parser.add_argument("program", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("pages", type=Path, nargs="*", help="written by hand")
    parser.add_argument("--help2man", default="", help="without it there are no man pages")
    arguments = parser.parse_args()
    program = arguments.program.resolve()
    root = read_command(program, [])
    if not root.commands or not all(command.options for command in root.all()):
        raise SystemExit(f"error: expected commands and options, found too few, in the --help of {program}")
    root.description = "keeps a large language model's knowledge current"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    pages = arguments.out / "man1"
    shutil.rmtree(pages, ignore_errors=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "anchorage.bash").write_text(bash_completion(root))
    (arguments.out / "_anchorage").write_text(zsh_completion(root))
    if not arguments.help2man:
        return
    pages.mkdir()
    for page in arguments.pages:
        pack(page, pages)
    with tempfile.TemporaryDirectory() as folder:
        for command in root.all():
            write_page(command, root, version, arguments.help2man, pages, Path(folder))


if __name__ == "__main__":
    main()
