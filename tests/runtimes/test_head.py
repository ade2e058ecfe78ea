"""Biometry against published vectors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fetaledge_runtimes.ellipse import Ellipse, from_mask
from fetaledge_runtimes.tasks.head import (
    ga_weeks_hadlock,
    ga_weeks_intergrowth,
    hc_centile,
    hc_for_age,
    head_status,
    measure_ellipse,
    measure_head,
)

SHAPE = (400, 600)
HEAD = Ellipse(300.4, 199.7, 130.0, 100.0, 25.0)


@pytest.mark.parametrize(("hc_mm", "weeks"), [(100, 14.66), (200, 22.16), (250, 27.15), (300, 33.26), (330, 37.56)])
def test_hadlock_1984(hc_mm: float, weeks: float) -> None:
    assert ga_weeks_hadlock(hc_mm) == pytest.approx(weeks, abs=0.005)


@pytest.mark.parametrize(("hc_mm", "days"), [(200, 156.5), (250, 189.8), (300, 230.7)])
def test_intergrowth_dating(hc_mm: float, days: float) -> None:
    weeks = ga_weeks_intergrowth(hc_mm)
    assert weeks is not None
    assert weeks * 7 == pytest.approx(days, abs=0.05)


@pytest.mark.parametrize(("ga_weeks", "mean", "sd"), [(20, 172.5, 7.44), (28, 260.4, 8.94), (36, 319.4, 10.76)])
def test_intergrowth_hc_for_age(ga_weeks: float, mean: float, sd: float) -> None:
    assert hc_for_age(ga_weeks) == (pytest.approx(mean, abs=0.05), pytest.approx(sd, abs=0.005))


@pytest.mark.parametrize("hc_mm", [0, -1, 20, 500, 5000, 1e9])
def test_no_age_outside_the_formulas_range(hc_mm: float) -> None:
    assert ga_weeks_hadlock(hc_mm) is None
    assert ga_weeks_intergrowth(hc_mm) is None


def test_centile_against_the_normal_distribution() -> None:
    from scipy.stats import norm

    mean, sd = hc_for_age(28)
    for z in (-3, -1.2816, 0, 0.6745, 2.5):
        assert hc_centile(mean + z * sd, 28) == pytest.approx(100 * norm.cdf(z), abs=1e-9)


@pytest.mark.parametrize("ga_weeks", [13.9, 40.1, math.nan])
def test_no_centile_outside_14_to_40_weeks(ga_weeks: float) -> None:
    with pytest.raises(ValueError, match="outside 14 to 40"):
        hc_for_age(ga_weeks)


def test_diameters_are_outer_to_outer() -> None:
    measures = measure_ellipse(HEAD, (0.2, 0.2))
    assert (measures.bpd_mm, measures.ofd_mm) == (pytest.approx(40), pytest.approx(52))


@pytest.mark.parametrize("angle_deg", [0, 30, 60, 90, 145])
def test_unequal_spacing_measures_the_same_head(angle_deg: float) -> None:
    """A head seen on a grid of 0.3 x 0.2 mm has the circumference of the head in mm, whatever its tilt."""
    in_mm = Ellipse(60, 60, 45, 34, angle_deg)
    mask = in_mm.scaled(1 / 0.2, 1 / 0.3).rasterise((400, 600))
    measures = measure_head(mask, (0.3, 0.2))
    assert measures is not None
    assert measures.hc_mm == pytest.approx(in_mm.circumference, abs=0.1)
    assert measures.bpd_mm == pytest.approx(68, abs=0.05)
    assert measures.ofd_mm == pytest.approx(90, abs=0.05)


def test_an_empty_mask_has_no_measures() -> None:
    assert measure_head(np.zeros(SHAPE, np.uint8), (0.1, 0.1)) is None


def status(mask: np.ndarray, pixel_mm: tuple[float, float] | None) -> str:
    return head_status(mask, from_mask(mask), pixel_mm)


def test_status_of_a_good_head() -> None:
    assert status(HEAD.rasterise(SHAPE), (0.3, 0.3)) == "ok"


def test_status_no_head() -> None:
    assert status(np.zeros(SHAPE, np.uint8), (0.3, 0.3)) == "no-head"


@pytest.mark.parametrize("centre", [(60, 200), (540, 200), (300, 50), (300, 350)])
def test_status_at_each_border(centre: tuple[float, float]) -> None:
    assert status(Ellipse(*centre, 130, 100, 25).rasterise(SHAPE), (0.3, 0.3)) == "head-touches-border"


def test_status_not_elliptic() -> None:
    bitten = HEAD.rasterise(SHAPE)
    bitten[:, 300:] = 0
    bitten[150:180, 300:500] = 1
    assert status(bitten, (0.3, 0.3)) == "not-elliptic"
    assert status(Ellipse(300, 200, 150, 70, 0).rasterise(SHAPE), (0.3, 0.3)) == "not-elliptic"


def test_status_no_spacing() -> None:
    assert status(HEAD.rasterise(SHAPE), None) == "no-spacing"


@pytest.mark.parametrize("pixel_mm", [0.02, 2.0])
def test_status_implausible_size(pixel_mm: float) -> None:
    assert status(HEAD.rasterise(SHAPE), (pixel_mm, pixel_mm)) == "implausible-size"


def test_half_a_head_is_not_elliptic_in_its_own_right() -> None:
    """Half an ellipse has moments too; its overlap with their ellipse gives it away."""
    half = HEAD.rasterise(SHAPE)
    half[:200] = 0
    assert status(half, (0.3, 0.3)) == "not-elliptic"
