"""The picture that people look at: the frame with what was found in it, how it was measured, and the measures."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Frame, Image
from fetaledge_runtimes.notice import NOTICE

TITLE_FONT, FONT = cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_SIMPLEX
FONT_HEIGHT = 22.0  # of a capital at scale 1, in pixels
SUPERSAMPLE = 4
SUBPIXEL_BITS = 4

# BGR
OUTLINE = (214, 196, 64)
ELLIPSE = (140, 226, 255)
SYMPHYSIS = (196, 132, 255)
AXES = (255, 255, 255)
TEXT = (245, 245, 245)
MUTED = (190, 190, 190)
AMBER = (60, 176, 255)
PANEL = (24, 20, 16)
PANEL_OPACITY = 0.66
AXES_OPACITY = 0.75

Point = tuple[float, float]
Points = npt.NDArray[np.float64]
Layer = npt.NDArray[np.float32]


def start(frame: Frame, mask: Image) -> tuple[Image, int]:
    """The frame in colour, and how thick its lines should be."""
    if mask.shape != frame.pixels.shape:
        raise InputError(
            f"the mask of {frame.source} has shape {mask.shape} where the frame has {frame.pixels.shape}",
            "map the mask back to the frame's own grid before drawing",
        )
    canvas = cv2.cvtColor(frame.pixels, cv2.COLOR_GRAY2BGR).astype(np.uint8, copy=False)
    return canvas, max(1, round(1.5 * min(mask.shape) / 540))


def finish(canvas: Image, mask: Image, lines: Sequence[str], good: bool) -> Image:
    """Add the disclaimer and the caption."""
    height, width = mask.shape
    unit = min(height, width) / 540
    margin = max(4, round(12 * unit))
    footer = _fitted(NOTICE, max(6.0, 9 * unit), width - 2 * margin)
    foot_y = height - margin // 2 - footer.shape[0]
    _blend(canvas, footer, (width - footer.shape[1]) // 2, foot_y, MUTED, shadow=True)
    if lines:
        _caption(canvas, mask, lines, unit, margin, foot_y, TEXT if good else AMBER)
    return canvas


def _caption(
    canvas: Image,
    mask: Image,
    lines: Sequence[str],
    unit: float,
    margin: int,
    bottom: int,
    colour: tuple[int, int, int],
) -> None:
    """The lines on a translucent panel, in the corner that hides least of the mask, then of bright tissue."""
    height, width = mask.shape
    capital = max(7.5, 13 * unit)
    room = round(0.6 * width)
    title = capital * (1.3 if len(lines) > 1 else 1.1)
    rows = [_fitted(lines[0], title, room, TITLE_FONT), *(_fitted(line, capital, room) for line in lines[1:])]
    padding = max(4, round(0.8 * capital))
    gap = max(3, round(0.35 * capital))
    panel_width = max(row.shape[1] for row in rows) + 2 * padding
    panel_height = sum(row.shape[0] for row in rows) + gap * (len(rows) - 1) + 2 * padding
    left, right = margin, max(margin, width - margin - panel_width)
    top, low = margin, max(margin, bottom - margin // 2 - panel_height)

    def hidden(corner: tuple[int, int]) -> tuple[int, float]:
        x, y = corner
        box = np.s_[y : y + panel_height, x : x + panel_width]
        return int(np.count_nonzero(mask[box])), float(canvas[box].mean())

    x, y = min(((left, top), (right, top), (left, low), (right, low)), key=hidden)
    _panel(canvas, x, y, panel_width, panel_height, radius=max(2, round(0.5 * padding)))
    y += padding
    for place, row in enumerate(rows):
        _blend(canvas, row, x + padding, y, colour if place == 0 or colour == AMBER else MUTED)
        y += row.shape[0] + gap


def _panel(canvas: Image, x: int, y: int, width: int, height: int, radius: int) -> None:
    sheet = np.zeros((height * SUPERSAMPLE, width * SUPERSAMPLE), np.uint8)
    r, far_x, far_y = radius * SUPERSAMPLE, width * SUPERSAMPLE - 1, height * SUPERSAMPLE - 1
    cv2.rectangle(sheet, (r, 0), (far_x - r, far_y), 255, -1)
    cv2.rectangle(sheet, (0, r), (far_x, far_y - r), 255, -1)
    for corner in ((r, r), (far_x - r, r), (r, far_y - r), (far_x - r, far_y - r)):
        cv2.circle(sheet, corner, r, 255, -1)
    _blend(canvas, _shrink(sheet) * np.float32(PANEL_OPACITY), x, y, PANEL)


def _fitted(text: str, capital: float, room: int, font: int = FONT) -> Layer:
    """The text with capitals of this height, or smaller where it would be wider than ``room``."""
    layer = _text(text, capital, font)
    return layer if layer.shape[1] <= room else _text(text, capital * room / layer.shape[1], font)


def _text(text: str, capital: float, font: int) -> Layer:
    """Coverage ``float32 (h, w)`` in 0-1 of a line of ASCII text: drawn large and shrunk, which smooths the strokes."""
    ascii_text = text.encode("ascii", "replace").decode()
    scale = SUPERSAMPLE * capital / FONT_HEIGHT
    stroke = max(1, round(1.8 * scale))
    (width, ascent), descent = cv2.getTextSize(ascii_text, font, scale, stroke)
    sheet = np.zeros((ascent + descent + 2 * stroke, width + 2 * stroke), np.uint8)
    cv2.putText(sheet, ascii_text, (stroke, ascent + stroke), font, scale, 255, stroke, cv2.LINE_AA)
    return _shrink(sheet)


def _shrink(sheet: Image) -> Layer:
    size = max(1, round(sheet.shape[1] / SUPERSAMPLE)), max(1, round(sheet.shape[0] / SUPERSAMPLE))
    return cv2.resize(sheet, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)


def _blend(canvas: Image, layer: Layer, x: int, y: int, colour: tuple[int, int, int], shadow: bool = False) -> None:
    """Lay a colour over the canvas by a coverage layer whose corner is at (x, y); what falls outside is cut off."""
    if shadow:
        dark = cv2.dilate(layer, np.ones((3, 3), np.uint8)).astype(np.float32)
        _blend(canvas, dark * np.float32(0.8), x, y, (0, 0, 0))
    x, y = max(x, 0), max(y, 0)
    part = canvas[y : y + layer.shape[0], x : x + layer.shape[1]]
    cover = layer[: part.shape[0], : part.shape[1], None]
    part[:] = np.rint(part * (1 - cover) + np.array(colour, np.float32) * cover).astype(np.uint8)


def smooth_contours(mask: Image) -> list[Points]:
    """The outer outlines of the mask, (n, 2) as x, y, without the stairs of its pixels."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    kernel = cv2.getGaussianKernel(9, 2.0).ravel()
    smooth = []
    for contour in contours:
        points = contour.reshape(-1, 2).astype(np.float64)
        if len(points) >= len(kernel):
            around = np.concatenate([points[-4:], points, points[:4]])
            points = np.stack([np.convolve(around[:, axis], kernel, "valid") for axis in (0, 1)], axis=1)
        smooth.append(points)
    return smooth


def polyline(canvas: Image, points: Points, colour: tuple[int, int, int], thickness: int, closed: bool = True) -> None:
    fixed = np.rint(points * (1 << SUBPIXEL_BITS)).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas, [fixed], closed, colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
