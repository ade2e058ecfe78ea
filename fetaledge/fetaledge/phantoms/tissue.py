"""Tissue of a synthetic scene: its scatterers, borders and fascia."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fetaledge.phantoms.speckle import Map, smooth_noise
from fetaledge.phantoms.transducer import BeamGrid
from fetaledge_runtimes.ellipse import Ellipse


@dataclass(frozen=True, eq=False)
class Tissue:
    """On the beams of a grid, ``float32 (R, T)`` each.

    Attributes:
        echo_db: of the scatterers, in dB; 0 is the tissue round the womb.
        loss_db_mm: two-way loss in dB a mm, less the loss of soft tissue that the gain compensates.
        specular: amplitude of the reflection of smooth surfaces, without speckle.
    """

    echo_db: Map
    loss_db_mm: Map
    specular: Map


def ramp(distance: npt.NDArray[np.floating[Any]], width: float) -> Map:
    """1 where ``distance`` is below 0, 0 beyond ``width``, linear between."""
    return np.asarray(np.clip(1 - distance / np.float32(width), 0, 1), np.float32)


class OvalCoordinates:
    """The samples of a grid as an oval (a head, a symphysis) sees them, all ``float32 (R, T)``.

    Attributes:
        along, across: mm from its centre along its long and its short axis.
        radius: 0 at the centre, 1 on the outer edge.
        outside_mm: distance from that edge, negative inside.
        facing: |cos| between the beam and the ellipse's normal.
        beam_along, beam_across: the beam's direction.
    """

    def __init__(self, oval_mm: Ellipse, grid: BeamGrid) -> None:
        x, y = grid.positions()
        turn = math.radians(oval_mm.angle_deg)
        cos, sin = np.float32(math.cos(turn)), np.float32(math.sin(turn))
        x -= np.float32(oval_mm.x)
        y -= np.float32(oval_mm.y)
        self.a, self.b = oval_mm.a, oval_mm.b
        self.along, self.across = x * cos + y * sin, y * cos - x * sin
        u, v = self.along / np.float32(self.a), self.across / np.float32(self.b)
        self.radius = np.sqrt(u * u + v * v) + np.float32(1e-4)
        normal_along, normal_across = u / np.float32(self.a), v / np.float32(self.b)
        norm = np.sqrt(normal_along**2 + normal_across**2) + np.float32(1e-6)
        self.outside_mm = (self.radius - 1) * self.radius / norm
        self.beam_along = np.sin(grid.angle) * cos + np.cos(grid.angle) * sin
        self.beam_across = np.cos(grid.angle) * cos - np.sin(grid.angle) * sin
        self.facing = np.abs(normal_along * self.beam_along + normal_across * self.beam_across) / norm
        self.turn = np.arctan2(v, u)

    def oval(self, along: float, across: float, half_along: float, half_across: float, tilt: float = 0.0) -> Map:
        """1 within an oval, 0 beyond it, with a soft edge; centre and half axes in mm, ``tilt`` in radians."""
        p, q = self.along - np.float32(along), self.across - np.float32(across)
        cos, sin = np.float32(math.cos(tilt)), np.float32(math.sin(tilt))
        u, v = (p * cos + q * sin) / np.float32(half_along), (q * cos - p * sin) / np.float32(half_across)
        return np.asarray(np.clip((np.float32(1.25) - u * u - v * v) * 2, 0, 1), np.float32)

    def streak(self, start: float, end: float, across: Map | float, thickness: float) -> Map:
        """A line along the long axis from ``start`` to ``end`` mm, ``thickness`` mm in SD, fading at both ends."""
        profile = np.exp(-0.5 * ((self.across - across) / np.float32(thickness)) ** 2)
        fade = max(0.3 * abs(end - start), 0.8)
        ends = ramp(start + fade / 2 - self.along, fade) * ramp(self.along - end + fade / 2, fade)
        return np.asarray(profile * ends, np.float32)


def fascia(grid: BeamGrid, width: float, rng: np.random.Generator) -> Map:
    """Specular of fascia and the borders of organs, ``float32 (R, T)``: lines where a slow field crosses zero."""
    shape, row_mm = grid.shape, grid.row_mm
    beam_mm = grid.beam_rad * (grid.probe.radius_mm + float(grid.depth_mm.mean()))
    border = smooth_noise(rng, shape, rng.uniform(5, 12) / row_mm, rng.uniform(15, 35) / beam_mm)
    faint = smooth_noise(rng, shape, 12 / row_mm, 12 / beam_mm).clip(0)
    down, sideways = np.gradient(border)
    across_beam = (down**2 / (down**2 + sideways**2 + np.float32(1e-12))) ** 2
    line = np.exp(-((border / np.float32(width)) ** 2)) * across_beam
    return np.asarray(float(rng.uniform(0.2, 1.2)) * faint * line, np.float32)
