"""Mask pictures as people have them: what their grey levels, colours and palettes stand for.

A picture is understood, or refused with what it holds: nothing is guessed. Blur (JPEG, a resize, probabilities) is told
from labels by their areas: a label covers some, and a blurred border does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from fetaledge.data.medical_image import is_medical, read_grey_levels
from fetaledge_runtimes.ellipse import Ellipse, fit_outline
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.depth import to_uint8
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.images import read_coloured
from fetaledge_runtimes.postprocess import largest_component
from fetaledge_runtimes.tasks.labels import FH, PS

STRUCTURE_VALUES = ({1: PS, 2: FH}, {7: PS, 8: FH})
"""Published label maps of symphysis and head: PSFHS has 1 and 2, JNU-IFM and IUGC 2024 have 7 and 8."""
STRUCTURE_COLOURS = {"red": PS, "green": FH}
"""As in JNU-IFM's enhanced masks."""
HEAD_OR_STRUCTURES = "write 0 and 255 for a head, or 0, 1 and 2 for background, symphysis and head"

LARGEST_LABEL = 32  # below it every value is a label: no mask is drawn so dark
FEW_LEVELS = 8  # a picture of no more levels has no blur to speak of
MIN_AREA_PX = 5
MIN_AREA_SHARE = 0.02  # of the largest area; the smallest symphysis of 646 real ones has 0.06 of its head's
WINDOW = 9  # neighbouring grey levels that JPEG makes of one
BRIGHT = 128  # half of the highest level
COLOURED = 40  # channels differ by more than JPEG makes of grey
MIN_COLOURED_SHARE = 0.01  # of the bright pixels
RING_SHARE = 0.4
RING_WIDTH, RING_FIT, RING_TURN = 0.1, 0.95, 0.6


