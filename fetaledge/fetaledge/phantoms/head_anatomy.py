"""The tissue in the beams of a head phantom: the mother's abdomen, the amniotic cavity, and a fetal head in it."""

from __future__ import annotations

import math

import numpy as np

from fetaledge.phantoms.speckle import Map, smooth_noise
from fetaledge.phantoms.tissue import OvalCoordinates, Tissue, fascia, ramp
from fetaledge.phantoms.transducer import BeamGrid
from fetaledge_runtimes.ellipse import Ellipse

FLUID_DB = -46.0


def _abdomen(grid: BeamGrid, head: OvalCoordinates, wall_mm: float, rng: np.random.Generator) -> tuple[Map, Map]:
    """Echo and specular of everything but the head: skin, fat and muscle, the womb's wall, fluid, fetal parts."""
    shape, row_mm = grid.shape, grid.row_mm
    beam_mm = grid.beam_rad * (grid.probe.radius_mm + float(grid.depth_mm.mean()))
    depth = grid.depth_mm + np.float32(0.06 * wall_mm) * smooth_noise(rng, shape, 40 / row_mm, 25 / beam_mm)
    echo = 4.5 * smooth_noise(rng, shape, 11 / row_mm, 24 / beam_mm)
    echo += 3 * smooth_noise(rng, shape, 4 / row_mm, 9 / beam_mm)
    echo += float(rng.uniform(1, 4)) * smooth_noise(rng, shape, 1.3 / row_mm, 8 / beam_mm)  # fibres, across the beams
    echo += float(rng.uniform(-16, -5))

    # The womb: round the head where there is little fluid, far wider where there is a pool.
    grow, shift = rng.uniform(0.85, 1.5), rng.uniform(-0.22, 0.22, 2)
    u = head.along / np.float32(head.a * grow) - np.float32(shift[0])
    v = head.across / np.float32(head.b * grow) - np.float32(shift[1])
    womb = np.sqrt(u * u + v * v) + 0.09 * smooth_noise(rng, shape, 0.5 * head.a / row_mm, 0.6 * head.a / beam_mm) - 1
    womb += 0.012 * smooth_noise(rng, shape, 0.1 * head.a / row_mm, 0.1 * head.a / beam_mm)
    fluid = ramp(womb.astype(np.float32), float(rng.uniform(0.03, 0.12)))
    for _ in range(int(rng.integers(0, 4))):  # limbs, cord, a fold of placenta
        angle, far = rng.uniform(0, 2 * math.pi), rng.uniform(1.15, 1.6)
        size = head.b * rng.uniform(0.08, 0.35)
        centre = far * head.a * math.cos(angle), far * head.b * math.sin(angle)
        fluid *= 1 - head.oval(*centre, size * rng.uniform(1, 2.5), size, rng.uniform(0, math.pi))
    haze = float(rng.uniform(0, 16)) + 4 * smooth_noise(rng, shape, 5 / row_mm, 7 / beam_mm)
    echo = echo * (1 - fluid) + (FLUID_DB + haze) * fluid

    wall = ramp(depth - np.float32(wall_mm), 1.5)
    layers = np.zeros(shape, np.float32)
    edge = 0.0
    for _ in range(int(rng.integers(3, 6))):
        layers += ramp(np.float32(edge * wall_mm) - depth, 0.8) * float(rng.normal(0, 5))
        edge += float(rng.uniform(0.12, 0.4))
    fibres = smooth_noise(rng, shape, 0.9 / row_mm, 12 / beam_mm) + smooth_noise(rng, shape, 1.8 / row_mm, 22 / beam_mm)
    echo = echo * (1 - wall) + (layers * 0.6 + 3.5 * fibres + float(rng.uniform(-10, 0))) * wall
    skin = np.exp(-0.5 * ((depth - np.float32(1.5)) / np.float32(1.0)) ** 2)
    specular = 0.5 * fibres.clip(0) * wall
    for width in rng.uniform(0.03, 0.12, 2):
        specular += fascia(grid, width, rng) * (1 - fluid)
    return np.asarray(echo + 10 * skin, np.float32), np.asarray(specular, np.float32)


