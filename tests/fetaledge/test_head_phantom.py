"""The phantom: exact geometry, speckle of the right statistic, and the layout of HC18."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge.data.contact_sheet import contact_sheet
from fetaledge.phantoms.head import (
    FRAME_SHAPE,
    TABLE,
    draw_outline,
    head_phantom,
    head_phantom_with_truth,
    write_head_phantoms,
)
from fetaledge.phantoms.speckle import envelope, log_compress, scatter
from fetaledge.phantoms.transducer import ConvexProbe, beam_grid
from fetaledge_runtimes.ellipse import Ellipse, fit_outline, from_mask
from fetaledge_runtimes.errors import OutputError
from fetaledge_runtimes.scores.record import SYNTHETIC_NOTE
from fetaledge_runtimes.tasks.head import hc_for_age

SEEDS = range(8)


@pytest.fixture(scope="module")
def phantoms():
    return [head_phantom_with_truth(seed) for seed in SEEDS]


@pytest.mark.parametrize("focus_row", [0, 350, 10_000])
def test_speckle_of_a_homogeneous_region_is_rayleigh(focus_row):
    echogenicity = np.full((700, 700), 2.5, np.float32)
    magnitude = envelope(scatter(echogenicity, 1.4, 2.2, focus_row, 300, np.random.default_rng(1)))
    assert magnitude.mean() / magnitude.std() == pytest.approx(1.91, abs=0.05)
    assert np.mean(magnitude**2) == pytest.approx(2.5, rel=0.05)


def test_speckle_is_wider_off_focus_and_no_brighter():
    echogenicity = np.ones((900, 500), np.float32)
    magnitude = envelope(scatter(echogenicity, 1.4, 2.0, 100, 300, np.random.default_rng(2)))

    def neighbours(rows):
        centred = magnitude[rows] - magnitude[rows].mean()
        return float((centred[:, 4:] * centred[:, :-4]).mean() / centred.var())

    assert neighbours(np.s_[500:900]) > neighbours(np.s_[20:180]) + 0.2
    powers = [np.mean(magnitude[start : start + 150] ** 2) for start in range(0, 900, 150)]
    assert max(powers) / min(powers) < 1.25


def test_log_compression_shows_its_range_of_decibels():
    magnitude = np.array([[2.0, 1.0, 10 ** (-30 / 20), 10 ** (-60 / 20), 0.0]], np.float32)
    np.testing.assert_allclose(log_compress(magnitude, 1.0, 60)[0], [1, 1, 0.5, 0, 0], atol=1e-5)


def test_scan_conversion_puts_an_echo_where_it_came_from():
    probe = ConvexProbe(x_mm=40, y_mm=-45, radius_mm=50, half_angle=0.6, depth_mm=70)
    grid = beam_grid(probe, (500, 600), 0.15)
    x, y = grid.positions()
    frame = grid.scan_convert(np.exp(-((x - 33) ** 2 + (y - 41) ** 2).astype(np.float32)))
    row, column = np.unravel_index(frame.argmax(), frame.shape)
    assert (column * 0.15, row * 0.15) == pytest.approx((33, 41), abs=0.15)
    assert not grid.inside[0, 0] and frame[0, 0] == 0


def test_a_seed_is_a_frame():
    first, again, other = head_phantom(7), head_phantom(7), head_phantom(8)
    np.testing.assert_array_equal(first.frame.pixels, again.frame.pixels)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert first.stated == again.stated
    assert first.stated != other.stated and not np.array_equal(first.frame.pixels, other.frame.pixels)
    assert first.subject != other.subject and first.name != other.name


def test_a_phantom_says_that_it_is_one_and_is_a_grey_frame(phantoms):
    for phantom in phantoms:
        labelled = phantom.labelled
        assert labelled.synthetic
        assert labelled.frame.pixels.dtype == labelled.mask.dtype == np.uint8
        assert labelled.frame.pixels.shape == labelled.mask.shape == FRAME_SHAPE
        assert set(np.unique(labelled.mask)) == {0, 1}
        assert labelled.frame.pixels.std() > 15


def test_the_mask_measures_what_the_ellipse_is(phantoms):
    for phantom in phantoms:
        labelled, ellipse = phantom.labelled, phantom.ellipse
        pixel_mm = labelled.frame.pixel_mm[0]
        measured = from_mask(labelled.mask)
        assert measured.circumference == pytest.approx(labelled.stated["hc_mm"] / pixel_mm, abs=0.1)
        assert 2 * math.sqrt(math.pi * labelled.mask.sum()) == pytest.approx(
            2 * math.sqrt(math.pi * ellipse.area), abs=0.1
        )


def test_heads_have_the_size_of_their_age_and_lie_within_the_frame():
    for seed in range(1000, 1010):
        phantom = head_phantom_with_truth(seed, (108, 160))
        mean_mm, sd_mm = hc_for_age(phantom.ga_weeks)
        assert abs(phantom.labelled.stated["hc_mm"] - mean_mm) <= 2.5 * sd_mm + 1e-6
        assert 0.68 <= phantom.ellipse.b / phantom.ellipse.a <= 0.90
        mask = phantom.labelled.mask
        assert mask.shape == (108, 160)
        assert not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
        assert 0.05 * 5 - 1e-9 <= phantom.labelled.frame.pixel_mm[0] <= 0.33 * 5 + 1e-9


def test_lateral_walls_drop_out(phantoms):
    """The skull where it faces the probe is far brighter than where it runs along the beams."""
    ratios = []
    for phantom in phantoms:
        ellipse, pixels = phantom.ellipse, phantom.labelled.frame.pixels.astype(np.float32)
        depth = 1.2 / phantom.labelled.frame.pixel_mm[0]
        ring = Ellipse(ellipse.x, ellipse.y, ellipse.a - depth, ellipse.b - depth, ellipse.angle_deg).points(720)
        tangent = np.gradient(ring, axis=0)
        upright = np.abs(tangent[:, 1]) / np.hypot(*tangent.T)  # 1 where the wall runs straight down
        values = cv2.remap(pixels, ring.astype(np.float32)[:, None], None, cv2.INTER_LINEAR)[:, 0]
        ratios.append(values[upright < 0.3].mean() / max(values[upright > 0.9].mean(), 1))
    assert np.mean(ratios) > 2
    assert min(ratios) > 1


def test_the_drawn_outline_gives_its_ellipse_back():
    rng = np.random.default_rng(3)
    for _ in range(20):
        a = float(rng.uniform(80, 260))
        ellipse = Ellipse(*rng.uniform(262, 278, 2), a, a * float(rng.uniform(0.68, 0.95)), float(rng.uniform(0, 180)))
        fitted = fit_outline(draw_outline(ellipse, (540, 540)))
        assert fitted.circumference == pytest.approx(ellipse.circumference, abs=0.1)
        assert (fitted.x, fitted.y) == pytest.approx((ellipse.x, ellipse.y), abs=0.05)


def test_the_folder_has_the_layout_of_hc18(tmp_path: Path):
    folder = tmp_path / "phantoms"
    write_head_phantoms(folder, count=3, seed=5)
    images = sorted(path.name for path in (folder / "training_set").iterdir())
    assert images == [f"{n:03d}_HC{kind}.png" for n in range(3) for kind in ("", "_Annotation")]
    with (folder / TABLE).open(newline="", encoding="utf-8") as stream:
        header, *rows = list(csv.reader(stream))
    assert header == ["filename", "pixel size(mm)", "head circumference (mm)"]
    assert [row[0] for row in rows] == ["000_HC.png", "001_HC.png", "002_HC.png"]
    for name, pixel_mm, hc_mm in rows:
        image = cv2.imread(str(folder / "training_set" / name), cv2.IMREAD_UNCHANGED)
        outline = cv2.imread(
            str(folder / "training_set" / name.replace(".png", "_Annotation.png")), cv2.IMREAD_UNCHANGED
        )
        assert image.dtype == outline.dtype == np.uint8
        assert image.shape == outline.shape == FRAME_SHAPE
        assert set(np.unique(outline)) == {0, 255} and (outline > 0).mean() < 0.02
        fitted = fit_outline(outline).circumference * float(pixel_mm)
        assert fitted == pytest.approx(float(hc_mm), abs=max(0.03, 0.1 * float(pixel_mm)))
    note = json.loads((folder / "phantom.json").read_text(encoding="utf-8"))
    assert note["synthetic"] is True
    assert (note["task"], note["count"], note["seed"], note["notice"]) == ("head", 3, 5, SYNTHETIC_NOTE)


def test_an_existing_folder_is_kept_unless_forced(tmp_path: Path):
    folder = tmp_path / "phantoms"
    write_head_phantoms(folder, count=1, seed=1)
    before = (folder / TABLE).read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_head_phantoms(folder, count=1, seed=2)
    assert (folder / TABLE).read_bytes() == before
    write_head_phantoms(folder, count=1, seed=2, force=True)
    assert (folder / TABLE).read_bytes() != before
    assert [path.name for path in tmp_path.iterdir()] == ["phantoms"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("two years of work")
    with pytest.raises(OutputError):
        write_head_phantoms(tmp_path, count=1, seed=1, force=True)
    assert (tmp_path / "thesis.txt").read_text() == "two years of work"


def test_a_contact_sheet_keeps_proportions_and_colours():
    grey, colour = np.full((50, 100), 200, np.uint8), np.zeros((60, 60, 3), np.uint8)
    colour[..., 2] = 255
    sheet = contact_sheet([grey, grey, grey], 2, (40, 40))
    assert sheet.ndim == 2 and sheet.shape == (2 * 44 + 4, 2 * 44 + 4)
    assert (sheet[4:44, 4:44] == 200).sum() == 20 * 40
    both = contact_sheet([grey, colour], 5, (40, 40), captions=["one", "two"])
    assert both.shape == (40 + 18 + 4 + 4, 2 * 44 + 4, 3)
    assert tuple(both[20, 68]) == (0, 0, 255)
    assert (both[46:60, 4:44] > 150).any()
