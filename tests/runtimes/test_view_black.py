"""What lies in the black is a guess, and no measure is given for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.task import UNSURE
from fetaledge_runtimes.view.black import black_share

HEAD_OUTLINE = Ellipse(200, 150, 110, 90, 15)
MASK = HEAD_OUTLINE.rasterise((300, 400))


def tissue() -> np.ndarray:
    return np.random.default_rng(0).integers(2, 60, (300, 400), np.uint8)


def test_tissue_is_not_black_and_a_dark_side_is() -> None:
    pixels = tissue()
    assert black_share(pixels, MASK) == 0
    pixels[:, :200] = 0
    assert 0.42 < black_share(pixels, MASK) < 0.5
    assert black_share(pixels, np.zeros_like(MASK)) == 0


def test_single_black_pixels_are_tissue() -> None:
    pixels = tissue()
    pixels[np.random.default_rng(1).random(pixels.shape) < 0.5] = 0
    assert black_share(pixels, MASK) < 0.001


def test_the_mask_may_lie_on_another_grid() -> None:
    pixels = tissue()
    pixels[:120] = 0
    assert black_share(pixels[::2, ::2], MASK) == pytest.approx(black_share(pixels, MASK), abs=0.02)


class Drawn:
    """An engine that finds the same head in every frame."""

    name, threads = "drawn", 1

    def __call__(self, image: np.ndarray) -> np.ndarray:
        scaled = Ellipse(200 * 0.64, 150 * 256 / 300, 90 * 256 / 300, 110 * 0.64, 90)
        return (scaled.rasterise((256, 256)).astype(np.float32) * 12 - 6)[None]


def status_of(pixels: np.ndarray, around: int = 0) -> str:
    """What a predictor of heads says of a frame, in a black screen of this many pixels on each side."""
    screen = np.pad(pixels, around)
    return Predictor.from_engine(Drawn(), (256, 256), HEAD)(Frame(screen, (0.3, 0.3), "frame", 0)).status


@pytest.mark.parametrize("around", [0, 300])
def test_a_head_partly_in_the_black_is_unsure(around: int) -> None:
    dark = tissue()
    dark[60:110] = 0
    assert (status_of(tissue(), around), status_of(dark, around)) == ("ok", UNSURE)


def test_real_heads_are_not_black(hc18: Path) -> None:
    from fetaledge.data.layouts.open import open_dataset

    dataset = open_dataset(hc18)
    shares = []
    for place in range(0, len(dataset.items), 16):
        labelled = dataset[place]
        shares.append(black_share(labelled.frame.pixels, labelled.mask))
    assert max(shares) < HEAD.max_black_share / 2
