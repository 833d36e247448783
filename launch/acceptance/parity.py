"""The device against the CPU in torch's own operations: each kernel, the statistics, each family, each method."""

from collections.abc import Iterator
from dataclasses import replace

import small_models
from bench import Bench, Edit, by_reference
from checks import Check, Outcome

KERNELS = ("block", "norm", "gate", "rotation", "attention", "loss")

# fp32, relative to the norm of the change. Eight steps and two solves magnify an f32 rounding of 6e-8, summed over the
# widths of a small model, some hundred times.
FP32 = 1e-3
# The anchors of EAC and B-EAC are the entries of highest saliency: of two that are equal but for rounding either may be
# taken, and each carries a share of an edit.
FP32_SELECTING = 3e-2
SCORES_FP32 = 1e-3  # nats
# bf16 rounds at 2^-8, and where is for each implementation to choose: what may be asked is that it lies no farther from
# fp32 than the reference's own bf16 does. Twice that, for it is one draw of a few.
BF16 = 2.0
WHY_BF16 = "bf16: no farther from the CPU's fp32 than twice as far as the CPU's own bf16 in torch's operations"
WHY_FP32 = "fp32: rounding of f32, magnified by steps and solves; relative to the norm of the change W - W0"


def _outcome(bench: Bench, edit: Edit, fp32_limit: float) -> Outcome:
    """Of one kind of run in fp32 and bf16."""
    half = replace(edit, dtype="bf16")
    bench.edit_all([edit, half, by_reference(edit), by_reference(half)])
    exact = bench.distance(edit, by_reference(edit))
    own = bench.distance(by_reference(half), by_reference(edit))
    rough = bench.distance(half, by_reference(edit))
    share = rough / own if own > 0 else float("inf")
    return Outcome(
        passed=exact <= fp32_limit and share <= BF16,
        found=f"fp32 {exact:.1e}, bf16 {share:.2f} of {own:.1e}",
        figures={"fp32": exact, "bf16": rough, "bf16_of_reference": own},
    )


def _kernel(name: str) -> Check:
    # The node of autograd comes first: without it no other kernel is fused.
    references = tuple(kernel for kernel in KERNELS if kernel not in ("block", name))

    def do(bench: Bench) -> Outcome:
        return _outcome(bench, Edit(bench.device, references=references), FP32)

    return Check(
        name=f"kernels.{name}",
        compares="weights after two batches (MEMIT), this kernel on the device against torch's operations on the CPU",
        expected=f"fp32 {FP32:.0e}, bf16 {BF16:g}",
        reason=f"{WHY_FP32}; {WHY_BF16}",
        runs=4,
        do=do,
    )


def _statistics(bench: Bench) -> Outcome:
    own = Edit(bench.device, statistics="device")
    reference = Edit(bench.device)
    bench.edit_all([own, reference])
    found = bench.distance(own, reference)
    return Outcome(found <= FP32, f"fp32 {found:.1e}", {"fp32": found})


def _family(name: str) -> Check:
    def do(bench: Bench) -> Outcome:
        exact, half = Edit(bench.device, name), Edit(bench.device, name, dtype="bf16")
        scored = bench.score_all([exact, half, by_reference(exact), by_reference(half)])

        def apart(one: int, other: int) -> float:
            pairs = list(zip(scored[one], scored[other], strict=True))
            worst = max((abs(a - b) for a, b in pairs), default=float("inf"))
            return worst if all(a == a and b == b for a, b in pairs) else float("inf")

        nats, rough, own = apart(0, 2), apart(1, 2), apart(3, 2)
        edited = _outcome(bench, exact, FP32)
        share = rough / own if own > 0 else float("inf")
        return Outcome(
            passed=nats <= SCORES_FP32 and share <= BF16 and edited.passed,
            found=f"log-probabilities fp32 {nats:.1e}, bf16 {share:.2f} of {own:.1e}; weights {edited.found}",
            figures={"scores": {"fp32": nats, "bf16": rough, "bf16_of_reference": own}, "weights": edited.figures},
        )

    return Check(
        name=f"families.{name}",
        compares="a small model's log-probabilities, and its weights after two batches (MEMIT), device against CPU",
        expected=f"log-probabilities fp32 {SCORES_FP32:.0e}, bf16 {BF16:g}; weights fp32 {FP32:.0e}, bf16 {BF16:g}",
        reason=f"log-probabilities in nats; {WHY_FP32}; {WHY_BF16}",
        runs=9,
        do=do,
    )


def _method(name: str) -> Check:
    selects = name in ("eac", "b-eac")
    limit = FP32_SELECTING if selects else FP32
    why = "; selection by rank: of two entries equal but for rounding either may be an anchor" if selects else ""

    def do(bench: Bench) -> Outcome:
        return _outcome(bench, Edit(bench.device, method=name), limit)

    return Check(
        name=f"methods.{name}",
        compares="weights after two batches by this method, device against CPU",
        expected=f"fp32 {limit:.0e}, bf16 {BF16:g}",
        reason=f"{WHY_FP32}; {WHY_BF16}{why}",
        runs=6,
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
    for family in ("gpt2", "llama") if is_small else small_models.FAMILIES:
        yield _family(family)
    for method in ("memit", "b-eac") if is_small else small_models.METHODS:
        yield _method(method)
