"""Segmentation metrics of one pair of binary masks, with conventions said out loud.

Masks are ``(H, W)``, non-zero = inside. Both empty: Dice and IoU 1, distances 0. One empty: Dice and IoU 0, distances
the image's diagonal (a missing structure must never improve a mean).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge_runtimes.frames.frame import Image

Points = npt.NDArray[np.float64]
EXACT_SIDE = 1024
"""OpenCV transforms in float32: up to this side of a frame it finds the nearest pixel without fail."""
PAIRS_AT_ONCE = 100_000
"""Their differences stay in a core's cache."""


@dataclass(frozen=True)
class Overlap:
    """Pixel counts of a prediction against the truth; they add up, which is what pooled metrics need."""

    both: int
    predicted: int
    true: int
    pixels: int

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(
            self.both + other.both, self.predicted + other.predicted, self.true + other.true, self.pixels + other.pixels
        )

    @property
    def dice(self) -> float:
        total = self.predicted + self.true
        return 2 * self.both / total if total else 1.0

    @property
    def iou(self) -> float:
        union = self.predicted + self.true - self.both
        return self.both / union if union else 1.0

    @property
    def pixel_accuracy(self) -> float:
        wrong = self.predicted + self.true - 2 * self.both
        return 1 - wrong / self.pixels


def overlap(predicted: Image, truth: Image) -> Overlap:
    """Count both masks' pixels. Raises ValueError where their shapes differ."""
    if predicted.shape != truth.shape:
        raise ValueError(f"masks of {predicted.shape} and {truth.shape} cannot be compared")
    p, t = predicted > 0, truth > 0
    return Overlap(int((p & t).sum()), int(p.sum()), int(t.sum()), p.size)


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances from each border pixel to the nearest border pixel of the other mask, in the unit of the spacing."""

    to_truth: Points
    to_predicted: Points

    @property
    def hd95(self) -> float:
        """The larger of the two directed 95th percentiles."""
        return float(max(np.percentile(self.to_truth, 95), np.percentile(self.to_predicted, 95)))

    @property
    def hd(self) -> float:
        """The full Hausdorff distance (HD100)."""
        return float(max(self.to_truth.max(), self.to_predicted.max()))

    @property
    def assd(self) -> float:
        """Average symmetric surface distance: the mean over both directions' distances, pooled."""
        return float(np.concatenate([self.to_truth, self.to_predicted]).mean())


def surface_distances(predicted: Image, truth: Image, spacing: tuple[float, float] = (1.0, 1.0)) -> SurfaceDistances:
    """Border distances of two masks; ``spacing`` = (row, column), 1 for pixels or ``pixel_mm`` for mm."""
    borders = [_border(mask) for mask in (predicted, truth)]
    empty = [not border.any() for border in borders]
    if any(empty):
        diagonal = float(np.hypot(predicted.shape[0] * spacing[0], predicted.shape[1] * spacing[1]))
        alone = np.array([0.0 if all(empty) else diagonal])
        return SurfaceDistances(alone, alone)
    return SurfaceDistances(
        nearest_distances(borders[0], borders[1], spacing), nearest_distances(borders[1], borders[0], spacing)
    )


def _border(mask: Image) -> Image:
    """Each inside pixel that has an outside pixel, or the image's edge, among its four neighbours."""
    inside = (mask > 0).astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    core = cv2.erode(inside, cross, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return (inside > core).astype(np.uint8)


def nearest_distances(origins: Image, targets: Image, spacing: tuple[float, float] = (1.0, 1.0)) -> Points:
    """Distance of each pixel of ``origins`` to the nearest one of ``targets``, ``float64 (n,)``, row by row.

    Args:
        origins: ``(H, W)``, non-zero = one of n.
        targets: the same shape, with one non-zero pixel or more.
        spacing: (row, column), in the unit of the distances.

    Raises:
        ValueError: there is no target.
    """
    if not targets.any():
        raise ValueError("there is no pixel to measure distances to")
    if spacing[0] == spacing[1] and max(targets.shape) <= EXACT_SIDE:
        away = cv2.distanceTransform((targets == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        squared = np.rint(np.square(away[origins > 0].astype(np.float64)))  # whole numbers, in pixels
        distances: Points = np.sqrt(squared) * spacing[0]
        return distances
    return _searched(np.argwhere(origins) * np.array(spacing), np.argwhere(targets) * np.array(spacing))


def _searched(origins: Points, targets: Points) -> Points:
    squared = np.empty(len(origins), np.float64)
    step = max(1, PAIRS_AT_ONCE // len(targets))
    for start in range(0, len(origins), step):
        block = origins[start : start + step]
        rows, columns = block[:, :1] - targets[:, 0], block[:, 1:] - targets[:, 1]
        squared[start : start + step] = (rows * rows + columns * columns).min(1)
    distances: Points = np.sqrt(squared)
    return distances
