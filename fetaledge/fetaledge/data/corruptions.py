"""Frames as they should not be: what goes wrong with gain, probe, screen and burned-in marks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import cv2
import numpy as np

from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Image

Corruption = Callable[[Image, Ellipse, np.random.Generator], Image]
"""From a frame ``uint8 (H, W)``, the ellipse of the head in it and a source of chance to another frame of its size."""


def _clipped(pixels: np.ndarray) -> Image:
    clipped: Image = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return clipped


def gain(factor: float) -> Corruption:
    """Every grey level times ``factor``."""
    return lambda pixels, ellipse, rng: _clipped(pixels.astype(np.float32) * factor)


def negative(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
    """Black for white."""
    inverted: Image = 255 - pixels
    return inverted


def blur(share: float) -> Corruption:
    """Out of focus: a Gaussian of ``share`` of the frame's longer side."""

    def blurred(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
        smooth: Image = cv2.GaussianBlur(pixels, (0, 0), max(pixels.shape) * share)  # type: ignore[assignment]
        return smooth

    return blurred


def jpeg(quality: int) -> Corruption:
    """JPEG at ``quality`` (0–100): messengers make it poor."""

    def compressed(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
        encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded: Image = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)  # type: ignore[assignment]
        return decoded

    return compressed


def noise(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
    """Noise of 40 grey levels."""
    return _clipped(pixels + rng.normal(0, 40, pixels.shape))


def dark_side(turn: float, depth: float) -> Corruption:
    """All on one side of a straight line is black.

    Args:
        turn: radians from the x axis to the dark side, clockwise on the screen.
        depth: distance of the line from the head's centre, where 1 is the head's border.
    """
    across, down = math.cos(turn), math.sin(turn)

    def darkened(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
        rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
        reach = 2 * math.sqrt(np.array((across, down)) @ ellipse.covariance() @ (across, down))
        beyond = (columns - ellipse.x) * across + (rows - ellipse.y) * down > depth * reach
        dark: Image = np.where(beyond, np.uint8(0), pixels)
        return dark

    return darkened


def dark_quarter(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
    """The top, bottom, left or right quarter of the head, and all beyond it on that side, is black."""
    return dark_side(int(rng.integers(4)) * math.pi / 2, 0.5)(pixels, ellipse, rng)


def shadow(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
    """An acoustic shadow: a dark band from the probe through the head."""
    columns = np.arange(pixels.shape[1])
    middle, width = ellipse.x + rng.uniform(-0.7, 0.7) * ellipse.a, rng.uniform(0.15, 0.35) * ellipse.a
    weight = 1 - 0.95 * np.exp(-(((columns - middle) / width) ** 4))
    return _clipped(pixels * weight[None, :])


def double_exposure(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
    """Two frames in one: the probe moved."""
    moved = np.roll(pixels, (int(rng.integers(8, 40)), int(rng.integers(-40, 40))), (0, 1))
    return _clipped(0.5 * pixels + 0.5 * moved.astype(np.float32))


def drawn_ellipse(scale: float) -> Corruption:
    """A calliper's ellipse, dotted, left at ``scale`` times the head."""

    def draw(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
        drawn = pixels.copy()
        larger = Ellipse(ellipse.x, ellipse.y, ellipse.a * scale, ellipse.b * scale, ellipse.angle_deg)
        points = np.rint(larger.points(240)).astype(np.int32)
        thickness = max(1, round(max(pixels.shape) / 300))
        step = int(rng.integers(1, 4))
        for start, end in zip(points[::step], np.roll(points, -1, axis=0)[::step], strict=True):
            cv2.line(drawn, tuple(map(int, start)), tuple(map(int, end)), 255, thickness)
        return drawn

    return draw


def overlay(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
    """Letters, crosses and lines across the scan."""
    marked = pixels.copy()
    height, width = pixels.shape
    scale = max(pixels.shape) / 500
    for _ in range(int(rng.integers(6, 14))):
        place = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        other = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        kind = int(rng.integers(3))
        if kind == 0:
            cv2.putText(marked, "Dist 12.4 cm", place, cv2.FONT_HERSHEY_SIMPLEX, 0.6 * scale, 255, max(1, round(scale)))
        elif kind == 1:
            cv2.drawMarker(marked, place, 255, cv2.MARKER_CROSS, round(18 * scale), max(1, round(scale)))
        else:
            cv2.line(marked, place, other, 230, max(1, round(scale)))
    return marked


def screen_photograph(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
    """Photographed off a screen: a glare, stripes, less contrast."""
    rows, columns = np.indices(pixels.shape)
    middle = rng.uniform(0.2, 0.8, 2) * pixels.shape
    reach = 0.3 * max(pixels.shape)
    glare = 120 * np.exp(-((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2) / reach**2)
    stripes = 10 * np.sin(rows * rng.uniform(0.8, 1.6)) + 10 * np.sin(columns * rng.uniform(0.8, 1.6))
    return _clipped(0.7 * pixels + 25 + glare + stripes)


CORRUPTIONS: Mapping[str, Corruption] = {
    "gain x 5": gain(5.0),
    "gain x 2": gain(2.0),
    "gain x 0.2": gain(0.2),
    "negative": negative,
    "blur": blur(1 / 50),
    "JPEG quality 5": jpeg(5),
    "noise": noise,
    "a quarter dark": dark_quarter,
    "shadow": shadow,
    "double exposure": double_exposure,
    "ellipse drawn at 80 %": drawn_ellipse(0.8),
    "ellipse drawn at 125 %": drawn_ellipse(1.25),
    "overlay": overlay,
    "photograph of a screen": screen_photograph,
}
