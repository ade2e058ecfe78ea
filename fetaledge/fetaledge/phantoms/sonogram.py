"""From a scene's scatterers to the picture that a scanner would show."""

from __future__ import annotations

import cv2
import numpy as np

from fetaledge.phantoms.speckle import Map, envelope, log_compress, scatter, smooth_noise
from fetaledge.phantoms.tissue import Tissue
from fetaledge.phantoms.transducer import BeamGrid
from fetaledge_runtimes.frames.frame import Image


def _gain_db(grid: BeamGrid, loss_db_mm: Map, rng: np.random.Generator) -> Map:
    """Change of an echo by imperfectly compensated attenuation and by shadow, in dB, ``float32 (R, T)``."""
    megahertz = float(rng.uniform(3, 6))
    soft = 2 * 0.5 * megahertz / 10  # dB a mm, there and back, at 0.5 dB/(cm MHz)
    residue = soft * float(rng.normal(0, 0.12))
    rows = grid.shape[0]
    sliders = np.interp(np.linspace(0, 7, rows), np.arange(8), rng.normal(0, 1.5, 8)).astype(np.float32)
    shadow = np.cumsum(loss_db_mm, axis=0, dtype=np.float32) * np.float32(grid.row_mm)
    depth = grid.depth_mm - grid.depth_mm[rows // 2]
    beams = 1.5 * smooth_noise(rng, grid.shape, rows, grid.shape[1] / 8)  # contact with the skin differs along the face
    return np.asarray(-np.clip(shadow, -8, 34) - np.float32(residue) * depth + sliders[:, None] + beams, np.float32)


def sonogram(
    tissue: Tissue,
    grid: BeamGrid,
    focus_mm: tuple[float, float],
    axial_mm: tuple[float, float],
    scale: float,
    rng: np.random.Generator,
) -> Image:
    """A scanner's picture of ``tissue``, ``uint8 (H, W)``: speckle, gain, shadow, noise, compression, scan conversion.

    Args:
        tissue: on the beams of ``grid``.
        grid: the beams.
        focus_mm: the depth of the structure in focus, and half its extent.
        axial_mm: the limits of the point spread's SD along the beams.
        scale: of the finest grain and of the smoothing, in pixels: 1 for 540 rows of a head.
        rng: for everything else.
    """
    nearest, half_mm = focus_mm
    axial = float(np.clip(rng.uniform(*axial_mm) / grid.row_mm, 0.9 * min(scale, 1), 2.5))
    lateral = axial * float(rng.uniform(1.0, 2.1))  # columns are 1.5 times as far apart as rows at mid depth
    focus = (nearest + float(rng.uniform(0, 2)) * half_mm - float(grid.depth_mm[0, 0])) / grid.row_mm
    power = np.asarray(10 ** (tissue.echo_db / 10), np.float32)
    surfaces = cv2.GaussianBlur(tissue.specular, (0, 0), sigmaX=lateral, sigmaY=axial)
    gain = 10 ** (_gain_db(grid, tissue.loss_db_mm, rng) / 20)
    electronic = np.float32(10 ** (rng.uniform(-58, -44) / 20))
    looks = int(rng.integers(1, 4))  # compounding: the mean of as many envelopes, each of its own speckle
    magnitude = np.zeros(grid.shape, np.float32)
    for _ in range(looks):
        field = scatter(power, axial, lateral, focus, 2.5 * half_mm / grid.row_mm, rng)
        field[..., 0] += surfaces
        field *= gain[..., None]
        field += rng.standard_normal(field.shape, dtype=np.float32) * electronic
        magnitude += envelope(field) / np.float32(looks)
    reference = float(np.percentile(magnitude[::4, ::4], 99.0)) * float(rng.uniform(0.9, 1.9))
    compressed = log_compress(magnitude, reference, float(rng.uniform(45, 70)))
    grey = grid.scan_convert(np.asarray(compressed ** np.float32(rng.uniform(1.5, 2.6)), np.float32))
    smooth = cv2.GaussianBlur(grey, (0, 0), float(rng.uniform(0.6, 1.3)) * scale) * grid.inside
    return np.asarray(np.rint(smooth * float(rng.uniform(235, 255))), np.uint8)
