"""Edits a model in several worlds of ranks on this machine, and sets beside each run what `anchorage plan` says of it.

Writes OUT/results.json and OUT/results.md: seconds, efficiency, busy shares and memory, measured and planned. Rows of
other models or worlds that an earlier call wrote stay.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import yaml

import key_statistics
import planned
import random_model
from measured import Case, Run, World, edit, world_named
from table import markdown_of

SOURCE = Path(__file__).resolve().parents[3]
CACHE = Path(os.environ.get("ANCHORAGE_CACHE", Path.home() / ".cache" / "anchorage"))
DEMO_MODEL = CACHE / "SmolLM2-135M-Instruct"
CORES = len(os.sched_getaffinity(0))


def names(text: str) -> list[str]:
    return text.split(",")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--program", type=Path, default=SOURCE / "build" / "release" / "anchorage")
    add("--model", default=str(DEMO_MODEL), help="a model's directory, or random:CONFIG for random weights of its shape")
    add("--tokenizer", type=Path, default=DEMO_MODEL, help="a model's directory: the tokenizer of random weights")
    add("--hparams", type=Path, default=SOURCE / "launch" / "hparams" / "smollm2-135m.yaml")
    add("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="over those of --hparams")
    add("--facts", type=Path, default=SOURCE / "launch" / "demo" / "facts.jsonl")
    add("--edits", type=int, default=32, help="the first so many of --facts")
    add("--batch", type=int, help="edits per batch, which divides --edits; all in one where not given")
    add("--group", type=int, default=4, help="edits per group; so small that all replicas and stages have some")
    add("--worlds", type=names, default=names("1x1,1x2,2x1,2x2,4x1"), help="stages x replicas")
    add("--dtypes", type=names, default=names("fp32,bf16"))
    add("--threads", type=int, default=1, help="of each rank")
    add("--repeat", type=int, default=1, help="runs of each world; the fastest counts")
    add("--speed", choices=("one-rank", "measure"), default="one-rank",
        help="of a rank, for plans: that with which the plan of 1x1 takes what 1x1 took, or that of `plan --measure`")
    add("--stats", type=Path, help="key statistics; made from few tokens where not given, which changes no time")
    add("--corpus", type=Path, default=SOURCE / "docs" / "architecture.md", help="the text of these tokens")
    add("--tokens", type=int, default=512)
    add("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.batch = arguments.batch or arguments.edits
    facts = len(arguments.facts.read_text(encoding="utf-8").splitlines())
    if arguments.edits > facts:
        parser.error(f"--edits {arguments.edits}: {arguments.facts} has {facts}")
    if arguments.edits % arguments.batch != 0:
        parser.error(f"--batch {arguments.batch} does not divide --edits {arguments.edits}")
    return arguments


def edited_layers(hparams: Path, settings: list[str]) -> list[int]:
    for setting in reversed(settings):
        if setting.startswith("layers="):
            return [int(layer) for layer in setting.removeprefix("layers=").split(",")]
    return yaml.safe_load(hparams.read_text(encoding="utf-8"))["layers"]


def case_of(arguments: argparse.Namespace) -> Case:
    """Makes what is missing: a random model, statistics. Every step is taken and every batch is kept, so that all runs do
    what the plan counts."""
    settings = [f"group={arguments.group}", "guard=false", "early_stop_loss=0", *arguments.settings]
    if arguments.model.startswith("random:"):
        shape = Path(arguments.model.removeprefix("random:"))
        model = random_model.make(shape, arguments.tokenizer, arguments.out / "models" / shape.stem)
        settings.append("sink_ratio=1000")  # random weights have no attention sinks
    else:
        model = Path(arguments.model)
    layers = edited_layers(arguments.hparams, settings)
    statistics = arguments.stats or key_statistics.make(
        arguments.program, model, layers, arguments.corpus, arguments.tokens, arguments.out / f"{model.name}.h5"
    )
    return Case(
        program=arguments.program,
        model=model,
        hparams=arguments.hparams,
        settings=tuple(settings),
        statistics=statistics,
        facts=arguments.facts,
        edits=arguments.edits,
        batch=arguments.batch,
        threads=arguments.threads,
    )


def available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    raise SystemExit("/proc/meminfo has no MemAvailable")


def run_worlds(case: Case, worlds: list[World], dtype: str, repeat: int, out: Path) -> dict[World, list[Run]]:
    """The runs of each world, world by world so that what else the machine does meets all of them. A world whose ranks
    together need more memory than is free has none."""
    runs = {world: [] for world in worlds}
    for turn in range(repeat):
        for world in worlds:
            needed = sum(planned.plan(case, world, dtype, flops=1e11).memory)
            if needed > available_bytes():
                continue
            run = edit(case, world, dtype, out / "run")
            print(f"{case.model.name} {dtype} {world}, run {turn + 1}: {run.seconds:.1f} s", file=sys.stderr, flush=True)
            runs[world].append(run)
    return runs


def require_same_result(case: Case, runs: list[Run]) -> None:
    results = {(run.committed, tuple(run.drift.items())) for run in runs}
    if len(results) > 1:
        raise SystemExit(f"{case.model.name}: edits committed, or what they changed, differ between worlds: {results}")


def fastest(runs: list[Run]) -> Run | None:
    return min(runs, key=lambda run: run.seconds, default=None)


def row_of(case: Case, world: World, dtype: str, runs: list[Run], plan: planned.Plan) -> dict:
    best = fastest(runs)
    cores = CORES / case.threads
    seconds = plan.on_cores(cores)
    ranks = range(world.ranks) if best else ()
    return {
        "model": case.model.name,
        "dtype": dtype,
        "stages": world.stages,
        "replicas": world.replicas,
        "edits": case.edits,
        "batch": case.batch,
        "threads": case.threads,
        "cores": CORES,
        "shares_cores": world.ranks > cores,
        "all_seconds": [run.seconds for run in runs],
        "seconds": best and best.seconds,
        "planned_seconds": seconds,
        "wall": best and best.wall,
        "planned_inverse_seconds": plan.inverse_seconds,
        "busy": best.busy if best else [],
        "planned_busy": [busy / seconds for busy in plan.busy_seconds],
        "memory": [
            {kind: max(run.memory[rank][kind] for run in runs) for kind in best.memory[rank]} for rank in ranks
        ],
        "planned_memory": plan.memory,
        "planned_parts": plan.parts,
        "committed": best and best.committed,
        "drift": best and best.drift,
        "available": available_bytes(),
    }


def rows_of(case: Case, arguments: argparse.Namespace, dtype: str) -> list[dict]:
    worlds = [world_named(name) for name in arguments.worlds]
    measured_flops = planned.measured_flops(case, dtype)
    runs = run_worlds(case, worlds, dtype, arguments.repeat, arguments.out)
    require_same_result(case, [run for of_world in runs.values() for run in of_world])
    one = fastest(runs.get(World(1, 1), []))
    calibrated = planned.flops_of_run(case, dtype, one.seconds) if one and arguments.speed == "one-rank" else None
    flops = calibrated or measured_flops
    planned_one = planned.plan(case, World(1, 1), dtype, flops).seconds
    rows = []
    for world, of_world in runs.items():
        row = row_of(case, world, dtype, of_world, planned.plan(case, world, dtype, flops))
        at_once = min(world.ranks, CORES / case.threads)
        row |= {
            "efficiency": one.seconds / (at_once * row["seconds"]) if one and row["seconds"] else None,
            "planned_efficiency": planned_one / (at_once * row["planned_seconds"]),
            "flops": flops,
            "speed_from": "which one rank's run gives" if calibrated else "which `plan --measure` found",
            "measured_flops": measured_flops,
        }
        rows.append(row)
    return rows


def key_of(row: dict) -> tuple:
    return row["model"], row["dtype"], row["stages"], row["replicas"]


def write(out: Path, rows: list[dict]) -> None:
    path = out / "results.json"
    earlier = json.loads(path.read_text()) if path.exists() else []
    together = {key_of(row): row for row in earlier} | {key_of(row): row for row in rows}
    path.write_text(json.dumps(list(together.values()), indent=1))
    (out / "results.md").write_text(markdown_of(list(together.values())))


def main() -> None:
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    case = case_of(arguments)
    for dtype in arguments.dtypes:
        write(arguments.out, rows_of(case, arguments, dtype))
    print((arguments.out / "results.md").read_text(), end="")


if __name__ == "__main__":
    main()
