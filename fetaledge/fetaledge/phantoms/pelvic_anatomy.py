"""The tissue in the beams of a transperineal phantom: perineum, pubic symphysis, and a fetal head in the pelvis."""

from __future__ import annotations

import math

import numpy as np

from fetaledge.phantoms.speckle import Map, smooth_noise
from fetaledge.phantoms.tissue import OvalCoordinates, Tissue, fascia, ramp
from fetaledge.phantoms.transducer import BeamGrid
from fetaledge_runtimes.ellipse import Ellipse


def _soft(grid: BeamGrid, rng: np.random.Generator) -> tuple[Map, Map]:
    """Echo and specular of skin, fat, muscle and fascia."""
    shape, row_mm = grid.shape, grid.row_mm
    beam_mm = grid.beam_rad * (grid.probe.radius_mm + float(grid.depth_mm.mean()))
    echo = np.full(shape, float(rng.uniform(-14, -4)), np.float32)
    for strength, down, across in ((4.5, 13, 20), (3, 5, 9), (float(rng.uniform(1, 4)), 1.6, 8)):
        echo += strength * smooth_noise(rng, shape, down / row_mm, across / beam_mm)
    echo -= float(rng.uniform(0, 0.12)) * grid.depth_mm
    layers_mm = float(rng.uniform(6, 20))
    fibres = smooth_noise(rng, shape, 1.2 / row_mm, 14 / beam_mm) + smooth_noise(rng, shape, 2.5 / row_mm, 25 / beam_mm)
    near = ramp(grid.depth_mm - np.float32(layers_mm), 6.0)
    echo += near * (float(rng.uniform(-2, 7)) + 3 * fibres)
    echo += 8 * np.exp(-0.5 * ((grid.depth_mm - np.float32(1.5)) / np.float32(1.3)) ** 2)
    specular = np.asarray(0.4 * fibres.clip(0) * near, np.float32)
    for width in rng.uniform(0.04, 0.14, 2):
        specular += fascia(grid, width, rng)
    return echo, specular


