"""Where in an ultrasound DICOM the pictures are, and the size of their pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.images import MAX_PIXELS, check_size
from fetaledge_runtimes.frames.spacing import (
    DICOM,
    Given,
    PixelSize,
    Spacing,
    given_in_tables,
    given_size,
    is_plausible,
    is_square,
)

CROP = "save the part to be measured as PNG and give its spacing with --pixel-mm"

# DICOM PS3.3 C.8.5.5.1
FORMAT_2D = 1
TYPE_TISSUE = 1
UNIT_CM = 3

TAGS = {
    "PixelSpacing": "0028,0030",
    "PixelMeasuresSequence": "0028,9110",
    "ImagerPixelSpacing": "0018,1164",
    "NominalScannedPixelSpacing": "0018,2010",
}
NOT_OF_TISSUE = ("ImagerPixelSpacing", "NominalScannedPixelSpacing")
"""Spacings at a detector or of a scanned film."""
MAX_RATIO = 4.0
MAX_COLOUR_PIXELS = MAX_PIXELS // 2
"""pydicom converts colours in numbers of four bytes."""


Described = tuple[tuple[int, int, int, int], Spacing | None]
"""A region's box x0, y0, x1, y1 in pixels, the far corner exclusive, and its spacing."""


@dataclass(frozen=True)
class Region:
    """A part of the frames: a region of SequenceOfUltrasoundRegions (0018,6011), or the whole frame.

    Attributes:
        number: its place among the file's B-mode regions, from 1; None where there is one only.
        crop: its rows and columns.
        pixel_mm: (row, column) spacing that it states, or None where it states no length.
        inside: whether all of it lies in the frame.
        described: whether the file describes it.
    """

    number: int | None
    crop: tuple[slice, slice]
    pixel_mm: Spacing | None = None
    inside: bool = True
    described: bool = True


def regions_of(path: Path, header: Any, wanted: int | None = None) -> list[Region]:
    """The B-mode regions (2D, tissue) in the order of the file, or the whole frame where none is described.

    Args:
        path: of the file, for messages.
        header: its data set.
        wanted: the number of the only one to give.

    Raises:
        InputError: the file describes regions and no B-mode one, one holds no picture, there is no such number, or the
            frames are too large.
    """
    rows, columns = int(header.Rows), int(header.Columns)
    check_size(rows, columns, str(path))
    if int(header.get("SamplesPerPixel") or 1) > 1 and rows * columns > MAX_COLOUR_PIXELS:
        raise InputError(
            f"{path} is {columns}x{rows} in colour, above the limit of {MAX_COLOUR_PIXELS // 1_000_000} megapixels",
            CROP,
        )
    sequence = header.get("SequenceOfUltrasoundRegions") or []
    described: dict[Described, None] = {}
    if not sequence:
        found = [] if wanted not in (None, 1) else [Region(None, (slice(0, rows), slice(0, columns)), described=False)]
    else:
        described = dict.fromkeys(_described(item) for item in sequence if _is_b_mode(item))
        if not described:
            raise InputError(f"{path} has no B-mode region among its {len(sequence)}", CROP)
        found = _large_enough(path, list(described), wanted, rows, columns)
    if wanted is not None and not found:
        count = max(1, len(described))
        raise InputError(f"{path} has no region {wanted}: it has {count}", f"leave --region out, or give 1 to {count}")
    return found


def _large_enough(path: Path, described: list[Described], wanted: int | None, rows: int, columns: int) -> list[Region]:
    """The regions that hold a picture, or the wanted one alone. Raises InputError where none does."""
    found, refused = [], []
    for number, (box, mm) in enumerate(described, start=1):
        if wanted in (None, number):
            try:
                found.append(_region(path, None if len(described) == 1 else number, box, mm, rows, columns))
            except InputError as error:
                refused.append(error)
    if refused and not found:
        raise refused[0]
    return found


def size_of(
    path: Path, header: Any, region: Region, index: int, given: Given | None, stream_ratio: float
) -> tuple[PixelSize, float]:
    """The size of a frame's pixels, and the ratio of column to row distance.

    Args:
        path: of the file.
        header: its data set.
        region: the part of the frame.
        index: of the frame, from 0.
        given: what the user states, which goes before all that the file does.
        stream_ratio: the ratio that a video inside the file states, for want of another.
    """
    stated = _stated(path, header, region, index)
    if stated.mm is not None:
        ratio, named = (
            stated.mm[1] / stated.mm[0],
            f"the file's {(stated.stated_by or DICOM).removeprefix(DICOM + ' ')}",
        )
        if region.described:
            named = "the region's PhysicalDeltaX and PhysicalDeltaY"
    elif region.pixel_mm is not None:  # of a region that reaches beyond the frame, which was shrunk since
        ratio, named = region.pixel_mm[1] / region.pixel_mm[0], "the region's PhysicalDeltaX and PhysicalDeltaY"
    else:
        ratio, named = _aspect(header) or (stream_ratio, "the stream's sample aspect ratio")
    if given is not None:
        return given_size(given, ratio, named, str(path)), ratio
    if stated.mm is not None:
        return stated, ratio
    in_table = given_in_tables(path)
    if in_table is not None:
        return given_size(in_table[0], ratio, named, str(path), in_table[1]), ratio
    if not is_square(ratio):
        remark = f"the pixels of {path} are not square ({named}): its columns were stretched"
        stated = PixelSize(remark="; ".join(filter(None, (remark, stated.remark))))
    return stated, ratio


