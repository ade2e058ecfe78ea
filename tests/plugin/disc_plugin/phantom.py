"""Phantoms of the task ``disc``, written as one ``.npz`` a frame."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from disc_plugin.layout import MARKER, write_frame
from fetaledge.phantoms.phantom import Phantom
from fetaledge.phantoms.phantom_set import check_request, write_note
from fetaledge_runtimes.files import atomic_folder
from fetaledge_runtimes.frames.frame import Frame, LabelledFrame

SIDE = 96
PIXEL_MM = 0.5


class DiscPhantom(Phantom):
    """A bright disc on a darker ground, with noise."""

    task: ClassVar[str] = "disc"

    def labelled(self, seed: int) -> LabelledFrame:
        """One frame ``uint8 (96, 96)``, its diameter known exactly."""
        rng = np.random.default_rng(seed)
        radius = rng.uniform(16, 30)
        x, y = rng.uniform(radius + 4, SIDE - radius - 4, 2)
        rows, columns = np.mgrid[:SIDE, :SIDE]
        mask = ((columns - x) ** 2 + (rows - y) ** 2 <= radius**2).astype(np.uint8)
        pixels = np.clip(40 + 120 * mask + rng.normal(0, 10, mask.shape), 0, 255).astype(np.uint8)
        name = f"disc_{seed:05d}"
        frame = Frame(pixels, (PIXEL_MM, PIXEL_MM), name)
        return LabelledFrame(frame, mask, name, name, True, {"disc_mm": 2 * radius * PIXEL_MM})

    def write(self, folder: Path, count: int, seed: int, *, force: bool = False) -> None:
        """Write ``count`` frames, each a subject of its own, and ``phantom.json`` beside them."""
        check_request(count, seed)
        with atomic_folder(folder, force=force, marker=MARKER) as partial:
            for number in range(count):
                write_frame(partial / f"{number:03d}.npz", self.labelled(1000 * (seed + 1) + number))
            (partial / MARKER).touch()
            write_note(partial, self.task, count, seed)


DISC_PHANTOM = DiscPhantom()
