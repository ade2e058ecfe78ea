"""Frames that show no head, drawn: shapes, noise and gradients that no probe gives, and bodies without a skull."""

from __future__ import annotations

import cv2
import numpy as np

from fetaledge_runtimes.frames.frame import Image


def draw(seed: int, number: int) -> Image:
    """One drawing, ``uint8 (H, W)``: the same for the same ``seed`` and ``number``, whose kind goes round."""
    rng = np.random.default_rng((seed, number))
    height, width = int(rng.integers(200, 600)), int(rng.integers(200, 800))
    kind = (_shapes, _shapes, _noise, _gradient, _stripes, _body)[number % 6]
    pixels = kind(height, width, rng)
    if kind is not _body and rng.random() < 0.7:
        pixels = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(1, 12)))
    if rng.random() < 0.5:
        pixels = pixels + rng.normal(0, rng.uniform(2, 25), pixels.shape)
    drawn: Image = np.clip(pixels, 0, 255).astype(np.uint8)
    return drawn


def _shapes(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """One ellipse or several, filled or not."""
    pixels = np.full((height, width), float(rng.integers(0, 256)), np.float32)
    for _ in range(1 if rng.random() < 0.5 else int(rng.integers(2, 12))):
        middle = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = tuple(int(value) for value in rng.integers(20, min(height, width) // 2, 2))
        thickness = -1 if rng.random() < 0.6 else int(rng.integers(2, 20))
        cv2.ellipse(pixels, middle, axes, float(rng.uniform(0, 180)), 0, 360, float(rng.integers(0, 256)), thickness)
    return pixels


def _noise(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(rng.uniform(0, 255), 60, (height, width)).astype(np.float32)


def _gradient(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    turn = rng.uniform(0, 2 * np.pi)
    start, change = rng.uniform(0, 255), rng.uniform(-255, 255)
    pixels: np.ndarray = start + change * (rows * np.sin(turn) + columns * np.cos(turn))
    return pixels.astype(np.float32)


def _stripes(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    columns = np.arange(width) * rng.uniform(0.02, 0.5)
    return np.tile(rng.uniform(0, 255) + 80 * np.sin(columns), (height, 1)).astype(np.float32)


def _body(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A round body in a sector, as an abdomen is: a soft rim, dark bubbles, bright spots, speckle; no skull."""
    tissue, ground = rng.uniform(40, 130), rng.uniform(5, 60)
    pixels: np.ndarray = np.full((height, width), ground, np.float32)
    middle = (int(width * rng.uniform(0.35, 0.65)), int(height * rng.uniform(0.4, 0.6)))
    reach = min(height, width) * rng.uniform(0.25, 0.45)
    axes = (int(reach), int(reach * rng.uniform(0.75, 1.0)))
    turn = float(rng.uniform(0, 180))
    cv2.ellipse(pixels, middle, axes, turn, 0, 360, float(tissue), -1)
    if rng.random() < 0.7:
        rim = max(1, round(reach * rng.uniform(0.02, 0.08)))
        cv2.ellipse(pixels, middle, axes, turn, 0, 360, float(tissue * rng.uniform(1.1, 1.6)), rim)
    for _ in range(int(rng.integers(1, 5))):
        place = tuple(int(middle[axis] + rng.uniform(-0.5, 0.5) * axes[axis]) for axis in (0, 1))
        size = tuple(int(value) for value in reach * rng.uniform(0.06, 0.25, 2))
        shade = rng.choice([rng.uniform(0, 15), tissue * rng.uniform(1.4, 2.5)])
        cv2.ellipse(pixels, place, size, float(rng.uniform(0, 180)), 0, 360, float(shade), -1)
    pixels = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(1, 4)))
    grain = cv2.GaussianBlur(rng.rayleigh(1.0, pixels.shape).astype(np.float32), (0, 0), float(rng.uniform(0.7, 2)))
    pixels = pixels * (1 + rng.uniform(0.3, 1.2) * (grain / grain.mean() - 1))
    if rng.random() < 0.7:
        sector = np.zeros((height, width), np.uint8)
        apex = (width // 2, int(-0.3 * height))
        cv2.ellipse(sector, apex, (int(1.28 * height),) * 2, 90, -50, 50, 1, -1)
        pixels = pixels * sector
    return pixels.astype(np.float32)
