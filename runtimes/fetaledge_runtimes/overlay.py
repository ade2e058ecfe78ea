"""The picture that people look at: the frame with what was found in it, how it was measured, and the measures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frame import Frame, Image
from fetaledge_runtimes.notice import NOTICE
from fetaledge_runtimes.progression import Progression
from fetaledge_runtimes.tasks import FH, PS

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

Points = npt.NDArray[np.float64]
Layer = npt.NDArray[np.float32]


def draw_head(frame: Frame, mask: Image, ellipse: Ellipse | None, lines: Sequence[str], good: bool = True) -> Image:
    """Draw a measured head over its frame.

    Args:
        frame: ``uint8 (H, W)``.
        mask: ``uint8 (H, W)`` of the frame's size, non-zero = head; its outline is drawn.
        ellipse: in the frame's pixels, drawn with its two axes (the short one BPD, the long one OFD); None: left out.
        lines: caption, ASCII, the first one larger; it stands in the corner where it covers least of the head.
        good: False where nothing was measured: the caption, which then says why, is amber.

    Returns:
        ``uint8 (H, W, 3)``, BGR.

    Raises:
        InputError: mask and frame differ in size.
    """
    canvas, thickness = _start(frame, mask)
    for contour in _smooth_contours(mask):
        _polyline(canvas, contour, OUTLINE, thickness)
    if ellipse is not None:
        _polyline(canvas, ellipse.points(), ELLIPSE, thickness)
        lined = canvas.copy()
        _axis(lined, ellipse, ellipse.a, ellipse.angle_deg, thickness)
        _axis(lined, ellipse, ellipse.b, ellipse.angle_deg + 90, thickness)
        cv2.addWeighted(lined, AXES_OPACITY, canvas, 1 - AXES_OPACITY, 0, dst=canvas)
    return _finish(canvas, mask, lines, good)


def draw_progression(frame: Frame, mask: Image, progression: Progression, lines: Sequence[str]) -> Image:
    """Draw an angle of progression over its frame.

    Both structures are outlined. Where the angle was measured its construction is drawn too: the symphysis' long axis
    and the tangent to the skull, both carried on past their points, the arc between them, and the head-symphysis
    distance. Else the caption, which then says why, is amber. Arguments, result and errors are those of
    :func:`draw_head`; ``mask`` holds 1 for the symphysis and 2 for the head.
    """
    canvas, thickness = _start(frame, mask)
    for label, colour in ((FH, OUTLINE), (PS, SYMPHYSIS)):
        for contour in _smooth_contours((mask == label).astype(np.uint8)):
            _polyline(canvas, contour, colour, thickness)
    points = (progression.superior, progression.inferior, progression.tangent, progression.nearest)
    if None not in points:
        lined = canvas.copy()
        _angle(lined, np.array(points, np.float64), thickness)
        cv2.addWeighted(lined, AXES_OPACITY, canvas, 1 - AXES_OPACITY, 0, dst=canvas)
    return _finish(canvas, mask, lines, progression.status == "ok")


def _start(frame: Frame, mask: Image) -> tuple[Image, int]:
    """The frame in colour, and how thick its lines should be."""
    if mask.shape != frame.pixels.shape:
        raise InputError(
            f"the mask of {frame.source} has shape {mask.shape} where the frame has {frame.pixels.shape}",
            "map the mask back to the frame's own grid before drawing",
        )
    canvas = cv2.cvtColor(frame.pixels, cv2.COLOR_GRAY2BGR).astype(np.uint8, copy=False)
    return canvas, max(1, round(1.5 * min(mask.shape) / 540))


def _finish(canvas: Image, mask: Image, lines: Sequence[str], good: bool) -> Image:
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
    cv2.putText(sheet, ascii_text, (stroke, ascent + stroke), FONT, scale, 255, stroke, cv2.LINE_AA)
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


def _smooth_contours(mask: Image) -> list[Points]:
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


def _polyline(canvas: Image, points: Points, colour: tuple[int, int, int], thickness: int, closed: bool = True) -> None:
    fixed = np.rint(points * (1 << SUBPIXEL_BITS)).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas, [fixed], closed, colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def _axis(canvas: Image, ellipse: Ellipse, semi_axis: float, angle_deg: float, thickness: int) -> None:
    """An axis of the ellipse with a cross at each end, as callipers are shown."""
    along = np.array([math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))])
    across = np.array([-along[1], along[0]])
    arm = max(4.0, 9 * min(canvas.shape[:2]) / 540)
    centre = np.array([ellipse.x, ellipse.y])
    reach = semi_axis + arm
    _polyline(canvas, np.array([centre - reach * along, centre + reach * along]), AXES, max(1, thickness - 1), False)
    for end in (centre - semi_axis * along, centre + semi_axis * along):
        _polyline(canvas, np.array([end - arm * across, end + arm * across]), AXES, thickness, closed=False)


def _angle(canvas: Image, points: Points, thickness: int) -> None:
    """The construction of an angle of progression from its superior, inferior, tangent and nearest point."""
    superior, inferior, tangent, nearest = points
    axis, touching = superior - inferior, tangent - inferior
    past = 0.25 * math.hypot(*touching)
    _polyline(canvas, np.array([inferior, nearest]), SYMPHYSIS, max(1, thickness - 1), closed=False)
    for start, end in ((superior, inferior), (inferior, tangent)):
        along = (end - start) / max(math.dist(start, end), 1e-9)
        back = 0.25 * past if start is superior else 0.0
        _polyline(canvas, np.array([start - back * along, end + past * along]), AXES, thickness, closed=False)
    first, last = math.atan2(axis[1], axis[0]), math.atan2(touching[1], touching[0])
    turn = (last - first + math.pi) % (2 * math.pi) - math.pi
    radius = 0.5 * min(math.hypot(*axis), math.hypot(*touching))
    directions = first + np.linspace(0, turn, 60)
    arc = inferior + radius * np.stack([np.cos(directions), np.sin(directions)], axis=1)
    _polyline(canvas, arc, ELLIPSE, thickness, closed=False)
    for point in (inferior, tangent):
        cv2.circle(
            canvas, tuple(np.rint(point * 16).astype(int).tolist()), 16 * (thickness + 1), ELLIPSE, -1, cv2.LINE_AA, 4
        )
