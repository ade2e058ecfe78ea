"""Frames of which a part is the scan: masks, measures and statuses lie on the whole frame's grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Frame, Image
from fetaledge_runtimes.frames.scan import Box
from fetaledge_runtimes.postprocess import second_share
from fetaledge_runtimes.predict_files import predict_files
from fetaledge_runtimes.predictor import MAX_SECOND_SHARE, Predictor, interpret
from fetaledge_runtimes.scores.metrics import overlap
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.ps_fh import PS_FH, Progression
from tests.view_checks import check_that_says, with_check

MakeFrame = Callable[..., Frame]
AT = Box(150, 260, 256, 256)


def noisy_head(ellipse: Ellipse, shape: tuple[int, int] = (270, 400)) -> Image:
    """A bright head on dark noise, which is a scan to its very edge."""
    pixels = np.random.default_rng(0).integers(10, 40, shape, np.uint8)
    pixels[ellipse.rasterise(shape) > 0] = 180
    return pixels


def on_ground(pixels: Image, shape: tuple[int, int] = (540, 900), place: Box = AT) -> Image:
    frame = np.full(shape, 30, np.uint8)
    frame[place.top : place.top + len(pixels), place.left : place.left + pixels.shape[1]] = pixels
    return frame


def test_a_head_in_a_screenshot_is_measured_as_alone(bundle_folder: Path) -> None:
    predictor = Predictor(Bundle.open(bundle_folder))
    pixels = noisy_head(Ellipse(200, 135, 120, 90, 20))
    alone = predictor(Frame(pixels, (0.3, 0.3), "alone.png"))
    screen = predictor(Frame(on_ground(pixels, (810, 1200)), (0.3, 0.3), "screen.png"))
    assert (alone.status, screen.status, alone.crop) == ("ok", "ok", None)
    assert screen.crop is not None and screen.crop.height <= 270 + 4 * 19 and screen.mask.shape == (810, 1200)
    hc_mm = alone.measures["hc_mm"]
    assert hc_mm is not None and screen.measures["hc_mm"] == pytest.approx(hc_mm, rel=0.01)
    one, other = alone.measured.construction, screen.measured.construction
    assert (other.x - AT.left, other.y - AT.top) == pytest.approx((one.x, one.y), abs=1)
    outside = screen.mask.copy()
    screen.crop.cut(outside)[:] = 0
    assert outside.max() == 0


def test_a_head_that_the_scans_edge_cuts_gets_that_status_in_a_large_frame_too() -> None:
    """The crop's own border is the scan's edge."""
    frame = Frame(np.zeros((600, 600), np.uint8), (0.3, 0.3), "f.png")
    crop = Box(100, 100, 200, 300)
    logits = Ellipse(150, 20, 90, 70, 0).rasterise((200, 300)).astype(np.float32)[None] * 8 - 4
    found = interpret(frame, logits, HEAD, crop=crop)
    assert found.status == "head-touches-border" and found.crop == crop
    assert found.mask[100].any() and not found.mask[:100].any()
    whole = interpret(replace(frame, pixels=np.zeros((200, 300), np.uint8)), logits, HEAD)
    np.testing.assert_array_equal(crop.cut(found.mask), whole.mask)
    ellipse = found.measured.construction
    assert (ellipse.x - 100, ellipse.y - 100) == pytest.approx(
        (whole.measured.construction.x, whole.measured.construction.y)
    )


def test_an_angle_that_the_scans_edge_cuts_is_neither_told_nor_drawn() -> None:
    frame = Frame(np.zeros((400, 400), np.uint8), None, "f.png")
    labels = np.zeros((256, 256), np.uint8)
    labels[Ellipse(125, 210, 66, 54, 25).rasterise((256, 256)) > 0] = 2
    labels[Ellipse(70, 100, 30, 11, 0).rasterise((256, 256)) > 0] = 1
    logits = np.stack([labels == label for label in range(3)]).astype(np.float32)
    found = interpret(frame, logits, PS_FH, crop=Box(60, 60, 256, 256))
    assert found.status == "head-truncated" and isinstance(found.measured.construction, Progression)
    assert set(PS_FH.entry(found.measured).values()) == {None}
    drawn = PS_FH.draw(frame, found.mask, found.measured, ["no measure"])
    bare = replace(found.measured, construction=Progression(found.status))
    np.testing.assert_array_equal(drawn, PS_FH.draw(frame, found.mask, bare, ["no measure"]))


@pytest.mark.parametrize("left", [260, 263, 301])
def test_a_mirrored_screenshot_is_turned_back_whole(left: int, psfh_bundle: Path, psfh_frame: MakeFrame) -> None:
    predictor = Predictor(Bundle.open(psfh_bundle))
    place = replace(AT, left=left)
    usual = on_ground(psfh_frame(Ellipse(70, 60, 30, 11, 10)).pixels, place=place)
    standard = predictor(Frame(usual, (0.5, 0.5), "a.png"))
    turned = predictor(Frame(np.ascontiguousarray(usual[:, ::-1]), (0.5, 0.5), "b.png"), "mirrored")
    assert (standard.status, turned.status) == ("ok", "ok") and standard.crop and turned.crop
    assert turned.measures["aop_deg"] == pytest.approx(standard.measures["aop_deg"], abs=1)
    ends = [(box.left, box.left + box.width) for box in (turned.crop, standard.crop.flipped(900))]
    np.testing.assert_allclose(*ends, atol=2 * 14)
    assert overlap((turned.mask > 0).astype(np.uint8), (turned.frame.pixels > 80).astype(np.uint8)).dice > 0.99
    assert turned.mask.any() and (turned.mask > 0).sum() == (turned.crop.cut(turned.mask) > 0).sum()


def two_heads(ratio: float) -> Image:
    pixels = noisy_head(Ellipse(150, 135, 90, 70, 0), (270, 540))
    pixels[Ellipse(400, 135, 90 * ratio, 70 * ratio, 0).rasterise((270, 540)) > 0] = 180
    return pixels


@pytest.mark.parametrize(("ratio", "status"), [(1.0, "several-heads"), (0.6, "several-heads"), (0.15, "ok")])
def test_two_heads_in_a_frame(ratio: float, status: str, bundle_folder: Path) -> None:
    predictor = Predictor(Bundle.open(bundle_folder))
    for pixel_mm in ((0.4, 0.4), None):
        found = predictor(Frame(two_heads(ratio), pixel_mm, "two.png"))
        assert found.status == ("no-spacing" if pixel_mm is None and status == "ok" else status)
    assert found.mask[:, :270].any() != found.mask[:, 270:].any()


def test_the_share_of_a_second_component() -> None:
    mask = np.zeros((60, 90), np.uint8)
    assert second_share(mask) == 0
    mask[5, 5] = 1
    assert second_share(mask) == 0
    mask[10:31, 10:31] = 1
    assert second_share(mask) == 0
    mask[40:51, 10:51] = 1
    assert second_share(mask) == pytest.approx(20 * 20 / (10 * 40)) and MAX_SECOND_SHARE < 1


def test_two_fetal_heads_of_a_transperineal_frame(psfh_bundle: Path, psfh_frame: MakeFrame) -> None:
    pixels = psfh_frame(Ellipse(70, 60, 30, 11, 0)).pixels
    pixels[Ellipse(215, 40, 32, 28, 0).rasterise(pixels.shape) > 0] = 130
    assert Predictor(Bundle.open(psfh_bundle))(Frame(pixels, None, "two.png")).status == "several-heads"


def test_what_the_user_says_of_the_orientation_goes_before_the_check(
    psfh_bundle: Path, psfh_frame: MakeFrame, tmp_path: Path
) -> None:
    bundle = Bundle.open(psfh_bundle)
    predictor = Predictor(bundle)
    predictor.view = check_that_says({"not-this-view": 1, "mirrored": -1})
    frame = psfh_frame(Ellipse(70, 60, 30, 11, 0))
    assert predictor(frame).status == "mirrored"
    assert predictor(frame, "standard").status == "ok"
    assert predictor(replace(frame, pixels=np.ascontiguousarray(frame.pixels[:, ::-1])), "mirrored").status == "ok"
    predictor.view = check_that_says({"not-this-view": -1, "mirrored": -1})
    assert predictor(frame, "standard").status == predictor(frame).status == "not-this-view"
    cv2.imwrite(str(tmp_path / "a.png"), frame.pixels)
    (entry,) = predict_files(predictor, [tmp_path / "a.png"], tmp_path / "out")["frames"]
    assert (entry["status"], entry["aop_deg"], entry["hsd_px"]) == ("not-this-view", None, None)
    assert entry["quality"] < 0.5


def test_the_record_of_a_cropped_frame(bundle_copy: Path, tmp_path: Path) -> None:
    with_check(bundle_copy, check_that_says({"not-a-head": 1}))
    predictor = Predictor(Bundle.open(bundle_copy))
    pixels = noisy_head(Ellipse(200, 135, 120, 90, 20))
    for name, frame in (("alone", pixels), ("screen", on_ground(pixels, (810, 1200)))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), frame)
    alone, screen = predict_files(predictor, [tmp_path], tmp_path / "out", pixel_mm=0.3)["frames"]
    assert (alone["crop"], alone["depth_mm"], alone["spacing_from"]) == (None, pytest.approx(81), "option")
    top, left, height, width = screen["crop"]
    assert top <= AT.top <= top + 2 * 19 and left <= AT.left and top + height >= AT.top + 270 and width < 480
    assert screen["depth_mm"] == pytest.approx(0.3 * height) and 0.5 < screen["quality"] == alone["quality"] < 1
