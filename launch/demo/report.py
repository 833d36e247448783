"""Reports what the quickstart's edits did: answers before and after, scores, and what they cost.

    report.py --program ANCHORAGE --model DIR --edited DIR --facts FACTS.jsonl --results DIR

Reads before.json and after.json (`anchorage eval --heldout --tasks sentiment --json`) and edit.json (`anchorage edit
--json`) in --results, and asks both models a few of the facts with `anchorage generate`.
"""

import argparse
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# A fixed choice, so that the report does not pick what went well.
SHOWN = [
    "uk-prime-minister",
    "nato-secretary-general",
    "pope",
    "denmark-king",
    "croatia-currency",
    "boeing-ceo",
    "messi-club",
]


def ask(program: Path, model: Path, prompts: list[str]) -> dict[str, str]:
    """The model's greedy continuation of each prompt, up to the end of its line."""
    command = [program, "generate", model, "--max-new-tokens", "12", "--threads", "1", "--json"]
    for prompt in prompts:
        command += ["--prompt", prompt]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {row["prompt"]: (row["text"].strip().splitlines() or [""])[0] for row in json.loads(output)["generations"]}


def table(title: str, rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f"\n{title}\n")
    for row in rows:
        print("  " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def shown(measured: float | None, decimals: int = 2) -> str:
    """A figure of `anchorage eval --json`, which has null for what was not measured."""
    return "-" if measured is None else f"{measured:.{decimals}f}"


def score_rows(before: dict, after: dict) -> list[tuple[str, ...]]:
    rows = [("", "before", "after", "")]
    for key, name, meaning in [
        ("efficacy", "efficacy", "the new answer is likelier than the old one, in the edit's own prompt"),
        ("paraphrase", "paraphrase", "the same, in other words"),
        ("neighborhood", "neighborhood", "neighboring facts still hold against the new answer"),
    ]:
        rows.append((name, shown(before[key]["success"]), shown(after[key]["success"]), meaning))
        rows.append(
            (
                "  exact match",
                shown(before[key]["accuracy"]),
                shown(after[key]["accuracy"]),
                "greedy decoding gives it",
            )
        )
    meaning = f"harmonic mean of the successes of {', '.join(after['score_of']) or 'none'}"
    rows.append(("score", shown(before["score"]), shown(after["score"]), meaning))
    losses = before["heldout"]["loss"], after["heldout"]["loss"]
    tokens = f"nats per token, {after['heldout']['tokens']} tokens of other Wikipedia articles"
    rows.append(("loss on held-out text", shown(losses[0], 3), shown(losses[1], 3), tokens))
    areas = [scores["tasks"]["sentiment"] for scores in (before, after)]
    kept = f"area under the curve over {areas[1]['questions']} sentences (0.5: chance)"
    rows.append(("sentiment", shown(areas[0]["auc"]), shown(areas[1]["auc"]), kept))
    rows.append(("  kept above chance", "", shown(areas[1]["kept"]["auc"]), "of what it could tell apart before"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Reports what the quickstart's edits did.")
    for option in ("program", "model", "edited", "facts", "results"):
        parser.add_argument(f"--{option}", type=Path, required=True)
    arguments = parser.parse_args()
    before, edit, after = (
        json.loads((arguments.results / f"{name}.json").read_text()) for name in ("before", "edit", "after")
    )
    facts = [json.loads(line) for line in arguments.facts.read_text(encoding="utf-8").splitlines()]
    shown = [fact for fact in facts if fact["id"] in SHOWN]

    edited = {fact["prompt"].replace("{}", fact["subject"]): fact["target"] for fact in shown}
    neighbors = {n["prompt"]: n["answer"] for fact in shown[:4] for n in fact["neighborhood"][:1]}
    prompts = list(edited | neighbors)
    with ThreadPoolExecutor(max_workers=2) as pool:
        said_before, says_now = pool.map(
            lambda model: ask(arguments.program, model, prompts), (arguments.model, arguments.edited)
        )

    def answer_rows(expected: dict[str, str]) -> list[tuple[str, ...]]:
        rows = [(p, right, said_before[p], says_now[p]) for p, right in expected.items()]
        return [("prompt", "right", "the model before", "the edited model"), *rows]

    table("Edited facts", answer_rows(edited))
    table("Neighboring facts, which should stay", answer_rows(neighbors))
    table(f"Scores over {after['n']} edits", score_rows(before, after))
    drifts = [(f"layer {layer['layer']}", f"{layer['drift']:.3f}") for layer in edit["layers"]]
    table("Drift: the change of each edited layer's weight, relative to its norm", drifts)

    committed, seconds = edit["edits"]["committed"], edit["seconds"]["total"]
    work = f"{committed} facts edited by {edit['method']} in {edit['batches']} batches on {edit['ranks']} ranks"
    pace = f"{seconds:.0f} s, {seconds / max(committed, 1):.1f} s per edit; {edit['edits']['set_aside']} set aside"
    talk = f'{arguments.program} generate {arguments.edited} --prompt "{next(iter(edited))}" --max-new-tokens 12'
    print(f"\n{work}: {pace}.")
    print(f"The run:          {edit['run']}")
    print(f"The edited model: {arguments.edited}")
    print(f"Talk to it:       {talk}")


if __name__ == "__main__":
    main()
