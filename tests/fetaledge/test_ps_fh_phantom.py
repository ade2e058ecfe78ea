"""The transperineal phantom: exact angles, the label of each case, speckle, and the layout of PSFHS."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from fetaledge.data.layouts.open import open_dataset
from fetaledge.phantoms.ps_fh import FRAME_SHAPE, TABLE, psfh_phantom, write_psfh_phantoms
from fetaledge.phantoms.ps_fh_scene import CASES, draw_scene
from fetaledge_runtimes.ellipse import Ellipse, from_mask
from fetaledge_runtimes.errors import OutputError, UsageError
from fetaledge_runtimes.scores.record import SYNTHETIC_NOTE
from fetaledge_runtimes.tasks.ps_fh import measure_progression
from tests.fetaledge.psfhs_shapes import real_scenes, shown


def scenes(case, count):
    return [draw_scene(np.random.default_rng(seed), case=case) for seed in range(count)]


@pytest.fixture(scope="module")
def plain():
    return scenes("plain", 120)


@pytest.fixture(scope="module")
def drawn():
    """One frame of each case."""
    return {case: psfh_phantom(4, case=case) for case in CASES}


def seen_from_apex(scene, turn=1):
    """Angles in degrees from the symphysis' far end to many points of the skull, and their distances in mm.

    The angles grow from the far end, by way of the underside; ``turn`` is -1 in a mirrored frame.
    """
    apex = np.array(scene.apex)
    axis = np.array([scene.symphysis.x, scene.symphysis.y]) - apex
    assert math.hypot(*axis) == pytest.approx(scene.symphysis.a)  # the apex is an end of the long axis
    points = scene.head.points(4000) - apex
    angles = turn * np.degrees(np.arctan2(axis[1] * points[:, 0] - axis[0] * points[:, 1], points @ axis))
    return (angles + 90) % 360 - 90, np.hypot(*points.T)


def extent(ellipse):
    """Left, top, right, bottom."""
    half_x, half_y = 2 * np.sqrt(np.diag(ellipse.covariance()))
    return ellipse.x - half_x, ellipse.y - half_y, ellipse.x + half_x, ellipse.y + half_y


@pytest.mark.parametrize("case", ["plain", "mirrored", "near-vertical", "truncated"])
def test_the_angle_and_the_distance_are_those_of_the_outlines(case, plain):
    for scene in plain if case == "plain" else scenes(case, 20):
        angles, distances = seen_from_apex(scene, -1 if case == "mirrored" else 1)
        assert angles.max() == pytest.approx(scene.aop_deg, abs=1e-3)
        assert distances.min() == pytest.approx(scene.hsd_mm, abs=1e-2)


def test_plain_scenes_are_whole_and_in_standard_orientation(plain):
    for scene in plain:
        symphysis, head = scene.symphysis, scene.head
        assert symphysis.y < head.y and scene.apex[0] > symphysis.x
        assert abs(symphysis.angle_deg - 90) >= 40
        gap = np.linalg.norm(symphysis.points(90)[:, None] - head.points(360), axis=2).min()
        assert gap > 1 and not head.contains(symphysis.points(90)).any()
        for one in (symphysis, head):
            left, top, right, bottom = extent(one)
            margin = 0.014 * scene.height_mm
            assert min(left, top) > margin and max(right, bottom) < scene.height_mm - margin
        assert 140 <= scene.height_mm <= 195


@pytest.mark.integration
def test_the_geometry_is_that_of_real_label_maps(real_psfhs):
    """Two-sample Kolmogorov-Smirnov statistics; the phantom that was drawn by rules alone had 0.17 to 0.86."""
    from scipy.stats import ks_2samp

    real = [shown(*scene[:3], scene[4]) for scene in real_scenes(real_psfhs)]
    made = [shown(one.symphysis, one.head, one.aop_deg, one.height_mm) for one in scenes("plain", 600)]
    assert len(real) >= 640
    apart = {key: ks_2samp([one[key] for one in real], [one[key] for one in made]).statistic for key in real[0]}
    places = {key: value for key, value in apart.items() if key.endswith((" x", " y"))}
    assert max(value for key, value in apart.items() if key not in places) < 0.09, apart
    assert max(places.values()) < 0.15, apart
    left = [np.mean([one["symphysis right of the head"] > 0 for one in every]) for every in (real, made)]
    assert left[1] == pytest.approx(left[0], abs=0.05)  # the head to the left of the symphysis


def test_the_symphysis_lies_within_the_sector(plain):
    for scene in plain:
        points = scene.symphysis.points(90).astype(np.float32)
        distance, angle = scene.probe.polar(points[:, 0], points[:, 1])
        assert np.abs(angle).max() < scene.probe.half_angle
        assert distance.min() - scene.probe.radius_mm > 2.9


def test_each_difficult_case_is_what_it_says(plain):
    for seed, usual in enumerate(plain[:10]):
        mirrored, upright, cut, alone = (draw_scene(np.random.default_rng(seed), case=case) for case in CASES[1:])
        width = usual.height_mm
        assert mirrored.head.x == pytest.approx(width - usual.head.x) and mirrored.head.y == usual.head.y
        assert mirrored.apex == pytest.approx((width - usual.apex[0], usual.apex[1]))
        assert mirrored.aop_deg == usual.aop_deg and mirrored.apex[0] < mirrored.symphysis.x
        assert abs(upright.symphysis.angle_deg - 90) <= 8
        left, top, right, bottom = extent(cut.head)
        assert min(left, top) < 0 or max(right, bottom) > cut.height_mm
        assert alone.symphysis is alone.apex is alone.aop_deg is alone.hsd_mm is None


def test_masks_have_the_area_of_their_ellipses_and_measure_as_they_should(drawn):
    expected = dict(zip(CASES, ("ok", "ok", "ps-axis-vertical", "head-truncated", "missing-ps"), strict=True))
    for case, phantom in drawn.items():
        mask, head = phantom.labelled.mask, phantom.head
        if case != "truncated":
            assert (mask == 2).sum() == pytest.approx(head.area, rel=0.01)
            fitted = from_mask((mask == 2).astype(np.uint8))
            assert (fitted.x, fitted.y, fitted.a) == pytest.approx((head.x, head.y, head.a), abs=0.1)
        if case != "missing-ps":
            assert (mask == 1).sum() == pytest.approx(phantom.symphysis.area, rel=0.03)
        view = np.ascontiguousarray(mask[:, ::-1]) if case == "mirrored" else mask
        measured = measure_progression(view, phantom.labelled.frame.pixel_mm)
        assert measured.status == expected[case]
        if measured.status == "ok":
            assert measured.aop_deg == pytest.approx(phantom.aop_deg, abs=0.6)
            assert measured.hsd_px == pytest.approx(phantom.hsd_px, abs=0.4)


def test_the_label_of_each_case(drawn):
    for case, phantom in drawn.items():
        labelled = phantom.labelled
        assert labelled.synthetic and "hc_mm" not in labelled.stated and phantom.case == case
        assert labelled.frame.pixels.dtype == labelled.mask.dtype == np.uint8
        assert labelled.frame.pixels.shape == labelled.mask.shape == FRAME_SHAPE
        grain = np.diff(labelled.frame.pixels.astype(np.int16), axis=0)[labelled.frame.pixels[1:] > 20]
        assert grain.std() > 3  # speckle
        assert set(np.unique(labelled.mask)) == ({0, 2} if case == "missing-ps" else {0, 1, 2})
        assert labelled.stated.get("aop_deg") == phantom.aop_deg and (phantom.aop_deg is None) == (case == "missing-ps")
        assert (phantom.symphysis is None) == (phantom.hsd_px is None) == (case == "missing-ps")
    assert len({phantom.labelled.name for phantom in drawn.values()}) == len(CASES)


def test_a_seed_is_a_frame_and_a_scene_at_any_size(drawn):
    first, other = drawn["plain"], psfh_phantom(5)
    again, fine = psfh_phantom(4), psfh_phantom(4, (384, 384))
    np.testing.assert_array_equal(first.labelled.frame.pixels, again.labelled.frame.pixels)
    np.testing.assert_array_equal(first.labelled.mask, again.labelled.mask)
    assert not np.array_equal(first.labelled.frame.pixels, other.labelled.frame.pixels)
    assert (fine.aop_deg, fine.hsd_px) == pytest.approx((first.aop_deg, 1.5 * first.hsd_px))
    assert fine.labelled.frame.pixel_mm[0] == pytest.approx(first.labelled.frame.pixel_mm[0] / 1.5)
    assert (fine.head.x + 0.5, fine.head.a) == pytest.approx((1.5 * (first.head.x + 0.5), 1.5 * first.head.a))
    measured = measure_progression(fine.labelled.mask)
    assert measured.aop_deg == pytest.approx(fine.aop_deg, abs=0.4)


def test_a_frame_that_is_not_square():
    phantom = psfh_phantom(3, (160, 220))
    mask = phantom.labelled.mask
    assert mask.shape == (160, 220)
    assert not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
    assert measure_progression(mask).aop_deg == pytest.approx(phantom.aop_deg, abs=1.5)


def test_an_unknown_case_is_refused():
    with pytest.raises(UsageError, match="near-vertical"):
        psfh_phantom(1, case="upside-down")


@pytest.mark.integration
def test_a_frame_too_narrow_for_a_head_is_refused():
    with pytest.raises(UsageError, match="aspect 0.1"):
        psfh_phantom(1, (400, 40))


@pytest.mark.integration
def test_frames_look_like_ultrasound():
    """Speckle everywhere, a symphysis darker than what surrounds it, a skull brightest across the beam."""
    darker, walls = [], []
    for seed in range(40):
        phantom = psfh_phantom(seed)
        pixels, mask = phantom.labelled.frame.pixels.astype(np.float32), phantom.labelled.mask
        symphysis, head = phantom.symphysis, phantom.head
        core = Ellipse(symphysis.x, symphysis.y, 0.75 * symphysis.a, 0.65 * symphysis.b, symphysis.angle_deg)
        ring = Ellipse(symphysis.x, symphysis.y, symphysis.a + 6, symphysis.b + 6, symphysis.angle_deg)
        inside, around = core.rasterise(mask.shape) > 0, (ring.rasterise(mask.shape) > 0) & (mask == 0)
        darker.append(pixels[around].mean() - pixels[inside].mean())
        assert 4 < pixels[around].std() < 80 and 25 < pixels[pixels > 0].mean() < 180
        inner = Ellipse(head.x, head.y, head.a - 3, head.b - 3, head.angle_deg)
        wall = (head.rasterise(mask.shape) > 0) & (inner.rasterise(mask.shape) == 0)
        rows = np.nonzero(wall)[0]
        values = pixels[wall]
        near, side = rows < head.y - 0.8 * head.b, np.abs(rows - head.y) < 0.1 * head.b
        walls.append(values[near].mean() - values[side].mean())
    assert np.mean(np.array(darker) > 0) > 0.85 and np.mean(darker) > 15
    assert np.mean(np.array(walls) > 0) > 0.85 and np.mean(walls) > 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("psfh") / "phantoms"
    write_psfh_phantoms(folder, count=7, seed=3)
    return folder


def test_the_folder_has_the_layout_of_psfhs(folder):
    import SimpleITK

    stems = [f"{number:05d}.mha" for number in range(1, 8)]
    for part, shape in (("image_mha", (3, 256, 256)), ("label_mha", (256, 256))):
        assert sorted(path.name for path in (folder / part).iterdir()) == stems
        for stem in stems:
            array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / part / stem)))
            assert array.shape == shape and array.dtype == np.uint8
    with (folder / TABLE).open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["filename", "subject", "aop_deg", "hsd_px", "pixel_mm", "case"]
    assert [row["filename"] for row in rows] == stems and len({row["subject"] for row in rows}) == 7
    assert sorted(row["case"] for row in rows) == ["mirrored"] + 6 * ["plain"]
    note = json.loads((folder / "phantom.json").read_text(encoding="utf-8"))
    assert note["synthetic"] is True
    assert (note["task"], note["count"], note["seed"], note["notice"]) == ("ps-fh", 7, 3, SYNTHETIC_NOTE)


def test_the_data_set_reads_back_what_was_drawn(folder):
    dataset = open_dataset(folder)
    assert dataset.task.name == "ps-fh" and dataset.synthetic and len(dataset) == 7
    seeds = np.random.SeedSequence(3).generate_state(7)
    with (folder / TABLE).open(newline="", encoding="utf-8") as stream:
        cases = [row["case"] for row in csv.DictReader(stream)]
    for read, seed, case in list(zip(dataset, seeds, cases, strict=True))[::3]:
        phantom = psfh_phantom(int(seed), case=case)
        np.testing.assert_array_equal(read.frame.pixels, phantom.labelled.frame.pixels)
        np.testing.assert_array_equal(read.mask, phantom.labelled.mask)
        assert read.stated["aop_deg"] == pytest.approx(phantom.aop_deg, abs=1e-5)
        assert read.frame.pixel_mm == pytest.approx(phantom.labelled.frame.pixel_mm)


def test_an_existing_folder_is_kept_unless_forced(tmp_path: Path):
    folder = tmp_path / "phantoms"
    write_psfh_phantoms(folder, count=1, seed=1)
    before = (folder / TABLE).read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_psfh_phantoms(folder, count=1, seed=2)
    assert (folder / TABLE).read_bytes() == before
    write_psfh_phantoms(folder, count=1, seed=2, force=True)
    assert (folder / TABLE).read_bytes() != before
    with pytest.raises(UsageError):
        write_psfh_phantoms(tmp_path / "none", count=0, seed=1)
