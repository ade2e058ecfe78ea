"""Ultrasound DICOM, single frame or cine: the B-mode region alone, in grey, with the spacing that the region states."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.depth import to_uint8
from fetaledge_runtimes.frames.frame import Frame, Image
from fetaledge_runtimes.frames.images import check_size, read_bytes
from fetaledge_runtimes.frames.spacing import DICOM, OPTION, is_plausible

SUFFIXES = (".dcm", ".dicom")
INSTALL = 'pip install "fetaledge-runtimes[dicom]"'
CROP = "save the part to be measured as PNG and give its spacing with --pixel-mm"

# DICOM PS3.3 C.8.5.5.1
FORMAT_2D = 1
TYPE_TISSUE = 1
UNIT_CM = 3

Crop = tuple[slice, slice]


@dataclass(frozen=True)
class Region:
    """A region of SequenceOfUltrasoundRegions (0018,6011).

    Attributes:
        x0, y0, x1, y1: its box in pixels, the far corner exclusive.
        pixel_mm: (row, column) spacing, or None where it states no length.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    pixel_mm: tuple[float, float] | None


def has_magic(path: Path) -> bool:
    """True where the file can be read and carries DICOM's magic bytes."""
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_dicom(path: Path | str, pixel_mm: tuple[float, float] | None = None) -> Iterator[Frame]:
    """Yield the frames of an ultrasound DICOM file, grey ``uint8 (H, W)``, one in memory at a time.

    Where the file describes its regions, each frame is cropped to the one B-mode region (2D, tissue): what lies outside
    may carry a patient's name, and BurnedInAnnotation is not to be trusted. Its spacing is PhysicalDeltaY and
    PhysicalDeltaX where both are in cm. Without regions the frame is whole and has no spacing. A region that reaches
    beyond the frame shows that the frame was cropped or shrunk after the region was written: the crop is then what of
    it lies within, and the spacing None, since it may be wrong by the factor of that shrinking.

    A cine that breaks off raises where it does, after its whole frames.

    Colours (RGB, YBR, palette) become grey, MONOCHROME1 is inverted, more than 8 bits are scaled by BitsStored.

    Args:
        pixel_mm: (row, column) spacing that takes the place of the file's.

    Raises:
        InputError: pydicom is not installed; the file is missing, damaged, not ultrasound, without pixels, compressed
            in a way that cannot be decoded here, or does not hold exactly one B-mode region.
    """
    path = Path(path)
    try:
        pydicom: Any = importlib.import_module("pydicom")
        pydicom_pixels: Any = importlib.import_module("pydicom.pixels")
    except ImportError as error:
        raise InputError(f"{path} is a DICOM file and pydicom is not installed ({error})", INSTALL) from None
    _hush()

    header, stated, crop, spacing = _open(path, pydicom, pydicom_pixels)
    frames = pydicom_pixels.iter_pixels(path)
    index = 0
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pixels = next(frames, None)
                grey, bits = (None, 8) if pixels is None else _grey(pixels, header, pydicom_pixels)
        except Exception as error:  # whatever a decoder raises, the file is what cannot be used
            raise _undecodable(path, index, error) from error
        if grey is None:
            break
        source = OPTION if pixel_mm else DICOM if spacing else None
        yield Frame(np.ascontiguousarray(grey[crop]), pixel_mm or spacing, str(path), index, bits, source)
        index += 1
    if index < stated:
        raise InputError(f"{path} is cut short: {index} of the {stated} frames that it states", "export it again")


def _hush() -> None:
    """pydicom logs to stderr where nobody has set up logging."""
    logger = logging.getLogger("pydicom")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _open(path: Path, pydicom: Any, pydicom_pixels: Any) -> tuple[Any, int, Crop, tuple[float, float] | None]:
    """The checked header, the number of frames it states, where in each the picture is, and its spacing."""
    if read_bytes(path, 132)[128:] != b"DICM":
        raise InputError(
            f"{path} is no DICOM file: it lacks the letters DICM after its first 128 bytes", "export it again"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, stop_before_pixels=True)
            _check_kind(path, header, pydicom_pixels)
            return header, int(header.get("NumberOfFrames") or 1), *_crop(path, header)
    except InputError:
        raise
    except Exception as error:  # a damaged file breaks the parser in many ways, some only when a value is asked for
        raise InputError(f"{path} is a damaged DICOM file ({_brief(error)})", "export it again") from error


