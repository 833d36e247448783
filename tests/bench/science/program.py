"""The built program on several ranks."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

DONE, SOME_SET_ASIDE = 0, 3


@dataclass(frozen=True)
class Program:
    path: Path
    ranks: int
    dtype: str  # of the weights

    def __call__(self, *arguments: object) -> dict:
        """What the program prints with --json; its log goes to this one's stderr."""
        mpirun = ["env", "--ignore-signal=PIPE", "mpirun", "-n", str(self.ranks), "--bind-to", "none", "--oversubscribe"]
        command = [*mpirun, self.path, *arguments, "--dtype", self.dtype, "--threads", 1, "--quiet", "--json"]
        environment = os.environ | {
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
            "OMP_NUM_THREADS": "1",
        }
        ended = subprocess.run([str(word) for word in command], env=environment, stdout=subprocess.PIPE, text=True)
        if ended.returncode not in (DONE, SOME_SET_ASIDE):
            raise SystemExit(f"exit code {ended.returncode} of: {' '.join(str(word) for word in command)}")
        return json.loads(ended.stdout)


def write_whole(path: Path, text: str) -> None:
    """The file is there whole or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.rename(path)