def _brain(head: OvalCoordinates, grid: BeamGrid, ga_weeks: float, rng: np.random.Generator) -> tuple[Map, Map]:
    """Echo and specular of the brain, at about the level of the thalami or of the ventricles."""
    a, b, shape, row_mm = head.a, head.b, grid.shape, grid.row_mm
    beam_mm = grid.beam_rad * (grid.probe.radius_mm + float(grid.depth_mm.mean()))
    echo = float(rng.uniform(-23, -12)) + 2.8 * smooth_noise(rng, shape, 0.16 * b / row_mm, 0.22 * b / beam_mm)
    echo += 2.2 * smooth_noise(rng, shape, 0.06 * b / row_mm, 0.1 * b / beam_mm)
    deeper = float(np.sign(head.beam_across.mean())) or 1.0
    near = ramp(deeper * head.across / np.float32(0.3 * b), 1.0)
    echo += float(rng.uniform(-1, 6)) * near  # haze under the near wall
    echo -= float(rng.uniform(1, 7)) * np.clip((head.radius - 0.72) * 6, 0, 1)

    front = 1.0 if rng.random() < 0.5 else -1.0
    young = float(np.clip((22 - ga_weeks) / 8, 0, 1))
    sharp = float(rng.uniform(0.2, 1.0))  # how well the plane is chosen, and the brain seen
    facing = np.abs(head.beam_across) ** 1.5
    specular = np.zeros(shape, np.float32)

    for side in (-1.0, 1.0):
        seen = sharp * (1.0 if side == deeper else float(rng.uniform(0.1, 0.8)))
        horn = rng.uniform(0.85, 1.15, 4)
        echo -= 5 * seen * head.oval(-0.02 * a * front, side * 0.16 * b, 0.18 * a * horn[0], 0.13 * b * horn[1])
        size = 0.13 * a * horn[2], 0.05 * b * horn[3]
        echo -= 16 * seen * head.oval(front * 0.36 * a, side * 0.17 * b, *size, front * side * 0.3)
        wide = 1 + 0.7 * young
        centre, tilt = (-front * 0.42 * a * horn[0], side * 0.37 * b * horn[1]), -front * side * 0.25
        echo -= 15 * seen * head.oval(*centre, 0.30 * a * horn[2], 0.14 * b * wide * horn[3], tilt)
        size = 0.19 * a * wide * horn[1], 0.085 * b * wide * horn[0]
        plexus = head.oval(centre[0] * 0.9, centre[1] * 0.97, *size, tilt)
        echo += (24 * seen + 4) * plexus * (0.4 + 0.6 * sharp) * (side == deeper or rng.random() < 0.3 + 0.5 * young)
        lines = int(rng.integers(1, 5))
        for _ in range(lines):
            start, length = rng.uniform(-0.6, 0.4) * a, rng.uniform(0.06, 0.25) * a
            slope = float(rng.uniform(-0.15, 0.15))
            height = side * rng.uniform(0.1, 0.72) * b + slope * (head.along - np.float32(start))
            line = head.streak(start, start + length, height, 0.35 + 0.004 * b)
            specular += float(rng.uniform(0.1, 0.9)) * seen * line * facing
    for _ in range(int(rng.integers(0, 9) * (1 - 0.5 * young))):  # furrows, parallel to the skull
        middle, length, ring = rng.uniform(-math.pi, math.pi), rng.uniform(0.1, 0.35), rng.uniform(0.6, 0.9)
        turn = np.abs(np.mod(head.turn - middle + math.pi, 2 * math.pi) - math.pi)
        line = np.exp(-0.5 * ((head.radius - ring) * np.float32(b / 0.5)) ** 2) * ramp(turn - np.float32(length), 0.1)
        specular += float(rng.uniform(0.1, 0.5)) * line * head.facing**2

    # The midline, with the cavum of the septum pellucidum in its gap.
    wander = np.float32(0.012 * b) * smooth_noise(rng, shape, 0.4 * a / row_mm, 0.4 * a / beam_mm)
    falx = np.float32(float(rng.uniform(0.5, 2.6)) * (0.35 + 0.65 * sharp))
    thickness = 0.2 + 0.006 * b
    gap = float(rng.uniform(0.12, 0.3)), float(rng.uniform(0.5, 0.6))
    falx = falx * np.exp(0.6 * smooth_noise(rng, shape, 0.25 * a / row_mm, 0.25 * a / beam_mm))
    for start, end in ((float(rng.uniform(-0.95, -0.6)), -gap[0]), (gap[1], float(rng.uniform(0.7, 0.96)))):
        low, high = sorted((front * start * a, front * end * a))
        specular += falx * head.streak(low, high, wander, thickness) * facing
    u, v = head.along / np.float32(0.5 * a), head.across / np.float32(0.3 * b)
    echo += 9 * sharp * np.exp(-2 * (u * u + v * v))
    cavum = front * float(rng.uniform(0.3, 0.42)) * a
    echo -= 18 * sharp * head.oval(cavum, 0, 0.1 * a, 0.05 * b)
    for side in (-1.0, 1.0):
        line = head.streak(cavum - 0.09 * a, cavum + 0.09 * a, wander + np.float32(side * 0.062 * b), thickness)
        specular += 1.3 * falx * sharp * line * facing
    return np.asarray(echo, np.float32), specular


