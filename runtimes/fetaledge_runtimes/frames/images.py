"""One picture file to grey pixels: PNG, JPEG, BMP, TIFF."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
MIN_SIDE = 32
MAX_ASPECT = 10
MAX_PIXELS = 64_000_000
STORED_BITS = (8, 10, 12, 16)

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_START_OF_SCAN = 0xDA
JPEG_END_OF_IMAGE = b"\xff\xd9"
BMP_HEADERS = 54
TIFF_WIDTH, TIFF_HEIGHT, TIFF_SHORT = 256, 257, 3

# A damaged file is told to the caller by an InputError; OpenCV's own lines on stderr would tell it twice.
# OpenCV 5 moved the function.
set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
set_log_level(0)


class _Damaged(ValueError):
    """What is wrong with the bytes, as the end of a sentence that starts with the file's name."""


def read_grey(path: Path | str) -> Image:
    """Read a PNG, JPEG, BMP or single-page TIFF as ``uint8 (H, W)``.

    The format is told from the content, not from the name. Colour becomes grey with OpenCV's weights (0.299 R, 0.587 G,
    0.114 B); CMYK becomes RGB first; a PNG's transparency is laid on black; an EXIF orientation is applied, so H and W
    are those of the upright picture. More than 8 bits are scaled by :func:`to_uint8`. A DPI entry is ignored: it says
    nothing about millimetres of tissue.

    Raises:
        InputError: missing, empty, cut short, not a picture, several pages, or no size an ultrasound frame has
            (:func:`check_size`).
    """
    path = Path(path)
    data = read_bytes(path)
    try:
        pixels = _decode(data)
    except _Damaged as error:
        raise InputError(f"{path} {error}", "export or copy it again as PNG, JPEG, BMP or TIFF") from None
    check_size(pixels.shape[0], pixels.shape[1], str(path))
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    return to_uint8(pixels)


