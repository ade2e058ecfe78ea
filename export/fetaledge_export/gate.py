"""The gate: what a variant may change against the fp32 PyTorch model, case by case, before it is let into a bundle."""

from __future__ import annotations

from dataclasses import dataclass

from fetaledge_runtimes.evaluation import PairedChange

NO_HC = "HC not judged: no frame has a spacing and a head in both masks"


@dataclass(frozen=True)
class Limits:
    """The most that a variant may change, on the same frames.

    The defaults are the project's: head circumference repeats within and between observers to about 2.26 mm on average
    (INTERGROWTH-21st), and Dice alone is no gate: a border that is one pixel off all round costs 0.005 Dice, but 1 mm.

    Attributes:
        hc_abs_mean_mm: mean of the absolute HC differences.
        hc_bias_mm: absolute value of the mean HC difference.
        hc_p95_mm: 95th percentile of the absolute HC differences.
        dice_drop: mean Dice of the reference minus that of the variant.
        new_failures: frames that the variant misses in total and the reference does not.
    """

    hc_abs_mean_mm: float = 0.5
    hc_bias_mm: float = 0.2
    hc_p95_mm: float = 2.26
    dice_drop: float = 0.005
    new_failures: int = 0


def judge(change: PairedChange, limits: Limits) -> tuple[str, ...]:
    """The reasons why a variant may not pass, one sentence each; empty where it passes.

    Without a frame that has a spacing and a head in both masks the HC limits cannot be judged; Dice and failures are.
    :func:`judged_hc` says which it was.
    """
    reasons = []
    if judged_hc(change):
        assert change.hc_abs_mean_mm is not None and change.hc_bias_mm is not None and change.hc_p95_mm is not None
        if not change.hc_abs_mean_mm <= limits.hc_abs_mean_mm:
            reasons.append(f"mean |ΔHC| {change.hc_abs_mean_mm:.3f} mm is above {limits.hc_abs_mean_mm:g} mm")
        if not abs(change.hc_bias_mm) <= limits.hc_bias_mm:
            reasons.append(f"bias of HC {change.hc_bias_mm:+.3f} mm is beyond ±{limits.hc_bias_mm:g} mm")
        if not change.hc_p95_mm <= limits.hc_p95_mm:
            reasons.append(f"95th percentile of |ΔHC| {change.hc_p95_mm:.3f} mm is above {limits.hc_p95_mm:g} mm")
    if not change.dice_drop <= limits.dice_drop:
        reasons.append(f"ΔDice {change.dice_drop:.4f} is above {limits.dice_drop:g}")
    if len(change.new_failures) > limits.new_failures:
        names = ", ".join(change.new_failures[:5]) + (", …" if len(change.new_failures) > 5 else "")
        reasons.append(f"{len(change.new_failures)} new failures, {limits.new_failures} allowed: {names}")
    return tuple(reasons)


def judged_hc(change: PairedChange) -> bool:
    """Whether the HC limits could be judged: some frame has a spacing and a head in both masks."""
    return change.hc_n > 0
