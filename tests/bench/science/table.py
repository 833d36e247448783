"""The measured states as rows: a CSV file with everything, and a Markdown table for people."""

import csv
import io

CURVES = ("mom2_update_weight=", "nullspace_threshold=")  # what a method's curve is over
WITHOUT = "-without-anchors"
MATCHES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)


def shown(measured: float | None, form: str = ".3f") -> str:
    """A figure of `anchorage eval --json`, which has null for what was not measured."""
    return "-" if measured is None else format(measured, form)


def difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


def row_of(method: str, edits: int, state: dict, before: dict) -> dict:
    """One line of the CSV. Losses are nats per token; shares are of 1; what was not measured is empty."""
    row = {"method": method, "edits": edits, "set_aside": state["set_aside"]}
    for kind in ("efficacy", "paraphrase", "neighborhood"):
        row[kind] = state[kind]["success"]
        row[f"{kind}_accuracy"] = state[kind]["accuracy"]
        row[f"{kind}_magnitude"] = state[kind]["magnitude"]
    known, lambada = state["tasks"]["known"], state["tasks"]["lambada"]
    row |= {
        "score": state["score"],
        "known_before": known["kept"]["before"],
        "known_still": known["kept"]["still"],
        "kept": known["kept"]["share"],
        "loss": state["heldout"]["loss"],
        "loss_change": difference(state["heldout"]["loss"], before["heldout"]["loss"]),
        "lambada": lambada["accuracy"],
        "lambada_nll": lambada["nll"],
    }
    if sentiment := state["tasks"].get("sentiment"):
        row |= {"sentiment_auc": sentiment["auc"], "sentiment_kept": sentiment["kept"]["auc"]}
    if generation := state.get("generation"):
        for name, kind in (("generated", "prompts"), ("generated_paraphrase", "paraphrases")):
            row |= {f"{name}_{measure}": generation[kind][measure] for measure in ("exact", "contained")}
        row |= {"generated_same": generation["neighborhood"]["same"], "ended": generation["naturally_ended"]}
    for name, interval in (
        ("kept", known["kept"].get("share_interval")),
        *((kind, state[kind].get("success_interval")) for kind in ("efficacy", "paraphrase", "neighborhood")),
        ("efficacy_accuracy", state["efficacy"].get("accuracy_interval")),
    ):
        if interval:
            row |= {f"{name}_low": interval[0], f"{name}_high": interval[1]}
    row |= {f"drift_{layer}": drift for layer, drift in state["drift"].items()}
    return row | {f"seconds_{name}": seconds for name, seconds in state["seconds"].items()}


def csv_of(rows: list[dict]) -> str:
    fields = list(dict.fromkeys(field for row in rows for field in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})
    return text.getvalue()


def markdown_of(rows: list[dict], before: dict) -> str:
    tasks = before["tasks"]
    passages = tasks["lambada"]["questions"] - tasks["lambada"]["left_out"]
    lines = [
        f"Before any edit: {len(tasks['known']['answered'])} of {before['known_asked']} known facts answered, held-out loss "
        f"{shown(before['heldout']['loss'], '.4f')} over {before['heldout']['tokens']} tokens, LAMBADA "
        f"{shown(tasks['lambada']['accuracy'])} over {passages} passages.",
        "",
        "| edits | method | efficacy / accuracy | paraphrase / accuracy | neighborhood / accuracy | kept | loss | LAMBADA "
        "| sentiment, AUC | drift by layer |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: row["edits"]):
        pairs = (
            f"{shown(row[kind])} / {shown(row[f'{kind}_accuracy'])}"
            for kind in ("efficacy", "paraphrase", "neighborhood")
        )
        drifts = " ".join(f"{value:.2f}" for key, value in row.items() if key.startswith("drift_"))
        lines.append(
            f"| {row['edits']} | {row['method']} | {' | '.join(pairs)} | {shown(row['kept'])} | "
            f"{shown(row['loss_change'], '+.4f')} | {shown(row['lambada'])} | {shown(row.get('sentiment_auc'))} | "
            f"{drifts} |"
        )
    return "\n".join(lines + equal_match_lines(rows) + gain_lines(rows, before)) + "\n"


def family_of(method: str) -> str:
    """The method without the value that its curve is over."""
    return "+".join(word for word in method.split("+") if not word.startswith(CURVES))


def at_match(curve: list[dict], match: float, measure: str) -> float | None:
    """The measure where the curve has this exact match: on the line between the two states next to it; None outside."""
    points = [(row["efficacy_accuracy"], row[measure]) for row in curve]
    if any(value is None for point in points for value in point):
        return None
    points.sort()
    for (left, before), (right, after) in zip(points, points[1:]):
        if left <= match <= right:
            return before if left == right else before + (after - before) * (match - left) / (right - left)
    return None


def equal_match_lines(rows: list[dict]) -> list[str]:
    """Methods of three or more weights at the same exact matches: a table for each number of edits, or nothing."""
    lines: list[str] = []
    for edits in sorted({row["edits"] for row in rows}):
        curves: dict[str, list[dict]] = {}
        for row in rows:
            if row["edits"] == edits:
                curves.setdefault(family_of(row["method"]), []).append(row)
        curves = {family: curve for family, curve in curves.items() if len(curve) >= 3}
        if not curves:
            continue
        lines += ["", f"Kept after {edits} edits at equal exact match, on the lines between the weights:", ""]
        lines += ["| exact match | " + " | ".join(curves) + " |", "|---" * (1 + len(curves)) + "|"]
        for match in MATCHES:
            cells = (shown(at_match(curve, match, "kept")) for curve in curves.values())
            lines.append(f"| {match:.2f} | {' | '.join(cells)} |")
    return lines


def kept_by_task(row: dict, before: dict) -> dict[str, float]:
    """What each task that can be kept has left, of 1: above chance where there is chance; what was measured of them."""
    lambada = before["tasks"]["lambada"]["accuracy"]
    kept = {"known": row["kept"], "sentiment": row.get("sentiment_kept")}
    if lambada and row["lambada"] is not None:
        kept["lambada"] = row["lambada"] / lambada
    return {task: share for task, share in kept.items() if share is not None}


def gain_lines(rows: list[dict], before: dict) -> list[str]:
    """Each method beside the same one without anchors: by how much more of the tasks it keeps, on average."""
    states = {(row["method"], row["edits"]): row for row in rows}
    lines: list[str] = []
    for (method, edits), without in states.items():
        name, *values = method.split("+")
        row = states.get(("+".join([name.removesuffix(WITHOUT), *values]), edits))
        if not name.endswith(WITHOUT) or row is None:
            continue
        less, more = kept_by_task(without, before), kept_by_task(row, before)
        gains = {task: more[task] / less[task] - 1 for task in less if task in more and less[task] > 0}
        mean = sum(gains.values()) / len(gains) if gains else None
        of_tasks = ", ".join(f"{task} {gain:+.0%}" for task, gain in gains.items())
        nothing = [task for task, share in less.items() if share <= 0]
        left_out = f"; without anchors nothing is left of {', '.join(nothing)}" if nothing else ""
        lines.append(f"| {edits} | {row['method']} | {shown(mean, '+.0%')} | {of_tasks}{left_out} |")
    if not lines:
        return []
    title = "Kept (after / before, above chance where there is chance) beside the same engine without anchors:"
    return ["", title, "", "| edits | method | mean of tasks | by task |", "|---|---|---|---|", *lines]
