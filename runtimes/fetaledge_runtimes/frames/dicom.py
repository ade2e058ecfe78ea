"""Ultrasound DICOM, single frame or cine: the B-mode regions alone, in grey, with the spacing that each states."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.dicom_pixels import INSTALL as INSTALL_ALL
from fetaledge_runtimes.frames.dicom_pixels import check_decoder, grey_frames, inflated
from fetaledge_runtimes.frames.dicom_regions import CROP, Region, regions_of, size_of
from fetaledge_runtimes.frames.frame import Frame, Image
from fetaledge_runtimes.frames.images import read_bytes
from fetaledge_runtimes.frames.spacing import Given
from fetaledge_runtimes.frames.video import stretched
from fetaledge_runtimes.quiet import native_stderr_caught

SUFFIXES = (".dcm", ".dicom")
INSTALL = 'pip install "fetaledge-runtimes[dicom]"'
HEAD_BYTES = 132


def is_dicom(head: bytes) -> bool:
    """Whether a file's first bytes carry DICOM's magic bytes."""
    return head[128:132] == b"DICM"


def read_dicom(path: Path | str, pixel_mm: Given | None = None, region: int | None = None) -> Iterator[Frame]:
    """Yield the frames of an ultrasound DICOM file, grey ``uint8 (H, W)``, one in memory at a time.

    Where the file describes its regions, each frame is cropped to its B-mode region (2D, tissue): what lies outside may
    carry a patient's name, and BurnedInAnnotation is not to be trusted. Several B-mode regions are frames of their own.
    The spacing is PhysicalDeltaY and PhysicalDeltaX where both are in cm. A region that reaches beyond the frame shows
    that the frame was cropped or shrunk after the region was written: the crop is then what of it lies within, and the
    spacing None, since it may be wrong by the factor of that shrinking. Without regions the frame is whole, and its
    spacing is that of its functional groups, or PixelSpacing. The frame's remark says so, and it names a spacing that
    was not taken, such as ImagerPixelSpacing.

    Where pixels are not square and no spacing is known, the columns are stretched, so that angles are true.

    A cine that breaks off raises where it does, after its whole frames.

    Colours (RGB, YBR, palette) become grey, MONOCHROME1 is inverted, more than 8 bits are scaled by BitsStored.

    Args:
        pixel_mm: one number or (row, column) that takes the place of the file's. One number is the distance of the
            rows; that of the columns follows from the file's own ratio.
        region: the number of the only B-mode region to read, from 1.

    Raises:
        InputError: pydicom is not installed; the file is missing, damaged, not ultrasound, without pixels, compressed
            in a way that cannot be decoded here, or without a B-mode region (of that number) among its regions.
    """
    path = Path(path)
    try:
        pydicom: Any = importlib.import_module("pydicom")
        importlib.import_module("pydicom.pixels")
    except ImportError as error:
        raise InputError(f"{path} is a DICOM file and pydicom is not installed ({error})", INSTALL) from None
    _hush()
    if not is_dicom(read_bytes(path, HEAD_BYTES)):
        raise InputError(
            f"{path} is no DICOM file: it lacks the letters DICM after its first 128 bytes", "export it again"
        )
    index, stated = -1, 0
    try:
        with inflated(path) as stored:
            header, stated, regions = _open(path, stored, pydicom, region)
            index, frames = 0, grey_frames(stored, header)
            while True:
                with warnings.catch_warnings(), native_stderr_caught():
                    warnings.simplefilter("ignore")
                    decoded = next(frames, None)
                    found = decoded and [_frame(path, header, part, index, pixel_mm, *decoded) for part in regions]
                if not found:
                    break
                yield from found
                index += 1
    except InputError:
        raise
    except Exception as error:  # a damaged file breaks the parser and the decoders in many ways
        raise _damaged(path, index, error) from error
    if index < stated:
        raise InputError(f"{path} is cut short: {index} of the {stated} frames that it states", "export it again")


def _frame(
    path: Path,
    header: Any,
    region: Region,
    index: int,
    pixel_mm: Given | None,
    grey: Image,
    bits: int,
    stream_ratio: float,
) -> Frame:
    size, ratio = size_of(path, header, region, index, pixel_mm, stream_ratio)
    pixels = np.ascontiguousarray(grey[region.crop])
    if size.mm is None:
        pixels = stretched(pixels, ratio)
    return Frame(pixels, size.mm, str(path), index, bits, size.stated_by, region.number, size.remark)


def _hush() -> None:
    """pydicom logs to stderr where nobody has set up logging."""
    logger = logging.getLogger("pydicom")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _open(path: Path, stored: Path, pydicom: Any, region: int | None) -> tuple[Any, int, list[Region]]:
    """The checked header, the number of frames it states, and where in each the pictures are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(stored, stop_before_pixels=True)
        _check_kind(path, header)
        return header, int(header.get("NumberOfFrames") or 1), regions_of(path, header, region)


def _check_kind(path: Path, header: Any) -> None:
    modality = header.get("Modality")
    if not modality:
        raise InputError(
            f"{path} states no modality where US (ultrasound) was expected", "it may be cut short: export it again"
        )
    if modality != "US":
        raise InputError(
            f"the modality of {path} is {_plain(modality)} where US (ultrasound) was expected",
            "give an ultrasound file",
        )
    if not header.get("Rows") or not header.get("Columns"):
        raise InputError(f"{path} holds no pixels", "give an ultrasound image or cine, not a report")
    if int(header.get("PixelRepresentation") or 0) != 0:
        raise InputError(f"{path} holds signed pixel values, which no ultrasound image has", CROP)
    if header.file_meta.get("TransferSyntaxUID") is None:
        raise InputError(
            f"{path} does not state its transfer syntax", "export it again as a DICOM file with its header"
        )
    check_decoder(path, header)


def _damaged(path: Path, index: int, error: Exception) -> InputError:
    if index < 0:
        return InputError(f"{path} is a damaged DICOM file ({_brief(error)})", "export it again")
    if isinstance(error, AttributeError) and index == 0:
        return InputError(
            f"{path} holds no pixels that can be read ({_brief(error)})", "give an ultrasound image or cine"
        )
    return InputError(
        f"frame {index} of {path} cannot be decoded ({_brief(error)})",
        f"it may be cut short: export it again; or {INSTALL_ALL}",
    )


def _brief(error: Exception) -> str:
    return _plain(error) or type(error).__name__


def _plain(value: object) -> str:
    """What a damaged file may fill with anything, fit for one line of a terminal."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(value)).split())
    return text if len(text) <= 160 else text[:157] + "..."
