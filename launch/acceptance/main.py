"""What a site runs before it trusts its GPUs: Anchorage on CUDA against the CPU, repeated, on several ranks, killed and
resumed, and how fast it is. Without a GPU it does the same on the CPU, whose fused kernels it holds against torch's own
operations. Prints a line for each check and writes FILE.json; docs/gpu.md says what each line means.

exit codes: 0 all checks that were run have passed; 1 a check has failed; 2 bad usage; 3 the time limit has cut it:
the same command resumes."""

import argparse
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import machine
import parity
import ranks
import speed
from bench import Bench
from checks import FAILED, NOT_RUN, OK, Check
from program import Broken, Clock, NotRun, OutOfTime, Program
from report import OUT_OF_TIME, BadFile, Report

PASSED, SOME_FAILED, BAD_USAGE, CUT = 0, 1, 2, 3
HERE = Path(__file__).resolve().parent


def fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(BAD_USAGE)


def all_checks(is_small: bool) -> Iterator[Check]:
    yield from parity.checks(is_small)
    yield from ranks.checks(is_small)
    yield from speed.checks(is_small)


def names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def parse_arguments() -> argparse.Namespace:
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="acceptance", description=__doc__, formatter_class=style)
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FILE.json",
        help="what was found, and where an acceptance that was cut resumes")
    add("--minutes", type=float, default=10, help="the time limit (10)")
    add("--only", type=names, default=[], metavar="NAME,...",
        help="these checks; a leading part names several: kernels, speed.groups")
    add("--skip", type=names, default=[], metavar="NAME,...", help="all but these")
    add("--small", action="store_true", help="fewer kernels, families, methods and worlds: a minute on a CPU")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto",
        help="what is accepted (auto: a GPU where there is one)")
    add("--shape", choices=("auto", *speed.SHAPES), default="auto",
        help="of the model for times (auto: the largest that fits the GPU)")
    add("--program", type=Path, metavar="PATH",
        help="the program; where not given, that of the prefix, archive or build this is in")
    add("--scratch", type=Path, metavar="DIR",
        help="where models and runs are, in FILE.json.scratch (beside FILE.json); the 13B shape takes 40 GB")
    return parser.parse_args()


def find_program(given: Path | None) -> Path:
    if given is not None:
        if not os.access(given, os.X_OK) or given.is_dir():
            fail(f"expected the program, found none that can be run, at {given}")
        return given.absolute()  # a link's own folder has the archive's mpirun
    # This is PREFIX/share/anchorage/launch/acceptance, or launch/acceptance of the source tree.
    is_installed = HERE.parts[-4:-2] == ("share", "anchorage")
    place = HERE.parents[3] / "bin" if is_installed else HERE.parents[1] / "build" / "release"
    place /= "anchorage"
    if os.access(place, os.X_OK):
        return place
    found = shutil.which("anchorage")
    if found is None:
        fail(f"expected the program, found none, at {place} or in PATH; --program names it")
    return Path(found)


def selected(arguments: argparse.Namespace) -> list[Check]:
    checks = list(all_checks(arguments.small))
    for option in ("only", "skip"):
        for name in getattr(arguments, option):
            if not any(check.is_named_by([name]) for check in checks):
                there = ", ".join(check.name for check in checks)
                fail(f"expected a check, found '{name}', in --{option}; there are {there}")
    chosen = [check for check in checks if not arguments.only or check.is_named_by(arguments.only)]
    chosen = [check for check in chosen if not check.is_named_by(arguments.skip)]
    if not chosen:
        fail("expected a check to run, found none that --only names and --skip does not")
    return chosen


def run(check: Check, bench: Bench, report: Report) -> None:
    begin = time.monotonic()
    figures = {}
    try:
        if check.estimate(bench) > bench.program.clock.left():
            raise OutOfTime
        outcome = check.do(bench)
        result, found, figures = OK if outcome.passed else FAILED, outcome.found, outcome.figures
    except NotRun as reason:
        result, found = NOT_RUN, str(reason)
    except OutOfTime:
        result, found = NOT_RUN, OUT_OF_TIME
    except Broken as error:
        result, found = FAILED, str(error)
    except Exception as error:  # a file that does not open, memory that is not there: the next checks may have both
        traceback.print_exc()
        result, found = FAILED, f"{type(error).__name__}: {error}"
    report.add(check, result, found, time.monotonic() - begin, figures)


def interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    arguments = parse_arguments()
    if not arguments.minutes > 0:
        fail(f"expected a time above zero, found {arguments.minutes}, in --minutes")
    checks = selected(arguments)
    out = arguments.out.resolve()
    if not out.parent.is_dir():
        fail(f"expected a folder, found none, at {out.parent}; make it, or give another --out")
    program = Program(find_program(arguments.program), out.parent, Clock(60 * arguments.minutes))
    try:
        found = machine.describe(program)
    except (Broken, NotRun, OutOfTime, OSError) as error:
        fail(f"expected a program that says its version, found: {error or type(error).__name__}")
    program.gpus = len(found["program"]["gpus"])
    if arguments.device == "cuda" and program.gpus == 0:
        fail("expected a GPU, found none, for --device cuda; check the driver with nvidia-smi, or CUDA_VISIBLE_DEVICES")
    device = "cuda" if program.gpus > 0 and arguments.device != "cpu" else "cpu"
    about = machine.identity(found) | {"device": device, "small": arguments.small, "shape": arguments.shape}
    report = Report(out, about, found, [check.name for check in all_checks(arguments.small)])
    try:
        report.resume()
    except BadFile as error:
        fail(f"{error}, in {out}; give another --out, or remove the file")
    print("\n".join(machine.lines(found)))
    where = "CUDA" if device == "cuda" else "the CPU"
    print(f"{where} against the CPU in torch's own operations; at most {arguments.minutes:g} minutes\n", flush=True)
    # A folder of its own, for it is removed in the end.
    program.folder = (arguments.scratch or out.parent).resolve() / (out.name + ".scratch")
    program.folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(program, device, arguments.shape, found)
    signal.signal(signal.SIGTERM, interrupt)
    for check in checks:
        is_new = check.name not in report.checks
        if is_new:
            run(check, bench, report)
        print(report.line(check.name) + ("" if is_new else "  (from before)"), flush=True)
    print(f"\n{report.summary()}")
    cut = report.is_cut()
    if cut:
        print("cut by the time limit: run the same command again to continue")
    else:
        shutil.rmtree(program.folder, ignore_errors=True)
    return SOME_FAILED if report.count(FAILED) else CUT if cut else PASSED


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted: run the same command again to continue", file=sys.stderr)
        sys.exit(CUT)
