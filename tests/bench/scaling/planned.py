"""What `anchorage plan` says of the same runs."""

from dataclasses import dataclass

from measured import Case, World, said_by

WITHOUT_LIMIT = 1_000_000  # GB: `edit` plans ranks on CPUs without one


@dataclass(frozen=True)
class Plan:
    seconds: float  # of all batches
    busy_seconds: list[float]  # by rank, of all batches
    memory: list[int]  # by rank, bytes in the fullest moment
    parts: list[dict[str, int]]  # by rank, bytes by kind
    inverse_seconds: float  # before the first batch

    def on_cores(self, cores: float) -> float:
        """Seconds at least where the ranks share so many cores, each of which does a rank's work."""
        return max(self.seconds, sum(self.busy_seconds) / cores)


def without_checkpoints(of: dict[str, int]) -> int:
    """What a rank holds of a plan's bytes by kind, in the fullest moment of a run that writes none."""
    always = of["weights"] + of["masters"] + of["least_squares"] + of["runtime"]
    return always + max(of["starting"], of["subjects"] + max(of["activations"] + of["caches"], of["batch"]))


def document(case: Case, world: World, dtype: str, *speed: object) -> dict:
    command = [case.program, "plan", case.model, *case.options(dtype), "--cpu", "--memory", WITHOUT_LIMIT]
    return said_by([*command, "--ranks", world.ranks, "--stages", world.stages, *speed])


def plan(case: Case, world: World, dtype: str, flops: float) -> Plan:
    said = document(case, world, dtype, "--tflops", flops / 1e12)
    batches = case.edits // case.batch
    parts = [rank["bytes"] for rank in said["ranks"]]
    seconds = batches * said["seconds_per_batch"]["total"]
    return Plan(
        seconds=seconds,
        busy_seconds=[seconds * rank["busy"] for rank in said["ranks"]],
        memory=[of["total"] if case.checkpoint_every > 0 else without_checkpoints(of) for of in parts],
        parts=parts,
        inverse_seconds=said["inverse_seconds"],
    )


def measured_flops(case: Case, dtype: str) -> float:
    """The speed that `plan --measure` finds: operations per second of one rank."""
    return document(case, World(1, 1), dtype, "--measure")["flops"]


def flops_of_run(case: Case, dtype: str, seconds: float) -> float | None:
    """The speed with which the plan of one rank takes `seconds`; nothing where no speed does."""

    def at(flops: float) -> float:
        return plan(case, World(1, 1), dtype, flops).seconds

    # What a plan takes is a constant and a part that is inverse to the speed.
    base = 1e10
    inverse = 2 * (at(base) - at(2 * base))
    constant = at(base) - inverse
    return base * inverse / (seconds - constant) if seconds > constant else None