def read_bytes(path: Path, count: int = -1) -> bytes:
    """The content of a file that must hold some, or its first ``count`` bytes.

    Raises:
        InputError: it does not exist, is a folder, is empty or may not be read.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(count)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist", "check the name") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "name a file that you may read") from None
    if not data:
        raise InputError(f"{path} is empty (0 bytes)", "copy or export it again")
    return data


def check_size(height: int, width: int, source: str) -> None:
    """Refuse what cannot be an ultrasound frame: a side below 32, an aspect ratio above 10, more than 64 megapixels.

    Raises:
        InputError: naming ``source`` and the size.
    """
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{source} is {width}x{height}, above the limit of {MAX_PIXELS // 1_000_000} megapixels",
            "crop or shrink it to the ultrasound picture",
        )
    if min(height, width) < MIN_SIDE or max(height, width) > MAX_ASPECT * min(height, width):
        raise InputError(
            f"{source} is {width}x{height}, which is not an ultrasound frame "
            f"(each side at least {MIN_SIDE}, aspect ratio at most {MAX_ASPECT})",
            "name the picture of the scan itself",
        )


def to_uint8(pixels: npt.NDArray[Any], bits: int | None = None) -> Image:
    """Scale unsigned whole numbers of any shape linearly to 0-255: 0 stays 0, 2^bits - 1 becomes 255.

    Where ``bits`` is not given it is the smallest of 8, 10, 12 and 16, the depths that scanners store, that holds the
    largest value: so a 12-bit picture in a 16-bit file is not almost black, and 8-bit values come out unchanged.
    """
    if bits is None:
        largest = int(pixels.max())
        bits = next(depth for depth in STORED_BITS if largest < 1 << depth)
    if bits == 8:
        grey: Image = np.minimum(pixels, 255).astype(np.uint8)
        return grey
    scaled = pixels.astype(np.float32) * np.float32(255 / ((1 << bits) - 1))
    grey = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return grey


def _decode(data: bytes) -> npt.NDArray[Any]:
    """``uint8`` or ``uint16``, (H, W) grey or (H, W, 3) BGR, upright."""
    transparent = False
    if data.startswith(PNG_MAGIC):
        transparent = _check_png(data)
    elif data.startswith(b"\xff\xd8\xff"):
        _check_jpeg(data)
    elif data.startswith(b"BM"):
        _check_bmp(data)
    elif data.startswith((b"II*\0", b"MM\0*")):
        _check_tiff(data)
    elif _looks_like_text(data):
        raise _Damaged("holds text, not a picture, whatever its name says")
    else:
        raise _Damaged("is no PNG, JPEG, BMP or TIFF: its first bytes are of another format")

    encoded = np.frombuffer(data, np.uint8)
    flags = cv2.IMREAD_UNCHANGED if transparent else cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    pixels: npt.NDArray[Any] | None
    try:
        pixels = cv2.imdecode(encoded, flags)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.size == 0:
        raise _Damaged("cannot be decoded: it is damaged, or of a kind of its format that OpenCV does not know")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise _Damaged(f"holds {pixels.dtype} values where 8-bit or 16-bit grey levels were expected")
    return _on_black(pixels) if pixels.ndim == 3 and pixels.shape[2] == 4 else pixels


def _on_black(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    opaque = np.iinfo(pixels.dtype).max
    alpha = pixels[:, :, 3:].astype(np.float32) / opaque
    blended: npt.NDArray[Any] = np.rint(pixels[:, :, :3] * alpha).astype(pixels.dtype)
    return blended


def _check_png(data: bytes) -> bool:
    """Walk the chunks to IEND, checking each CRC (some OpenCV versions decode half a file); True where transparent."""
    transparent = False
    at = len(PNG_MAGIC)
    while True:
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise _Damaged("is cut short: a PNG that ends before its last chunk")
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise _Damaged(f"is damaged: the checksum of its PNG chunk {kind!r} is wrong")
        if kind == b"IHDR" and length == 13:
            _check_header(int.from_bytes(data[at + 8 : at + 12], "big"), int.from_bytes(data[at + 12 : at + 16], "big"))
            transparent = data[at + 17] in (4, 6)
        elif kind == b"tRNS":
            transparent = True
        elif kind == b"IEND":
            return transparent
        at = end


def _check_jpeg(data: bytes) -> None:
    """Walk the segments to the first scan, then look for the end-of-image marker, which no scan's data can contain."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise _Damaged("is damaged: a JPEG with bytes between its segments")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in JPEG_START_OF_FRAME:
            _check_header(int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big"))
        if marker == JPEG_START_OF_SCAN:
            if data.find(JPEG_END_OF_IMAGE, at) < 0:
                break
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise _Damaged("is cut short: a JPEG without its end-of-image marker")


def _check_bmp(data: bytes) -> None:
    if len(data) < BMP_HEADERS:
        raise _Damaged("is cut short: a BMP without its whole header")
    width = int.from_bytes(data[18:22], "little", signed=True)
    height = int.from_bytes(data[22:26], "little", signed=True)
    _check_header(width, abs(height))
    bits_per_pixel = int.from_bytes(data[28:30], "little")
    uncompressed = int.from_bytes(data[30:34], "little") in (0, 3)
    row_bytes = (width * bits_per_pixel + 31) // 32 * 4
    if uncompressed and int.from_bytes(data[10:14], "little") + row_bytes * abs(height) > len(data):
        raise _Damaged("is cut short: a BMP with fewer rows than its header says")


def _check_tiff(data: bytes) -> None:
    """The directory and the number of pages: where a strip is missing OpenCV gives no picture at all."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)

    directory = number(4, 4)
    entries = number(directory, 2)
    end = directory + 2 + 12 * entries
    if end + 4 > len(data):
        raise _Damaged("is cut short: a TIFF without its whole directory")
    values = {
        number(entry, 2): number(entry + 8, 2 if number(entry + 2, 2) == TIFF_SHORT else 4)
        for entry in range(directory + 2, end, 12)
    }
    _check_header(values.get(TIFF_WIDTH, 0), values.get(TIFF_HEIGHT, 0))
    if number(end, 4):
        raise _Damaged("is a TIFF of several pages where one was expected (give a cine as video, DICOM or folder)")


def _check_header(width: int, height: int) -> None:
    if width <= 0 or height <= 0:
        raise _Damaged(f"is {width}x{height}: it holds no pixels")
    if width * height > MAX_PIXELS:
        raise _Damaged(f"is {width}x{height}, above the limit of {MAX_PIXELS // 1_000_000} megapixels")


def _looks_like_text(data: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\n\r\f" for byte in data[:512])
