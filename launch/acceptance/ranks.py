"""The same bits: of a repeated run, on other numbers of ranks, and of a run that is killed and resumed."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import weights
from bench import Bench, Edit
from checks import Check, Outcome
from program import Broken, NotRun, OutOfTime, World, end

SAME_BITS = "same bits"
WHY = "nothing is rounded otherwise: the same operations on the same shapes, in an order that ranks do not change"
WORLDS = (World(1, 2), World(2, 1), World(2, 2), World(1, 4), World(4, 1))
FASTER = 0.02  # seconds between two looks at a journal


def _short(digest: str) -> str:
    return digest[:12]


def _repeat(method: str, dtype: str) -> Check:
    def do(bench: Bench) -> Outcome:
        turns = [Edit(bench.device, method=method, dtype=dtype, turn=turn) for turn in (0, 1)]
        bench.edit_all(turns)
        first, second = map(bench.digest, turns)
        return Outcome(first == second, f"{_short(first)}, {_short(second)}")

    return Check(f"repeats.{method}.{dtype}", "the weights of a run and of its repetition", SAME_BITS, WHY, 4, do)


def _world(world: World) -> Check:
    def do(bench: Bench) -> Outcome:
        gpus = bench.program.gpus
        on_gpus = bench.device == "cuda"
        if on_gpus and bench.is_exclusive and world.ranks > gpus:
            raise NotRun(f"the GPUs' compute mode lets one process use each, and {world.ranks} ranks share {gpus}")
        alone = Edit(bench.device, method="b-eac", group=1)
        together = replace(alone, world=world)
        one, found = bench.digest(alone), bench.digest(together)
        shared = on_gpus and world.ranks > gpus
        where = f", over NCCL on {gpus} shared" if shared else ", over NCCL on a GPU each" if on_gpus else ""
        return Outcome(one == found, f"{_short(found)}, one rank {_short(one)}{where}", {"shared_gpus": shared})

    shape = f"{world.ranks} ranks ({world.stages} stages x {world.replicas} replicas)"
    return Check(
        f"ranks.{world}", f"the weights of {shape} and of one (B-EAC)", SAME_BITS, WHY, 2 + world.ranks, do)


def _segments(run: Path) -> int:
    folder = run / "journal"
    return sum(1 for file in folder.glob("seg-*.h5")) if folder.is_dir() else 0


def _kill_after(bench: Bench, words: list[object], run: Path, segments: int) -> bool:
    """Kills the program by SIGKILL when the journal has so many segments; false where it has ended before."""
    process = bench.program.start(*words)
    try:
        while process.poll() is None and _segments(run) < segments:
            if bench.program.clock.left() <= 0:
                raise OutOfTime
            time.sleep(FASTER)
        if process.poll() is not None:
            if process.returncode != 0:
                last = process.communicate()[1][-300:]
                raise Broken(f"expected a run to kill, found exit code {process.returncode}: {last}")
            return False
        process.kill()
        process.wait()
        return True
    finally:
        if process.poll() is None:
            end(process)


def _kill_and_resume(bench: Bench) -> Outcome:
    """Batches of one edit, killed after the second and the fifth."""
    edit = Edit(bench.device, method="b-eac", group=1, batch=1, checkpoint_every=2)
    whole, killed = bench.new_folder("undisturbed"), bench.new_folder("killed")
    resumed = ["edit", "--run", killed, "--resume", "--quiet", "--device", bench.device, "--checkpoint-every", 2]
    bench.program(*bench.edit_words(edit, whole))
    kills = 0
    for segments in (3, 6):  # the first one is the base
        kills += _kill_after(bench, resumed if kills else bench.edit_words(edit, killed), killed, segments)
    if kills == 0:
        raise Broken("expected a run of eight batches to be killed, found it ended before")
    bench.program(*resumed)
    bench.program("journal", "verify", killed, "--device", bench.device, "--threads", 1, "--quiet")
    first, second = (weights.digest(bench.export(run)) for run in (whole, killed))
    return Outcome(first == second, f"{kills} kills: {_short(second)}, undisturbed {_short(first)}", {"kills": kills})


def checks(is_small: bool) -> Iterator[Check]:
    repeated = [("b-eac", "fp32"), ("b-eac", "bf16"), ("alphaedit", "fp32")]
    for method, dtype in repeated[:1] if is_small else repeated:
        yield _repeat(method, dtype)
    for world in WORLDS[:2] if is_small else WORLDS:
        yield _world(world)
    yield Check(
        "resumes", "the weights of a run killed by SIGKILL and resumed, whose journal verifies, and of one that was not"
        " (B-EAC)", SAME_BITS, WHY, 8, _kill_and_resume)