def _canal(
    echo: Map, specular: Map, grid: BeamGrid, start: tuple[float, float], end: tuple[float, float], half_mm: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Paint a dark tube with bright walls from ``start`` to ``end`` (x, y in mm): urethra, vagina or anal canal."""
    length = math.hypot(end[0] - start[0], end[1] - start[1])
    angle = math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))
    middle = Ellipse((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, length / 2, half_mm, angle)
    tube = OvalCoordinates(middle, grid)
    shape, row_mm = grid.shape, grid.row_mm
    wander = tube.across + np.float32(0.8 * half_mm) * smooth_noise(rng, shape, 14 / row_mm, 14 / row_mm)
    ends = ramp(np.abs(tube.along) - np.float32(0.35 * length), 0.2 * length)
    inside = ramp(np.abs(wander) - np.float32(half_mm), 1.5) * ends
    echo -= float(rng.uniform(3, 15)) * inside
    middle_line = np.exp(-0.5 * (wander / np.float32(0.6)) ** 2)
    walls = np.exp(-0.5 * ((np.abs(wander) - np.float32(half_mm)) / np.float32(0.7)) ** 2)
    echo += ends * (float(rng.uniform(0, 9)) * middle_line + float(rng.uniform(0, 6)) * walls)
    specular += ends * middle_line * float(rng.uniform(0, 0.6))


def _organs(
    echo: Map, specular: Map, grid: BeamGrid, head: Ellipse, apex: tuple[float, float], side: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Hints of urethra, bladder, vagina and rectum; ``side`` is 1 where the mother's back is on the right."""
    probe = grid.probe
    face = probe.y_mm + probe.radius_mm
    if rng.random() < 0.8:
        start = apex[0] + side * float(rng.uniform(4, 14)), face + 3
        end = apex[0] + side * float(rng.uniform(-6, 8)), apex[1] + float(rng.uniform(6, 22))
        _canal(echo, specular, grid, start, end, float(rng.uniform(2.5, 5)), rng)
    if rng.random() < 0.45:
        size = float(rng.uniform(5, 16))
        x, y = apex[0] + side * float(rng.uniform(-16, 2)), apex[1] + float(rng.uniform(12, 28))
        bladder = OvalCoordinates(Ellipse(x, y, size, size * float(rng.uniform(0.3, 0.7)), rng.uniform(0, 180)), grid)
        full = bladder.oval(0, 0, bladder.a, bladder.b)
        echo -= float(rng.uniform(8, 34)) * full
    if rng.random() < 0.7:
        start = apex[0] + side * float(rng.uniform(16, 30)), face + 3
        _canal(echo, specular, grid, start, (head.x + side * float(rng.uniform(-5, 25)), head.y), 4.0, rng)
    if rng.random() < 0.6:
        start = probe.x_mm + side * float(rng.uniform(20, 36)), face + 8
        end = start[0] + side * float(rng.uniform(-5, 30)), face + float(rng.uniform(35, 70))
        _canal(echo, specular, grid, start, end, float(rng.uniform(4, 8)), rng)


def _symphysis(
    echo: Map, specular: Map, loss: Map, oval: OvalCoordinates, grid: BeamGrid, rng: np.random.Generator
) -> None:
    """Paint the disc of fibrocartilage, its capsule and the shadow of its bone."""
    shape, row_mm = grid.shape, grid.row_mm
    echo += np.exp(-0.5 * (np.maximum(oval.outside_mm, 0) / 5) ** 2) * np.clip(
        -17 - echo, 0, 12
    )  # not lost in the dark
    surround = float(np.median(echo[np.abs(oval.outside_mm) < 5]))
    faint = rng.random() < 0.15  # a symphysis that hardly differs from its surroundings
    inside = ramp(oval.outside_mm, 0.8)
    texture = 2.2 * smooth_noise(rng, shape, 4 / row_mm, 5 / row_mm) + 1.5 * smooth_noise(
        rng, shape, 2 / row_mm, 2 / row_mm
    )
    disc = surround - float(rng.uniform(5, 9) if faint else rng.uniform(10, 24)) + texture
    disc += float(rng.uniform(-2, 9)) * np.exp(-2 * oval.radius**2)  # the cleft, often brighter
    echo += inside * (disc - echo)

    thickness = float(rng.uniform(0.9, 1.8))
    rim = np.exp(-0.5 * ((oval.outside_mm + np.float32(thickness)) / np.float32(0.6 * thickness)) ** 2)
    patchy = np.exp(0.5 * smooth_noise(rng, shape, 7 / row_mm, 7 / row_mm))
    seen = float(rng.uniform(0.15, 0.5)) + oval.facing ** float(rng.uniform(1, 3))
    strength = float(rng.uniform(0.3, 0.7) if faint else rng.uniform(0.8, 2.6))
    specular *= 1 - inside
    specular += strength * rim * patchy * seen
    level = surround + float(rng.uniform(0, 3) if faint else rng.uniform(2, 10))
    echo += rim * np.minimum(seen, 1) * (level - echo)
    loss += float(rng.uniform(0.0, 0.9)) * inside


def _head(echo: Map, specular: Map, loss: Map, head: OvalCoordinates, grid: BeamGrid, rng: np.random.Generator) -> None:
    """Paint scalp, caput, skull and the faint echoes within it."""
    shape, row_mm, b = grid.shape, grid.row_mm, head.b
    scalp_mm = np.float32(rng.uniform(1.5, 7)) * (1 + 0.5 * smooth_noise(rng, shape, 35 / row_mm, 35 / row_mm))
    scalp = ramp(head.outside_mm - scalp_mm.clip(1), 1.2)
    echo += scalp * (float(rng.uniform(-16, -6)) + 2 * smooth_noise(rng, shape, 3 / row_mm, 6 / row_mm) - echo)
    specular *= 1 - scalp

    thickness = float(rng.uniform(2.0, 3.6))
    within = ramp(head.outside_mm + np.float32(thickness - 0.4), 0.8)
    brain = float(rng.uniform(-26, -14)) + 3 * smooth_noise(rng, shape, 0.3 * b / row_mm, 0.3 * b / row_mm)
    brain += 2 * smooth_noise(rng, shape, 0.08 * b / row_mm, 0.12 * b / row_mm)
    towards = head.beam_along * head.along / np.float32(head.a) + head.beam_across * head.across / np.float32(b)
    deep = np.clip(0.5 + 2 * towards, 0, 1)  # 0 on the side of the probe, 1 beyond the head's middle
    haze = np.exp(np.minimum(head.outside_mm, 0) / np.float32(rng.uniform(4, 16))) * (1 - deep)
    brain += float(rng.uniform(0, 14)) * haze  # reverberation below the near wall
    echo += within * (brain - echo)
    if rng.random() < 0.5:  # the midline, at any turn of the head
        tilt, offset = float(rng.uniform(-0.5, 0.5)), float(rng.normal(0, 0.12)) * b
        line = head.across - np.float32(tilt) * head.along - np.float32(offset)
        falx = np.exp(-0.5 * (line / np.float32(rng.uniform(0.6, 1.3))) ** 2) * ramp(head.radius - 0.65, 0.25)
        echo += float(rng.uniform(2, 12)) * falx * within
        specular += float(rng.uniform(0, 0.7)) * falx * within
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(-0.5, 0.5, 2) * (head.a, b)
        size = b * float(rng.uniform(0.08, 0.3))
        blob = head.oval(x, y, size * float(rng.uniform(1, 2)), size, float(rng.uniform(0, math.pi)))
        echo += float(rng.normal(0, 4)) * blob * within

    bone = ramp(head.outside_mm, 0.4) * (1 - within)
    closed = np.ones(shape, np.float32)
    for _ in range(int(rng.integers(0, 4))):  # sutures and fontanelles
        turn = np.abs(np.mod(head.turn - rng.uniform(-math.pi, math.pi) + math.pi, 2 * math.pi) - math.pi)
        closed *= 1 - float(rng.uniform(0.3, 0.9)) * ramp(turn - np.float32(rng.uniform(0.01, 0.06)), 0.05)
    mirror = head.facing ** float(rng.uniform(1.5, 6.0))
    patchy = np.exp(0.4 * smooth_noise(rng, shape, 0.2 * head.a / row_mm, 0.2 * head.a / row_mm))
    profile = np.abs(np.sin(np.float32(math.pi) * np.clip(-head.outside_mm / thickness, 0, 1))) ** 0.7
    far = 1 - deep * float(rng.uniform(0, 1)) ** 0.5  # of the far wall little comes back
    specular += bone * profile * closed * patchy * mirror * far * float(rng.uniform(1.5, 9))
    echo += bone * (-8 + 20 * np.log10(0.1 + mirror * far) + 5 * closed - echo)
    loss += bone * closed * float(rng.uniform(0.8, 3.5))
    loss += within * float(rng.uniform(0.0, 0.16))


def perineal_tissue(
    head_mm: Ellipse, symphysis_mm: Ellipse | None, apex: tuple[float, float], side: float, grid: BeamGrid,
    rng: np.random.Generator,
) -> Tissue:  # fmt: skip
    """A head in the pelvis below a symphysis.

    Args:
        head_mm, symphysis_mm: their outer edges in mm of the frame; None for no symphysis.
        apex: x, y in mm of the symphysis' lower end, or of where it would be.
        side: 1 where the mother's back is on the right of the frame, -1 on the left.
        grid: the beams.
        rng: for everything else.
    """
    echo, specular = _soft(grid, rng)
    loss = np.zeros(grid.shape, np.float32)
    _organs(echo, specular, grid, head_mm, apex, side, rng)
    _head(echo, specular, loss, OvalCoordinates(head_mm, grid), grid, rng)
    if symphysis_mm is not None:
        _symphysis(echo, specular, loss, OvalCoordinates(symphysis_mm, grid), grid, rng)
    return Tissue(np.asarray(echo, np.float32), np.asarray(loss, np.float32), np.asarray(specular, np.float32))
