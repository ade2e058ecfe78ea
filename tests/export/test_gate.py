from __future__ import annotations

from dataclasses import replace

import pytest

from fetaledge_export.gate import UNJUDGED, Limits, judge, unjudged
from fetaledge_runtimes.scores.record import PairedChange

AT_THE_LIMITS = PairedChange(
    n=10, dice_drop=0.005, hc_n=10, hc_bias_mm=-0.2, hc_abs_mean_mm=0.5, hc_p95_mm=2.26, hc_max_mm=9.0, new_failures=()
)
AOP_AT_THE_LIMITS = PairedChange(
    n=10,
    dice_drop=0.005,
    hc_n=0,
    hc_bias_mm=None,
    hc_abs_mean_mm=None,
    hc_p95_mm=None,
    hc_max_mm=None,
    new_failures=(),
    aop_n=9,
    aop_bias_deg=-1.0,
    aop_abs_mean_deg=1.0,
    aop_p95_deg=3.0,
    aop_max_deg=9.0,
)


def test_a_variant_at_every_limit_passes() -> None:
    assert judge(AT_THE_LIMITS, Limits()) == ()
    assert judge(AOP_AT_THE_LIMITS, Limits(), "ps-fh") == () == unjudged(AOP_AT_THE_LIMITS, "ps-fh")


def test_a_variant_that_got_better_passes() -> None:
    assert judge(replace(AT_THE_LIMITS, dice_drop=-0.1), Limits()) == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dice_drop": 0.0051}, "ΔDice 0.0051 is above 0.005"),
        ({"hc_abs_mean_mm": 0.51}, "mean |ΔHC| 0.510 mm is above 0.5 mm"),
        ({"hc_bias_mm": 0.21}, "bias of HC +0.210 mm is beyond ±0.2 mm"),
        ({"hc_bias_mm": -0.21}, "bias of HC -0.210 mm is beyond ±0.2 mm"),
        ({"hc_p95_mm": 2.27}, "95th percentile of |ΔHC| 2.270 mm is above 2.26 mm"),
        ({"new_failures": ("a", "b")}, "2 new failures, 0 allowed: a, b"),
        ({"dice_drop": float("nan")}, "ΔDice nan is above 0.005"),
    ],
)
def test_each_limit_refuses_alone(change: dict[str, object], reason: str) -> None:
    assert judge(replace(AT_THE_LIMITS, **change), Limits()) == (reason,)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dice_drop": 0.0051}, "ΔDice 0.0051 is above 0.005"),
        ({"aop_abs_mean_deg": 1.01}, "mean |ΔAoP| 1.010° is above 1°"),
        ({"aop_p95_deg": 3.2}, "95th percentile of |ΔAoP| 3.200° is above 3°"),
        ({"new_failures": ("a",)}, "1 new failures, 0 allowed: a"),
    ],
)
def test_each_limit_of_ps_fh_refuses_alone(change: dict[str, object], reason: str) -> None:
    bad = replace(AOP_AT_THE_LIMITS, **change)  # type: ignore[arg-type]
    assert judge(bad, Limits(), "ps-fh") == (reason,)
    assert judge(replace(bad, new_failures=()), Limits(2, 2, 2, 1, 0, 2, 4), "ps-fh") == ()


def test_an_angle_in_no_mask_is_said() -> None:
    none = replace(AOP_AT_THE_LIMITS, aop_n=0, aop_bias_deg=None, aop_abs_mean_deg=None, aop_p95_deg=None)
    assert judge(none, Limits(), "ps-fh") == ()
    assert unjudged(none, "ps-fh") == ("AoP not judged: no frame has an angle in both masks",)


def test_the_limits_of_a_task() -> None:
    assert set(Limits().of("head")) == {"hc_abs_mean_mm", "hc_bias_mm", "hc_p95_mm", "dice_drop", "new_failures"}
    assert Limits().of("ps-fh") == {"dice_drop": 0.005, "new_failures": 0, "aop_abs_mean_deg": 1, "aop_p95_deg": 3}


def test_each_limit_can_be_moved() -> None:
    bad = PairedChange(
        n=10,
        dice_drop=0.02,
        hc_n=10,
        hc_bias_mm=1.0,
        hc_abs_mean_mm=1.0,
        hc_p95_mm=3.0,
        hc_max_mm=9.0,
        new_failures=("a",),
    )
    assert len(judge(bad, Limits())) == 5
    assert judge(bad, Limits(hc_abs_mean_mm=1, hc_bias_mm=1, hc_p95_mm=3, dice_drop=0.02, new_failures=1)) == ()


def test_without_spacing_dice_and_failures_are_judged_alone() -> None:
    blind = replace(AT_THE_LIMITS, hc_n=0, hc_bias_mm=None, hc_abs_mean_mm=None, hc_p95_mm=None, hc_max_mm=None)
    assert judge(blind, Limits()) == ()
    assert unjudged(blind, "head") == (UNJUDGED["head"],) and unjudged(AT_THE_LIMITS, "head") == ()
    assert len(judge(replace(blind, dice_drop=0.1, new_failures=("a",)), Limits())) == 2
