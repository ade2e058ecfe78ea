"""The overlay: what it marks, where it writes, what it leaves alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.draw.canvas import AMBER, ELLIPSE, OUTLINE, SYMPHYSIS
from fetaledge_runtimes.draw.head import draw_head
from fetaledge_runtimes.ellipse import Ellipse, fit_outline, from_mask
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.frames.images import read_grey
from fetaledge_runtimes.tasks.ps_fh import PS_FH, measure_progression

HC18 = Path(__file__).parents[3] / "shared" / "hc18" / "training_set"
LINES = ("HC 183.2 mm", "BPD 50.9  OFD 65.1 mm", "GA 20w4d (Hadlock)")
SIZES = [(256, 256), (540, 800), (1200, 1600), (200, 1600), (1600, 300), (32, 32)]


def blank(shape: tuple[int, int], level: int = 40) -> Frame:
    return Frame(np.full(shape, level, np.uint8), (0.1, 0.1), "blank.png")


def changed(picture: np.ndarray, frame: Frame) -> np.ndarray:
    return (picture != frame.pixels[:, :, None]).any(axis=2)


def near(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(picture.astype(int) - np.array(colour)).max(axis=2) < 12


@pytest.mark.parametrize("shape", SIZES)
def test_any_size_comes_back_in_its_size_and_the_frame_is_left_alone(shape: tuple[int, int]) -> None:
    frame = blank(shape)
    ellipse = Ellipse(shape[1] / 2, shape[0] / 2, 0.3 * min(shape), 0.22 * min(shape), 20)
    picture = draw_head(frame, ellipse.rasterise(shape), ellipse, LINES)
    assert picture.dtype == np.uint8 and picture.shape == (*shape, 3)
    assert (frame.pixels == 40).all()
    assert changed(picture, frame).any()


def test_outline_and_ellipse_lie_where_they_are() -> None:
    frame = blank((540, 800))
    ellipse = Ellipse(300, 280, 150, 110, 30)
    picture = draw_head(frame, np.zeros((540, 800), np.uint8), ellipse, ())
    drawn = np.argwhere(near(picture, ELLIPSE))[:, ::-1]
    assert len(drawn) > 300
    nearest = np.sqrt(((drawn[:, None] - ellipse.points(720)[None]) ** 2).sum(axis=2)).min(axis=1)
    assert nearest.max() < 2.5

    mask = Ellipse(300, 280, 150, 110, 30).rasterise((540, 800))
    picture = draw_head(frame, mask, None, ())
    drawn = np.argwhere(near(picture, OUTLINE))[:, ::-1]
    assert len(drawn) > 300
    nearest = np.sqrt(((drawn[:, None] - ellipse.points(720)[None]) ** 2).sum(axis=2)).min(axis=1)
    assert nearest.max() < 2.5


@pytest.mark.parametrize("angle_deg", [0.0, 35.0, 90.0])
def test_both_axes_run_from_end_to_end(angle_deg: float) -> None:
    frame = blank((540, 800), level=0)
    ellipse = Ellipse(400, 250, 180, 130, angle_deg)
    picture = draw_head(frame, np.zeros((540, 800), np.uint8), ellipse, ())
    for semi_axis, turn in ((180, angle_deg), (130, angle_deg + 90)):
        for part in np.linspace(-0.95, 0.95, 21):
            x = round(400 + part * semi_axis * math.cos(math.radians(turn)))
            y = round(250 + part * semi_axis * math.sin(math.radians(turn)))
            assert picture[y - 1 : y + 2, x - 1 : x + 2].max() > 90


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [(150, 150, (1, 1)), (650, 150, (0, 1)), (150, 380, (1, 0)), (650, 380, (0, 0))],
)
def test_the_caption_stands_away_from_the_head(x: int, y: int, expected: tuple[int, int]) -> None:
    """``expected``: (right, low). The frame is bright everywhere but opposite the head, so that corner wins."""
    shape = (540, 800)
    right, low = expected
    pixels = np.full(shape, 120, np.uint8)
    pixels[270 * low : 270 * low + 270, 400 * right : 400 * right + 400] = 60
    frame = Frame(pixels, None, "a.png")
    mask = Ellipse(x, y, 140, 120, 0).rasterise(shape)
    marked = changed(draw_head(frame, mask, None, LINES), frame) & ~changed(draw_head(frame, mask, None, ()), frame)
    rows, columns = np.nonzero(marked)
    assert (columns.mean() > 400, rows.mean() > 270) == (bool(right), bool(low))
    assert not (marked & (mask > 0)).any()


def test_a_caption_wider_than_the_frame_is_shrunk_into_it() -> None:
    frame = blank((256, 256))
    empty = np.zeros((256, 256), np.uint8)
    picture = draw_head(frame, empty, None, ("a very long line " * 8,), good=False)
    columns = np.nonzero(changed(picture, frame))[1]
    assert columns.min() >= 2 and columns.max() <= 253


def test_the_status_is_amber_only_where_nothing_was_measured() -> None:
    frame = blank((540, 800))
    empty = np.zeros((540, 800), np.uint8)
    bad = draw_head(frame, empty, None, ("head touches border: not measured",), good=False)
    assert near(bad, AMBER).sum() > 200
    assert near(draw_head(frame, empty, None, LINES), AMBER).sum() == 0


@pytest.mark.parametrize("shape", [(256, 256), (540, 800)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_the_disclaimer_is_legible_on_any_ground(shape: tuple[int, int], level: int) -> None:
    frame = blank(shape, level)
    picture = draw_head(frame, np.zeros(shape, np.uint8), None, ())
    rows, columns = np.nonzero(changed(picture, frame))
    assert rows.min() > 0.9 * shape[0]
    assert np.ptp(columns) > 0.25 * shape[1]
    words = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert int(words.max()) - int(words.min()) > 90


def test_the_title_has_a_font_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    fonts: dict[str, set[int]] = {}
    put_text = cv2.putText

    def noted(canvas: np.ndarray, text: str, place: Sequence[int], font: int, *rest: Any) -> Any:
        fonts.setdefault(text, set()).add(font)
        return put_text(canvas, text, place, font, *rest)

    monkeypatch.setattr(cv2, "putText", noted)
    draw_head(blank((540, 800)), np.zeros((540, 800), np.uint8), None, LINES)
    assert fonts[LINES[0]] == {cv2.FONT_HERSHEY_DUPLEX}
    assert fonts[LINES[1]] == fonts[LINES[2]] == {cv2.FONT_HERSHEY_SIMPLEX}


def test_other_than_ascii_does_not_fail() -> None:
    picture = draw_head(blank((256, 256)), np.zeros((256, 256), np.uint8), None, ("HC 183 mm ± 2 µ",))
    assert picture.shape == (256, 256, 3)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="blank.png"):
        draw_head(blank((256, 256)), np.zeros((128, 128), np.uint8), None, ())


@pytest.mark.skipif(not HC18.is_dir(), reason="../shared/hc18 is not here")
def test_a_real_frame_stays_visible() -> None:
    pixels = read_grey(HC18 / "010_HC.png")
    outline = fit_outline(read_grey(HC18 / "010_HC_Annotation.png"))
    assert outline is not None
    mask = outline.rasterise((pixels.shape[0], pixels.shape[1]))
    frame = Frame(pixels, None, "010_HC.png")
    picture = draw_head(frame, mask, from_mask(mask), LINES)
    marked = changed(picture, frame)
    assert 0.01 < marked.mean() < 0.15
    inside = cv2.erode(mask, np.ones((15, 15), np.uint8)) > 0
    assert marked[inside].mean() < 0.05


def psfh_mask(shape: tuple[int, int]) -> np.ndarray:
    unit = min(shape) / 256
    mask = 2 * Ellipse(125 * unit, 150 * unit, 66 * unit, 54 * unit, 25).rasterise(shape)
    mask[Ellipse(70 * unit, 60 * unit, 30 * unit, 11 * unit, 0).rasterise(shape) > 0] = 1
    return mask


def draw_angle(frame: Frame, mask: np.ndarray, lines: Sequence[str]) -> np.ndarray:
    return PS_FH.draw(frame, mask, PS_FH.measure(mask, None), lines)


def test_the_construction_of_the_angle_lies_where_it_is() -> None:
    frame, mask = blank((640, 640), level=0), psfh_mask((640, 640))
    found = measure_progression(mask)
    picture = draw_angle(frame, mask, ())
    superior, inferior, tangent, nearest = (
        np.array(point) for point in (found.superior, found.inferior, found.tangent, found.nearest)
    )
    past = inferior + 1.15 * (tangent - inferior)
    behind = inferior + 0.1 * (inferior - superior)
    for start, end in ((superior, inferior), (inferior, behind), (inferior, past), (inferior, nearest)):
        for part in np.linspace(0.05, 0.95, 15):
            x, y = np.rint(start + part * (end - start)).astype(int)
            assert picture[y - 1 : y + 2, x - 1 : x + 2].max() > 90
    ray = (tangent - inferior) / np.linalg.norm(tangent - inferior)
    middle = (superior - inferior) / np.linalg.norm(superior - inferior) + ray
    arc = inferior + 0.5 * np.linalg.norm(superior - inferior) * middle / np.linalg.norm(middle)
    x, y = np.rint(arc).astype(int)
    assert picture[y - 2 : y + 3, x - 2 : x + 3].max() > 90
    for colour, label in ((SYMPHYSIS, 1), (OUTLINE, 2)):
        edge = cv2.dilate((mask == label).astype(np.uint8), np.ones((5, 5))) - cv2.erode(
            (mask == label).astype(np.uint8), np.ones((5, 5))
        )
        assert (near(picture, colour) & (edge > 0)).sum() > 200


def test_the_arc_of_an_angle_past_180_degrees_crosses_the_head() -> None:
    frame, mask = blank((640, 640), level=0), np.zeros((640, 640), np.uint8)
    head, symphysis = Ellipse(400, 330, 160, 155, 90), Ellipse(140, 250, 80, 32, 0)
    for label, ellipse in ((2, head), (1, symphysis)):
        mask[ellipse.rasterise(mask.shape) > 0] = label
    found = measure_progression(mask)
    assert found.aop_deg is not None and found.aop_deg > 185
    axis, touching = (np.subtract(end, found.inferior) for end in (found.superior, found.tangent))
    radius = 0.5 * min(np.linalg.norm(axis), np.linalg.norm(touching))
    half = math.radians(found.aop_deg / 2)
    reach = radius * np.array([-math.cos(half), math.sin(half)])  # from the left by half of the angle, downwards
    picture = draw_angle(frame, mask, ())
    (x, y), (far_x, far_y) = (np.rint(found.inferior + side * reach).astype(int) for side in (1, -1))
    assert picture[y - 2 : y + 3, x - 2 : x + 3].max() > 90
    assert picture[far_y - 2 : far_y + 3, far_x - 2 : far_x + 3].max() == 0


@pytest.mark.parametrize("shape", SIZES)
def test_an_angle_in_any_size(shape: tuple[int, int]) -> None:
    frame, mask = blank(shape), psfh_mask(shape)
    picture = draw_angle(frame, mask, ("AoP 124 deg", "HSD 12 mm"))
    assert picture.shape == (*shape, 3) and changed(picture, frame).any()
    assert near(picture, AMBER).sum() == 0 or measure_progression(mask).status != "ok"


def test_without_an_angle_there_is_no_construction() -> None:
    frame, mask = blank((256, 256), level=0), psfh_mask((256, 256))
    cut = np.roll(mask, 256 - int(np.nonzero(mask)[1].max()), axis=1)
    picture = draw_angle(frame, cut, ("no measure", "head-truncated"))
    assert near(picture, AMBER).sum() > 30
    assert near(picture, ELLIPSE).sum() == 0
    draw_angle(frame, np.zeros_like(mask), ("no measure",))
    with pytest.raises(InputError, match="blank.png"):
        draw_angle(frame, mask[:100], ())
