"""What is here: the program with its libraries, GPUs with their driver, and the machine."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import torch

from program import Program, mpirun_of

# Beside its name, what decides about a GPU's use.
ASKED = ("name", "uuid", "driver_version", "memory.total", "compute_cap", "compute_mode", "mig.mode.current")


def nvidia_smi(*words: str) -> list[list[str]]:
    """Its rows of comma-separated values; none where it is not there, or finds no GPU."""
    path = shutil.which("nvidia-smi")
    if path is None:
        return []
    try:
        command = [path, *words, "--format=csv,noheader,nounits"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    if said.returncode != 0:
        return []
    return [[cell.strip() for cell in line.split(",")] for line in said.stdout.splitlines() if line.strip()]


def number(cell: str) -> float | None:
    """None for what nvidia-smi does not know, such as [N/A]."""
    try:
        return float(cell)
    except ValueError:
        return None


def gpus() -> list[dict]:
    rows = nvidia_smi(f"--query-gpu={','.join(ASKED)}")
    found = [dict(zip(ASKED, row)) for row in rows if len(row) == len(ASKED)]
    return [
        {
            "name": gpu["name"],
            "uuid": gpu["uuid"],
            "driver": gpu["driver_version"],
            "memory_mib": number(gpu["memory.total"]),
            "compute_capability": gpu["compute_cap"],
            "compute_mode": gpu["compute_mode"],
            "mig": gpu["mig.mode.current"],
        }
        for gpu in found
    ]


def first_gpu() -> str:
    """What nvidia-smi calls the GPU that rank 0 takes."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip() or "0"


def _first_match(path: str, pattern: str) -> str | None:
    try:
        match = re.search(pattern, Path(path).read_text())
    except OSError:
        return None
    return match[1] if match else None


def _nccl_of_python() -> str | None:
    try:
        return ".".join(map(str, torch.cuda.nccl.version()))
    except (AttributeError, RuntimeError):
        return None


def describe(program: Program) -> dict:
    version = program.json("--version")
    memory = _first_match("/proc/meminfo", r"MemTotal:\s+(\d+)")
    return {
        "program": version,
        "gpus": gpus(),
        "mpirun": mpirun_of(program.path),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "nccl_of_torch": _nccl_of_python(),
        "cpu": _first_match("/proc/cpuinfo", r"model name\s*:\s*(.*)") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(memory) / 1e6, 1) if memory else None,
        "kernel": platform.release(),
    }


def identity(machine: dict) -> dict:
    """What results belong to: with another program, GPU or driver they are not the same."""
    return {
        "program": {key: machine["program"][key] for key in ("version", "commit", "torch", "cuda", "nccl")},
        "gpus": [[gpu["name"], gpu["driver"]] for gpu in machine["gpus"]],
        "cpu": machine["cpu"],
    }


def lines(machine: dict) -> list[str]:
    program = machine["program"]
    first = f"Anchorage {program['version']} ({program['commit']}), torch {program['torch']}, CUDA {program['cuda']}"
    found = [f"{first}, NCCL {program['nccl']}, {program['mpi']}"]
    for index, gpu in enumerate(machine["gpus"]):
        size = f"{gpu['memory_mib'] / 1024:.0f} GiB" if gpu["memory_mib"] else "memory unknown"
        found.append(
            f"GPU {index}: {gpu['name']}, {size}, compute capability {gpu['compute_capability']}, driver"
            f" {gpu['driver']}, compute mode {gpu['compute_mode']}, MIG {gpu['mig']}")
    if len(program["gpus"]) != len(machine["gpus"]):
        found.append(f"the program finds {len(program['gpus'])} GPUs, nvidia-smi {len(machine['gpus'])}")
    found.append(f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB")
    return found
