"""The ellipse of a mask: circumference, moments, and HC18's own table."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.ellipse import Ellipse, fit_outline, from_mask, solidity

HC18 = Path(__file__).parents[2] / ".." / "shared" / "hc18"


@pytest.mark.parametrize("ratio", [1.0, 0.9, 0.78, 0.7])
def test_circumference_against_the_elliptic_integral(ratio: float) -> None:
    from scipy.special import ellipe

    exact = 4 * 100 * ellipe(1 - ratio**2)
    assert Ellipse(0, 0, 100, 100 * ratio, 0).circumference == pytest.approx(exact, rel=1e-12)


def test_a_flat_ellipse_is_still_close() -> None:
    from scipy.special import ellipe

    assert Ellipse(0, 0, 100, 10, 0).circumference == pytest.approx(400 * ellipe(0.99), rel=1e-4)


@pytest.mark.parametrize("a", [20.0, 60.0, 180.0])
@pytest.mark.parametrize("ratio", [0.7, 0.8, 1.0])
def test_second_moments_are_unbiased(a: float, ratio: float) -> None:
    """Mean error of the circumference below 0.04 px at any size, while a fit of the contour loses about 2.85 px."""
    rng = np.random.default_rng(0)
    errors, contour_errors = [], []
    for angle_deg in rng.uniform(0, 180, 16):
        truth = Ellipse(200 + rng.uniform(), 200 + rng.uniform(), a, a * ratio, angle_deg)
        mask = truth.rasterise((400, 400))
        found = from_mask(mask)
        assert found is not None
        errors.append(found.circumference - truth.circumference)
        (contour,), _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        _, (width, height), _ = cv2.fitEllipse(contour)
        fitted = Ellipse(0, 0, max(width, height) / 2, min(width, height) / 2, 0)
        contour_errors.append(fitted.circumference - truth.circumference)
    assert abs(float(np.mean(errors))) < 0.1
    assert float(np.max(np.abs(errors))) < 0.6
    assert float(np.mean(contour_errors)) == pytest.approx(-2.85, abs=0.5)


def test_bias_over_many_heads() -> None:
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(120):
        a = rng.uniform(40, 180)
        truth = Ellipse(*rng.uniform(199, 201, 2), a, a * rng.uniform(0.7, 1), rng.uniform(0, 180))
        found = from_mask(truth.rasterise((400, 400)))
        assert found is not None
        errors.append(found.circumference - truth.circumference)
    assert abs(float(np.mean(errors))) < 0.04


@pytest.mark.parametrize("angle_deg", [0.0, 33.0, 90.0, 120.0, 179.0])
def test_finds_place_axes_and_angle(angle_deg: float) -> None:
    truth = Ellipse(151.3, 120.8, 80.0, 60.0, angle_deg)
    found = from_mask(truth.rasterise((240, 300)))
    assert found is not None
    assert (found.x, found.y) == (pytest.approx(truth.x, abs=0.05), pytest.approx(truth.y, abs=0.05))
    assert (found.a, found.b) == (pytest.approx(80, abs=0.1), pytest.approx(60, abs=0.1))
    assert abs((found.angle_deg - angle_deg + 90) % 180 - 90) < 0.3


def test_any_non_zero_value_is_inside() -> None:
    mask = Ellipse(50, 50, 30, 20, 10).rasterise((100, 100))
    assert from_mask(mask) == from_mask(mask * 255)


def test_one_pixel_and_none() -> None:
    mask = np.zeros((9, 9), np.uint8)
    assert from_mask(mask) is None
    mask[4, 3] = 1
    found = from_mask(mask)
    assert found is not None
    assert (found.x, found.y) == (3, 4)
    assert found.area == pytest.approx(math.pi / 3, rel=1e-9)  # 2·√(1/12) each way


def test_scaled_and_back() -> None:
    ellipse = Ellipse(10, 20, 8, 5, 40)
    there = ellipse.scaled(0.3, 0.2)
    back = there.scaled(1 / 0.3, 1 / 0.2)
    assert back.x == pytest.approx(10) and back.y == pytest.approx(20)
    assert (back.a, back.b, back.angle_deg) == (pytest.approx(8), pytest.approx(5), pytest.approx(40))
    assert there.area == pytest.approx(ellipse.area * 0.06)


def test_points_lie_on_the_outline() -> None:
    ellipse = Ellipse(10, 20, 8, 5, 40)
    points = ellipse.points(64)
    inverse = np.linalg.inv(4 * ellipse.covariance())
    offsets = points - [ellipse.x, ellipse.y]
    np.testing.assert_allclose(np.einsum("ni,ij,nj->n", offsets, inverse, offsets), 1, rtol=1e-9)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_too_few_pixels_are_no_outline(count: int) -> None:
    outline = np.zeros((20, 20), np.uint8)
    outline[3, 3 : 3 + count] = 255
    assert fit_outline(outline) is None


def test_a_straight_line_is_no_outline_of_a_head() -> None:
    outline = np.zeros((60, 60), np.uint8)
    outline[30, 5:50] = 255
    found = fit_outline(outline)
    assert found is None or found.b < 1


def test_hc18_outlines_give_its_table() -> None:
    """Golden: an ellipse through all pixels of each thin outline, against the published circumference."""
    table = HC18 / "training_set_pixel_size_and_HC.csv"
    if not table.is_file():
        pytest.skip("HC18 is not here (../shared/hc18)")
    with table.open(encoding="utf-8") as stream:
        rows = list(csv.reader(stream))[1:]
    errors = []
    for name, pixel_mm, hc_mm in rows:
        stem = name.removesuffix(".png")
        outline = cv2.imread(str(HC18 / "training_set" / f"{stem}_Annotation.png"), cv2.IMREAD_GRAYSCALE)
        ellipse = fit_outline(outline)
        assert ellipse is not None, name
        errors.append(ellipse.circumference * float(pixel_mm) - float(hc_mm))
    assert len(errors) == 799
    assert float(np.mean(np.abs(errors))) < 0.03
    assert float(np.max(np.abs(errors))) < 0.06


OUTSIDE = [(100.0, 40.0), (-30.0, 90.0), (50.0, -70.0), (61.0, 30.1), (200.0, 200.0)]


@pytest.mark.parametrize("point", OUTSIDE)
def test_tangents_by_search(point: tuple[float, float]) -> None:
    """The outline points that lie farthest to either side, seen from outside."""
    ellipse, seen_from = Ellipse(20.0, 30.0, 40.0, 25.0, 0.0 if point == OUTSIDE[3] else 35.0), np.array(point)
    outline = ellipse.points(20_000)
    middle, rays = np.array([20.0, 30.0]) - seen_from, outline - seen_from
    turns = np.arctan2(middle[0] * rays[:, 1] - middle[1] * rays[:, 0], rays @ middle)
    expected = outline[[turns.argmax(), turns.argmin()]]
    found = ellipse.tangent_points(seen_from)
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_tangents_where_a_slope_would_be_infinite() -> None:
    """One of the tangents from (a, y) is upright."""
    found = Ellipse(0.0, 0.0, 40.0, 25.0, 0.0).tangent_points(np.array([40.0, 30.0]))
    assert np.abs(found - (40.0, 0.0)).sum(axis=1).min() < 1e-9


@pytest.mark.parametrize("point", [*OUTSIDE, (20.0, 1000.0), (1e6, 30.0)])
@pytest.mark.parametrize("angle_deg", [0.0, 35.0, 90.0])
def test_nearest_point_by_search(point: tuple[float, float], angle_deg: float) -> None:
    ellipse = Ellipse(20.0, 30.0, 40.0, 25.0, angle_deg)
    assert not ellipse.contains(np.array(point))
    found = ellipse.nearest(np.array(point))
    assert np.abs(((ellipse.own(found) / (40.0, 25.0)) ** 2).sum() - 1) < 1e-9
    shortest = np.linalg.norm(ellipse.points(20_000) - point, axis=1).min()
    assert np.linalg.norm(found - point) == pytest.approx(shortest, abs=1e-4)


def test_inside_is_where_it_is_drawn() -> None:
    ellipse = Ellipse(70.3, 52.6, 40.0, 25.0, 35.0)
    points = np.stack(np.meshgrid(np.arange(160), np.arange(120)), axis=-1)
    np.testing.assert_array_equal(ellipse.contains(points), ellipse.rasterise((120, 160)) > 0)
    np.testing.assert_allclose(ellipse.placed(ellipse.own(points)), points, atol=1e-9)


def test_solidity() -> None:
    whole = Ellipse(100, 80, 60, 40, 30)
    assert solidity(whole.rasterise((160, 200))) > 0.97
    assert solidity(Ellipse(190, 80, 60, 40, 30).rasterise((160, 200))) > 0.97  # cut by the edge
    elbow = np.zeros((160, 200), np.uint8)
    elbow[:100, 20:40] = elbow[80:100, 20:120] = 1
    assert solidity(elbow) < 0.6
    assert solidity(np.zeros((160, 200), np.uint8)) == 0
