"""The gate: what a variant may change against the fp32 PyTorch model, case by case, before it is let into a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.scores.change import MeasureChange, PairedChange
from fetaledge_runtimes.tasks.task import Measure, Task

PASSED, FAILED, UNMEASURED = "passed", "failed", "unmeasured"
WORDS = {
    "abs_mean": ("mean |Δ{name}| {value:.3f}", "above {limit:g}"),
    "bias": ("bias of {name} {value:+.3f}", "beyond ±{limit:g}"),
    "p95": ("95th percentile of |Δ{name}| {value:.3f}", "above {limit:g}"),
}
"""How a broken limit is said, by statistic."""


@dataclass(frozen=True)
class Limits:
    """The most that a variant may change, on the same frames.

    Dice alone is no gate: a border that is one pixel off all round costs 0.005 Dice, but 1 mm.

    Attributes:
        dice_drop: mean Dice of the reference minus that of the variant.
        new_failures: frames that the variant misses and the reference does not.
        min_cases: how many frames must have a value in both masks before a measure counts as judged.
        measures: limits of measures by their name in documents (``hc_abs_mean_mm``), in place of the task's own.
    """

    dice_drop: float = 0.005
    new_failures: int = 0
    min_cases: int = 5
    measures: Mapping[str, float] = field(default_factory=dict)

    def document(self, task: Task) -> dict[str, float]:
        """Every limit of a task by its name.

        Raises:
            UsageError: a limit was given that no measure of the task has.
        """
        known = {m.named(statistic): value for m in task.measures for statistic, value in m.limits.items()}
        unknown = sorted(set(self.measures) - set(known))
        if unknown:
            raise UsageError(f"the task {task.name} has no limit {unknown[0]}", f"it has {', '.join(known)}")
        own = {"dice_drop": self.dice_drop, "new_failures": self.new_failures, "min_cases": self.min_cases}
        return {**known, **self.measures, **own}

    @classmethod
    def of_document(cls, document: Mapping[str, float], task: Task) -> Limits:
        """The limits that :meth:`document` wrote, today or before ``min_cases`` was a limit (then 1).

        Raises:
            InputError: one is not of this task.
        """
        given = dict(document)
        drop, failures = given.pop("dice_drop"), int(given.pop("new_failures"))
        limits = cls(drop, failures, int(given.pop("min_cases", 1)), given)
        try:
            limits.document(task)
        except UsageError as error:
            raise InputError(f"the gate's record: {error.message}", "export the bundle again") from None
        return limits


@dataclass(frozen=True)
class Judgement:
    """What the gate says of a variant.

    Attributes:
        reasons: why it fails, one sentence each; empty where no limit is broken.
        unmeasured: what could not be judged, one sentence each.
    """

    reasons: tuple[str, ...]
    unmeasured: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """``failed`` where a limit is broken, ``unmeasured`` where a measure could not be judged, else ``passed``."""
        return FAILED if self.reasons else UNMEASURED if self.unmeasured else PASSED


def judge(change: PairedChange, limits: Limits, task: Task) -> Judgement:
    """Hold a variant's change against the limits.

    A measure with a value in fewer than ``min_cases`` frames is not judged; Dice and failures always are.
    """
    document = limits.document(task)
    reasons: list[str] = []
    unmeasured = unmeasured_limits(change, limits, task)
    for measure in task.measures:
        found = change.measures[measure.key]
        if found.n >= limits.min_cases:
            reasons += _broken(measure, found, document)
    if not change.dice_drop <= limits.dice_drop:
        reasons.append(f"ΔDice {change.dice_drop:.4f} is above {limits.dice_drop:g}")
    if len(change.new_failures) > limits.new_failures:
        names = ", ".join(change.new_failures[:5]) + (", …" if len(change.new_failures) > 5 else "")
        reasons.append(f"{len(change.new_failures)} new failures, {limits.new_failures} allowed: {names}")
    return Judgement(tuple(reasons), unmeasured)


def unmeasured_limits(change: PairedChange, limits: Limits, task: Task) -> tuple[str, ...]:
    """One sentence for each measure with too few values to be judged."""
    sentences = []
    for measure in task.measures:
        count = change.measures[measure.key].n
        if count == 0:
            sentences.append(f"{measure.name} not judged: {measure.unmeasured}")
        elif count < limits.min_cases:
            sentences.append(f"{measure.name} not judged: {count} frames have it, and {limits.min_cases} are needed")
    return tuple(sentences)


def _broken(measure: Measure, found: MeasureChange, limits: Mapping[str, float]) -> list[str]:
    reasons = []
    for statistic in measure.limits:
        value, limit = found.statistic(statistic), limits[measure.named(statistic)]
        if value is not None and not abs(value) <= limit:
            text, allowed = WORDS[statistic]
            said = text.format(name=measure.name, value=value)
            reasons.append(f"{said}{measure.sign} is {allowed.format(limit=limit)}{measure.sign}")
    return reasons
