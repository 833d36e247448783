"""The acceptance's CPU half, small: it is cut by a time limit and resumes, passes, and fails a program that computes
otherwise than it should.

    acceptance_test.py ACCEPTANCE PROGRAM
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ACCEPTANCE, PROGRAM = (Path(word).resolve() for word in sys.argv[1:])
PASSED, SOME_FAILED, BAD_USAGE, CUT = 0, 1, 2, 3
ENVIRONMENT = os.environ | {"ANCHORAGE_PYTHON": sys.prefix, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}

# As a device that rounds otherwise, or ranks that do: another step where kernels are fused, or under mpirun.
WRONG_PROGRAM = f"""#!/usr/bin/env bash
for word in "$@"; do [[ $word != all ]] || exec {PROGRAM} "$@"; done
if [[ $1 == edit && " $* " != *" --resume "* && {{condition}} ]]; then set -- "$@" --set ngd_step=0.06; fi
exec {PROGRAM} "$@"
"""

# Three GPU-less lines of what nvidia-smi prints of one GPU; with --loop-ms until it is ended.
NVIDIA_SMI = """#!/usr/bin/env bash
if [[ "$*" == *name,uuid* ]]; then
  echo "NVIDIA X, GPU-1, 580.65, 81559, 9.0, Default, [N/A]"
elif [[ "$*" == *--loop-ms* ]]; then
  for memory in 1500 3000 2000; do echo "$memory, 75"; done
  exec sleep 60
else
  echo "1000, 0"
