"""Synthetic fetal heads as a convex probe would show them, with their geometry known exactly.

A score on phantoms says nothing about clinical accuracy.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from fetaledge.phantoms.head_anatomy import head_tissue
from fetaledge.phantoms.phantom import Phantom
from fetaledge.phantoms.phantom_set import check_request, write_note
from fetaledge.phantoms.scanner_marks import draw_overlays
from fetaledge.phantoms.sonogram import sonogram
from fetaledge.phantoms.transducer import ConvexProbe, beam_grid
from fetaledge_runtimes.ellipse import Ellipse, fit_outline
from fetaledge_runtimes.files import atomic_folder
from fetaledge_runtimes.frames.frame import Frame, Image, LabelledFrame
from fetaledge_runtimes.tasks.head import hc_for_age

FRAME_SHAPE = (540, 800)
TABLE = "training_set_pixel_size_and_HC.csv"
_AGES_WEEKS = (14.0, 40.0)
_PIXEL_MM = (0.05, 0.33)  # of a frame of 540 rows, as in HC18
_HALF_WIDTHS = (0.55, 0.65, 0.75, 0.85, 0.95)  # of an outline, in pixels
_MARGIN = 0.015  # the head keeps this much of the frame's height from its border


@dataclass(frozen=True, eq=False)
class HeadPhantom:
    """A synthetic frame and the truth behind it.

    Attributes:
        labelled: the frame with its mask.
        ellipse: the skull's outer edge, in pixels of the frame.
        ga_weeks: the gestational age its size was drawn for.
    """

    labelled: LabelledFrame
    ellipse: Ellipse
    ga_weeks: float


def _head(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Ellipse, float, float]:
    """The outer edge of a skull in pixels, the pixel's size in mm, and the gestational age in weeks."""
    ga_weeks = float(rng.uniform(*_AGES_WEEKS))
    mean_mm, sd_mm = hc_for_age(ga_weeks)
    hc_mm = mean_mm + sd_mm * float(np.clip(rng.normal(), -2.5, 2.5))
    ratio = float(np.clip(rng.normal(0.78, 0.04), 0.68, 0.90))
    a_mm = hc_mm / Ellipse(0, 0, 1, ratio, 0).circumference
    uniform = rng.random() < 0.12
    angle = float(rng.uniform(0, 180)) if uniform else float(rng.normal(0, 22)) % 180

    height, width = shape
    turn = math.radians(angle)
    reach_x = math.hypot(math.cos(turn), ratio * math.sin(turn))  # half extents of the ellipse of a = 1
    reach_y = math.hypot(math.sin(turn), ratio * math.cos(turn))
    margin = _MARGIN * height
    largest = min((width / 2 - margin) / reach_x, (height / 2 - margin) / reach_y)
    fill = float(np.clip(rng.normal(0.74 if ga_weeks > 18 else 0.6, 0.15), 0.3, 0.98))
    a = min(fill * height / (2 * 0.8), largest)
    finest, coarsest = (limit * 540 / height for limit in _PIXEL_MM)
    a = float(np.clip(a, a_mm / coarsest, min(a_mm / finest, largest)))
    room_x, room_y = width / 2 - margin - a * reach_x, height / 2 - margin - a * reach_y
    x = (width - 1) / 2 + float(np.clip(rng.normal(-0.01, 0.06) * width, -room_x, room_x))
    y = (height - 1) / 2 + float(np.clip(rng.normal(0.01, 0.07) * height, -room_y, room_y))
    return Ellipse(x, y, a, a * ratio, angle), a_mm / a, ga_weeks


def _probe(head_mm: Ellipse, rng: np.random.Generator) -> tuple[ConvexProbe, float]:
    """A probe held over the head so that its sector covers most of it, and the depth of the head's nearest point."""
    points = head_mm.points(90)
    radius = float(rng.uniform(38, 62))
    cover = float(np.clip(rng.gamma(4.0, 6.0) + 6, 10, 60))
    x = head_mm.x + float(rng.normal(0, 0.12)) * head_mm.a
    top = float(points[:, 1].min()) - cover
    probe = ConvexProbe(x, top - radius, radius, math.pi, math.inf)
    distance, angle = probe.polar(points[:, 0].astype(np.float32), points[:, 1].astype(np.float32))
    covering = float(np.abs(angle).max()) * float(rng.uniform(0.93, 1.15))
    half_angle = max(math.radians(float(rng.uniform(26, 40))), covering)
    depth = float(distance.max()) - radius + float(rng.uniform(6, 60))
    nearest = float(distance.min()) - radius
    return ConvexProbe(x, top - radius, radius, min(half_angle, math.radians(55)), depth), nearest


def _picture(
    head_mm: Ellipse, pixel_mm: float, ga_weeks: float, shape: tuple[int, int], rng: np.random.Generator
) -> Image:
    probe, nearest = _probe(head_mm, rng)
    grid = beam_grid(probe, shape, pixel_mm)
    wall_mm = nearest * float(rng.uniform(0.35, 0.85))
    tissue = head_tissue(head_mm, grid, ga_weeks, wall_mm, rng)
    picture = sonogram(tissue, grid, (nearest, head_mm.b), (0.10, 0.26), shape[0] / 540, rng)
    top = probe.x_mm / pixel_mm, (probe.y_mm + probe.radius_mm) / pixel_mm
    draw_overlays(picture, head_mm.scaled(1 / pixel_mm, 1 / pixel_mm), top, rng)
    return picture


