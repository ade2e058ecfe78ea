"""The upright picture: what turning, moving and scaling a frame leaves as it is, and a mirror image does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Image, Logits
from fetaledge_runtimes.tasks.task import MIRRORED
from fetaledge_runtimes.view.check import LENGTH, LENGTH_OF_TWO, ViewCheck, describe, describe_upright
from fetaledge_runtimes.view.picture import describe_picture
from fetaledge_runtimes.view.upright import stand_upright
from tests.view_checks import CENTRE, SPREAD

HEAD, SYMPHYSIS = Ellipse(130, 150, 60, 48, 100), Ellipse(90, 70, 22, 9, 30)


def scene(side: int = 256) -> tuple[Image, Logits]:
    """A frame with a bright half on the right of head and symphysis, and its logits."""
    pixels = np.full((side, side), 30, np.uint8)
    head, symphysis = HEAD.rasterise(pixels.shape), SYMPHYSIS.rasterise(pixels.shape)
    pixels[head > 0] = 60
    pixels[symphysis > 0] = 120
    cv2.ellipse(pixels, (205, 150), (12, 50), 10, 0, 360, 220, -1)
    return pixels, logits_of(symphysis, head)


def logits_of(symphysis: Image, head: Image) -> Logits:
    planes = np.stack([1 - symphysis - head, symphysis, head]).astype(np.float32)
    logits: Logits = planes * 8 - 4
    return logits


def moved(pixels: Image, logits: Logits, turn: float, scale: float, shift: tuple[float, float]) -> tuple[Image, Logits]:
    """As another place of the probe and another depth give it."""
    matrix = cv2.getRotationMatrix2D((128, 128), turn, scale)
    matrix[:, 2] += shift
    planes = [
        cv2.warpAffine(plane, matrix, pixels.shape[::-1], borderValue=4.0 if place == 0 else -4.0)
        for place, plane in enumerate(logits)
    ]
    return cv2.warpAffine(pixels, matrix, pixels.shape[::-1], borderValue=30), np.stack(planes)


def upright(pixels: Image, logits: Logits) -> Image:
    turned = stand_upright(pixels, logits)
    assert turned is not None and turned.shape == (128, 128) and turned.dtype == np.uint8
    return turned


def flipped(pixels: Image, logits: Logits) -> tuple[Image, Logits]:
    return np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(logits[:, :, ::-1])


def test_marks_at_the_border_are_not_seen() -> None:
    """A grey bar stays on its side of the screen when the probe is turned: it says nothing."""
    pixels, logits = scene()
    marked = pixels.copy()
    marked[20:240, 4:10] = 255
    np.testing.assert_array_equal(upright(marked, logits), upright(pixels, logits))
    assert not (upright(pixels, logits)[:12, :12]).any()


@pytest.mark.parametrize(("turn", "scale", "shift"), [(25, 1.0, (0, 0)), (-40, 0.8, (10, -6)), (90, 0.7, (0, 0))])
def test_a_probe_that_is_turned_gives_the_same_upright_picture(
    turn: float, scale: float, shift: tuple[float, float]
) -> None:
    plain, other = scene(), moved(*scene(), turn, scale, shift)
    seen = slice(30, 110)  # the corners lie outside of the turned frame
    difference = np.abs(upright(*plain)[seen, seen].astype(int) - upright(*other)[seen, seen])
    assert difference.mean() < 4
    near = np.linalg.norm(describe_upright(*plain) - describe_upright(*other))
    far = np.linalg.norm(describe_upright(*plain) - describe_upright(*flipped(*plain)))
    assert far > 2 * near


def test_the_second_structure_stands_straight_above() -> None:
    pixels, logits = moved(*scene(), 33, 0.9, (5, 9))
    labels = np.argmax(logits, axis=0)
    centres = []
    for label in (1, 2):
        # the circle cuts a sliver off the head's lower end
        rows, columns = np.nonzero(stand_upright((labels == label).astype(np.uint8) * 200, logits))
        centres.append((columns.mean(), rows.mean()))
    (x, y), (head_x, head_y) = centres
    assert x == pytest.approx(head_x, abs=1) and head_x == pytest.approx(64, abs=1)
    assert head_y == pytest.approx(0.66 * 128, abs=2) and y < head_y - 30


def test_the_mirror_image_gives_the_mirror_image() -> None:
    there, back = upright(*scene()), upright(*flipped(*scene()))[:, ::-1]
    assert np.abs(there[:, 1:].astype(int) - back[:, :-1]).mean() < 2


def test_logits_on_a_coarser_grid_give_the_same_picture() -> None:
    pixels, logits = scene()
    coarse = np.stack([cv2.resize(plane, (64, 64), interpolation=cv2.INTER_AREA) for plane in logits])
    assert np.abs(upright(pixels, logits).astype(int) - upright(pixels, coarse)).mean() < 2


def test_a_frame_without_two_structures_has_no_upright_picture() -> None:
    pixels, logits = scene()
    head = HEAD.rasterise(pixels.shape)
    alone = logits_of(np.zeros_like(head), head)
    assert stand_upright(pixels, alone) is None and not describe_upright(pixels, alone).any()
    assert stand_upright(pixels, logits[2:]) is None


def test_a_check_of_two_structures_sees_the_upright_picture() -> None:
    pixels, logits = scene()
    described = describe(pixels, logits, CENTRE, SPREAD, upright=True)
    assert described is not None and described.shape == (LENGTH_OF_TWO,)
    np.testing.assert_array_equal(described[LENGTH:], describe_picture(upright(pixels, logits)))
    np.testing.assert_array_equal(described[:LENGTH], describe(pixels, logits, CENTRE, SPREAD))


def test_which_way_round_is_not_said_of_a_head_alone() -> None:
    """A missing symphysis is the better word for it."""
    pixels, logits = scene()
    weights = np.zeros((1, LENGTH_OF_TWO), np.float32)
    check = ViewCheck((MIRRORED,), weights, np.array([-1], np.float32), CENTRE, SPREAD)
    view = check(pixels, logits)
    assert view is not None and view.status == MIRRORED
    head = HEAD.rasterise(pixels.shape)
    alone = check(pixels, logits_of(np.zeros_like(head), head))
    assert alone is not None and alone.status is None
