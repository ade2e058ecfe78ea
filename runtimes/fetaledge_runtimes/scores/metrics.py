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
    borders = [_border(mask) * spacing for mask in (predicted, truth)]
    empty = [len(border) == 0 for border in borders]
    if any(empty):
        diagonal = float(np.hypot(predicted.shape[0] * spacing[0], predicted.shape[1] * spacing[1]))
        alone = np.array([0.0 if all(empty) else diagonal])
        return SurfaceDistances(alone, alone)
    return SurfaceDistances(_nearest(borders[0], borders[1]), _nearest(borders[1], borders[0]))


def _border(mask: Image) -> Points:
    """(row, column) of each inside pixel that has an outside pixel, or the image's edge, among its four neighbours."""
    inside = (mask > 0).astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    core = cv2.erode(inside, cross, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.argwhere(inside > core).astype(np.float64)


def _nearest(origins: Points, targets: Points) -> Points:
    step = max(1, 4_000_000 // len(targets))
    nearest = [
        ((block[:, None, :] - targets[None]) ** 2).sum(-1).min(1)
        for block in (origins[start : start + step] for start in range(0, len(origins), step))
    ]
    distances: Points = np.sqrt(np.concatenate(nearest))
    return distances
