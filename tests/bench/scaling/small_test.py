"""The measurement of worlds on a small model and few edits: its tables have their rows, and these have their figures.

small_test.py PROGRAM MODEL CORPUS
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from planned import Plan
from table import markdown_of

BENCHES = Path(__file__).resolve().parents[1]
HPARAMS = (BENCHES.parent / "small_hparams.yaml").read_text() + "\n" + (BENCHES / "short_search.yaml").read_text()
NAMES = ("Boeing", "Nike", "Intel", "Unilever")
SHAPE = {
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 32,
    "intermediate_size": 80,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 320,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}


def write_inputs(folder: Path) -> None:
    facts = [{"subject": name, "prompt": "The CEO of {} is", "target": "Bob"} for name in NAMES]
    (folder / "facts.jsonl").write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    (folder / "hparams.yaml").write_text(HPARAMS)
    (folder / "random.json").write_text(json.dumps(SHAPE))


def measure(folder: Path, model: str, worlds: str) -> list[dict]:
    program, small_model, corpus = sys.argv[1:]
    command = [sys.executable, Path(__file__).with_name("scaling.py"), "--program", program, "--model", model]
    command += ["--tokenizer", small_model, "--hparams", folder / "hparams.yaml", "--facts", folder / "facts.jsonl"]
    command += ["--edits", 4, "--batch", 2, "--group", 1, "--worlds", worlds, "--dtypes", "fp32", "--corpus", corpus]
    subprocess.run([str(word) for word in [*command, "--out", folder / "out"]], check=True)
    return json.loads((folder / "out" / "results.json").read_text())


def check(row: dict) -> None:
    ranks = row["stages"] * row["replicas"]
    assert row["committed"] == 4, row
    assert row["seconds"] > 0 and row["planned_seconds"] > 0 and row["efficiency"] > 0, row
    assert row["wall"] > row["seconds"] and row["planned_inverse_seconds"] > 0, row
    assert len(row["busy"]) == ranks and all(0 < busy <= 1 for busy in row["busy"]), row
    assert len(row["planned_busy"]) == ranks and all(0 < busy <= 1 for busy in row["planned_busy"]), row
    assert len(row["memory"]) == ranks, row
    for rank in row["memory"]:
        assert 0 < rank["anonymous"] <= rank["held"] <= rank["resident"], row
    assert all(total > 0 for total in row["planned_memory"]), row


def ranks_that_share_cores_take_as_long_as_their_work() -> None:
    plan = Plan(seconds=10, busy_seconds=[8, 8, 8, 8], memory=[], parts=[], inverse_seconds=0)
    assert plan.on_cores(4) == 10, plan
    assert plan.on_cores(2) == 16, plan


def what_does_not_fit_is_shown(row: dict) -> None:
    text = markdown_of([row | {"seconds": None, "efficiency": None, "busy": [], "memory": []}])
    assert "was not run: all ranks need" in text, text


def main() -> None:
    ranks_that_share_cores_take_as_long_as_their_work()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        rows = measure(folder, sys.argv[2], "1x1,2x1")
        assert [(row["stages"], row["replicas"]) for row in rows] == [(1, 1), (2, 1)], rows
        assert rows[0]["drift"] == rows[1]["drift"], rows
        # The second model's row comes after those of the first, which stay.
        rows = measure(folder, f"random:{folder / 'random.json'}", "1x1")
        for row in rows:
            check(row)
        table = (folder / "out" / "results.md").read_text().splitlines()
        models = [line.split("|")[1].strip() for line in table if "| fp32 |" in line]
        assert models == ["llama_tied", "llama_tied", "random"], table
        what_does_not_fit_is_shown(rows[0])


main()
