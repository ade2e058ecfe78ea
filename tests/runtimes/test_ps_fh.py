"""The angle of progression: known geometry, every status, and the challenge's own way with its faults."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.tasks.challenge_angle import challenge_aop
from fetaledge_runtimes.tasks.ps_fh import measure_progression

SHAPE = (256, 256)
SYMPHYSIS = Ellipse(70, 60, 30, 11, 0)
HEAD = Ellipse(125, 150, 66, 54, 25)


def label_map(symphysis: Ellipse | None, head: Ellipse | None, shape: tuple[int, int] = SHAPE) -> Image:
    mask = np.zeros(shape, np.uint8)
    for label, ellipse in ((2, head), (1, symphysis)):
        if ellipse is not None:
            mask[ellipse.rasterise(shape) > 0] = label
    return mask


def widest_angle(symphysis: Ellipse, head: Ellipse) -> float:
    """The angle by search: the widest that any of the head's outline points gives at the symphysis' right end."""
    turn = math.radians(symphysis.angle_deg if symphysis.angle_deg <= 90 else symphysis.angle_deg - 180)
    reach = symphysis.a * np.array([math.cos(turn), math.sin(turn)])
    to_points = head.points(4_000) - (np.array([symphysis.x, symphysis.y]) + reach)
    cosines = to_points @ -reach / np.linalg.norm(to_points, axis=1) / symphysis.a
    return math.degrees(math.acos(cosines.min()))


def scenes(size: int, count: int) -> list[tuple[Ellipse, Ellipse]]:
    """Symphyses and heads of every tilt, clear of each other, with angles from 70 to 170 degrees."""
    rng, unit, found = np.random.default_rng(7), size / 256, []
    while len(found) < count:
        a, b, ratio = rng.uniform(24, 36), rng.uniform(44, 72), rng.uniform(1.1, 1.4)
        tilt = rng.uniform(-40, 60) % 180
        symphysis = Ellipse(rng.uniform(40, 110), rng.uniform(40, 110), a, a * rng.uniform(0.35, 0.5), tilt)
        head = Ellipse(rng.uniform(90, 180), rng.uniform(90, 190), b * ratio, b, rng.uniform(0, 180))
        outlines = np.concatenate([symphysis.points(90), head.points(90)])
        apart = not head.contains(symphysis.points(90)).any() and symphysis.x < head.x - 2
        if outlines.min() > 2 and outlines.max() < 253 and apart and 70 <= widest_angle(symphysis, head) <= 170:
            found.append((symphysis.scaled(unit, unit), head.scaled(unit, unit)))
    return found


@pytest.mark.parametrize(("size", "mean", "most"), [(512, 0.1, 0.4), (256, 0.25, 1.2)])
def test_true_masks_give_the_angle_of_their_ellipses(size: int, mean: float, most: float) -> None:
    errors, distances = [], []
    for symphysis, head in scenes(size, 15):
        found = measure_progression(label_map(symphysis, head, (size, size)))
        assert found.status == "ok" and found.aop_deg is not None and found.hsd_px is not None
        assert found.hsd_mm is None and found.inferior is not None
        errors.append(found.aop_deg - widest_angle(symphysis, head))
        shortest = np.linalg.norm(head.points(4_000) - np.array(found.inferior), axis=1).min()
        distances.append(abs(found.hsd_px - shortest))
    assert np.abs(errors).mean() < mean and np.abs(errors).max() < most
    assert abs(np.mean(errors)) < mean / 2
    assert max(distances) < 0.3


@pytest.mark.parametrize(("to_centre_deg", "distance"), [(80, 80), (90, 70), (105, 60), (120, 85)])
def test_round_head_by_hand(to_centre_deg: float, distance: float) -> None:
    """A circle of radius r at distance d shows under asin(r/d) to either side of its centre."""
    turn = math.radians(to_centre_deg)
    head = Ellipse(100 - distance * math.cos(turn), 60 + distance * math.sin(turn), 50, 50, 0)
    found = measure_progression(label_map(SYMPHYSIS, head))
    expected = to_centre_deg + math.degrees(math.asin(50 / distance))
    assert found.aop_deg == pytest.approx(expected, abs=0.5)
    assert found.hsd_px == pytest.approx(distance - 50, abs=0.2)
    assert challenge_aop(label_map(SYMPHYSIS, head)) == pytest.approx(expected, abs=0.5)


def test_the_points_of_the_construction() -> None:
    found = measure_progression(label_map(SYMPHYSIS, HEAD))
    assert found.superior == pytest.approx((40, 60), abs=0.2)
    assert found.inferior == pytest.approx((100, 60), abs=0.2)
    assert found.tangent is not None and found.nearest is not None and found.aop_deg is not None
    assert found.tangent[0] > found.nearest[0] > 90
    ray = np.array(found.tangent) - np.array(found.inferior)
    assert math.degrees(math.atan2(ray[1], -ray[0])) == pytest.approx(found.aop_deg, abs=0.3)
    beyond = np.array(found.inferior) + ray * np.linspace(0, 2, 400)[:, None]
    assert HEAD.contains(beyond).mean() < 0.03


def test_unequal_spacing_is_measured_in_mm() -> None:
    """A frame of half the rows: the same scene in mm, another one in pixels."""
    flat = label_map(SYMPHYSIS.scaled(1, 0.5), HEAD.scaled(1, 0.5), (128, 256))
    square = measure_progression(label_map(SYMPHYSIS, HEAD), (0.4, 0.4))
    found, in_pixels = measure_progression(flat, (0.8, 0.4)), measure_progression(flat)
    assert found.aop_deg == pytest.approx(square.aop_deg, abs=0.4)
    assert found.hsd_mm == pytest.approx(square.hsd_mm, abs=0.2)
    assert square.hsd_mm == pytest.approx(0.4 * square.hsd_px)  # type: ignore[operator]
    assert in_pixels.aop_deg is not None and abs(in_pixels.aop_deg - found.aop_deg) > 3  # type: ignore[operator]
    assert found.tangent == pytest.approx((square.tangent[0], square.tangent[1] / 2), abs=1)  # type: ignore[index]


def test_square_spacing_leaves_the_angle_alone() -> None:
    mask = label_map(SYMPHYSIS, HEAD)
    assert measure_progression(mask, (0.31, 0.31)).aop_deg == pytest.approx(measure_progression(mask).aop_deg)


def test_specks_are_left_out() -> None:
    mask = label_map(SYMPHYSIS, HEAD)
    clean = measure_progression(mask)
    mask[240:250, 5:12] = 1
    mask[5:9, 200:230] = 2
    assert measure_progression(mask) == clean


BAR = np.zeros(SHAPE, np.uint8)
BAR[60:66, 20:60] = BAR[40:66, 54:60] = 1


@pytest.mark.parametrize(
    ("status", "symphysis", "head"),
    [
        ("missing-ps", None, None),
        ("missing-ps", None, HEAD),
        ("missing-fh", SYMPHYSIS, None),
        ("ps-too-small", Ellipse(70, 60, 6, 2.5, 0), HEAD),
        ("head-too-small", SYMPHYSIS, Ellipse(125, 150, 13, 11, 0)),
        ("ps-truncated", replace(SYMPHYSIS, x=25), HEAD),
        ("ps-truncated", replace(SYMPHYSIS, y=8), HEAD),
        ("head-truncated", SYMPHYSIS, replace(HEAD, x=220)),
        ("head-truncated", SYMPHYSIS, replace(HEAD, y=215)),
        ("ps-inside-head", replace(SYMPHYSIS, x=120, y=150), HEAD),
        ("ps-inside-head", replace(SYMPHYSIS, x=70, y=130), HEAD),
        ("ps-too-round", Ellipse(70, 60, 18, 16, 0), HEAD),
        ("ps-axis-vertical", replace(SYMPHYSIS, angle_deg=82), HEAD),
        ("ps-axis-vertical", replace(SYMPHYSIS, angle_deg=98), HEAD),
        ("implausible-angle", Ellipse(45, 110, 30, 11, 0), Ellipse(165, 80, 60, 50, 0)),
        ("implausible-angle", Ellipse(45, 190, 30, 11, 0), Ellipse(100, 80, 60, 50, 0)),
        ("implausible-angle", Ellipse(200, 60, 30, 11, 0), Ellipse(70, 80, 40, 35, 0)),
    ],
)
def test_a_status_and_no_number(status: str, symphysis: Ellipse | None, head: Ellipse | None) -> None:
    found = measure_progression(label_map(symphysis, head), (0.5, 0.5))
    assert found.status == status
    assert (found.aop_deg, found.hsd_px, found.hsd_mm, found.inferior, found.tangent) == (None,) * 5
    assert (found.symphysis is None, found.head is None) == (symphysis is None, head is None)


def test_shapes_that_are_no_ellipses() -> None:
    mask = label_map(None, HEAD)
    mask[BAR > 0] = 1
    assert measure_progression(mask).status == "ps-not-elliptic"
    mask = label_map(SYMPHYSIS, HEAD)
    mask[:, 140:][mask[:, 140:] == 2] = 0
    assert measure_progression(mask).status == "head-not-elliptic"


def test_a_head_with_the_symphysis_end_just_outside_its_mask() -> None:
    """The symphysis has bitten its end out of the head: no pixel of both, yet the end lies in the head's ellipse."""
    symphysis = Ellipse(72, 95, 30, 11, 40)
    mask = label_map(symphysis, HEAD)
    assert HEAD.contains(np.array([72 + 30 * math.cos(math.radians(40)), 95 + 30 * math.sin(math.radians(40))]))
    assert measure_progression(mask).status == "ps-inside-head"