def _is_b_mode(item: Any) -> bool:
    return bool(item.get("RegionSpatialFormat") == FORMAT_2D) and bool(item.get("RegionDataType") == TYPE_TISSUE)


def _described(item: Any) -> tuple[tuple[int, int, int, int], Spacing | None]:
    """The box x0, y0, x1, y1 in pixels, the far corner exclusive, and the spacing: what tells two regions apart."""
    box = (
        int(item.RegionLocationMinX0),
        int(item.RegionLocationMinY0),
        int(item.RegionLocationMaxX1) + 1,
        int(item.RegionLocationMaxY1) + 1,
    )
    units = item.get("PhysicalUnitsXDirection"), item.get("PhysicalUnitsYDirection")
    deltas = item.get("PhysicalDeltaY"), item.get("PhysicalDeltaX")
    if units != (UNIT_CM, UNIT_CM) or None in deltas:
        return box, None
    row, column = (abs(float(delta)) * 10 for delta in deltas)
    return box, (row, column) if is_plausible(row, column) else None


def _region(
    path: Path, number: int | None, box: tuple[int, int, int, int], mm: Spacing | None, rows: int, columns: int
) -> Region:
    x0, y0, x1, y1 = box
    inside = x0 >= 0 and y0 >= 0 and x1 <= columns + 1 and y1 <= rows + 1
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, columns), min(y1, rows)
    check_size(max(bottom - top, 0), max(right - left, 0), f"the B-mode region of {path}")
    return Region(number, (slice(top, bottom), slice(left, right)), mm, inside)


def _stated(path: Path, header: Any, region: Region, index: int) -> PixelSize:
    """What the file states of a frame; where that is not taken, the remark names it."""
    outside = list(_spacings(header, index))
    if region.described:
        if region.pixel_mm is not None and region.inside:
            return PixelSize(region.pixel_mm, DICOM)
        if region.pixel_mm is not None:
            why = "its region reaches beyond the frame, which was shrunk since or cropped; give --pixel-mm"
            return PixelSize(remark=_not_taken(path, "its region", region.pixel_mm, why))
        why = "its ultrasound region states no length"
    else:
        for name, mm in outside:
            if is_plausible(*mm):
                tagged = f"{name} ({TAGS[name]})"
                remark = f"the spacing of {path} is from {tagged}, for it describes no ultrasound region"
                return PixelSize(mm, f"{DICOM} {name}", remark)
        why = "it is none of tissue"
    for name in NOT_OF_TISSUE:
        pair = _pair(header.get(name))
        if pair is not None:
            outside.append((name, pair))
    if not outside:
        return PixelSize()
    name, mm = outside[0]
    why = f"{why}; if it is right, give --pixel-mm {mm[0]:.6g},{mm[1]:.6g}"
    return PixelSize(remark=_not_taken(path, f"{name} ({TAGS[name]})", mm, why))


def _not_taken(path: Path, name: str, mm: Spacing, why: str) -> str:
    shown = f"{mm[0]:.6g},{mm[1]:.6g}"
    return f"{path} states {shown} mm (row,column) in {name}, not taken: {why}"


def _spacings(header: Any, index: int) -> Iterator[tuple[str, Spacing]]:
    """(name, (row, column) in mm) of each spacing outside the regions, that of the frame itself first."""
    frames = header.get("PerFrameFunctionalGroupsSequence") or []
    for group in (*frames[index : index + 1], *(header.get("SharedFunctionalGroupsSequence") or [])[:1]):
        for measures in (group.get("PixelMeasuresSequence") or [])[:1]:
            pair = _pair(measures.get("PixelSpacing"))
            if pair is not None:
                yield "PixelMeasuresSequence", pair
    pair = _pair(header.get("PixelSpacing"))
    if pair is not None:
        yield "PixelSpacing", pair


def _pair(values: Any) -> Spacing | None:
    """Two numbers above zero of a tag; None where it holds anything else."""
    try:
        first, second = (float(value) for value in values)
    except (TypeError, ValueError):
        return None
    return (first, second) if first > 0 and second > 0 else None


def _aspect(header: Any) -> tuple[float, str] | None:
    """Column over row distance by PixelAspectRatio, which holds the vertical size and the horizontal one."""
    pair = _pair(header.get("PixelAspectRatio"))
    if pair is None or not 1 / MAX_RATIO <= pair[1] / pair[0] <= MAX_RATIO:
        return None
    return pair[1] / pair[0], f"PixelAspectRatio {pair[0]:g}\\{pair[1]:g}"
