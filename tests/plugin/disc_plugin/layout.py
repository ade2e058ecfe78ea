"""The layout ``npz``: one ``.npz`` a frame, with ``pixels``, ``mask``, ``pixel_mm`` and ``disc_mm``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from disc_plugin.task import DISC
from fetaledge.data.dataset import Dataset, Item, Problem
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.depth import Stored
from fetaledge_runtimes.frames.frame import Image, LabelledFrame

MARKER = "npz-frames"


class NpzFrames(Dataset):
    """A folder of ``.npz`` files beside an empty file ``npz-frames``."""

    EXPECTS = "discs (.npz files beside an empty file npz-frames)"
    TASK = DISC
    ATTRIBUTION = "Discs of the example package"

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return (folder / MARKER).is_file()

    def scan(self) -> tuple[Item, ...]:
        items = []
        for path in sorted(self.folder.glob("*.npz")):
            try:
                with np.load(path, allow_pickle=False) as frame:
                    spacing, diameter = float(frame["pixel_mm"]), float(frame["disc_mm"])
            except (OSError, ValueError, KeyError) as error:
                self.problems.append(Problem(path.name, f"is no frame: {error}"))
                continue
            items.append(Item(path.stem, path.stem, path, path, (spacing, spacing), {"disc_mm": diameter}))
        return tuple(items)

    def read_stored(self, path: Path) -> Stored:
        return Stored(_array(path, "pixels"))

    def read_mask(self, item: Item) -> Image:
        return _array(item.label, "mask")


def write_frame(path: Path, labelled: LabelledFrame) -> None:
    """Write one labelled frame."""
    assert labelled.frame.pixel_mm is not None
    np.savez(
        path,
        pixels=labelled.frame.pixels,
        mask=labelled.mask,
        pixel_mm=labelled.frame.pixel_mm[0],
        disc_mm=labelled.stated["disc_mm"],
    )


def _array(path: Path, key: str) -> Image:
    try:
        with np.load(path, allow_pickle=False) as frame:
            return np.asarray(frame[key], np.uint8)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read: {error}", "write it again") from error
