"""The rows as a Markdown table."""

FIELDS = [
    "model",
    "dtype",
    "stages x replicas",
    "seconds",
    "planned",
    "ratio",
    "efficiency",
    "planned",
    "busy, by rank",
    "planned",
    "GB of the fullest rank",
    "planned",
    "ratio",
]


def number(measured: float | None, form: str = ".2f") -> str:
    return "-" if measured is None else format(measured, form)


def numbers(measured: list[float]) -> str:
    return " ".join(number(one) for one in measured) or "-"


def ratio(measured: float | None, planned: float) -> str:
    return "-" if measured is None else number(measured / planned)


def line_of(row: dict) -> str:
    fullest = max((rank["held"] for rank in row["memory"]), default=None)
    planned_fullest = max(row["planned_memory"])
    cells = [
        row["model"],
        row["dtype"],
        f"{row['stages']} x {row['replicas']}{'*' if row['shares_cores'] else ''}",
        number(row["seconds"], ".1f"),
        number(row["planned_seconds"], ".1f"),
        ratio(row["seconds"], row["planned_seconds"]),
        number(row["efficiency"]),
        number(row["planned_efficiency"]),
        numbers(row["busy"]),
        numbers(row["planned_busy"]),
        number(fullest and fullest / 1e9),
        number(planned_fullest / 1e9),
        ratio(fullest, planned_fullest),
    ]
    return f"| {' | '.join(cells)} |"


def markdown_of(rows: list[dict]) -> str:
    lines = [f"| {' | '.join(FIELDS)} |", "|---" * len(FIELDS) + "|", *(line_of(row) for row in rows), ""]
    speeds = {(row["model"], row["dtype"]): row for row in rows}.values()
    for row in speeds:
        found = "" if row["measured_flops"] is None else f"; `plan --measure` found {row['measured_flops'] / 1e9:.1f}"
        lines.append(
            f"- {row['model']}, {row['dtype']}: {row['edits']} edits in batches of {row['batch']}, {row['threads']} "
            f"thread(s) a rank; planned at {row['flops'] / 1e9:.1f} Gflop/s, {row['speed_from']}{found}."
        )
    lines.append("- Seconds are those of the fastest of the runs, busy shares are its; memory is the most of all runs.")
    if any(row["shares_cores"] for row in rows):
        lines.append(
            f"- \\* More ranks than the {rows[0]['cores']} cores: efficiency is against the cores, the plan's seconds are "
            "at least the ranks' work divided by the cores, and a rank is busy also while it waits for a core."
        )
    for row in rows:
        if row["seconds"] is None:
            lines.append(
                f"- {row['model']}, {row['dtype']}, {row['stages']} x {row['replicas']} was not run: all ranks need "
                f"{sum(row['planned_memory']) / 1e9:.1f} GB, and {row['available'] / 1e9:.1f} GB were free."
            )
    return "\n".join(lines) + "\n"
