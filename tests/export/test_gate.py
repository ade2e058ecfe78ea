from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fetaledge_export.gate import Limits, judge
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.scores.change import MeasureChange, PairedChange
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.ps_fh import PS_FH

NOTHING = MeasureChange(n=0, bias=None, abs_mean=None, p95=None, max=None)
HC = MeasureChange(n=10, bias=-0.2, abs_mean=0.5, p95=2.26, max=9.0)
AOP = MeasureChange(n=9, bias=-1.0, abs_mean=1.0, p95=3.0, max=9.0)
AT_THE_LIMITS = PairedChange(n=10, dice_drop=0.005, measures={"hc_mm": HC}, new_failures=())
AOP_AT_THE_LIMITS = PairedChange(n=10, dice_drop=0.005, measures={"aop_deg": AOP}, new_failures=())
NO_HC = "HC not judged: no frame has a spacing and a head in both masks"


def changed(change: PairedChange, **values: Any) -> PairedChange:
    """Other values of the change, or of its one measure."""
    ((key, measure),) = change.measures.items()
    own = {name: value for name, value in values.items() if hasattr(measure, name) and name != "n"}
    rest = {name: value for name, value in values.items() if name not in own}
    return replace(change, measures={key: replace(measure, **own)}, **rest)


def test_a_variant_at_every_limit_passes() -> None:
    for change, task in ((AT_THE_LIMITS, HEAD), (AOP_AT_THE_LIMITS, PS_FH)):
        given = judge(change, Limits(), task)
        assert (given.reasons, given.unmeasured, given.verdict) == ((), (), "passed")


def test_a_variant_that_got_better_passes() -> None:
    assert judge(replace(AT_THE_LIMITS, dice_drop=-0.1), Limits(), HEAD).verdict == "passed"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dice_drop": 0.0051}, "ΔDice 0.0051 is above 0.005"),
        ({"abs_mean": 0.51}, "mean |ΔHC| 0.510 mm is above 0.5 mm"),
        ({"bias": 0.21}, "bias of HC +0.210 mm is beyond ±0.2 mm"),
        ({"bias": -0.21}, "bias of HC -0.210 mm is beyond ±0.2 mm"),
        ({"p95": 2.27}, "95th percentile of |ΔHC| 2.270 mm is above 2.26 mm"),
        ({"new_failures": ("a", "b")}, "2 new failures, 0 allowed: a, b"),
        ({"dice_drop": float("nan")}, "ΔDice nan is above 0.005"),
        ({"abs_mean": float("nan")}, "mean |ΔHC| nan mm is above 0.5 mm"),
    ],
)
def test_each_limit_refuses_alone(change: dict[str, object], reason: str) -> None:
    given = judge(changed(AT_THE_LIMITS, **change), Limits(), HEAD)
    assert (given.reasons, given.unmeasured, given.verdict) == ((reason,), (), "failed")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dice_drop": 0.0051}, "ΔDice 0.0051 is above 0.005"),
        ({"abs_mean": 1.01}, "mean |ΔAoP| 1.010° is above 1°"),
        ({"p95": 3.2}, "95th percentile of |ΔAoP| 3.200° is above 3°"),
        ({"new_failures": ("a",)}, "1 new failures, 0 allowed: a"),
    ],
)
def test_each_limit_of_ps_fh_refuses_alone(change: dict[str, object], reason: str) -> None:
    bad = changed(AOP_AT_THE_LIMITS, **change)
    assert judge(bad, Limits(), PS_FH).reasons == (reason,)
    moved = Limits(dice_drop=2, measures={"aop_abs_mean_deg": 2, "aop_p95_deg": 4})
    assert judge(replace(bad, new_failures=()), moved, PS_FH).verdict == "passed"


def test_an_angle_in_no_mask_is_said() -> None:
    none = replace(AOP_AT_THE_LIMITS, measures={"aop_deg": NOTHING})
    given = judge(none, Limits(), PS_FH)
    assert (given.reasons, given.verdict) == ((), "unmeasured")
    assert given.unmeasured == ("AoP not judged: no frame has an angle in both masks",)


def test_the_limits_of_a_task() -> None:
    assert Limits().document(HEAD) == {
        "hc_abs_mean_mm": 0.5, "hc_bias_mm": 0.2, "hc_p95_mm": 2.26, "dice_drop": 0.005, "new_failures": 0,
        "min_cases": 5,
    }  # fmt: skip
    assert Limits().document(PS_FH) == {
        "dice_drop": 0.005, "new_failures": 0, "min_cases": 5, "aop_abs_mean_deg": 1, "aop_p95_deg": 3
    }  # fmt: skip


def test_a_limit_of_another_task_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the task ps-fh has no limit hc_p95_mm; it has aop_abs_mean_deg, aop_p95"):
        judge(AOP_AT_THE_LIMITS, Limits(measures={"hc_p95_mm": 1}), PS_FH)


def test_limits_there_and_back() -> None:
    limits = Limits(dice_drop=0.01, new_failures=1, min_cases=7, measures={"hc_p95_mm": 3})
    assert Limits.of_document(limits.document(HEAD), HEAD).document(HEAD) == limits.document(HEAD)


def test_limits_of_before_there_was_a_number_of_cases() -> None:
    old = {"hc_abs_mean_mm": 0.5, "hc_bias_mm": 0.2, "hc_p95_mm": 2.26, "dice_drop": 0.005, "new_failures": 0}
    assert Limits.of_document(old, HEAD).document(HEAD) == {**old, "min_cases": 1}
    with pytest.raises(InputError, match="the gate's record: the task ps-fh has no limit hc_abs_mean_mm"):
        Limits.of_document(old, PS_FH)


def test_each_limit_can_be_moved() -> None:
    hc = MeasureChange(n=10, bias=1.0, abs_mean=1.0, p95=3.0, max=9.0)
    bad = PairedChange(n=10, dice_drop=0.02, measures={"hc_mm": hc}, new_failures=("a",))
    assert len(judge(bad, Limits(), HEAD).reasons) == 5
    measures = {"hc_abs_mean_mm": 1, "hc_bias_mm": 1, "hc_p95_mm": 3}
    assert judge(bad, Limits(dice_drop=0.02, new_failures=1, measures=measures), HEAD).reasons == ()


def test_without_spacing_dice_and_failures_are_judged_alone() -> None:
    blind = replace(AT_THE_LIMITS, measures={"hc_mm": NOTHING})
    given = judge(blind, Limits(), HEAD)
    assert (given.reasons, given.unmeasured, given.verdict) == ((), (NO_HC,), "unmeasured")
    worse = judge(replace(blind, dice_drop=0.1, new_failures=("a",)), Limits(), HEAD)
    assert len(worse.reasons) == 2 and worse.verdict == "failed" and worse.unmeasured == (NO_HC,)


def test_too_few_cases_are_no_judgement() -> None:
    """One frame used to count as judged."""
    bad = MeasureChange(n=4, bias=0.0, abs_mean=9.0, p95=9.0, max=9.0)
    change = replace(AT_THE_LIMITS, measures={"hc_mm": bad})
    given = judge(change, Limits(), HEAD)
    assert given.unmeasured == ("HC not judged: 4 frames have it, and 5 are needed",)
    assert (given.reasons, given.verdict) == ((), "unmeasured")
    assert len(judge(change, Limits(min_cases=4), HEAD).reasons) == 2
