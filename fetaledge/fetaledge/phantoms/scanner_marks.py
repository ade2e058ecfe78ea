"""The marks that a scanner draws over its picture: bars, ticks, text, callipers, and blanks of de-identification."""

from __future__ import annotations

import math
import string

import cv2
import numpy as np

from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Image


def _text(frame: Image, rng: np.random.Generator, x: int, y: int, lines: int, size: float) -> None:
    letters = list(string.ascii_letters + string.digits + " ./")
    for line in range(lines):
        words = "".join(rng.choice(letters, int(rng.integers(3, 12))))
        origin = (x, int(y + line * 30 * size))
        cv2.putText(frame, words, origin, cv2.FONT_HERSHEY_SIMPLEX, size, int(rng.integers(60, 220)), 1, cv2.LINE_AA)


def _calliper(frame: Image, x: float, y: float, arm: int) -> None:
    cv2.drawMarker(frame, (round(x), round(y)), 235, cv2.MARKER_CROSS, 2 * arm + 1, 1)


def _dots(frame: Image, ellipse: Ellipse, step: float) -> None:
    for x, y in ellipse.points(max(12, int(ellipse.circumference / step))):
        column, row = round(float(x)), round(float(y))
        if 0 <= row < frame.shape[0] and 0 <= column < frame.shape[1]:
            frame[row, column] = 225


def _measurement(frame: Image, head: Ellipse, scale: float, rng: np.random.Generator) -> None:
    """Callipers or a dotted ellipse: one time in three about the head, else anywhere: they must not give it away."""
    height, width = frame.shape
    if rng.random() < 1 / 3:
        grow = 1 + float(rng.normal(0, 0.05))
        dx, dy = (float(shift) * head.b for shift in rng.normal(0, 0.04, 2))
        target = Ellipse(head.x + dx, head.y + dy, head.a * grow, head.b * grow, head.angle_deg)
    else:
        b = float(rng.uniform(0.05, 0.4)) * height
        x, y = rng.uniform(0.15, 0.85, 2) * (width, height)
        target = Ellipse(float(x), float(y), b * float(rng.uniform(1, 1.6)), b, float(rng.uniform(0, 180)))
    if rng.random() < 0.5:
        _dots(frame, target, float(rng.uniform(4, 9)) * scale)
    for x, y in target.points(4)[:: int(rng.integers(1, 3))]:
        _calliper(frame, float(x), float(y), max(2, round(5 * scale)))


def _blanks(frame: Image, head: Ellipse, rng: np.random.Generator) -> None:
    """Black boxes in the corners, as de-identified frames have them; never over more than the rim of the head."""
    height, width = frame.shape
    inside = head.rasterise(frame.shape)
    for chance, left, top, bottom in (
        (0.6, rng.uniform(0.7, 0.85), rng.uniform(0.65, 0.88), 1.0),
        (0.4, rng.uniform(0.82, 0.95), 0.0, rng.uniform(0.1, 0.3)),
    ):
        box = np.s_[int(top * height) : int(bottom * height), int(left * width) :]
        if rng.random() < chance and inside[box].sum() < 0.004 * inside.sum():
            frame[box] = 0


def draw_overlays(frame: Image, head: Ellipse, top: tuple[float, float], rng: np.random.Generator) -> None:
    """Draw a random choice of a scanner's marks into ``frame``, ``uint8 (H, W)``, in place.

    Args:
        frame: the picture.
        head: the head's ellipse in pixels, so that not every measurement is drawn on it and no blank covers it.
        top: x, y in pixels of the middle of the probe's face, where its mark is drawn.
        rng: for the choice.
    """
    height, width = frame.shape
    scale = height / 540
    _blanks(frame, head, rng)
    if rng.random() < 0.85:
        bar_top, bar_bottom = int(rng.uniform(0.02, 0.1) * height), int(rng.uniform(0.3, 0.4) * height)
        left, thick = int(rng.uniform(2, 12) * scale), max(2, int(rng.uniform(4, 12) * scale))
        greys = np.linspace(250, 10, bar_bottom - bar_top, dtype=np.uint8)
        frame[bar_top:bar_bottom, left : left + thick] = greys[:, None]
    if rng.random() < 0.35:
        x, step = int(width * rng.uniform(0.96, 0.99)), rng.uniform(18, 45) * scale
        for index in range(int(height / step)):
            y = int(index * step)
            length = 6 if index % 5 == 0 else 3
            cv2.line(frame, (x - max(1, int(length * scale)), y), (x, y), 150, 1)
    if rng.random() < 0.5:
        _text(frame, rng, int(0.1 * width), int(0.05 * height), int(rng.integers(1, 3)), 0.35 * scale)
    if rng.random() < 0.25:
        _text(frame, rng, int(0.82 * width), int(rng.uniform(0.7, 0.9) * height), int(rng.integers(2, 5)), 0.4 * scale)
    if rng.random() < 0.12:
        y = int(0.98 * height)
        cv2.rectangle(frame, (0, y - max(2, int(8 * scale))), (width - 1, height - 1), 40, -1)
        cv2.rectangle(frame, (int(0.1 * width), y - int(3 * scale)), (int(rng.uniform(0.2, 0.9) * width), y), 110, -1)
    if rng.random() < 0.5 and 0 <= top[1] < height:
        side = top[0] + math.copysign(rng.uniform(0.08, 0.2), rng.normal()) * width
        cv2.circle(frame, (int(side), max(6, int(top[1]))), max(2, int(6 * scale)), 190, 1, cv2.LINE_AA)
    if rng.random() < 0.3:
        _measurement(frame, head, scale, rng)
