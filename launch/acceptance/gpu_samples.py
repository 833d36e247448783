"""Memory and load of a GPU while something runs, from nvidia-smi."""

import shutil
import subprocess
import threading
import time
from dataclasses import dataclass

from machine import first_gpu, number, nvidia_smi

PERIOD = 200  # milliseconds


@dataclass(frozen=True)
class Sample:
    time: float  # of time.monotonic
    memory_mib: float | None
    load: float | None  # per cent of the time before in which a kernel ran


def _sample(cells: list[str]) -> Sample:
    memory, load = (number(cell) for cell in (*cells, "", "")[:2])
    return Sample(time.monotonic(), memory, load)


class GpuSamples:
    """Takes samples between `with` and its end; none where nvidia-smi has none."""

    QUERY = "--query-gpu=memory.used,utilization.gpu"

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        before = nvidia_smi("-i", first_gpu(), self.QUERY)
        self.before = _sample(before[0]) if before else None

    def __enter__(self) -> "GpuSamples":
        self._process = None
        if self.before is None:
            return self
        command = [shutil.which("nvidia-smi") or "nvidia-smi", "-i", first_gpu(), self.QUERY]
        command += ["--format=csv,noheader,nounits", f"--loop-ms={PERIOD}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def _read(self) -> None:
        for line in self._process.stdout:
            self.samples.append(_sample(line.split(",")))

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._thread.join(5)

    def peak_bytes(self) -> float | None:
        """Above what was used before, which is others' where they share the GPU."""
        used = [sample.memory_mib for sample in self.samples if sample.memory_mib is not None]
        if not used or self.before is None or self.before.memory_mib is None:
            return None
        return (max(used) - self.before.memory_mib) * 2**20

    def idle_share(self, begin: float, end: float) -> float | None:
        loads = [one.load for one in self.samples if begin <= one.time <= end and one.load is not None]
        return 1 - sum(loads) / len(loads) / 100 if loads else None