@pytest.mark.parametrize("angle_deg", [102, 120, 150, 20])
def test_an_axis_off_the_vertical_is_measured(angle_deg: float) -> None:
    symphysis, head = Ellipse(70, 60, 30, 11, angle_deg), Ellipse(150, 160, 66, 54, 25)
    found = measure_progression(label_map(symphysis, head))
    assert found.aop_deg == pytest.approx(widest_angle(symphysis, head), abs=0.6)


@pytest.mark.parametrize("rise", range(-20, 28, 6))
def test_the_angle_is_continuous_past_180_degrees(rise: int) -> None:
    """A crowning head, a circle about the symphysis' right end: a turn of the centre is a turn of the tangent."""
    turn = math.radians(125 + rise)
    head = Ellipse(100 - 80 * math.cos(turn), 90 + 80 * math.sin(turn), 64, 64, 0)
    found = measure_progression(label_map(replace(SYMPHYSIS, y=90), head))
    assert found.aop_deg == pytest.approx(125 + rise + math.degrees(math.asin(64 / 80)), abs=0.5)


def test_a_symphysis_right_of_a_high_head_is_no_sign_of_a_mirror() -> None:
    found = measure_progression(label_map(Ellipse(126, 40, 28, 13, 165), Ellipse(110, 150, 60, 48, 95)))
    assert found.status == "ok" and found.aop_deg is not None and 60 < found.aop_deg < 120