@dataclass(frozen=True, eq=False)
class MaskPicture:
    """A mask picture's content before it is known what is marked.

    Attributes:
        path: of the file.
        values: ``uint8 (H, W)``: grey levels or a palette's indices; of red and green areas the labels of
            :data:`STRUCTURE_COLOURS`; of one colour alone its brightness.
        colours: names of the colours, none of a picture in grey.
    """

    path: Path
    values: Image
    colours: tuple[str, ...] = ()

    def levels(self) -> tuple[int, ...]:
        """The values above 0 that areas have, in order; a blurred border's values are not among them."""
        present = self._present
        if present.size <= 1 or present[-1] < LARGEST_LABEL:
            return tuple(map(int, present))
        areas = self._areas()
        top = int(present[-1])
        if present.size <= FEW_LEVELS:
            found = np.flatnonzero(areas >= MIN_AREA_PX)
        else:
            areas = np.convolve(areas, np.ones(WINDOW, np.int64), "same")
            between = np.arange(256)
            inside = (between > 0.1 * top) & (between < 0.9 * top)
            large = inside & (areas >= MIN_AREA_SHARE * max(areas.max(), 1)) & (areas >= MIN_AREA_PX)
            found = np.array([np.argmax(np.where(large, areas, 0))] if large.any() else [], np.int64)
        return tuple(sorted({*map(int, found), top}))

    @cached_property
    def _present(self) -> npt.NDArray[Any]:
        """The values above 0, in order."""
        found = np.flatnonzero(np.bincount(self.values.ravel(), minlength=256))
        return found[found > 0]

    def _areas(self) -> npt.NDArray[Any]:
        """``int (256,)``: of each value above 0 the pixels that lie among their like."""
        kernel = np.ones((3, 3), np.uint8)
        flat = cv2.erode(self.values, kernel) == cv2.dilate(self.values, kernel)
        areas = np.bincount(self.values[flat], minlength=256)
        areas[0] = 0
        return areas

    def content(self) -> str:
        """What it holds, for a message: ``holds the values 0, 7 and 8``."""
        if self.colours:
            return f"is drawn in {' and '.join(self.colours)}"
        return f"holds {shown(self.levels())}"

    def one_structure(self) -> Image:
        """The mask ``uint8 (H, W)`` of 0 and 1 where one structure is marked: half of the highest level and above.

        Of more than eight grey levels that all lie below 128, and have areas, nothing is marked: a probability stays
        below a half. A line has none: of an outline that a resize has paled, half of its own level counts.

        Raises:
            InputError: the picture marks several things.
        """
        levels = self.levels()
        if len(levels) > 1:
            raise InputError(f"{self.path} {self.content()}, where one structure was expected", HEAD_OR_STRUCTURES)
        top = max(levels, default=0)
        if self._present.size > FEW_LEVELS and top < BRIGHT and self._areas()[top // 2 :].sum() >= MIN_AREA_PX:
            return np.zeros_like(self.values)
        return ((self.values > 0) & (self.values.astype(np.uint16) * 2 >= top)).astype(np.uint8)

    def structures(self) -> npt.NDArray[Any]:
        """The values as labels: where there is one colour alone, it is red or green.

        Raises:
            InputError: it is another colour.
        """
        if len(self.colours) != 1:
            return self.values
        colour = self.colours[0]
        if colour not in STRUCTURE_COLOURS:
            raise InputError(
                f"{self.path} is drawn in {colour}, where red (symphysis) and green (head) were expected",
                "write 0, 1 and 2 for background, symphysis and head",
            )
        return (self.values >= BRIGHT) * np.uint8(STRUCTURE_COLOURS[colour])


def shown(levels: Sequence[float]) -> str:
    """Values for a message: ``the values 0, 7 and 8``."""
    every = sorted({0, *levels})
    if len(every) > 6:
        return f"{len(every)} values from {every[0]:g} to {every[-1]:g}"
    if len(every) == 1:
        return "the value 0 alone"
    return f"the values {', '.join(f'{value:g}' for value in every[:-1])} and {every[-1]:g}"


def structure_values(values: npt.NDArray[Any]) -> Image | None:
    """A map of published values as ``uint8`` of 0, 1 symphysis and 2 head; None where it holds another value."""
    found = set(np.unique(values).tolist()) - {0}
    known = next((known for known in STRUCTURE_VALUES if found <= set(known)), None)
    if known is None:
        return None
    labels = np.zeros(values.shape, np.uint8)
    for value, label in known.items():
        labels[values == value] = label
    return labels


def read_mask_picture(path: Path) -> MaskPicture:
    """Read a PNG, JPEG, BMP or TIFF, or a plane of a MetaImage or NIfTI.

    A palette's indices count where they are published label values and 0 is black; otherwise its colours do.

    Raises:
        InputError: the file cannot be read, or holds colours that say nothing.
    """
    if is_medical(path):
        return MaskPicture(path, to_uint8(read_grey_levels(path, (2,))))
    stored = read_coloured(path)
    indices = _palette_labels(path)
    if stored.pixels.ndim == 2:
        picture = MaskPicture(path, to_uint8(stored.pixels, stored.bits))
        return picture if indices is None else MaskPicture(path, indices)
    if indices is None:
        return _coloured(path, to_uint8(stored.pixels, stored.bits))
    try:
        coloured = _coloured(path, to_uint8(stored.pixels, stored.bits))
    except InputError:
        return MaskPicture(path, indices)
    labels = structure_values(indices)
    if len(coloured.colours) > 1 and labels is not None and not np.array_equal(coloured.values, labels):
        held = shown(np.unique(indices).tolist())
        raise InputError(
            f"{path} has a palette whose colours (red and green) and indices ({held}) disagree",
            "write it as a grey picture of 0, 1 symphysis and 2 head",
        )
    return MaskPicture(path, indices)


def _palette_labels(path: Path) -> Image | None:
    """The indices of a picture with a palette, where they may be labels."""
    with Pillow.open(path) as picture:
        palette = picture.getpalette() if picture.mode == "P" else None
        if palette is None or any(palette[:3]):
            return None
        indices = np.asarray(picture)
    known = set(np.unique(indices)) - {0}
    return indices if known and any(known <= set(values) for values in STRUCTURE_VALUES) else None


def _coloured(path: Path, pixels: Image) -> MaskPicture:
    """What a picture ``uint8 (H, W, 3)`` BGR marks."""
    highest = pixels.max(2)
    spread = highest - pixels.min(2)
    bright = highest >= BRIGHT
    top = int(highest.max())
    if top < BRIGHT and spread.max() > (0 if top < LARGEST_LABEL else COLOURED):
        raise InputError(f"{path} holds dark colours (channels up to {top}), which mark nothing", HEAD_OR_STRUCTURES)
    coloured = bright & (spread > COLOURED)
    if not bright.any() or np.mean(coloured[bright]) < MIN_COLOURED_SHARE:
        return MaskPicture(path, highest)
    half = highest // 2
    blue, green, red = (pixels[:, :, channel] > half for channel in range(3))
    codes = (red * 4 + green * 2 + blue * 1) * bright
    found = _areas(codes)
    names = [_NAMES[code] for code in found]
    if len(names) == 1:
        return MaskPicture(path, highest, (names[0],))
    if set(names) == set(STRUCTURE_COLOURS):
        nearer_red = pixels[:, :, 2] > pixels[:, :, 1]
        labels = np.where(bright, np.where(nearer_red, PS, FH), 0).astype(np.uint8)
        return MaskPicture(path, labels, tuple(STRUCTURE_COLOURS))
    raise InputError(
        f"{path} is drawn in {', '.join(names[:-1])} and {names[-1]}, where red (symphysis) and green (head) or one "
        "colour were expected",
        HEAD_OR_STRUCTURES,
    )


_NAMES = {1: "blue", 2: "green", 3: "cyan", 4: "red", 5: "magenta", 6: "yellow", 7: "white"}


def _areas(codes: npt.NDArray[Any]) -> list[int]:
    """The codes above 0 that have an area, the most frequent first; without areas (a thin line) the most frequent."""
    kernel = np.ones((3, 3), np.uint8)
    counts = {code: int(cv2.erode((codes == code).astype(np.uint8), kernel).sum()) for code in _NAMES}
    least = max(MIN_AREA_PX, MIN_AREA_SHARE * max(counts.values()))
    large = [code for code, count in counts.items() if count >= least]
    if not large:
        return [int(np.argmax(np.bincount(codes[codes > 0].ravel())))]
    return sorted(large, key=lambda code: -counts[code])


def fill_outline(mask: Image) -> Image:
    """A mask ``uint8 (H, W)`` of 0 and 1, or the filled ellipse where it is a thin outline of one, open or closed.

    Filling the outline itself would make a head about 1 mm too large, and finds nothing where the outline is open.
    """
    ellipse = _outlined(mask)
    return mask if ellipse is None else ellipse.rasterise((mask.shape[0], mask.shape[1]))


def is_outline(mask: Image) -> bool:
    """Whether :func:`fill_outline` takes it for one."""
    return _outlined(mask) is not None


def is_ring(mask: Image, around: Image | None = None) -> bool:
    """Whether a mask ``uint8 (H, W)`` of 0 and 1 is a closed outline rather than what lies inside.

    ``around`` is its :func:`largest_component`, where that is known.
    """
    around = largest_component(mask) if around is None else around
    return cv2.countNonZero(mask & around) < RING_SHARE * cv2.countNonZero(around)


def _outlined(mask: Image) -> Ellipse | None:
    """The ellipse that a mask is a thin outline of."""
    ellipse = fit_outline(mask)
    if ellipse is None or cv2.countNonZero(mask) >= RING_SHARE * ellipse.area:
        return None
    own = ellipse.own(np.argwhere(mask)[:, ::-1]) / (ellipse.a, ellipse.b)
    near = np.abs(np.linalg.norm(own, axis=1) - 1) < RING_WIDTH
    sectors = np.unique(np.floor(np.degrees(np.arctan2(own[:, 1], own[:, 0])) / 10))
    return ellipse if np.mean(near) >= RING_FIT and len(sectors) >= RING_TURN * 36 else None
