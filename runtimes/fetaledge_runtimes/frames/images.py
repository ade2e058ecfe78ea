"""One picture file to grey pixels: PNG, JPEG, BMP, TIFF. Pillow checks the file, OpenCV decodes it."""

from __future__ import annotations

import re
import threading
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL.PngImagePlugin import ChunkStream
from PIL.TiffImagePlugin import TiffImageFile

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.damage import breaks_off, check_whole, damage_said, raw_order
from fetaledge_runtimes.frames.depth import ROWS_AT_ONCE, Stored, common_bits, to_uint8
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.quiet import native_stderr_caught

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
MIN_SIDE = 32
MAX_ASPECT = 10
MAX_PIXELS = 25_000_000
"""Of so large a frame a prediction takes less than 600 MB; phones take pictures of 12 and 24 megapixels."""
MAX_FILE_BYTES = 256_000_000

FORMATS: dict[str, bytes | tuple[bytes, ...]] = {
    "PNG": b"\x89PNG",
    "JPEG": b"\xff\xd8\xff",
    "BMP": b"BM",
    "TIFF": (b"II", b"MM"),
}
PICTURE = re.compile(
    rb"\x89PNG|\xff\xd8\xff|II[*+]\0|MM\0[*+]|BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL
)
TIFF_BITS, TIFF_MAX_VALUE = 258, 281

# A damaged file is told to the caller by an InputError; OpenCV's own lines on stderr would tell it twice.
# OpenCV 5 moved the function.
set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
set_log_level(0)

_WARNINGS = threading.Lock()


class _Damaged(ValueError):
    """What is wrong with the bytes, as the end of a sentence that starts with the file's name."""


def read_grey(path: Path | str, bits: int | None = None) -> Image:
    """Read a PNG, JPEG, BMP or single-page TIFF as ``uint8 (H, W)``; see :func:`read_stored`.

    Args:
        path: of the file.
        bits: depth of more than 8-bit grey levels; if None, the file's own (:func:`common_bits`).

    Raises:
        InputError: as :func:`read_stored`.
    """
    stored = read_stored(path)
    return to_uint8(stored.pixels, common_bits([stored]) if bits is None else bits)


def read_stored(path: Path | str) -> Stored:
    """Read a PNG, JPEG, BMP or single-page TIFF as ``uint8`` or ``uint16 (H, W)``, with the depth that it states.

    The format is told from the content, not from the name. Colour becomes grey with OpenCV's weights (0.299 R, 0.587 G,
    0.114 B); CMYK becomes RGB first; a PNG's transparency is laid on black; an EXIF orientation is applied, so H and W
    are those of the upright picture. The depth is PNG's sBIT, or TIFF's BitsPerSample below 16 or MaxSampleValue. A DPI
    entry is ignored: it says nothing about millimetres of tissue.

    Raises:
        InputError: missing, empty, cut short, not a picture, several pages, or no size an ultrasound frame has
            (:func:`check_size`).
    """
    return _read(Path(path), coloured=False)


def read_coloured(path: Path | str) -> Stored:
    """As :func:`read_stored`, but what is coloured stays so: ``(H, W)`` grey or ``(H, W, 3)`` BGR."""
    return _read(Path(path), coloured=True)


