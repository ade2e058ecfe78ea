"""Synthetic transperineal frames: a pubic symphysis and a fetal head, with the angle of progression known exactly.

A score on phantoms says nothing about clinical accuracy.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from fetaledge.phantoms.pelvic_anatomy import perineal_tissue
from fetaledge.phantoms.phantom import Phantom
from fetaledge.phantoms.phantom_set import check_request, write_note
from fetaledge.phantoms.ps_fh_scene import CASES, Scene, draw_scene
from fetaledge.phantoms.scanner_marks import draw_overlays
from fetaledge.phantoms.sonogram import sonogram
from fetaledge.phantoms.transducer import beam_grid
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.files import atomic_folder
from fetaledge_runtimes.frames.frame import Frame, Image, LabelledFrame

FRAME_SHAPE = (256, 256)
TABLE = "truth.csv"
_PLAIN = 0.85  # of a set; the rest are the difficult cases, in turn


@dataclass(frozen=True, eq=False)
class PsfhPhantom:
    """A synthetic transperineal frame and the truth behind it.

    Attributes:
        labelled: the frame with its label map: 1 symphysis, 2 head.
        symphysis: the capsule's outer edge in pixels of the frame; None in the case ``missing-ps``.
        head: the skull's outer edge in pixels of the frame.
        aop_deg: the angle of progression, analytic; None without a symphysis. It is the anatomical one in every case,
            also where a frame is mirrored or truncated and nothing should be measured on it.
        hsd_px: the shortest distance from the symphysis' lower end to the skull, in pixels; None without a symphysis.
        case: one of ``CASES``.
    """

    labelled: LabelledFrame
    symphysis: Ellipse | None
    head: Ellipse
    aop_deg: float | None
    hsd_px: float | None
    case: str


def _in_pixels(ellipse: Ellipse, pixel_mm: float) -> Ellipse:
    """From mm of a frame's upper left corner to pixels, whose centres are whole numbers."""
    scale = 1 / pixel_mm
    return Ellipse(
        ellipse.x * scale - 0.5, ellipse.y * scale - 0.5, ellipse.a * scale, ellipse.b * scale, ellipse.angle_deg
    )


def _picture(scene: Scene, case: str, pixel_mm: float, shape: tuple[int, int], rng: np.random.Generator) -> Image:
    half = pixel_mm / 2  # the beams count from the centre of the first pixel, the scene from its corner
    probe = replace(scene.probe, x_mm=scene.probe.x_mm - half, y_mm=scene.probe.y_mm - half)
    head = replace(scene.head, x=scene.head.x - half, y=scene.head.y - half)
    symphysis = scene.symphysis and replace(scene.symphysis, x=scene.symphysis.x - half, y=scene.symphysis.y - half)
    side = -1.0 if case == "mirrored" else 1.0
    apex = scene.apex or (head.x - side * 0.5 * head.a, head.y - 0.9 * head.a)
    grid = beam_grid(probe, shape, pixel_mm)
    tissue = perineal_tissue(head, symphysis, apex, side, grid, rng)
    distance, _ = probe.polar(*np.hsplit(head.points(90).astype(np.float32), 2))
    nearest = float(distance.min()) - probe.radius_mm
    picture = sonogram(tissue, grid, (nearest, head.b), (0.3, 0.8), shape[0] / 256, rng)
    return _lifted(picture, float(picture[grid.inside].mean()) / 255, float(rng.uniform(0.12, 0.22)))


def _lifted(picture: Image, level: float, least: float) -> Image:
    """``picture``, or where its mean is below ``least`` of white, with the gain that an operator would turn up."""
    if level >= least:
        return picture
    curve = 255 * np.linspace(0, 1, 256) ** (math.log(least) / math.log(level))
    return np.asarray(np.rint(curve), np.uint8)[picture]


def _finished(scene: Scene, case: str, pixel_mm: float, head: Ellipse, mask: Image, rng: np.random.Generator) -> Image:
    """The picture with a scanner's marks over it, but none over the symphysis."""
    picture = _picture(scene, case, pixel_mm, (mask.shape[0], mask.shape[1]), rng)
    marked = picture.copy()
    top = scene.probe.x_mm / pixel_mm, (scene.probe.y_mm + scene.probe.radius_mm) / pixel_mm
    draw_overlays(marked, head, top, rng)
    return picture if (marked != picture)[mask == 1].any() else marked


