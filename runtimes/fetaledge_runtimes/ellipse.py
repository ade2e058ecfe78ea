"""The ellipse of a mask, by its second moments, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from fetaledge_runtimes.frames.frame import Image


@dataclass(frozen=True)
class Ellipse:
    """An ellipse in any one unit (pixels of a grid whose pixel centres are whole numbers, or mm).

    Attributes:
        x, y: its centre (column, row).
        a, b: semi-axes, ``a >= b``.
        angle_deg: from the x axis to the long axis, clockwise on the screen (y points down).
    """

    x: float
    y: float
    a: float
    b: float
    angle_deg: float

    @property
    def circumference(self) -> float:
        """Ramanujan's second approximation; its error is below 1e-12 relative for b/a >= 0.70.

        S. Ramanujan, Modular equations and approximations to pi, 1914.
        """
        h = ((self.a - self.b) / (self.a + self.b)) ** 2
        return math.pi * (self.a + self.b) * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))

    @property
    def area(self) -> float:
        return math.pi * self.a * self.b

    @property
    def direction(self) -> tuple[float, float]:
        """(x, y) of length 1 along the long axis."""
        return math.cos(math.radians(self.angle_deg)), math.sin(math.radians(self.angle_deg))

    def covariance(self) -> np.ndarray:
        """The 2×2 second-moment matrix (x, y) of the filled ellipse: its eigenvalues are a²/4 and b²/4."""
        axes = self._axes()
        covariance: np.ndarray = axes @ np.diag([self.a**2 / 4, self.b**2 / 4]) @ axes.T
        return covariance

    def scaled(self, x_scale: float, y_scale: float) -> Ellipse:
        """The same ellipse on a grid stretched by these factors, as from pixels to mm: it need not keep its angle.

        The pixel grid's origin (the centre of the first pixel) stays the origin.
        """
        scale = np.diag([x_scale, y_scale])
        return from_moments(self.x * x_scale, self.y * y_scale, scale @ self.covariance() @ scale)

    def mirrored(self, width: int) -> Ellipse:
        """The same ellipse in the mirror image, left and right exchanged, of a frame of this many columns."""
        return Ellipse(width - 1 - self.x, self.y, self.a, self.b, -self.angle_deg % 180)

    def rasterise(self, shape: tuple[int, int]) -> Image:
        """Mask ``uint8 (H, W)`` of 0 and 1: 1 where a pixel's centre lies inside."""
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        angle = math.radians(self.angle_deg)
        dx, dy = columns - self.x, rows - self.y
        along = dx * math.cos(angle) + dy * math.sin(angle)
        across = dy * math.cos(angle) - dx * math.sin(angle)
        return ((along / self.a) ** 2 + (across / self.b) ** 2 <= 1).astype(np.uint8)

    def points(self, count: int = 360) -> np.ndarray:
        """``float64 (count, 2)``: points (x, y) on the outline."""
        turn = np.linspace(0, 2 * math.pi, count, endpoint=False)
        return self.placed(np.stack([self.a * np.cos(turn), self.b * np.sin(turn)], axis=1))

    def contains(self, points: np.ndarray) -> np.ndarray:
        """``bool (...)``: which of the points ``(..., 2)`` (x, y) lie inside or on the outline."""
        inside: np.ndarray = np.sum((self.own(points) / (self.a, self.b)) ** 2, axis=-1) <= 1
        return inside

    def tangent_points(self, point: np.ndarray) -> np.ndarray:
        """``float64 (2, 2)``: where the two tangents through a point (x, y) outside touch the outline.

        Stretched to the unit circle, the point lies at a distance r > 1, and its tangents touch at an angle of
        arccos(1/r) to either side of it; a stretch keeps tangents.
        """
        x, y = self.own(point) / (self.a, self.b)
        middle, half = math.atan2(y, x), math.acos(1 / math.hypot(x, y))
        turn = np.array([middle - half, middle + half])
        return self.placed(np.stack([self.a * np.cos(turn), self.b * np.sin(turn)], axis=1))

    def nearest(self, point: np.ndarray) -> np.ndarray:
        """``float64 (2,)``: the point of the outline next to a point (x, y) outside.

        It is (a²x/(t+a²), b²y/(t+b²)) in the ellipse's own frame, with the only t >= 0 that puts it on the outline. The
        condition falls and is convex in t, so Newton's steps from below run up to it (Eberly, Distance from a point to
        an ellipse).
        """
        own = self.own(point)
        squares = np.array([self.a, self.b]) ** 2
        scaled = own * (self.a, self.b)
        t = max(0.0, float(np.max(np.abs(scaled) - squares)))
        for _ in range(64):
            terms = scaled / (t + squares)
            step = (float(terms @ terms) - 1) / (2 * float(np.sum(terms**2 / (t + squares))))
            t += step
            if abs(step) <= 1e-12 * (t + squares[0]):
                break
        return self.placed(squares * own / (t + squares))

    def _axes(self) -> np.ndarray:
        """2×2: the directions of the long and the short axis, as columns."""
        angle = math.radians(self.angle_deg)
        return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    def own(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) seen from the centre, along the long and the short axis."""
        moved: np.ndarray = (np.asarray(points, np.float64) - (self.x, self.y)) @ self._axes()
        return moved

    def placed(self, own: np.ndarray) -> np.ndarray:
        """The reverse of :meth:`own`."""
        placed: np.ndarray = own @ self._axes().T + (self.x, self.y)
        return placed


def from_moments(x: float, y: float, covariance: np.ndarray) -> Ellipse:
    """The ellipse with this centre and second-moment matrix: semi-axis = 2·√eigenvalue."""
    values, vectors = np.linalg.eigh(covariance)
    small, large = (2 * math.sqrt(max(float(value), 0.0)) for value in values)
    long_axis = vectors[:, 1]
    return Ellipse(float(x), float(y), large, small, math.degrees(math.atan2(long_axis[1], long_axis[0])) % 180)


def from_mask(mask: Image) -> Ellipse | None:
    """The second-moment ellipse of a filled mask ``uint8 (H, W)`` (non-zero = inside), in pixels; None without area.

    Unlike an ellipse fitted to the contour, which runs through pixel centres and comes out about 2.85 pixels of
    circumference too small, this one is unbiased. Each pixel is a unit square, not a point: 1/12 is added to the
    variance.
    """
    m = cv2.moments(mask, binaryImage=True)
    if m["m00"] == 0:
        return None
    covariance = np.array([[m["mu20"], m["mu11"]], [m["mu11"], m["mu02"]]]) / m["m00"] + np.eye(2) / 12
    return from_moments(m["m10"] / m["m00"], m["m01"] / m["m00"], covariance)


def fit_outline(outline: Image) -> Ellipse | None:
    """The least-squares ellipse through every non-zero pixel of a thin outline ``uint8 (H, W)``; None below 5 pixels.

    On HC18 this gives the circumference of the published table within 0.03 mm, also where the outline is open.
    """
    points = cv2.findNonZero(outline)
    if points is None or len(points) < 5:
        return None
    (x, y), (width, height), angle = cv2.fitEllipse(points)
    if not all(map(math.isfinite, (x, y, width, height, angle))) or min(width, height) <= 0:
        return None
    if width >= height:
        return Ellipse(x, y, width / 2, height / 2, angle % 180)
    return Ellipse(x, y, height / 2, width / 2, (angle + 90) % 180)


def ellipse_dice(mask: Image, ellipse: Ellipse) -> float:
    """Dice of a mask ``uint8 (H, W)`` of 0 and 1 with its ellipse, in pixels: how elliptic it is."""
    drawn = np.zeros_like(mask)
    cv2.fillPoly(drawn, [np.rint(ellipse.points(120) * 16).astype(np.int32)], 1, shift=4)
    both = cv2.countNonZero(cv2.bitwise_and(drawn, mask))
    return 2 * both / max(cv2.countNonZero(drawn) + cv2.countNonZero(mask), 1)


def solidity(mask: Image) -> float:
    """The share of its convex hull that a mask ``uint8 (H, W)`` of 0 and 1, of one region, covers.

    That of an ellipse is about 1, also where the frame's edge cuts it.
    """
    points = cv2.findNonZero(mask)
    if points is None:
        return 0.0
    hull = cv2.fillConvexPoly(np.zeros_like(mask), cv2.convexHull(points), 1)
    return cv2.countNonZero(mask) / cv2.countNonZero(hull)


def touches_border(mask: Image) -> bool:
    """Whether a mask ``uint8 (H, W)`` reaches the frame's edge."""
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
