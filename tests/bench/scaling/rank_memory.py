"""Runs the program of one rank, as mpirun starts it, and writes down the most memory that it held.

rank_memory.py FOLDER COMMAND...

FOLDER/RANK.json has bytes: `held`, anonymous and shared pages together in the fullest of the moments looked at, which
is what a plan counts; its parts `anonymous` and `shared` (MPI's segments), each at its own fullest; and `resident`,
the kernel's maximum, in which the pages of the program and of the model's mapped file are too.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PERIOD = 0.03  # seconds between two looks; the program keeps freed memory, so that no peak is short
PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """mpirun kills this process where another rank died: the program must not outlive it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def pages_of(process: int) -> dict[str, int]:
    """Bytes of anonymous and of shared pages; empty where the process has ended."""
    names = {"RssAnon:": "anonymous", "RssShmem:": "shared"}
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    words = (line.split() for line in lines)
    return {names[word[0]]: 1024 * int(word[1]) for word in words if word[0] in names}


def main() -> int:
    folder, *command = sys.argv[1:]
    rank = os.environ.get("OMPI_COMM_WORLD_RANK", "0")
    most = {"held": 0, "anonymous": 0, "shared": 0}
    process = subprocess.Popen(command, preexec_fn=end_with_parent).pid
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            break
        pages = pages_of(process)
        for name, held in (pages | {"held": sum(pages.values())}).items():
            most[name] = max(most[name], held)
        time.sleep(PERIOD)
    most["resident"] = 1024 * usage.ru_maxrss
    (Path(folder) / f"{rank}.json").write_text(json.dumps(most))
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


sys.exit(main())
