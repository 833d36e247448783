"""The device against the CPU in torch's own operations: each kernel, the statistics, each family, each method."""

import math
from collections.abc import Iterator
from dataclasses import replace

import small_models
from bench import Bench, Edit, by_reference
from checks import Check, Outcome

KERNELS = ("block", "norm", "gate", "rotation", "attention", "loss")

# fp32, relative to the norm of the change. f32 rounds at 6e-8; sums, eight steps and two solves make 1e-6 to 5e-6 of
# that between two ways in which the CPU computes the same.
FP32 = 1e-4
SCORES_FP32 = 1e-4  # nats
# bf16 rounds at 2^-8, and where is for each implementation to choose: what may be asked is that it lies no farther from
# fp32 than the reference's own bf16 does. Twice that, for it is one draw of a few.
BF16 = 2.0
# Rounding at 2^-8 makes EAC and B-EAC select other anchors, whose weights lie far apart. What they do for the targets
# does not: between two ways of the CPU it differs by up to 0.06 of itself.
GAIN = 0.2

WHY_FP32 = "fp32: rounding of f32, magnified by steps and solves; relative to the norm of the change W - W0"
WHY_BF16 = "bf16: no farther from the CPU's fp32 than twice as far as the CPU's own bf16 in torch's operations"
WHY_GAIN = "bf16: as much more probable targets as by the CPU's fp32; its rounding selects other anchors"


def _halved(edit: Edit) -> Edit:
    """In bf16, on the bare prompt alone: what a model generates before it in bf16 is another text."""
    return replace(edit, dtype="bf16", contexts=1)


def _weights(bench: Bench, edit: Edit) -> Outcome:
    """Of one kind of run, in fp32 and bf16."""
    half = _halved(edit)
    target = replace(by_reference(half), dtype="fp32")
    bench.edit_all([edit, half, by_reference(edit), by_reference(half), target])
    exact = bench.distance(edit, by_reference(edit))
    own, rough = bench.distance(by_reference(half), target), bench.distance(half, target)
    share = rough / own if own > 0 else math.inf
    return Outcome(
        passed=exact <= FP32 and share <= BF16,
        found=f"fp32 {exact:.1e}, bf16 {share:.2f} of {own:.1e}",
        figures={"fp32": exact, "bf16": rough, "bf16_of_reference": own},
    )


def _weights_and_gain(bench: Bench, edit: Edit) -> Outcome:
    """Of a method that selects anchors by rank."""
    half = _halved(edit)
    target = replace(by_reference(half), dtype="fp32")
    bench.edit_all([edit, by_reference(edit), half, target])
    exact = bench.distance(edit, by_reference(edit))
    expected, gain = bench.gain(target), bench.gain(half)
    apart = abs(gain / expected - 1) if expected > 0 else math.inf
    return Outcome(
        passed=exact <= FP32 and apart <= GAIN,
        found=f"fp32 {exact:.1e}, bf16 gain {gain:.2f} of {expected:.2f} nats",
        figures={"fp32": exact, "gain": gain, "gain_of_reference": expected},
    )


def _kernel(name: str) -> Check:
    # The node of autograd comes first: without it no other kernel is fused.
    references = tuple(kernel for kernel in KERNELS if kernel not in ("block", name))

    def do(bench: Bench) -> Outcome:
        return _weights(bench, Edit(bench.device, references=references))

    return Check(
        name=f"kernels.{name}",
        compares="weights after two batches (MEMIT), this kernel on the device against torch's operations on the CPU",
        expected=f"fp32 {FP32:.0e}, bf16 {BF16:g}",
        reason=f"{WHY_FP32}; {WHY_BF16}",
        runs=6,
        do=do,
    )


def _statistics(bench: Bench) -> Outcome:
    own = Edit(bench.device, statistics="device")
    reference = Edit(bench.device)
    bench.edit_all([own, reference])
    found = bench.distance(own, reference)
    return Outcome(found <= FP32, f"fp32 {found:.1e}", {"fp32": found})


def _differences(one: list[float], other: list[float]) -> list[float]:
    """Infinite where either is not finite."""
    found = [a - b for a, b in zip(one, other, strict=True)]
    return [number if math.isfinite(number) else math.inf for number in found] or [math.inf]


def _root_mean_square(numbers: list[float]) -> float:
    return math.sqrt(sum(number * number for number in numbers) / len(numbers))


def _family(name: str) -> Check:
    def do(bench: Bench) -> Outcome:
        exact, half = Edit(bench.device, name), Edit(bench.device, name, dtype="bf16")
        scored = bench.score_all([exact, half, by_reference(exact), by_reference(half)])

        nats = max(abs(number) for number in _differences(scored[0], scored[2]))
        rough, own = (_root_mean_square(_differences(scored[which], scored[2])) for which in (1, 3))
        edited = _weights(bench, exact)
        share = rough / own if own > 0 else math.inf
        return Outcome(
            passed=nats <= SCORES_FP32 and share <= BF16 and edited.passed,
            found=f"log-probabilities fp32 {nats:.1e}, bf16 {share:.2f} of {own:.1e}; weights {edited.found}",
            figures={"scores": {"fp32": nats, "bf16": rough, "bf16_of_reference": own}, "weights": edited.figures},
        )

    return Check(
        name=f"families.{name}",
        compares="a small model's log-probabilities, and its weights after two batches (MEMIT), device against CPU",
        expected=f"log-probabilities fp32 {SCORES_FP32:.0e}, bf16 {BF16:g}; weights fp32 {FP32:.0e}, bf16 {BF16:g}",
        reason=f"log-probabilities: fp32 the largest difference, bf16 the root mean square; {WHY_FP32}; {WHY_BF16}",
        runs=15,
        do=do,
    )


def _method(name: str) -> Check:
    selects = name in ("eac", "b-eac")

    def do(bench: Bench) -> Outcome:
        return (_weights_and_gain if selects else _weights)(bench, Edit(bench.device, method=name))

    return Check(
        name=f"methods.{name}",
        compares="weights after two batches by this method, device against CPU",
        expected=f"fp32 {FP32:.0e}, bf16 within {GAIN:g}" if selects else f"fp32 {FP32:.0e}, bf16 {BF16:g}",
        reason=f"{WHY_FP32}; {WHY_GAIN if selects else WHY_BF16}",
        runs=10,
        do=do,
    )


def checks(is_small: bool) -> Iterator[Check]:
    for kernel in KERNELS[:2] if is_small else KERNELS:
        yield _kernel(kernel)
    yield Check(
        name="statistics",
        compares="weights after two batches with statistics collected on the device, against those with the CPU's",
        expected=f"fp32 {FP32:.0e}",
        reason=WHY_FP32,
        runs=5,
        do=_statistics,
    )
    for family in ("gpt2",) if is_small else small_models.FAMILIES:
        yield _family(family)
    for method in ("b-eac",) if is_small else small_models.METHODS:
        yield _method(method)
