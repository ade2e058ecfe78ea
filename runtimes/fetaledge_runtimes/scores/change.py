"""One model's scores against another's on the same cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fetaledge_runtimes.scores.case import CaseScore
from fetaledge_runtimes.scores.summaries import error_summary
from fetaledge_runtimes.tasks.task import Task

STATISTICS = ("bias", "abs_mean", "p95", "max")


@dataclass(frozen=True)
class MeasureChange:
    """What a variant changed of one measure, in its own unit.

    Attributes:
        n: cases where both have a value; the others are over these, None where there is none.
        bias: mean of variant minus reference.
        abs_mean, p95, max: of the absolute differences.
    """

    n: int
    bias: float | None
    abs_mean: float | None
    p95: float | None
    max: float | None

    def statistic(self, name: str) -> float | None:
        """One of :data:`STATISTICS` by its name. Raises KeyError for another."""
        return {"bias": self.bias, "abs_mean": self.abs_mean, "p95": self.p95, "max": self.max}[name]


@dataclass(frozen=True)
class PairedChange:
    """What a variant changed against the reference on the same cases.

    Attributes:
        n: cases.
        dice_drop: mean Dice of the reference minus that of the variant.
        measures: the task's measures, by key.
        new_failures: names of cases that the variant alone misses totally, or of which it alone gives no value.
    """

    n: int
    dice_drop: float
    measures: Mapping[str, MeasureChange]
    new_failures: tuple[str, ...]

    def document(self, task: Task) -> dict[str, Any]:
        """As it stands in records: ``hc_n``, ``hc_bias_mm``, ``hc_abs_mean_mm``, … beside the rest."""
        named: dict[str, Any] = {}
        for measure in task.measures:
            change = self.measures[measure.key]
            named[measure.named("n")] = change.n
            named |= {measure.named(name): change.statistic(name) for name in STATISTICS}
        return {"n": self.n, "dice_drop": self.dice_drop, **named, "new_failures": list(self.new_failures)}


def paired_change(reference: Sequence[CaseScore], variant: Sequence[CaseScore]) -> PairedChange:
    """Compare two models' scores of the same cases, paired by name; the order may differ.

    Raises:
        ValueError: the names differ, repeat, or there are none.
    """
    before = {s.name: s for s in reference}
    after = {s.name: s for s in variant}
    if not before or before.keys() != after.keys() or len(before) != len(reference) or len(after) != len(variant):
        raise ValueError("the two models were not scored on the same cases")
    pairs = [(before[name], after[name]) for name in before]
    return PairedChange(
        n=len(pairs),
        dice_drop=float(np.mean([r.dice - v.dice for r, v in pairs])),
        measures={
            key: _change([(r.measures[key].value, v.measures[key].value) for r, v in pairs])
            for key in reference[0].measures
        },
        new_failures=tuple(v.name for r, v in pairs if (v.failed and not r.failed) or _lost(r, v)),
    )


def _lost(reference: CaseScore, variant: CaseScore) -> bool:
    """Whether the variant gives no value of a measure that the reference gives."""
    return any(variant.measures[key].value is None and m.value is not None for key, m in reference.measures.items())


def _change(pairs: Sequence[tuple[float | None, float | None]]) -> MeasureChange:
    found = error_summary([("", after - before) for before, after in pairs if before is not None and after is not None])
    return MeasureChange(found["n"], found["bias"], found["mae"], found["p95"], found["max"])