# The challenge's own way


def test_the_challenges_angle_on_ellipses() -> None:
    errors = [
        challenge_aop(label_map(symphysis, head)) - widest_angle(symphysis, head) for symphysis, head in scenes(256, 15)
    ]
    assert np.abs(errors).mean() < 0.25 and np.abs(errors).max() < 1.2


@pytest.mark.parametrize(
    ("symphysis", "head"),
    [
        (None, None),
        (None, HEAD),
        (SYMPHYSIS, None),
        (Ellipse(70, 60, 2, 1, 0), HEAD),
        (SYMPHYSIS, Ellipse(9, 9, 1, 1, 0)),
    ],
)
def test_the_challenges_zero(symphysis: Ellipse | None, head: Ellipse | None) -> None:
    """An unfittable class gives 0 degrees, a number like any other."""
    assert challenge_aop(label_map(symphysis, head)) == 0.0


def test_the_challenges_fault_of_a_mirrored_frame() -> None:
    mask = label_map(Ellipse(52, 67, 27, 12, 1), Ellipse(106, 146, 65, 52, 71))
    mirrored = np.ascontiguousarray(mask[:, ::-1])
    assert challenge_aop(mask) == pytest.approx(155, abs=0.5)
    assert challenge_aop(mirrored) == pytest.approx(71, abs=0.5)
    assert measure_progression(mask).aop_deg == pytest.approx(155, abs=0.5)
    assert measure_progression(mirrored).aop_deg == pytest.approx(71, abs=0.5), "two shapes do not show it"


def test_the_challenges_jump_where_the_axis_crosses_the_vertical() -> None:
    head = Ellipse(131, 158, 62, 48, 2)
    before, after = (label_map(Ellipse(78, 47, 33, 10, angle_deg), head) for angle_deg in (88, 92))
    assert challenge_aop(before) == pytest.approx(116, abs=0.5)
    assert challenge_aop(after) == pytest.approx(43, abs=0.5)
    assert {measure_progression(mask).status for mask in (before, after)} == {"ps-axis-vertical"}


def test_the_challenges_number_for_an_end_inside_the_head() -> None:
    mask = label_map(replace(SYMPHYSIS, x=70, y=130), HEAD)
    assert 0 < challenge_aop(mask) < 180
    assert measure_progression(mask).status == "ps-inside-head"