def psfh_phantom(
    seed: int, shape: tuple[int, int] = FRAME_SHAPE, case: str = "plain", drawn: bool = True
) -> PsfhPhantom:
    """A synthetic frame of a term head in the birth canal, seen by a convex probe on the perineum.

    Symphysis and head lie and are shaped as in 646 real label maps (PSFHS, CC BY 4.0), the angle included.
    The geometry of a seed and a case is the same at any size of the frame with the same proportions.

    Args:
        seed: not negative; the same one gives the same frame.
        shape: rows and columns.
        case: ``plain``: the symphysis above the head, shaped and placed as in real label maps, its lower end the right
            one, both whole within the frame. ``mirrored``: such a scene, left and right exchanged.
            ``near-vertical``: the axis within 8° of the vertical. ``truncated``: the head runs out of the frame.
            ``missing-ps``: no symphysis.
        drawn: False where the truth alone is wanted: the frame is black then.

    Raises:
        UsageError: there is no such case, or no scene fits the frame's proportions.
    """
    geometry, appearance = (np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(2))
    scene = draw_scene(geometry, shape[1] / shape[0], case)
    pixel_mm = scene.height_mm / shape[0]
    head = _in_pixels(scene.head, pixel_mm)
    symphysis = None if scene.symphysis is None else _in_pixels(scene.symphysis, pixel_mm)
    mask = 2 * head.rasterise(shape)
    if symphysis is not None:
        mask[symphysis.rasterise(shape) > 0] = 1

    picture = _finished(scene, case, pixel_mm, head, mask, appearance) if drawn else np.zeros(shape, np.uint8)
    name = f"psfh_{seed:05d}" + ("" if case == "plain" else f"_{case}")
    frame = Frame(picture, (pixel_mm, pixel_mm), name)
    hsd_px = None if scene.hsd_mm is None else scene.hsd_mm / pixel_mm
    labelled = LabelledFrame(frame, mask, name, name, True, {} if scene.aop_deg is None else {"aop_deg": scene.aop_deg})
    return PsfhPhantom(labelled, symphysis, head, scene.aop_deg, hsd_px, case)


def _cases(count: int, rng: np.random.Generator) -> list[str]:
    """The case of each frame of a set, in random order."""
    difficult = round(count * (1 - _PLAIN))
    cases = [CASES[1 + index % (len(CASES) - 1)] for index in range(difficult)] + ["plain"] * (count - difficult)
    return [cases[index] for index in rng.permutation(count)]


def write_psfh_phantoms(folder: Path, count: int, seed: int, *, force: bool = False) -> None:
    """Write ``count`` phantoms in the layout of PSFHS, each a subject of its own, with their truth beside them.

    Args:
        folder: made; ``image_mha/NNNNN.mha`` (3×256×256, three equal channels), ``label_mha/NNNNN.mha`` (256×256),
            ``truth.csv`` and ``phantom.json`` stand in it.
        count: how many; 85 % of them plain, the rest the difficult cases.
        seed: of the set; each frame has its own, drawn from it.
        force: replace a folder that was written before.

    Raises:
        UsageError: ``count`` is below 1 or ``seed`` negative.
        OutputError: the folder exists and ``force`` is not set, or it cannot be written.
    """
    import SimpleITK

    check_request(count, seed)
    root = np.random.SeedSequence(seed)
    cases = _cases(count, np.random.default_rng(root.spawn(1)[0]))
    with atomic_folder(folder, force=force, marker=TABLE) as partial:
        for part in ("image_mha", "label_mha"):
            (partial / part).mkdir()
        table: list[tuple[object, ...]] = [("filename", "subject", "aop_deg", "hsd_px", "pixel_mm", "case")]
        for number, (one, case) in enumerate(zip(root.generate_state(count), cases, strict=True), start=1):
            phantom = psfh_phantom(int(one), case=case)
            frame, mask = phantom.labelled.frame, phantom.labelled.mask
            assert frame.pixel_mm is not None
            for part, array in (("image_mha", np.stack([frame.pixels] * 3)), ("label_mha", mask)):
                SimpleITK.WriteImage(
                    SimpleITK.GetImageFromArray(array), str(partial / part / f"{number:05d}.mha"), True
                )
            truth = ("" if value is None else f"{value:.6f}" for value in (phantom.aop_deg, phantom.hsd_px))
            table.append((f"{number:05d}.mha", f"{number:05d}", *truth, f"{frame.pixel_mm[0]:.12g}", case))
        with (partial / TABLE).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows(table)
        write_note(partial, "ps-fh", count, seed)


class PsfhPhantoms(Phantom):
    """Symphysis and fetal head, written in the layout of PSFHS."""

    task: ClassVar[str] = "ps-fh"

    def labelled(self, seed: int) -> LabelledFrame:
        return psfh_phantom(seed).labelled

    def write(self, folder: Path, count: int, seed: int, *, force: bool = False) -> None:
        write_psfh_phantoms(folder, count, seed, force=force)


PS_FH_PHANTOM = PsfhPhantoms()
