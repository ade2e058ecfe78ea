"""Frames as scanners, shadows and screens spoil them, with the labels of what they show: a network learns from both."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fetaledge.data.corruptions import (
    Corruption,
    blur,
    dark_side,
    double_exposure,
    drawn_ellipse,
    gain,
    jpeg,
    negative,
    noise,
    overlay,
    screen_photograph,
    shadow,
)
from fetaledge_runtimes.ellipse import Ellipse, from_mask
from fetaledge_runtimes.frames.frame import Image

Draw = Callable[[np.random.Generator], Corruption]

# Those that hide or copy a part of the outline come more often: they make most of the errors.
ARTEFACTS: tuple[tuple[float, Draw], ...] = (
    (4.0, lambda rng: drawn_ellipse(rng.uniform(0.65, 1.4))),
    (2.0, lambda rng: overlay),
    (3.0, lambda rng: dark_side(rng.uniform(0, 2 * math.pi), rng.uniform(0.3, 0.9))),
    (2.0, lambda rng: shadow),
    (1.0, lambda rng: gain(math.exp(rng.uniform(math.log(0.2), math.log(5))))),
    (1.0, lambda rng: blur(math.exp(rng.uniform(math.log(1 / 250), math.log(1 / 50))))),
    (1.0, lambda rng: jpeg(int(rng.integers(5, 60)))),
    (0.5, lambda rng: noise),
    (0.5, lambda rng: negative),
    (0.5, lambda rng: double_exposure),
    (1.0, lambda rng: screen_photograph),
)
SECOND = 0.3


def spoil(pixels: Image, masks: Image, rng: np.random.Generator) -> Image:
    """A frame with one artefact, or two for the share ``SECOND`` of the frames.

    Args:
        pixels: ``uint8 (H, W)``.
        masks: ``uint8 (K, H, W)``, zero outside the structures; artefacts lie about the largest of them.
        rng: source of chance.

    Returns:
        ``uint8 (H, W)``; the frame as it is where the largest structure is too small for an ellipse.
    """
    largest = max(masks, key=np.count_nonzero)
    ellipse = from_mask((largest > 0).astype(np.uint8))
    if ellipse is None:
        return pixels
    chances = np.array([chance for chance, _ in ARTEFACTS])
    for place in rng.choice(len(ARTEFACTS), 1 + int(rng.random() < SECOND), replace=False, p=chances / chances.sum()):
        pixels = ARTEFACTS[place][1](rng)(pixels, _loose(ellipse, rng), rng)
    return pixels


def _loose(ellipse: Ellipse, rng: np.random.Generator) -> Ellipse:
    """Nearly the same ellipse, as hands draw it."""
    along, across = rng.uniform(0.88, 1.12, 2)
    dx, dy = rng.normal(0, 0.05, 2) * ellipse.b
    turn = ellipse.angle_deg + rng.normal(0, 8)
    return Ellipse(ellipse.x + dx, ellipse.y + dy, ellipse.a * along, ellipse.b * across, turn)
