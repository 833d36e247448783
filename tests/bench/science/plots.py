"""What the methods' states look like over the number of edits: one SVG per measure."""

import math
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402  (the backend first)

MEASURES = {
    "efficacy_accuracy": "edits with an exact match",
    "paraphrase": "paraphrases: new answer likelier than the old one",
    "neighborhood": "neighborhood: true answer likelier than the new one",
    "kept": "facts known before and still answered",
    "loss_change": "change of the held-out loss, nats per token",
    "lambada": "LAMBADA: last words answered",
    "drift": "drift: mean over the layers of |W - W(base)| / |W(base)|",
}


def value_of(row: dict, measure: str) -> float:
    if measure != "drift":
        return math.nan if row[measure] is None else row[measure]  # not measured
    drifts = [value for key, value in row.items() if key.startswith("drift_")]
    return sum(drifts) / max(1, len(drifts))


def draw(rows: list[dict], folder: Path) -> None:
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for measure, meaning in MEASURES.items():
        figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
        for number, method in enumerate(methods):
            own = sorted((row["edits"], value_of(row, measure)) for row in rows if row["method"] == method)
            axes.plot(
                *zip(*own),
                marker="o",
                markersize=4,
                color=f"C{number % 10}",
                linestyle="-" if number < 10 else "--",
                label=method,
            )
        axes.set(xlabel="edits", ylabel=meaning)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        figure.savefig(folder / f"{measure}.svg", metadata={"Date": None})
        pyplot.close(figure)
