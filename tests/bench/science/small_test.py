"""The comparison on a small model and few edits: it ends, continues where it stopped, and gives the same either way.

small_test.py PROGRAM MODEL CORPUS
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from table import at_match, csv_of, equal_match_lines, family_of, gain_lines, markdown_of, row_of

BENCHES = Path(__file__).resolve().parents[1]
HPARAMS = (BENCHES.parent / "small_hparams.yaml").read_text() + "\n" + (BENCHES / "short_search.yaml").read_text()
NAMES = ("Boeing", "Nike", "Intel", "Unilever")
METHODS = ["memit_seq", "b-eac", "b-eac-without-rar", "b-eac+subject_share=0.5+rar=off", "nas"]


def write_inputs(folder: Path) -> None:
    edits = [
        {
            "prompt": f"The CEO of {name} is",
            "subject": name,
            "target_new": "Bob",
            "ground_truth": "Ann",
            "rephrase_prompt": f"{name} is led by",
            "locality_prompt": "Mr X leads",
            "locality_ground_truth": "Ford",
        }
        for name in NAMES
    ]
    (folder / "edits.json").write_text(json.dumps(edits))
    facts = [{"prompt": f"Item {i} is", "attribute": chr(ord("a") + i)} for i in range(20)]
    (folder / "known.json").write_text(json.dumps(facts))
    (folder / "lambada.jsonl").write_text(
        "".join(json.dumps({"text": f"He saw {i} cats"}) + "\n" for i in range(4))
    )
    (folder / "subjects.json").write_text(json.dumps([{"subject": name, "prompt": "{} is"} for name in NAMES]))
    (folder / "hparams.yaml").write_text(HPARAMS)


def compare(folder: Path, out: str, number: int, script: tuple[str, ...] = ("compare.py",)) -> list[dict]:
    program, model, corpus = sys.argv[1:]
    command = [
        sys.executable,
        Path(__file__).with_name(script[0]),
        *script[1:],
        "--program",
        program,
        "--model",
        model,
        "--out",
        folder / out,
        "--methods",
        ",".join(METHODS),
        "--number",
        number,
        "--every",
        2,
        "--batch",
        2,
        "--edits",
        folder / "edits.json",
        "--known",
        folder / "known.json",
        "--lambada",
        folder / "lambada.jsonl",
        "--sentiment-items",
        0,
        "--generate",
        "--subjects",
        folder / "subjects.json",
        "--hparams",
        folder / "hparams.yaml",
        "--heldout",
        corpus,
        "--heldout-characters",
        1500,
        "--corpus",
        corpus,
        "--statistics-tokens",
        1500,
    ]
    subprocess.run([str(word) for word in command], check=True)
    return list(csv.DictReader((folder / out / "results.csv").open()))


def measured(rows: list[dict]) -> list[dict]:
    return [{key: value for key, value in row.items() if not key.startswith("seconds")} for row in rows]


def what_was_not_measured_is_shown() -> None:
    nothing = {"success": None, "accuracy": None, "magnitude": None}
    tasks = {
        "known": {"answered": [], "kept": {"before": 0, "still": 0, "share": None}},
        "lambada": {"questions": 1, "left_out": 1, "accuracy": None, "nll": None},
    }
    state = {kind: nothing for kind in ("efficacy", "paraphrase", "neighborhood")} | {
        "score": None,
        "tasks": tasks,
        "heldout": {"loss": None, "tokens": 0},
        "set_aside": 2,
        "drift": {},
        "seconds": {},
        "known_asked": 0,
    }
    rows = [row_of("memit", 2, state, state)]
    assert "| 2 | memit | - / - | - / - | - / - | - | - | - | - |" in markdown_of(rows, state), markdown_of(rows, state)
    assert csv_of(rows).splitlines()[1] == "memit,2,2" + "," * 10 + ",0,0" + "," * 5, csv_of(rows)


def curves_meet_at_equal_match() -> None:
    def row(weight: int, match: float | None, kept: float) -> dict:
        return {"method": f"eac+mom2_update_weight={weight}", "edits": 9, "efficacy_accuracy": match, "kept": kept}

    curve = [row(1, 0.9, 0.5), row(2, 0.8, 0.7), row(3, 0.7, 0.8)]
    assert abs(at_match(curve, 0.85, "kept") - 0.6) < 1e-12
    assert at_match(curve, 0.95, "kept") is None
    assert at_match([*curve, row(4, None, 0.9)], 0.85, "kept") is None
    assert family_of("eac+mom2_update_weight=3+rar=off") == "eac+rar=off"
    assert "| 0.75 | 0.750 |" in equal_match_lines(curve), equal_match_lines(curve)
    assert family_of("alphaedit+nullspace_threshold=0.02+L2=1") == "alphaedit+L2=1"
    assert equal_match_lines(curve[:2]) == []


def gains_are_over_the_same_values_without_anchors() -> None:
    def row(method: str, known: float, sentiment: float | None, lambada: float) -> dict:
        return {"method": method, "edits": 9, "kept": known, "sentiment_kept": sentiment, "lambada": lambada}

    before = {"tasks": {"lambada": {"accuracy": 0.4}}}
    rows = [row("b-eac", 0.9, 0.5, 0.3), row("b-eac-without-anchors", 0.6, 0.25, 0.2)]
    assert gain_lines(rows, before)[-1] == "| 9 | b-eac | +67% | known +50%, sentiment +100%, lambada +50% |"
    rows[1] = row("b-eac-without-anchors", 0.6, -0.1, 0)
    nothing = "without anchors nothing is left of sentiment, lambada"
    assert gain_lines(rows, before)[-1] == f"| 9 | b-eac | +50% | known +50%; {nothing} |"
    assert gain_lines([rows[0], row("b-eac-without-anchors+rar=off", 0.6, None, 0.2)], before) == []


def main() -> None:
    curves_meet_at_equal_match()
    gains_are_over_the_same_values_without_anchors()
    what_was_not_measured_is_shown()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        compare(folder, "in-two-parts", 2)
        first = folder / "in-two-parts" / METHODS[0] / "00002.json"
        written = first.stat().st_mtime_ns
        rows = compare(folder, "in-two-parts", 4)
        assert first.stat().st_mtime_ns == written, "a state that was there was measured again"
        assert [(row["method"], row["edits"]) for row in rows] == [
            (m, n) for n in ("2", "4") for m in METHODS
        ], rows
        assert all(float(row["drift_1"]) > 0 for row in rows), "an edit changed nothing"
        # From the second batch on, the refresh decides on anchors.
        memit_seq, b_eac, without_rar, with_subjects, nas = (row["drift_1"] for row in rows[len(METHODS) :])
        assert b_eac != without_rar, "rar=off changes nothing"
        assert without_rar != with_subjects, "moments of subjects change nothing"
        assert memit_seq != nas, "norms of targets change nothing"
        assert all(0 <= float(row["generated_contained"]) <= 1 for row in rows), rows
        assert measured(rows) == measured(compare(folder, "at-once", 4)), "resuming gives another result"
        compare(folder, "at-once", 4, ("published.py", "gpt2-xl"))
        published = (folder / "at-once" / "published.md").read_text()
        assert "| memit_seq | " in published and ", 64.46 | " in published, published
        table = (folder / "at-once" / "results.md").read_text().splitlines()
        assert len([line for line in table if line.startswith("| 4 |")]) == len(METHODS), table


main()