fi
"""


def accept(out: Path, *options: object, expected: int = PASSED, program: Path = PROGRAM) -> str:
    command = [ACCEPTANCE, "--out", out, "--program", program, "--device", "cpu", *options]
    ended = subprocess.run([str(word) for word in command], env=ENVIRONMENT, capture_output=True, text=True)
    said = ended.stdout + ended.stderr
    assert ended.returncode == expected, f"expected exit code {expected}, found {ended.returncode}: {command}\n{said}"
    return said


def without_other_packages(folder: Path) -> None:
    """A site's Python has torch and safetensors, and need not have what the tests' has beside them."""
    blocked = folder / "blocked"
    blocked.mkdir()
    for name in ("numpy", "transformers", "tokenizers", "h5py", "packaging", "yaml"):
        (blocked / f"{name}.py").write_text(f"raise ModuleNotFoundError('no {name}')\n")
    ENVIRONMENT["PYTHONPATH"] = str(blocked)


def rows_of(out: Path) -> dict[str, dict]:
    return {row["name"]: row for row in json.loads(out.read_text())["checks"]}


def a_cut_acceptance_resumes_and_passes(folder: Path) -> None:
    out = folder / "small.json"
    accept(out, "--small", "--only", "statistics")
    said = accept(out, "--small", "--minutes", 0.1, expected=CUT)
    cut = rows_of(out)
    assert "(from before)" in said, said
    assert "not run" in said and "run the same command again" in said, said
    assert any(row["found"] == "time" for row in cut.values()), cut
    begun = time.monotonic()
    said = accept(out, "--small")
    print(f"small, after the cut: {time.monotonic() - begun:.0f} s\n{said}")
    rows = rows_of(out)
    # Whichever call ran them, all stand in their order.
    there = accept(folder / "none.json", "--small", "--only", "none", expected=BAD_USAGE).split("there are ")[1]
    assert list(cut) == list(rows) == there.strip().split(", "), (list(cut), list(rows), there)
    for name, row in rows.items():
        measured_on_gpus = name.startswith("speed.")
        assert row["result"] == ("not run" if measured_on_gpus else "ok"), row
        assert row["seconds"] >= 0 and row["compares"] and row["expected"] and row["reason"], row
        if cut[name]["result"] == "ok":
            assert row == cut[name], (row, cut[name])
    assert not (folder / "small.json.scratch").exists()
    document = json.loads(out.read_text())
    assert document["machine"]["program"]["version"] and document["about"]["device"] == "cpu", document
    assert "(from before)" in accept(out, "--small", "--minutes", 0.1)


def another_selection_is_not_mixed_in(folder: Path) -> None:
    said = accept(folder / "small.json", expected=BAD_USAGE)
    assert 'expected results of small false, found true, in' in said, said
    other = folder / "other.json"
    other.write_text("[]")
    assert "expected a file of an earlier acceptance" in accept(other, "--small", expected=BAD_USAGE)
    assert other.read_text() == "[]"


def a_program_that_computes_otherwise_fails(folder: Path, condition: str, check: str) -> None:
    wrong = folder / f"wrong-{check}"
    wrong.write_text(WRONG_PROGRAM.replace("{condition}", condition))
    wrong.chmod(0o755)
    out = folder / f"{check}.json"
    said = accept(out, "--small", "--only", check, expected=SOME_FAILED, program=wrong)
    assert rows_of(out)[check]["result"] == "failed", said
    # It stays what it was found to be, until the file is removed.
    assert "(from before)" in accept(out, "--small", "--only", check, expected=SOME_FAILED, program=wrong)


def a_program_that_ends_badly_fails_with_what_it_said(folder: Path) -> None:
    broken = folder / "broken"
    broken.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec {PROGRAM} "$@"\necho "error: no room" >&2\nexit 1\n')
    broken.chmod(0o755)
    said = accept(folder / "broken.json", "--small", "--only", "statistics", expected=SOME_FAILED, program=broken)
    assert "expected exit code 0, found 1" in said and "error: no room" in said, said


def times_are_measured_on_a_shape_that_fits(folder: Path) -> None:
    out = folder / "speed.json"
    print(accept(out, "--shape", "small", "--only", "speed"))
    rows = rows_of(out)
    figures = rows["speed.groups.1"]["figures"]
    assert figures["edits"] == 4 and figures["edits_per_second"] > 0 and figures["tflops"] > 0, figures
    assert figures["planned_bytes"] > 0 and figures["planned_seconds"] > 0, figures
    assert all(tflops > 0 for tflops in rows["speed.products"]["figures"]["tflops"].values()), rows
    assert rows["speed.kernels"]["found"] == "there is no GPU whose kernels could be counted", rows


def mistakes_are_told(folder: Path) -> None:
    out = folder / "mistakes.json"
    assert "found 'kernel', in --only; there are kernels.block" in accept(out, "--only", "kernel", expected=BAD_USAGE)
    assert "expected a time above zero" in accept(out, "--minutes", 0, expected=BAD_USAGE)
    assert "expected a GPU, found none" in accept(out, "--device", "cuda", expected=BAD_USAGE)
    assert "expected the program" in accept(out, expected=BAD_USAGE, program=folder / "none")
    assert "expected a folder" in accept(folder / "none" / "a.json", expected=BAD_USAGE)
    assert not out.exists()


def samples_of_a_gpu_give_its_peak_and_its_idle_share(folder: Path) -> None:
    tools = folder / "tools"
    tools.mkdir()
    (tools / "nvidia-smi").write_text(NVIDIA_SMI)
    (tools / "nvidia-smi").chmod(0o755)
    os.environ["PATH"] = f"{tools}:{os.environ['PATH']}"
    sys.path.insert(0, str(ACCEPTANCE.parent))
    import machine
    from gpu_samples import GpuSamples

    gpu = machine.gpus()[0]
    assert (gpu["name"], gpu["driver"], gpu["memory_mib"], gpu["mig"]) == ("NVIDIA X", "580.65", 81559, "[N/A]"), gpu
    begin = time.monotonic()
    with GpuSamples() as samples:
        while len(samples.samples) < 3:
            assert time.monotonic() < begin + 20, samples.samples
            time.sleep(0.01)
    assert samples.peak_bytes() == 2000 * 2**20, samples.samples
    assert samples.idle_share(begin, time.monotonic()) == 0.25, samples.samples


def main() -> None:
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        without_other_packages(folder)
        a_cut_acceptance_resumes_and_passes(folder)
        another_selection_is_not_mixed_in(folder)
        a_program_that_computes_otherwise_fails(folder, "true", "kernels.norm")
        a_program_that_computes_otherwise_fails(folder, '${OMPI_COMM_WORLD_SIZE:-1} -gt 1', "ranks.1x2")
        a_program_that_ends_badly_fails_with_what_it_said(folder)
        times_are_measured_on_a_shape_that_fits(folder)
        mistakes_are_told(folder)
        samples_of_a_gpu_give_its_peak_and_its_idle_share(folder)


main()
