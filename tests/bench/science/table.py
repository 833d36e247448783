"""The measured states as rows: a CSV file with everything, and a Markdown table for people."""

import csv
import io


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
        "| drift by layer |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: row["edits"]):
        pairs = (
            f"{shown(row[kind])} / {shown(row[f'{kind}_accuracy'])}"
            for kind in ("efficacy", "paraphrase", "neighborhood")
        )
        drifts = " ".join(f"{value:.2f}" for key, value in row.items() if key.startswith("drift_"))
        lines.append(
            f"| {row['edits']} | {row['method']} | {' | '.join(pairs)} | {shown(row['kept'])} | "
            f"{shown(row['loss_change'], '+.4f')} | {shown(row['lambada'])} | {drifts} |"
        )
    return "\n".join(lines) + "\n"
