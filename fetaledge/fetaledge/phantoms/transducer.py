"""A convex (curvilinear) probe: its beams, and the way from them to the pixels of a frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge.phantoms.speckle import Map


@dataclass(frozen=True)
class ConvexProbe:
    """Where the beams start and which way they go, in mm of the frame (its first pixel's centre is 0, 0).

    Attributes:
        x_mm, y_mm: the centre of curvature; it lies above the face, often above the frame.
        radius_mm: from there to the face.
        half_angle: of the sector, in radians.
        depth_mm: from the face to the deepest echo.
    """

    x_mm: float
    y_mm: float
    radius_mm: float
    half_angle: float
    depth_mm: float

    def polar(self, x_mm: Map, y_mm: Map) -> tuple[Map, Map]:
        """Distance from the centre of curvature in mm, and beam angle in radians (0 = straight down), of points."""
        distance, angle = cv2.cartToPolar(y_mm - np.float32(self.y_mm), x_mm - np.float32(self.x_mm))
        angle = np.where(angle > math.pi, angle - 2 * math.pi, angle)
        return np.asarray(distance, np.float32), np.asarray(angle, np.float32)


@dataclass(frozen=True, eq=False)
class BeamGrid:
    """The part of a probe's sector that a frame shows, sampled evenly in depth (rows) and beam angle (columns).

    Attributes:
        probe: whose beams.
        depth_mm: ``float32 (R, 1)``, below the face.
        angle: ``float32 (1, T)``, radians, 0 = straight down.
        row_mm: depth between two rows.
        beam_rad: angle between two beams.
        to_frame: two ``float32 (H, W)`` maps for :func:`cv2.remap`: column and row in this grid of each pixel.
        inside: ``bool (H, W)``, the pixels within the sector.
    """

    probe: ConvexProbe
    depth_mm: Map
    angle: Map
    row_mm: float
    beam_rad: float
    to_frame: tuple[Map, Map]
    inside: npt.NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, int]:
        return self.depth_mm.shape[0], self.angle.shape[1]

    def positions(self) -> tuple[Map, Map]:
        """x and y in mm of the frame, ``float32 (R, T)`` each, of every sample."""
        distance = self.depth_mm + np.float32(self.probe.radius_mm)
        x = np.float32(self.probe.x_mm) + distance * np.sin(self.angle)
        y = np.float32(self.probe.y_mm) + distance * np.cos(self.angle)
        return x, y

    def scan_convert(self, values: Map) -> Map:
        """``float32 (R, T)`` on the beams to ``float32 (H, W)`` on the frame; 0 outside the sector."""
        frame = cv2.remap(values, *self.to_frame, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(np.where(self.inside, frame, 0), np.float32)


def beam_grid(probe: ConvexProbe, shape: tuple[int, int], pixel_mm: float) -> BeamGrid:
    """The beams of ``probe`` that cross a frame of ``shape`` (rows, columns) with square pixels of ``pixel_mm``."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32) * np.float32(pixel_mm)
    distance, angle = probe.polar(columns, rows)
    depth = distance - np.float32(probe.radius_mm)
    inside = (depth >= 0) & (depth <= probe.depth_mm) & (np.abs(angle) <= probe.half_angle)
    shallow, deep = float(depth[inside].min()), float(depth[inside].max())
    left, right = float(angle[inside].min()), float(angle[inside].max())
    row_mm = pixel_mm
    beam_rad = 1.5 * pixel_mm / (probe.radius_mm + (shallow + deep) / 2)
    depths = np.arange(shallow - 2 * row_mm, deep + 2 * row_mm, row_mm, dtype=np.float32)
    angles = np.arange(left - 2 * beam_rad, right + 2 * beam_rad, beam_rad, dtype=np.float32)
    to_frame = ((angle - angles[0]) / np.float32(beam_rad), (depth - depths[0]) / np.float32(row_mm))
    return BeamGrid(probe, depths[:, None], angles[None, :], row_mm, beam_rad, to_frame, inside)