def _read(path: Path, *, coloured: bool) -> Stored:
    data = read_bytes(path, MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise InputError(
            f"{path} is above the limit of {MAX_FILE_BYTES // 1_000_000} MB for a picture",
            "crop or shrink it to the ultrasound picture",
        )
    try:
        stored = _decode(data, coloured)
    except _Damaged as error:
        raise InputError(f"{path} {error}", "export or copy it again as PNG, JPEG, BMP or TIFF") from None
    check_size(stored.pixels.shape[0], stored.pixels.shape[1], str(path))
    return stored


def is_picture(head: bytes) -> bool:
    """Whether a file's first bytes are those of a PNG, JPEG, BMP or TIFF."""
    return PICTURE.match(head) is not None


def read_bytes(path: Path, count: int = -1) -> bytes:
    """The content of a regular file that must hold some, or its first ``count`` bytes.

    Raises:
        InputError: it does not exist, is a folder or a device, is empty or may not be read.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{path} is no regular file", "name a file, not a device, a pipe or a socket")
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
    """Refuse what cannot be an ultrasound frame: a side below 32, an aspect ratio above 10, more than 25 megapixels.

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


def _decode(data: bytes, coloured: bool) -> Stored:
    transparent, bits, order = _check(data)
    encoded = np.frombuffer(data, np.uint8)
    flags = cv2.IMREAD_UNCHANGED if transparent else cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    pixels: npt.NDArray[Any] | None
    with native_stderr_caught() as said:
        try:
            pixels = cv2.imdecode(encoded, flags)
        except cv2.error:
            pixels = None
    damage = damage_said(said)
    if damage is not None:
        raise _Damaged(f"is damaged or cut short ({damage})")
    if pixels is None or pixels.size == 0:
        raise _Damaged("cannot be decoded: it is damaged, or of a kind of its format that OpenCV does not know")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise _Damaged(f"holds {pixels.dtype} values where 8-bit or 16-bit grey levels were expected")
    if order and breaks_off(_to_grey(pixels)[::order]):
        raise _Damaged("is damaged or cut short (its last bytes are zeros, from the middle of a row on)")
    found = _opaque(pixels) if coloured else _to_grey(pixels)
    return Stored(found, bits if found.dtype == np.uint16 else None)


def _to_grey(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Grey (H, W), colours (H, W, 3) or with transparency (H, W, 4) as grey, some rows at a time: these take memory."""
    if pixels.ndim == 2:
        return pixels
    grey = np.empty(pixels.shape[:2], pixels.dtype)
    for top in range(0, len(pixels), ROWS_AT_ONCE):
        rows = pixels[top : top + ROWS_AT_ONCE]
        grey[top : top + ROWS_AT_ONCE] = cv2.cvtColor(_opaque(rows), cv2.COLOR_BGR2GRAY)
    return grey


def _opaque(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return _on_black(pixels) if pixels.ndim == 3 and pixels.shape[2] == 4 else pixels


def _on_black(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    opaque = np.iinfo(pixels.dtype).max
    alpha = pixels[:, :, 3:].astype(np.float32) / opaque
    blended: npt.NDArray[Any] = np.rint(pixels[:, :, :3] * alpha).astype(pixels.dtype)
    return blended


def _check(data: bytes) -> tuple[bool, int | None, int]:
    """Refuse what is damaged, too large or of several pages; (is it transparent, the depth it states, its order).

    The order is that of :func:`raw_order`.
    """
    stream = BytesIO(data)
    try:
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a picture above Pillow's own pixel limit, a damaged TIFF directory
            image = Pillow.open(stream, formats=tuple(FORMATS))
            pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    except Pillow.DecompressionBombError:
        raise _Damaged(f"is above the limit of {MAX_PIXELS // 1_000_000} megapixels") from None
    except Exception:  # whatever a parser raises, the file is what cannot be used
        raise _Damaged(_unknown(data)) from None
    if image.width * image.height > MAX_PIXELS:
        raise _Damaged(f"is {image.width}x{image.height}, above the limit of {MAX_PIXELS // 1_000_000} megapixels")
    if pages > 1:
        raise _Damaged("is a TIFF of several pages where one was expected (give a cine as video, DICOM or folder)")
    transparent = image.format == "PNG" and (image.mode in ("LA", "RGBA") or "transparency" in image.info)
    try:
        check_whole(image, stream)
        return transparent, _stated_bits(image, stream), raw_order(image, data)
    except Exception as error:
        raise _Damaged(f"is damaged or cut short ({error})") from None


MAX_BITS = 16


def _stated_bits(image: Pillow.Image, stream: BytesIO) -> int | None:
    """The depth that a file states, where it can be."""
    if image.format == "PNG":
        bits = _significant_bits(stream)
    else:
        bits = _tiff_bits(image) if isinstance(image, TiffImageFile) else None
    return bits if bits is not None and 1 <= bits <= MAX_BITS else None


def _significant_bits(stream: BytesIO) -> int | None:
    """The largest of a PNG's sBIT entries but that of alpha."""
    stream.seek(8)
    chunks = ChunkStream(stream)
    while True:
        kind, start, length = chunks.read()
        if kind == b"sBIT":
            return max(stream.read(length)[: 3 if length > 2 else 1])
        if kind == b"IDAT":
            return None
        stream.seek(start + length + 4)


def _tiff_bits(image: TiffImageFile) -> int | None:
    tags = image.tag_v2
    bits = max(tags.get(TIFF_BITS, (1,)))
    largest = tags.get(TIFF_MAX_VALUE)
    if bits >= 16 and largest:
        return max(8, int(np.max(largest)).bit_length())
    return bits if 8 < bits < 16 else None


def _unknown(data: bytes) -> str:
    for name, magic in FORMATS.items():
        if data.startswith(magic):
            return f"is damaged or cut short: its {name} header states no pixels or cannot be read"
    if all(byte >= 32 or byte in b"\t\n\r\f" for byte in data[:512]):
        return "holds text, not a picture, whatever its name says"
    return "is no PNG, JPEG, BMP or TIFF: its first bytes are of another format"
