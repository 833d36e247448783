"""What a check is, and the list of them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bench import Bench

OK, FAILED, NOT_RUN = "ok", "failed", "not run"


@dataclass(frozen=True)
class Outcome:
    passed: bool
    found: str
    figures: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    name: str  # parts with dots between: a leading part names all checks that begin with it
    compares: str
    expected: str  # in the table
    reason: str  # of the tolerance
    runs: int  # about how often it starts the program
    do: Callable[[Bench], Outcome]
    seconds: Callable[[Bench], float] = lambda bench: 0.0  # expected beside these starts

    def estimate(self, bench: Bench) -> float:
        starts = self.runs * bench.program.typical_seconds() / max(1, min(bench.jobs, self.runs) * 0.7)
        return starts + self.seconds(bench)

    def is_named_by(self, names: list[str]) -> bool:
        return any(self.name == name or self.name.startswith(name + ".") for name in names)
