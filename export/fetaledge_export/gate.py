"""The gate: what a variant may change against the fp32 PyTorch model, case by case, before it is let into a bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from fetaledge_runtimes.scores.record import PairedChange
from fetaledge_runtimes.tasks.task import MEASURES

UNJUDGED = {
    "head": "HC not judged: no frame has a spacing and a head in both masks",
    "ps-fh": "AoP not judged: no frame has an angle in both masks",
}


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
        new_failures: frames that the variant misses and the reference does not.
        aop_abs_mean_deg: mean of the absolute differences of the angle of progression.
        aop_p95_deg: their 95th percentile.
    """

    hc_abs_mean_mm: float = 0.5
    hc_bias_mm: float = 0.2
    hc_p95_mm: float = 2.26
    dice_drop: float = 0.005
    new_failures: int = 0
    aop_abs_mean_deg: float = 1.0
    aop_p95_deg: float = 3.0

    def of(self, task: str) -> dict[str, float]:
        """Those that matter to a task, by name."""
        others = tuple(f"{measure.key}_" for name, measure in MEASURES.items() if name != task)
        return {name: value for name, value in asdict(self).items() if not name.startswith(others)}


def judge(change: PairedChange, limits: Limits, task: str = "head") -> tuple[str, ...]:
    """The reasons why a variant may not pass, one sentence each; empty where it passes.

    Where no case has the task's measure in both masks its limits cannot be judged; Dice and failures are.
    :func:`unjudged` says which it was.
    """
    reasons = []
    key, unit, name, sign = MEASURES[task]
    if not unjudged(change, task):
        for what, text, allowed in (
            ("abs_mean", f"mean |Δ{name}| {{:.3f}}", "above {:g}"),
            ("bias", f"bias of {name} {{:+.3f}}", "beyond ±{:g}"),
            ("p95", f"95th percentile of |Δ{name}| {{:.3f}}", "above {:g}"),
        ):
            value, limit = (getattr(of, f"{key}_{what}_{unit}", None) for of in (change, limits))
            if value is not None and limit is not None and not abs(value) <= limit:
                reasons.append(f"{text.format(value)}{sign} is {allowed.format(limit)}{sign}")
    if not change.dice_drop <= limits.dice_drop:
        reasons.append(f"ΔDice {change.dice_drop:.4f} is above {limits.dice_drop:g}")
    if len(change.new_failures) > limits.new_failures:
        names = ", ".join(change.new_failures[:5]) + (", …" if len(change.new_failures) > 5 else "")
        reasons.append(f"{len(change.new_failures)} new failures, {limits.new_failures} allowed: {names}")
    return tuple(reasons)


def unjudged(change: PairedChange, task: str) -> tuple[str, ...]:
    """What the gate could not judge, one sentence each."""
    return () if getattr(change, f"{MEASURES[task].key}_n") else (UNJUDGED[task],)
