"""Frames from whatever the user names: a picture, a folder, a video, a DICOM file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames import dicom, images, video
from fetaledge_runtimes.frames.depth import Depth
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.frames.kinds import kind_of
from fetaledge_runtimes.frames.spacing import Given, check_pixel_mm, given_size, size_in_tables

HC18_OUTLINE = "_Annotation"


def read_frames(
    path: Path | str,
    pixel_mm: Given | None = None,
    bits: int | Depth | None = None,
    region: int | None = None,
) -> Iterator[Frame]:
    """Yield the frames of a PNG, JPEG, BMP or TIFF, a video, a DICOM file (single or cine), or a folder of these.

    A folder is read in the order of its file names; its sub-folders, hidden files, files of other kinds and the
    outlines of HC18 (``X_Annotation.png`` beside ``X.png``) are left out. Frames are decoded as they are asked for.
    A file's kind is told by its content, and by its suffix only where the content is of no known kind.

    Args:
        path: of the file or folder.
        pixel_mm: spacing in mm, one number or (row, column); it takes the place of what a file says. Without it DICOM
            files have their own, and others what a table says of them: ``pixels.csv`` beside them, or HC18's own one
            folder up. Each frame's ``spacing_from`` says which. For pixels that a DICOM file says are not square, one
            number is the distance of the rows; for a video it is that of the picture as players show it.
        bits: depth (8, 10, 12 or 16) of pictures stored in 16 bits. Without it all pictures of a folder share one: the
            depth that they state, or the smallest that holds the brightest of them. Each frame's ``bits`` says which
            was taken. DICOM files state their own.
        region: which B-mode region of a DICOM file to read, from 1; without it each is a frame of its own.

    Raises:
        UsageError: ``pixel_mm`` is not within 0.005 to 5 mm, or ``bits`` is another number.
        InputError: the file or folder is missing, of no kind that can be read, or holds none; while iterating, that a
            file is damaged, is no ultrasound frame or has no such region.
    """
    given = None if pixel_mm is None else check_pixel_mm(pixel_mm)
    files = list_files(Path(path))
    return _frames(files, given, bits if isinstance(bits, Depth) else depth_of(files, bits), region)


def depth_of(files: Sequence[Path], bits: int | None = None) -> Depth:
    """The depth that the pictures among some files share; see :class:`Depth`. Raises UsageError for other ``bits``."""
    return Depth([path for path in files if kind_of(path) == "image"], images.read_stored, bits)


def list_files(path: Path) -> list[Path]:
    """The files that :func:`read_frames` would read: ``path`` itself, or what a folder holds, by name.

    Raises:
        InputError: the file or folder is missing, of no kind that can be read, or holds none.
    """
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"{path} does not exist", "check the name")
        if not path.is_file():
            raise InputError(f"{path} is no regular file", "name a file, not a device, a pipe or a socket")
        if kind_of(path) is None:
            raise InputError(
                f"{path} is of no kind that can be read",
                f"give a PNG, JPEG, BMP, TIFF or DICOM file, a video ({video.FORMATS}), or a folder of them",
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
        if kind_of(entry) is not None
    ]
    if not files:
        raise InputError(
            f"{path} holds no picture, video or DICOM file", "name the folder that holds the frames themselves"
        )
    return files


def _is_outline(path: Path) -> bool:
    stem = path.stem.removesuffix(HC18_OUTLINE)
    return stem != path.stem and path.with_stem(stem).exists()


def _frames(files: Sequence[Path], pixel_mm: Given | None, depth: Depth, region: int | None) -> Iterator[Frame]:
    for path in files:
        kind = kind_of(path)
        if kind == "dicom":
            yield from dicom.read_dicom(path, pixel_mm, region)
            continue
        if region not in (None, 1):
            raise InputError(f"{path} has no region {region}: only DICOM files have several", "leave --region out")
        if kind == "video":
            yield from video.read_video(path, pixel_mm)
        else:
            size = size_in_tables(path) if pixel_mm is None else given_size(pixel_mm)
            pixels, bits = depth.scale(images.read_stored(path), path)
            yield Frame(pixels, size.mm, str(path), bits=bits, spacing_from=size.stated_by)
