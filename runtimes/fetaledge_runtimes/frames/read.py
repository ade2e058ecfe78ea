"""Frames from whatever the user names: a picture, a folder, a video, a DICOM file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames import dicom, images, video
from fetaledge_runtimes.frames.depth import Depth
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.frames.spacing import OPTION, SPACING_FILE, Spacing, check_pixel_mm, read_pixels, spacing_of
from fetaledge_runtimes.frames.tables import Table

HC18_OUTLINE = "_Annotation"


def read_frames(
    path: Path | str, pixel_mm: float | tuple[float, float] | None = None, bits: int | Depth | None = None
) -> Iterator[Frame]:
    """Yield the frames of a PNG, JPEG, BMP or TIFF, a video, a DICOM file (single or cine), or a folder of these.

    A folder is read in the order of its file names; its sub-folders, hidden files, files of other kinds and the
    outlines of HC18 (``X_Annotation.png`` beside ``X.png``) are left out. Frames are decoded as they are asked for.
    DICOM is told by its suffix (.dcm, .dicom) or its magic bytes, the others by their suffix.

    Args:
        path: of the file or folder.
        pixel_mm: spacing in mm, one number or (row, column); it takes the place of what a file says. Without it DICOM
            files have their own, and pictures what a ``pixels.csv`` beside them says of them.
        bits: depth (8, 10, 12 or 16) of pictures stored in 16 bits. Without it all pictures of a folder share one: the
            depth that they state, or the smallest that holds the brightest of them. Each frame's ``bits`` says which
            was taken. DICOM files state their own.

    Raises:
        UsageError: ``pixel_mm`` is not within 0.005 to 5 mm, or ``bits`` is another number.
        InputError: the file or folder is missing, of no kind that can be read, or holds none; while iterating, that a
            file is damaged or is no ultrasound frame.
    """
    spacing = None if pixel_mm is None else check_pixel_mm(pixel_mm)
    files = list_files(Path(path))
    return _frames(files, spacing, bits if isinstance(bits, Depth) else depth_of(files, bits))


def depth_of(files: Sequence[Path], bits: int | None = None) -> Depth:
    """The depth that the pictures among some files share; see :class:`Depth`. Raises UsageError for other ``bits``."""
    return Depth([path for path in files if path.suffix.lower() in images.SUFFIXES], images.read_stored, bits)


def list_files(path: Path) -> list[Path]:
    """The files that :func:`read_frames` would read: ``path`` itself, or what a folder holds, by name.

    Raises:
        InputError: the file or folder is missing, of no kind that can be read, or holds none.
    """
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"{path} does not exist", "check the name")
        if _kind(path) is None:
            raise InputError(
                f"{path} is of no kind that can be read",
                "give a PNG, JPEG, BMP, TIFF, MP4, AVI, MOV, MKV, WebM or DICOM file, or a folder of them",
            )
        return [path]
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "name a folder that you may read") from None
    files = [
        entry
        for entry in entries
        if not entry.name.startswith(".") and entry.name != "DICOMDIR" and not _is_outline(entry)
        if entry.is_file() and _kind(entry) is not None
    ]
    if not files:
        raise InputError(
            f"{path} holds no picture, video or DICOM file", "name the folder that holds the frames themselves"
        )
    return files


def _is_outline(path: Path) -> bool:
    stem = path.stem.removesuffix(HC18_OUTLINE)
    return stem != path.stem and path.with_stem(stem).exists()


def _kind(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix in dicom.SUFFIXES or dicom.has_magic(path):
        return "dicom"
    if suffix in video.SUFFIXES:
        return "video"
    return "image" if suffix in images.SUFFIXES else None


def _frames(files: Sequence[Path], pixel_mm: Spacing | None, depth: Depth) -> Iterator[Frame]:
    tables = cache(read_pixels)
    for path in files:
        kind = _kind(path)
        if kind == "dicom":
            yield from dicom.read_dicom(path, pixel_mm)
        elif kind == "video":
            yield from video.read_video(path, pixel_mm)
        else:
            spacing = pixel_mm or _stated(tables(path.parent / SPACING_FILE), path)
            source = OPTION if pixel_mm else SPACING_FILE if spacing else None
            pixels, bits = depth.scale(images.read_stored(path), path)
            yield Frame(pixels, spacing, str(path), bits=bits, spacing_from=source)


def _stated(table: Table, path: Path) -> Spacing | None:
    """The spacing that ``pixels.csv`` states of a picture. Raises InputError for an unusable cell."""
    row = table.row_of(path)
    try:
        return spacing_of(row) if row else None
    except ValueError as error:
        line = row.line if row else 0
        raise InputError(f"{table.path} line {line}: {error}", "correct the cell, or leave it empty") from None