def _check_kind(path: Path, header: Any, pydicom_pixels: Any) -> None:
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
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        raise InputError(
            f"{path} does not state its transfer syntax", "export it again as a DICOM file with its header"
        )
    try:
        available = pydicom_pixels.get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise InputError(
            f"{path} is compressed as {_plain(syntax.name)}, which cannot be decoded here",
            f"{INSTALL} brings JPEG baseline, JPEG 2000 and RLE; else export it uncompressed",
        )


def _crop(path: Path, header: Any) -> tuple[Crop, tuple[float, float] | None]:
    rows, columns = int(header.Rows), int(header.Columns)
    check_size(rows, columns, str(path))
    sequence = header.get("SequenceOfUltrasoundRegions") or []
    if not sequence:
        return (slice(0, rows), slice(0, columns)), None
    regions = {_region(item) for item in sequence if _is_b_mode(item)}
    if len(regions) != 1:
        count = "no B-mode region" if not regions else f"{len(regions)} B-mode regions"
        raise InputError(f"{path} has {count} among its {len(sequence)} where one was expected", CROP)
    region = regions.pop()
    inside = region.x0 >= 0 and region.y0 >= 0 and region.x1 <= columns + 1 and region.y1 <= rows + 1
    left, top = max(region.x0, 0), max(region.y0, 0)
    right, bottom = min(region.x1, columns), min(region.y1, rows)
    check_size(max(bottom - top, 0), max(right - left, 0), f"the B-mode region of {path}")
    return (slice(top, bottom), slice(left, right)), region.pixel_mm if inside else None


def _is_b_mode(item: Any) -> bool:
    return bool(item.get("RegionSpatialFormat") == FORMAT_2D) and bool(item.get("RegionDataType") == TYPE_TISSUE)


def _region(item: Any) -> Region:
    return Region(
        x0=int(item.RegionLocationMinX0),
        y0=int(item.RegionLocationMinY0),
        x1=int(item.RegionLocationMaxX1) + 1,
        y1=int(item.RegionLocationMaxY1) + 1,
        pixel_mm=_spacing(item),
    )


def _spacing(item: Any) -> tuple[float, float] | None:
    units = item.get("PhysicalUnitsXDirection"), item.get("PhysicalUnitsYDirection")
    deltas = item.get("PhysicalDeltaY"), item.get("PhysicalDeltaX")
    if units != (UNIT_CM, UNIT_CM) or None in deltas:
        return None
    row, column = (abs(float(delta)) * 10 for delta in deltas)
    return (row, column) if is_plausible(row, column) else None


def _grey(pixels: npt.NDArray[Any], header: Any, pydicom_pixels: Any) -> tuple[Image, int]:
    """One frame as pydicom decodes it, (H, W) or RGB (H, W, 3), to ``uint8 (H, W)``, and the depth it had in bits."""
    bits = max(8, int(header.BitsStored))
    photometric = str(header.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        pixels = pydicom_pixels.apply_color_lut(pixels, header)
        bits = pixels.dtype.itemsize * 8
        if bits == 16 and pixels.max() > 255:
            pixels, bits = (pixels >> 8).astype(np.uint8), 8
    grey = to_uint8(pixels, bits)
    if grey.ndim == 3:
        grey = cv2.cvtColor(grey, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    if photometric == "MONOCHROME1":
        grey = cv2.bitwise_not(grey).astype(np.uint8, copy=False)
    return grey, bits


def _undecodable(path: Path, index: int, error: Exception) -> InputError:
    if isinstance(error, AttributeError) and index == 0:
        return InputError(
            f"{path} holds no pixels that can be read ({_brief(error)})", "give an ultrasound image or cine"
        )
    return InputError(
        f"frame {index} of {path} cannot be decoded ({_brief(error)})",
        f"it may be cut short: export it again; or {INSTALL}",
    )


def _brief(error: Exception) -> str:
    return _plain(error) or type(error).__name__


def _plain(value: object) -> str:
    """What a damaged file may fill with anything, fit for one line of a terminal."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(value)).split())
    return text if len(text) <= 160 else text[:157] + "..."
