"""The check that a frame shows what a model was made for, as a bundle or a run holds it."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fetaledge_runtimes.errors import BundleError
from fetaledge_runtimes.files import atomic_path
from fetaledge_runtimes.frames.frame import Image, Logits
from fetaledge_runtimes.tasks.task import MIRRORED
from fetaledge_runtimes.view import outline, picture
from fetaledge_runtimes.view.picture import describe_picture
from fetaledge_runtimes.view.upright import stand_upright

FILE = "view.npz"
LENGTH = picture.LENGTH + outline.LENGTH
LENGTH_OF_TWO = LENGTH + picture.LENGTH
CLIPPED_AT = 6.0
OUTLINE_WEIGHT = 0.3
NAMES = ("statuses", "weights", "offsets", "centre", "spread")
AGAIN = "copy the file again, or make it again with fetaledge train view"
NO_CHECK = "the bundle has no view check: frames that show something else are measured too"


@dataclass(frozen=True)
class View:
    """What the check says of a frame.

    Attributes:
        status: the status of the first score that is below 0; None where the frame passes.
        quality: 0 to 1, from the lowest score; one half is where a status begins.
    """

    status: str | None
    quality: float


@dataclass(frozen=True, eq=False)
class ViewCheck:
    """A linear score for each status: below 0 the frame gets that status and no measure.

    Attributes:
        statuses: K of them, the first to be tried first.
        weights: ``float32 (K, D)``, D as in :func:`describe`; offsets: ``float32 (K,)``.
        centre, spread: ``float32 (39,)`` of the outline's description over the frames that were learnt from.
    """

    statuses: tuple[str, ...]
    weights: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.float32]
    centre: npt.NDArray[np.float32]
    spread: npt.NDArray[np.float32]

    def __call__(self, pixels: Image, logits: Logits, skipped: Collection[str] = ()) -> View | None:
        """Judge a frame ``uint8 (H, W)`` at the network's size by its logits; None where nothing is segmented.

        The scores of the statuses ``skipped`` are not asked.
        """
        upright = self.weights.shape[1] == LENGTH_OF_TWO
        described = describe(pixels, logits, self.centre, self.spread, upright=upright)
        if described is None:
            return None
        if upright and not described[LENGTH:].any():  # which way round it is cannot be told
            skipped = (*skipped, MIRRORED)
        return self.judge(described, skipped)

    def scores(self, described: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """``float32 (..., K)`` of descriptions ``float32 (..., D)``; of values that are not finite, the lowest."""
        found = described @ self.weights.T + self.offsets
        lowest: npt.NDArray[np.float32] = np.nan_to_num(found, nan=-np.inf)
        return lowest

    def judge(self, described: npt.NDArray[np.float32], skipped: Collection[str] = ()) -> View:
        """The verdict on one description ``float32 (D,)``."""
        asked = [
            (float(score), status)
            for score, status in zip(self.scores(described), self.statuses, strict=True)
            if status not in skipped
        ]
        if not asked:
            return View(None, 1.0)
        failed = next((status for score, status in asked if score < 0), None)
        return View(failed, 1 / (1 + math.exp(-4 * min(max(min(asked)[0], -5.0), 5.0))))

    def write(self, path: Path) -> None:
        """Write the check as ``.npz``."""
        with atomic_path(path) as partial, partial.open("wb") as stream:
            np.savez_compressed(
                stream,
                statuses=np.array(self.statuses),
                weights=self.weights,
                offsets=self.offsets,
                centre=self.centre,
                spread=self.spread,
            )

    @classmethod
    def read(cls, path: Path) -> ViewCheck:
        """Read what :meth:`write` wrote.

        Raises:
            BundleError: it is missing, damaged, or its arrays have other shapes.
        """
        if not path.is_file():
            raise BundleError(f"{path} is missing", AGAIN)
        try:
            with zipfile.ZipFile(path) as archive:  # np.load takes other files too
                found = {name: _array(archive, name) for name in NAMES}
        except (
            OSError,
            ValueError,
            KeyError,
            EOFError,
            MemoryError,
            RuntimeError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise BundleError(f"{path} is damaged, or no view check", AGAIN) from error
        count = len(np.atleast_1d(found["statuses"]))
        shapes = {
            "statuses": (count,),
            "weights": (count, LENGTH_OF_TWO if found["weights"].shape[-1:] == (LENGTH_OF_TWO,) else LENGTH),
            "offsets": (count,),
            "centre": (outline.LENGTH,),
            "spread": (outline.LENGTH,),
        }
        for name, shape in shapes.items():
            kind = "U" if name == "statuses" else "f"
            if found[name].shape != shape or found[name].dtype.kind != kind or not count:
                raise BundleError(
                    f"{path} holds {name} of {found[name].shape} ({found[name].dtype}) where {shape} was expected",
                    AGAIN,
                )
        numbers = {name: found[name].astype(np.float32) for name in shapes if name != "statuses"}
        if not all(np.isfinite(values).all() for values in numbers.values()) or (numbers["spread"] <= 0).any():
            raise BundleError(f"{path} holds values that are not finite, or a spread of 0", AGAIN)
        return cls(tuple(map(str, found["statuses"])), **numbers)


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    with archive.open(f"{name}.npy") as stream:
        found: npt.NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return found


def describe(
    pixels: Image,
    logits: Logits,
    centre: npt.NDArray[np.float32],
    spread: npt.NDArray[np.float32],
    *,
    upright: bool = False,
) -> npt.NDArray[np.float32] | None:
    """``float32 (D,)`` of a frame at the network's size; None where nothing is segmented.

    D is 1063: the picture's 1024 values, then the outline's 39 in units of ``spread``. With ``upright`` D is 2087: the
    1024 values of the picture of :func:`fetaledge_runtimes.view.upright.stand_upright` follow, zeros where there is
    none.
    """
    drawn = outline.describe_outline(pixels, logits)
    if drawn is None:
        return None
    seen = describe_picture(pixels)
    return joined(seen, drawn, centre, spread, describe_upright(pixels, logits) if upright else None)


def describe_upright(pixels: Image, logits: Logits) -> npt.NDArray[np.float32]:
    """``float32 (1024,)`` of the upright picture; zeros where there is none."""
    turned = stand_upright(pixels, logits)
    return np.zeros(picture.LENGTH, np.float32) if turned is None else describe_picture(turned)


def joined(
    seen: npt.NDArray[np.float32],
    drawn: npt.NDArray[np.float32],
    centre: npt.NDArray[np.float32],
    spread: npt.NDArray[np.float32],
    turned: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Picture ``(..., 1024)``, outline ``(..., 39)``, upright picture ``(..., 1024)`` as one ``float32 (..., D)``."""
    scaled = np.clip((drawn - centre) / spread, -CLIPPED_AT, CLIPPED_AT) * OUTLINE_WEIGHT
    parts = [seen, scaled] if turned is None else [seen, scaled, turned]
    return np.concatenate(parts, axis=-1).astype(np.float32)
