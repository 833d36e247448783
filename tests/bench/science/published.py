"""The runs that others published, by this program, beside what they report: for whoever has the weights.

    published.py llama3-8b|gpt2-xl|llama2-13b --model DIR --out DIR [OPTION of compare.py ...]

2,000 edits of CounterFact in batches of 100 by MEMIT_seq, AlphaEdit, EAC and B-EAC, with the model's file of
hyper-parameters (launch/hparams). Prints and writes OUT/published.md: efficacy, generalization (paraphrases) and
specificity (neighborhood), in percent as published. Options of compare.py change what they change there: --ranks,
--dtype, --edits for CounterFact's own file with its ten neighbors a record, --number for a first look.
"""

import argparse
import csv
import subprocess
import sys
from pathlib import Path

from program import write_whole
from table import shown

HERE = Path(__file__).resolve().parent
HPARAMS = HERE.parents[2] / "launch" / "hparams"
METHODS = ("memit_seq", "alphaedit", "eac", "b-eac")
SOURCE = "means of experiment_summary.txt of Wangzzzzzzzz/OTE-SE-Alignment, 2,000 facts of CounterFact in batches of 100"

# Efficacy, generalization, specificity. Of LLaMA-2 13B nobody publishes this run.
PUBLISHED: dict[str, dict[str, tuple[float, float, float]]] = {
    "llama3-8b": {"memit_seq": (99.85, 95.29, 79.98), "alphaedit": (98.92, 93.93, 68.57)},  # the Instruct model
    "gpt2-xl": {"memit_seq": (99.05, 93.46, 64.46), "alphaedit": (99.53, 94.10, 66.50)},
    "llama2-13b": {},
}


def percent(share: str) -> str:
    return shown(float(share) * 100 if share else None, ".2f")


def table_of(model: str, rows: list[dict]) -> str:
    """Of the last states in `rows` of compare.py's CSV."""
    lines = [
        f"{rows[-1]['edits']} edits. Published: {SOURCE}.",
        "",
        "| method | efficacy: here, published | generalization | specificity | known facts kept |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        if row["edits"] != rows[-1]["edits"]:
            continue
        published = PUBLISHED[model].get(row["method"], (None, None, None))
        measured = (row["efficacy"], row["paraphrase"], row["neighborhood"])
        pairs = (f"{percent(here)}, {shown(there, '.2f')}" for here, there in zip(measured, published))
        lines.append(f"| {row['method']} | {' | '.join(pairs)} | {percent(row['kept'])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", choices=PUBLISHED)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--number", type=int, default=2000)
    parser.add_argument("--every", type=int, help="the number of edits where not given")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--statistics-tokens", type=int, default=100_000)
    parser.add_argument("--hparams", type=Path)
    given, others = parser.parse_known_args()
    options = {
        "--out": given.out,
        "--number": given.number,
        "--every": given.every or given.number,
        "--batch": given.batch,
        "--methods": given.methods,
        "--statistics-tokens": given.statistics_tokens,
        "--hparams": given.hparams or HPARAMS / f"{given.run}.yaml",
    }
    command = [sys.executable, HERE / "compare.py", *(word for pair in options.items() for word in pair), *others]
    subprocess.run([str(word) for word in command], check=True)
    with (given.out / "results.csv").open(encoding="utf-8") as file:
        table = table_of(given.run, list(csv.DictReader(file)))
    write_whole(given.out / "published.md", table)
    print(table)


if __name__ == "__main__":
    main()
