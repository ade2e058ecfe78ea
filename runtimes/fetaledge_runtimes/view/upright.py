"""A frame of two structures turned by them: the larger one below, the other one straight above."""

from __future__ import annotations

import math

import cv2
import numpy as np

from fetaledge_runtimes.ellipse import Ellipse, from_mask
from fetaledge_runtimes.frames.frame import Image, Logits
from fetaledge_runtimes.postprocess import largest_component
from fetaledge_runtimes.view.picture import SIDE

RADIUS = 0.31
CENTRE = (0.5, 0.66)
REACH = 0.45


def stand_upright(pixels: Image, logits: Logits) -> Image | None:
    """``uint8 (128, 128)``: the frame turned, moved and scaled; None where fewer than two structures are segmented.

    The centre of the largest structure lies at ``CENTRE`` (x, y) of the side, its mean radius is ``RADIUS`` of it, and
    the centre of the second largest lies straight above. Outside a circle of ``REACH`` of the side about the middle the
    picture is black: there lie the scanner's marks, which stay where they are when a probe is turned. Turning or moving
    the probe and another depth change little in that picture; a mirror image does. So a score on it holds for scanners
    that it was not learnt on.

    Args:
        pixels: the frame ``uint8 (H, W)`` at the network's size.
        logits: ``float32 (C, h, w)``, on a grid of the same shape or a coarser one.
    """
    if len(logits) < 3:
        return None
    labels = np.argmax(logits, axis=0)
    masks = [largest_component((labels == label).astype(np.uint8)) for label in range(1, len(logits))]
    masks.sort(key=np.count_nonzero, reverse=True)
    large, small = from_mask(masks[0]), from_mask(masks[1])
    if large is None or small is None or large.b <= 0:
        return None
    grid = np.array(pixels.shape[::-1]) / labels.shape[::-1]
    turned = cv2.warpAffine(pixels, _placement(large, small, grid), (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    away = np.abs(np.arange(SIDE) - (SIDE - 1) / 2)
    upright: Image = np.where(np.hypot(away[:, None], away) <= REACH * SIDE, turned, np.uint8(0))
    return upright


def _placement(large: Ellipse, small: Ellipse, grid: np.ndarray) -> np.ndarray:
    """``float64 (2, 3)``: from the frame's pixels to the upright picture's.

    ``grid``: pixels of the frame to a cell (x, y).
    """
    middle = (np.array((large.x, large.y)) + 0.5) * grid - 0.5
    towards = np.array((small.x - large.x, small.y - large.y)) * grid
    radius = math.sqrt(large.a * large.b * grid.prod())
    scale, turn = RADIUS * SIDE / radius, -math.pi / 2 - math.atan2(towards[1], towards[0])
    linear = scale * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    shift = np.array(CENTRE) * SIDE - linear @ middle
    return np.column_stack([linear, shift])
