"""The measured states as rows: a CSV file with everything, and a Markdown table for people."""

import csv
import io


def row_of(method: str, edits: int, state: dict, before: dict) -> dict:
    """One line of the CSV. Losses are nats a token; shares are of 1."""
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
        "loss_change": state["heldout"]["loss"] - before["heldout"]["loss"],
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
    lines = [
        f"Before any edit: {len(tasks['known']['answered'])} of {before['known_asked']} known facts answered, held-out loss "
        f"{before['heldout']['loss']:.4f} over {before['heldout']['tokens']} tokens, LAMBADA "
        f"{tasks['lambada']['accuracy']:.3f} over {tasks['lambada']['questions']} passages.",
        "",
        "| edits | method | efficacy / accuracy | paraphrase / accuracy | neighbourhood / accuracy | kept | loss | LAMBADA "
        "| drift by layer |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: row["edits"]):
        pairs = (
            f"{row[kind]:.3f} / {row[f'{kind}_accuracy']:.3f}"
            for kind in ("efficacy", "paraphrase", "neighborhood")
        )
        drifts = " ".join(f"{value:.2f}" for key, value in row.items() if key.startswith("drift_"))
        lines.append(
            f"| {row['edits']} | {row['method']} | {' | '.join(pairs)} | {row['kept']:.3f} | {row['loss_change']:+.4f} "
            f"| {row['lambada']:.3f} | {drifts} |"
        )
    return "\n".join(lines) + "\n"
