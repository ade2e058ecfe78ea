"""How sure the network is of the outline that it drew, and what the picture shows along it."""

from __future__ import annotations

import math

import cv2
import numpy as np

from fetaledge_runtimes.ellipse import Ellipse, ellipse_dice, from_mask
from fetaledge_runtimes.frames.frame import Image, Logits
from fetaledge_runtimes.postprocess import largest_component
from fetaledge_runtimes.view.picture import Description

TURNS = 96
RADII = np.linspace(0.1, 1.3, 49)
NAMES = (
    "mask_dice", "unsure", "median_logit", "mean_probability", "low_logit", "discarded", "logit_outside", "axis_ratio",
    "area", "ring", "ring_low", "ring_grey", "ring_outside", "sharpness",
    *(f"profile_{number}" for number in range(12)), *(f"ring_{number}" for number in range(8)),
    "midline", "texture", "mean_grey", "deviation", "logit_spread",
)  # fmt: skip
LENGTH = len(NAMES)


def largest_structure(logits: Logits) -> Logits:
    """``float32 (h, w)``: positive where the structure that covers most is, of logits ``float32 (C, h, w)``."""
    if len(logits) == 1:
        alone: Logits = logits[0]
        return alone
    labels = np.argmax(logits, axis=0)
    label = 1 + int(np.argmax([np.count_nonzero(labels == value) for value in range(1, len(logits))]))
    others = np.delete(logits, label, axis=0).max(axis=0)
    margin: Logits = logits[label] - others
    return margin


def describe_outline(pixels: Image, logits: Logits) -> Description | None:
    """``float32 (39,)`` in the order of :data:`NAMES`; None where nothing is segmented.

    Args:
        pixels: the frame ``uint8 (H, W)`` at the network's size.
        logits: ``float32 (C, h, w)``, on a grid of the same shape or a coarser one.

    Of the logits: Dice of mask and ellipse, the share of unsure pixels along the border, the median inside and outside,
    the mean probability, the tenth percentile, the share of discarded components. Of the picture, along the ellipse:
    the contrast of the skull's ring against the inside and the outside, grey by radius and by direction, the midline.
    """
    margin = np.ascontiguousarray(largest_structure(logits), dtype=np.float32)
    if margin.shape != pixels.shape:
        margin = cv2.resize(margin, pixels.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)
    raw = (margin > 0).astype(np.uint8)
    mask = largest_component(raw)
    ellipse = from_mask(mask)
    if ellipse is None or ellipse.b <= 0:
        return None
    inside = mask > 0
    probability = 1 / (1 + np.exp(-np.clip(margin, -30, 30)))
    count, covered = int(np.count_nonzero(inside)), int(np.count_nonzero(raw))
    grey_deviation, grey_mean = float(pixels[inside].std()) + 5, float(pixels[inside].mean())
    grey, along = _unrolled(cv2.GaussianBlur(pixels, (0, 0), 1), ellipse), _unrolled(margin, ellipse)
    relative = (grey - grey_mean) / grey_deviation
    ring = relative[:, _between(0.93, 1.03)].max(axis=1)
    contrast = ring - relative[:, _between(0.5, 0.8)].mean(axis=1)
    inner = relative[:, RADII < 0.7]
    ends, sides = np.r_[TURNS - 4 : TURNS, 0:4, 44:52], np.r_[12:36, 60:84]
    values = [
        ellipse_dice(mask, ellipse),
        np.count_nonzero((probability > 0.1) & (probability < 0.9)) / math.sqrt(count) / 3.5,
        np.median(margin[inside]),
        probability[inside].mean(),
        np.percentile(margin[inside], 10),
        max(0.0, 1 - count / covered),
        np.median(margin[~inside]) if count < inside.size else 0.0,
        ellipse.b / ellipse.a,
        count / inside.size,
        contrast.mean(),
        np.percentile(contrast, 20),
        contrast.mean() * grey_deviation,
        (ring - relative[:, RADII >= 1.1].mean(axis=1)).mean(),
        along[:, _between(0.9, 0.95)].mean() - along[:, _between(1.05, 1.1)].mean(),
        *relative.mean(axis=0)[:48].reshape(12, 4).mean(axis=1),
        *ring.reshape(8, 12).mean(axis=1),
        inner[ends].mean() - inner[sides].mean(),
        relative[:, _between(0.2, 0.8)].std(),
        grey_mean / 100,
        grey_deviation / 50,
        along[:, _between(0.9, 1.1)].std(axis=0).mean(),
    ]
    return np.array(values, np.float32)


def _between(low: float, high: float) -> np.ndarray:
    return (low - 1e-9 <= RADII) & (high + 1e-9 >= RADII)


def _unrolled(plane: np.ndarray, ellipse: Ellipse) -> np.ndarray:
    """``float32 (96, 49)``: the plane along 96 directions, at :data:`RADII` of the way to the outline."""
    turn = np.linspace(0, 2 * math.pi, TURNS, endpoint=False)[:, None]
    own = np.stack([ellipse.a * np.cos(turn) * RADII, ellipse.b * np.sin(turn) * RADII], axis=-1)
    places = ellipse.placed(own).astype(np.float32)
    edge = cv2.BORDER_REPLICATE if plane.dtype == np.float32 else cv2.BORDER_CONSTANT
    found: np.ndarray = cv2.remap(plane, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=edge)
    return found.astype(np.float32)
