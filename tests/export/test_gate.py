from __future__ import annotations

from dataclasses import replace

import pytest

from fetaledge_export.gate import Limits, judge, judged_hc
from fetaledge_runtimes.evaluation import PairedChange

AT_THE_LIMITS = PairedChange(
    n=10, dice_drop=0.005, hc_n=10, hc_bias_mm=-0.2, hc_abs_mean_mm=0.5, hc_p95_mm=2.26, hc_max_mm=9.0, new_failures=()
)


def test_a_variant_at_every_limit_passes() -> None:
    assert judge(AT_THE_LIMITS, Limits()) == ()


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
    assert judge(blind, Limits()) == () and not judged_hc(blind)
    assert len(judge(replace(blind, dice_drop=0.1, new_failures=("a",)), Limits())) == 2