def head_tissue(head_mm: Ellipse, grid: BeamGrid, ga_weeks: float, wall_mm: float, rng: np.random.Generator) -> Tissue:
    """A fetal head whose skull's outer edge is ``head_mm``, behind ``wall_mm`` of abdomen and womb.

    Args:
        head_mm: in mm of the frame.
        grid: the beams.
        ga_weeks: gestational age, 14 to 40.
        wall_mm: depth to which the abdominal wall reaches.
        rng: for everything else.
    """
    head = OvalCoordinates(head_mm, grid)
    echo, specular = _abdomen(grid, head, wall_mm, rng)
    shape = grid.shape
    scalp = ramp(head.outside_mm - np.float32(rng.uniform(0.3, 2.0)), 0.8)
    echo = echo * (1 - scalp) + scalp * float(rng.uniform(-28, -10))

    age = (ga_weeks - 14) / 26
    thickness = float(np.clip(2.0 + 1.5 * age + rng.uniform(-0.3, 0.5), 2.0, 4.0))
    thin = thickness * (1 + 0.1 * smooth_noise(rng, shape, 15 / grid.row_mm, 15 / grid.row_mm))
    within = ramp(head.outside_mm + thin - 0.3, 0.6)
    brain, inner = _brain(head, grid, ga_weeks, rng)
    echo = echo * (1 - within) + brain * within
    specular = specular * (1 - scalp) + inner * within

    bone = ramp(head.outside_mm, 0.25) * (1 - within)
    closed = np.ones(shape, np.float32)
    for _ in range(int(rng.integers(1, 6))):  # sutures and fontanelles
        turn = np.abs(np.mod(head.turn - rng.uniform(-math.pi, math.pi) + math.pi, 2 * math.pi) - math.pi)
        closed *= 1 - float(rng.uniform(0.3, 0.9)) * ramp(turn - np.float32(rng.uniform(0.01, 0.07)), 0.05)
    mirror = head.facing ** float(rng.uniform(2.5, 9.0))
    patchy = np.exp(0.35 * smooth_noise(rng, shape, 0.16 * head.a / grid.row_mm, 0.16 * head.a / grid.row_mm))
    profile = np.abs(np.sin(np.float32(math.pi) * np.clip(-head.outside_mm / thin, 0, 1))) ** 0.7
    specular = specular * (1 - bone) + bone * (profile * closed * patchy * mirror * float(rng.uniform(6, 11)))
    lining = head.outside_mm + thin + float(rng.uniform(0.5, 2))  # the dura, a second line within
    specular += float(rng.uniform(0, 1.5)) * closed * patchy * mirror**1.5 * np.exp(-0.5 * (lining / 0.45) ** 2)
    bone_db = np.asarray(-12 + 20 * np.log10(0.06 + mirror) + 7 * closed, np.float32)
    echo = echo * (1 - bone) + bone * bone_db

    fluid = np.clip(-echo / -FLUID_DB, 0, 1) ** 2 * (head.outside_mm > 0)
    loss = bone * closed * float(rng.uniform(0.7, 1.5)) - fluid * float(rng.uniform(0.02, 0.1))

    # Smooth surfaces across the beam reflect: where fluid gives way to tissue, or the reverse.
    step = np.zeros(shape, np.float32)
    reach = max(2, round(0.6 / grid.row_mm))
    step[reach:-reach] = np.abs(echo[2 * reach :] - echo[: -2 * reach]) * (1 - scalp[reach:-reach])
    specular += float(rng.uniform(0.3, 1.2)) * np.clip(step / 40 - 0.35, 0, 1)
    return Tissue(np.asarray(echo, np.float32), np.asarray(loss, np.float32), np.asarray(specular, np.float32))