def head_phantom_with_truth(seed: int, shape: tuple[int, int] = FRAME_SHAPE) -> HeadPhantom:
    """As :func:`head_phantom`, with the ellipse and the gestational age."""
    rng = np.random.default_rng(seed)
    ellipse, pixel_mm, ga_weeks = _head(rng, shape)
    head_mm = ellipse.scaled(pixel_mm, pixel_mm)
    picture = _picture(head_mm, pixel_mm, ga_weeks, shape, rng)
    name = f"phantom_{seed:05d}"
    frame = Frame(picture, (pixel_mm, pixel_mm), name)
    labelled = LabelledFrame(frame, ellipse.rasterise(shape), name, name, True, {"hc_mm": head_mm.circumference})
    return HeadPhantom(labelled, ellipse, ga_weeks)


def head_phantom(seed: int) -> LabelledFrame:
    """A synthetic fetal head of 14 to 40 weeks under a convex probe.

    HC is drawn from INTERGROWTH-21st for the age, the cephalic index from N(0.78, 0.04), the pixel so that
    the head fits the frame, 0.05 to 0.33 mm at 540 rows; the head lies whole within the frame at any tilt.

    Args:
        seed: not negative; the same one gives the same frame.

    Returns:
        The frame, its mask (the **outer** edge of the skull, rasterised) and the stated ``hc_mm``, which is analytic.
    """
    return head_phantom_with_truth(seed).labelled


def draw_outline(ellipse: Ellipse, shape: tuple[int, int]) -> Image:
    """``uint8 (H, W)``: 255 on every pixel whose centre lies close to the ellipse, 0 elsewhere.

    It is symmetric about the ellipse, and as wide, between 1 and 2 pixels, as makes an ellipse fitted to all its pixels
    come nearest to the circumference drawn: within 0.1 px, for 80 px of long semi-axis and more.
    """
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    turn = math.radians(ellipse.angle_deg)
    dx, dy = columns - ellipse.x, rows - ellipse.y
    u = (dx * math.cos(turn) + dy * math.sin(turn)) / ellipse.a
    v = (dy * math.cos(turn) - dx * math.sin(turn)) / ellipse.b
    radius = np.hypot(u, v)
    slope = np.hypot(u / ellipse.a, v / ellipse.b) / np.maximum(radius, 1e-9)
    away = np.abs(radius - 1) / np.maximum(slope, 1e-9)

    def drawn(half_width: float) -> Image:
        return np.where(away <= half_width, 255, 0).astype(np.uint8)

    def bias(outline: Image) -> float:
        fitted = fit_outline(outline)
        return math.inf if fitted is None else abs(fitted.circumference - ellipse.circumference)

    return min((drawn(half_width) for half_width in _HALF_WIDTHS), key=bias)


def _write_png(path: Path, image: Image) -> None:
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def write_head_phantoms(folder: Path, count: int, seed: int, *, force: bool = False) -> None:
    """Write ``count`` phantoms in the layout of HC18, each a subject of its own, and ``phantom.json`` beside them.

    Args:
        folder: made; ``training_set/NNN_HC.png`` and ``NNN_HC_Annotation.png`` stand in it, and the table of HC18.
        count: how many.
        seed: of the set; each frame has its own, drawn from it, so that sets of different seeds do not overlap.
        force: replace a folder that was written before.

    Raises:
        UsageError: ``count`` is below 1 or ``seed`` negative.
        OutputError: the folder exists and ``force`` is not set, or it cannot be written.
    """
    check_request(count, seed)
    with atomic_folder(folder, force=force, marker=TABLE) as partial:
        (partial / "training_set").mkdir()
        table = [("filename", "pixel size(mm)", "head circumference (mm)")]
        digits = max(3, len(str(count - 1)))
        for index, one in enumerate(np.random.SeedSequence(seed).generate_state(count)):
            phantom = head_phantom_with_truth(int(one))
            frame, hc_mm = phantom.labelled.frame, phantom.labelled.stated["hc_mm"]
            assert frame.pixel_mm is not None
            name = f"{index:0{digits}d}_HC"
            _write_png(partial / "training_set" / f"{name}.png", frame.pixels)
            _write_png(partial / "training_set" / f"{name}_Annotation.png", draw_outline(phantom.ellipse, FRAME_SHAPE))
            table.append((f"{name}.png", f"{frame.pixel_mm[0]:.12g}", f"{hc_mm:.4f}"))
        with (partial / TABLE).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows(table)
        write_note(partial, "head", count, seed)


class HeadPhantoms(Phantom):
    """Fetal heads, written in the layout of HC18."""

    task: ClassVar[str] = "head"

    def labelled(self, seed: int) -> LabelledFrame:
        return head_phantom(seed)

    def write(self, folder: Path, count: int, seed: int, *, force: bool = False) -> None:
        write_head_phantoms(folder, count, seed, force=force)


HEAD_PHANTOM = HeadPhantoms()
