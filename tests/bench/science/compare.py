"""Applies the same edits in the same order through several methods and measures what each does to the model.

    compare.py --out DIR [--number 1000] [--batch 25] [--every 100] [--methods memit_seq,b-eac,...]

After every --every edits of each method: efficacy, paraphrase and neighborhood of the edits made so far, facts that
the model knew before and still knows, the loss on held-out text, LAMBADA, sentiment after four examples, with
--generate what the model says in its own words, the drift of each edited layer. A method may be named with values of
its own, b-eac+mom2_update_weight=4000, so that it is a curve and not a point; at equal exact match the table compares
curves. Said again, it continues where it stopped; a larger --number or more --methods add to what is there. Writes
DIR/results.csv, DIR/results.md and, where matplotlib is installed, plots.
"""

import argparse
import importlib.util
import os
from pathlib import Path

from methods import METHODS, is_method
from program import Program, write_whole
from states import Comparison, Sources
from table import csv_of, markdown_of, row_of, shown

SOURCE = Path(__file__).resolve().parents[3]
DATA = SOURCE.parent / "shared" / "data"
CACHE = Path(os.environ.get("ANCHORAGE_CACHE", Path.home() / ".cache" / "anchorage"))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--out", type=Path, required=True)
    add("--methods", default=",".join(METHODS), help="of, perhaps with +KEY=VALUE: " + ", ".join(METHODS))
    add("--number", type=int, default=1000, help="edits")
    add("--batch", type=int, default=25)
    add("--every", type=int, default=100, help="edits between measurements, whole batches")
    add("--sample", type=int, default=0, help="evaluate so many of the edits made so far; 0: all")
    add("--ranks", type=int, default=2)
    add("--dtype", default="auto", help="of the weights: auto (as in the model), fp32, bf16 or fp16")
    add("--program", type=Path, default=SOURCE / "build/release/anchorage")
    add("--model", type=Path, default=CACHE / "SmolLM2-135M-Instruct")
    add("--edits", type=Path, default=DATA / "edits/counterfact-edit.json", help="a JSON array")
    add("--first", type=int, default=0, help="index of the first edit taken")
    add("--known", type=Path, default=DATA / "edits/known_1000.json")
    add("--lambada", type=Path, default=DATA / "general/lambada_test.jsonl")
    add("--lambada-items", type=int, default=200)
    add("--sentiment", type=Path, default=DATA / "general/glue_eval_sst2.jsonl")
    add("--sentiment-items", type=int, default=200, help="four examples among them; 0: not measured")
    add("--generate", action="store_true", help="let the model continue the edits' prompts")
    add("--subjects", type=Path, default=SOURCE / "launch/subjects/subjects.jsonl", help="for their second moments")
    add("--heldout", type=Path, default=DATA / "general/wikitext-2_test.txt")
    add("--heldout-characters", type=int, default=80_000)
    add("--corpus", type=Path, default=DATA / "general/wikitext-2_valid.txt", help="for the second moments")
    add("--statistics-tokens", type=int, default=20_000)
    add("--hparams", type=Path, default=Path(__file__).with_name("hparams.yaml"))
    return parser.parse_args()


def report(rows: list[dict], before: dict, folder: Path) -> None:
    write_whole(folder / "results.csv", csv_of(rows))
    write_whole(folder / "results.md", markdown_of(rows, before))
    if importlib.util.find_spec("matplotlib"):
        import plots

        plots.draw(rows, folder)


def main() -> None:
    given = arguments()
    methods = given.methods.split(",")
    unknown = [name for name in methods if not is_method(name)]
    if unknown or given.every % given.batch:
        raise SystemExit(
            f"error: expected methods out of {', '.join(METHODS)} and --every in whole batches, found "
            f"{', '.join(unknown) or f'--every {given.every} --batch {given.batch}'}"
        )
    fields = {name: getattr(given, name) for name in Sources.__dataclass_fields__}
    paths = {name: value.resolve() for name, value in fields.items() if isinstance(value, Path)}
    program = Program(given.program.resolve(), given.ranks, given.dtype)
    comparison = Comparison(given.out.resolve(), Sources(**fields | paths), program)
    before = comparison.prepare()
    rows: list[dict] = []
    # All methods to a number of edits before any continues: what is there can be compared at any time.
    for edits in range(given.every, given.number + 1, given.every):
        for method in methods:
            rows.append(row_of(method, edits, comparison.state(method, edits), before))
            report(rows, before, given.out)
            print(f"{edits} edits, {method}: kept {shown(rows[-1]['kept'])}", flush=True)
    if not importlib.util.find_spec("matplotlib"):
        print("no plots: matplotlib is not installed; tests/bench/science/run brings it")


if __name__ == "__main__":
    main()
