"""Speckle: the echo of scatterers that are too small to be seen one by one."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.float32]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], row_scale: float, column_scale: float) -> Map:
    """``float32 (H, W)`` of mean about 0 and SD about 1 that varies over ``row_scale`` × ``column_scale`` samples."""
    rows, columns = int(shape[0] / max(row_scale, 1)) + 4, int(shape[1] / max(column_scale, 1)) + 4
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    fine = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine * np.float32(1.25), np.float32)


def _kernel(sigma: float) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.getGaussianKernel(2 * int(np.ceil(3.5 * sigma)) + 1, sigma, cv2.CV_32F), np.float32)


def scatter(
    echogenicity: Map,
    axial_sigma: float,
    lateral_sigma: float,
    focus_row: float,
    focus_depth: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """The echo of complex Gaussian scatterers × √echogenicity through a point-spread function that widens off focus.

    Args:
        echogenicity: ``float32 (R, T)``, mean echo power along the beams: row = depth, column = beam.
        axial_sigma, lateral_sigma: SD of the point spread at the focus, in rows and columns; at ``focus_depth`` rows
            away from ``focus_row``, and beyond, it is twice as wide laterally.
        rng: where the scatterers come from.

    Returns:
        ``float32 (R, T, 2)``, the real and imaginary part. Where the echogenicity is homogeneous, its mean power is the
        echogenicity and its magnitude is Rayleigh distributed, mean/SD = √(π/(4−π)) = 1.913
        (R. F. Wagner et al., Statistics of speckle in ultrasound B-scans, 1983).
    """
    scatterers = rng.standard_normal((*echogenicity.shape, 2), dtype=np.float32)
    scatterers *= np.sqrt(echogenicity / 2)[..., None]
    along, narrow, wide = _kernel(axial_sigma), _kernel(lateral_sigma), _kernel(2 * lateral_sigma)
    axial = cv2.sepFilter2D(scatterers, -1, np.ones(1, np.float32), along, borderType=cv2.BORDER_REFLECT)
    focused = cv2.sepFilter2D(axial, -1, narrow, np.ones(1, np.float32), borderType=cv2.BORDER_REFLECT)
    blurred = cv2.sepFilter2D(axial, -1, wide, np.ones(1, np.float32), borderType=cv2.BORDER_REFLECT)

    rows = np.arange(echogenicity.shape[0], dtype=np.float32)
    off_focus = np.clip(np.abs(rows - focus_row) / max(focus_depth, 1.0), 0, 1)
    padded = np.pad(narrow, (((len(wide) - len(narrow)) // 2,) * 2, (0, 0)))
    power = (
        (1 - off_focus) ** 2 * np.sum(narrow**2)
        + 2 * off_focus * (1 - off_focus) * np.sum(padded * wide)
        + off_focus**2 * np.sum(wide**2)
    ) * np.sum(along**2)
    gain = 1 / np.sqrt(power)
    field = focused * ((1 - off_focus) * gain)[:, None, None] + blurred * (off_focus * gain)[:, None, None]
    return np.asarray(field, np.float32)


def envelope(field: npt.NDArray[np.float32]) -> Map:
    """Magnitude ``float32 (R, T)`` of a complex echo ``(R, T, 2)``, before log compression."""
    return np.asarray(
        cv2.magnitude(np.ascontiguousarray(field[..., 0]), np.ascontiguousarray(field[..., 1])), np.float32
    )


def log_compress(magnitude: Map, reference: float, range_db: float) -> Map:
    """``float32`` in [0, 1]: 1 at ``reference`` and above, 0 at ``range_db`` decibels below it and less."""
    decibels = 20 * np.log10(np.maximum(magnitude / np.float32(reference), 1e-6))
    return np.asarray(np.clip(1 + decibels / range_db, 0, 1), np.float32)
