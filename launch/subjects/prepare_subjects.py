"""Makes launch/subjects/subjects.jsonl: subjects and templates of LRE's factual relations.

    prepare_subjects.py ARCHIVE OUT.jsonl EDITS...

ARCHIVE is a .tar.gz of the folder `data` of https://github.com/evandez/relations (MIT), here that of commit
1b9ec3cf2b83. OUT has one line a relation: {"relation", "templates", "subjects"}, subjects in the archive's order, each
once. Subjects that any of EDITS has are left out, whatever their case and white space: edits that are measured must
not be about subjects whose keys the second moments have seen. EDITS are JSON or JSON Lines; every text under a key
`subject` counts, wherever it is.
"""

import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = "data/factual/"


def same_for_all_spellings(subject: str) -> str:
    return " ".join(subject.split()).casefold()


def subjects_in(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from subjects_in(entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key == "subject" and isinstance(entry, str):
                yield entry
            else:
                yield from subjects_in(entry)


def records_of(path: Path) -> list:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    return json.loads(text)


def relations_of(archive: Path) -> Iterator[dict]:
    with tarfile.open(archive) as files:
        names = sorted(name for name in files.getnames() if FOLDER in name and name.endswith(".json"))
        for name in names:
            content = files.extractfile(name)
            assert content is not None, name
            yield json.load(content)


def main() -> None:
    archive, out, edits = Path(sys.argv[1]), Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]]
    left_out = {same_for_all_spellings(subject) for path in edits for subject in subjects_in(records_of(path))}
    lines = []
    for relation in relations_of(archive):
        spellings: dict[str, str] = {}
        for sample in relation["samples"]:
            subject = " ".join(sample["subject"].split())
            spelling = same_for_all_spellings(subject)
            if spelling not in left_out:
                spellings.setdefault(spelling, subject)
        if not spellings:
            continue
        record = {
            "relation": relation["name"],
            "templates": relation["prompt_templates"],
            "subjects": list(spellings.values()),
        }
        lines.append(json.dumps(record, ensure_ascii=False))
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
