"""How symphysis and head lie, and how they are shaped, in 646 real label maps: numbers only, no frame and no label.

Taken from PSFHS (Chen et al., Sci Data 2024 11:436; Zenodo 10969427; CC BY 4.0) by ``tests/fetaledge/psfhs_shapes.py``.
"""

from __future__ import annotations

import math

import numpy as np

LEVELS = (0, 0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99, 1)
QUANTITIES = ("x", "y", "size", "ratio", "tilt", "head_size", "head_ratio", "head_angle", "aop", "tangent")

QUANTILES = {
    "x": (0.3085, 0.3207, 0.3483, 0.3603, 0.3721, 0.3871, 0.4074, 0.4462, 0.4925, 0.542, 0.5845),
    "y": (0.08476, 0.1012, 0.1205, 0.1414, 0.1491, 0.1557, 0.1617, 0.1765, 0.1958, 0.2072, 0.2335),
    "size": (0.05694, 0.06158, 0.07265, 0.07767, 0.08456, 0.08971, 0.09526, 0.09864, 0.1133, 0.1217, 0.1268),
    "ratio": (0.3817, 0.4099, 0.4443, 0.4811, 0.5156, 0.5467, 0.5827, 0.6116, 0.6374, 0.6665, 0.6841),
    "tilt": (-21.69, -12.95, -3.055, 4.849, 10.27, 14.88, 19.8, 26.27, 33.18, 37.68, 46.59),
    "head_size": (0.1445, 0.1676, 0.2022, 0.2413, 0.2575, 0.2684, 0.2737, 0.2801, 0.2942, 0.3098, 0.3226),
    "head_ratio": (0.6581, 0.6732, 0.6934, 0.737, 0.7847, 0.822, 0.8463, 0.8685, 0.9035, 0.9429, 0.9743),
    "head_angle": (33.85, 70.84, 81.68, 86.01, 89.84, 95.06, 100.5, 103.7, 109.2, 121.6, 149.4),
    "aop": (65.22, 67.9, 78.13, 96.79, 103.7, 115.5, 128.4, 140.1, 151.4, 167.2, 198.6),
    "tangent": (0.4517, 0.5217, 0.6223, 0.7594, 0.8397, 0.998, 1.185, 1.334, 1.756, 2.144, 2.413),
}
CORRELATION = (
    (1.00,),
    (-0.17, 1.00),
    (-0.21, 0.53, 1.00),
    (-0.41, 0.17, 0.32, 1.00),
    (0.09, 0.25, 0.08, -0.06, 1.00),
    (-0.40, 0.42, 0.60, 0.18, 0.12, 1.00),
    (0.23, 0.02, 0.32, -0.17, 0.16, 0.11, 1.00),
    (-0.19, 0.14, 0.06, 0.18, -0.13, 0.33, -0.11, 1.00),
    (-0.47, 0.34, 0.10, 0.25, -0.35, 0.46, -0.40, 0.45, 1.00),
    (0.40, -0.37, -0.11, -0.19, 0.23, -0.47, 0.43, -0.45, -0.96, 1.00),
)


def draw_shapes(rng: np.random.Generator) -> dict[str, float]:
    """One value of each quantity, together as they go together there (a Gaussian copula).

    Lengths and places are shares of the frame's height, from its upper left corner: the symphysis' centre ``x``, ``y``,
    its ``size`` (root of the product of its semi-axes), the ``ratio`` of its axes and its ``tilt`` (degrees from the
    horizontal, positive where the left end is the lower); of the head the size, the ratio and the angle of its long
    axis; the angle of progression; and the ``tangent``'s length from the symphysis to the skull, in sizes of the head.
    """
    scores = _ROOT @ rng.standard_normal(len(QUANTITIES))
    shares = [0.5 * (1 + math.erf(score / math.sqrt(2))) for score in scores]
    return {
        name: float(np.interp(share, LEVELS, QUANTILES[name])) for name, share in zip(QUANTITIES, shares, strict=True)
    }


def _root() -> np.ndarray:
    lower = np.zeros((len(QUANTITIES), len(QUANTITIES)))
    for row, values in zip(lower, CORRELATION, strict=True):
        row[: len(values)] = values
    root: np.ndarray = np.linalg.cholesky(lower + np.tril(lower, -1).T)
    return root


_ROOT = _root()
