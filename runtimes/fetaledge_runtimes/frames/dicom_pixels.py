"""The pixels of a DICOM file as grey levels, whatever they are stored as."""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames import video
from fetaledge_runtimes.frames.containers import container_of
from fetaledge_runtimes.frames.damage import has_end, inflate
from fetaledge_runtimes.frames.depth import STORED_BITS, to_uint8
from fetaledge_runtimes.frames.frame import Image

INSTALL = 'pip install "fetaledge-runtimes[dicom-all]" brings the decoders of JPEG lossless, JPEG-LS and HTJ2K'
MAX_INFLATED_BYTES = 256_000_000
CHUNK_BYTES = 1 << 20
META_STARTS, META_LENGTH_BYTES = 132, 12
PIXEL_DATA_STARTS = 12
"""Tag, type and length of encapsulated pixels, before the first item."""
RAW_VIDEO = (b"\0\0\1", b"\0\0\0\1")
PALETTE = "PALETTE COLOR"


@contextlib.contextmanager
def inflated(path: Path) -> Iterator[Path]:
    """The file itself, or a temporary copy in which the data set of a deflated file lies open.

    pydicom would inflate it in memory, however large it becomes.

    Raises:
        InputError: it holds more than 256 MB, or breaks off.
    """
    filereader: Any = importlib.import_module("pydicom.filereader")
    filewriter: Any = importlib.import_module("pydicom.filewriter")
    uid: Any = importlib.import_module("pydicom.uid")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        meta = filereader.read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != uid.DeflatedExplicitVRLittleEndian:
        yield path
        return
    start = META_STARTS + META_LENGTH_BYTES + int(meta.FileMetaInformationGroupLength)
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    with tempfile.TemporaryDirectory() as folder:
        opened = Path(folder, "inflated.dcm")
        with path.open("rb") as stream, opened.open("wb") as out:
            out.write(bytes(128) + b"DICM")
            filewriter.write_file_meta_info(out, meta)
            stream.seek(start)
            try:
                for part in inflate(iter(lambda: stream.read(CHUNK_BYTES), b""), -zlib.MAX_WBITS):
                    out.write(part)
                    if out.tell() > MAX_INFLATED_BYTES:
                        raise InputError(
                            f"{path} holds more than the limit of {MAX_INFLATED_BYTES // 1_000_000} MB once inflated",
                            "export the cine in parts, or not deflated",
                        )
            except zlib.error as error:
                raise InputError(f"{path} is damaged or cut short ({error})", "export it again") from None
        yield opened


class EncodedError(Exception):
    """A frame's own bytes contradict the file."""


def is_video(header: Any) -> bool:
    """Whether the frames are one stream of MPEG-2, MPEG-4 (H.264) or HEVC."""
    uid: Any = importlib.import_module("pydicom.uid")
    return header.file_meta.TransferSyntaxUID in uid.MPEGTransferSyntaxes


def check_decoder(path: Path, header: Any) -> None:
    """Refuse a compression that nothing here decodes. Raises InputError that names what to install."""
    syntax = header.file_meta.TransferSyntaxUID
    try:
        available = is_video(header) or importlib.import_module("pydicom.pixels").get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise InputError(
            f"{path} is compressed as {syntax.name}, for which no decoder is installed",
            f"{INSTALL}; else export it uncompressed",
        )


def grey_frames(stored: Path, header: Any) -> Iterator[tuple[Image, int, float]]:
    """Each frame as grey ``uint8 (H, W)``, the depth that it had in bits, and a video stream's ratio (else 1).

    Colours (RGB, YBR, palette) become grey, MONOCHROME1 is inverted. More than 8 bits are scaled by BitsStored, except
    where no pixel of the file, or no palette entry, needs as many: then they are 8-bit values in 16 bits.

    Raises:
        Exception: whatever a decoder raises.
    """
    if is_video(header):
        with tempfile.TemporaryDirectory() as folder:
            stream = _unpacked(stored, Path(folder, "stream"))
            for grey, ratio in video.decoded(stream):
                if grey.shape != (header.Rows, header.Columns):
                    raise ValueError(f"its stream is {grey.shape[1]}x{grey.shape[0]}")
                yield grey, 8, ratio
        return
    palette = str(header.PhotometricInterpretation) == PALETTE
    shift, bits = (0, _palette_bits(header)) if palette else _depth(stored, header)
    for pixels in _pixels(stored, header):
        yield *_grey(pixels >> shift if shift else pixels, header, bits), 1.0


def _unpacked(stored: Path, stream: Path) -> Path:
    """Write the stream inside a data set to a file of its own."""
    pydicom: Any = importlib.import_module("pydicom")
    encaps: Any = importlib.import_module("pydicom.encaps")
    with stream.open("wb") as out:
        for part in encaps.generate_frames(pydicom.dcmread(stored).PixelData, number_of_frames=1):
            out.write(part)
    with stream.open("rb") as written:
        head = written.read(video.HEAD_BYTES)
    if not (head.startswith(RAW_VIDEO) or container_of(head)):
        raise ValueError("what it holds is no video stream")
    return stream


def _pixels(stored: Path, header: Any) -> Iterator[npt.NDArray[Any]]:
    """Each frame as pydicom decodes it, (H, W) or RGB (H, W, 3)."""
    frames: Iterator[npt.NDArray[Any]] = importlib.import_module("pydicom.pixels").iter_pixels(stored)
    if not header.file_meta.TransferSyntaxUID.is_encapsulated:
        return frames
    return _checked(frames, stored, header)


def _checked(frames: Iterator[npt.NDArray[Any]], stored: Path, header: Any) -> Iterator[npt.NDArray[Any]]:
    """Each frame, once its own bytes have been looked at: some decoders fill up a JPEG that breaks off.

    And a few bytes may say that they are a picture of any size.
    """
    with stored.open("rb") as stream:
        importlib.import_module("pydicom").dcmread(stream, stop_before_pixels=True)
        stream.seek(PIXEL_DATA_STARTS, os.SEEK_CUR)
        count = int(header.get("NumberOfFrames") or 1)
        encoded = importlib.import_module("pydicom.encaps").generate_frames(stream, number_of_frames=count)
        while True:
            with contextlib.suppress(OSError, UnidentifiedImageError, ValueError, StopIteration, EOFError):
                _check_encoded(next(encoded), header)
            pixels = next(frames, None)
            if pixels is None:
                return
            yield pixels


def _check_encoded(data: bytes, header: Any) -> None:
    """Raise EncodedError where a JPEG or JPEG 2000 breaks off, or is of another size than the file states."""
    with Pillow.open(BytesIO(data), formats=("JPEG", "JPEG2000")) as image:
        if image.size != (header.Columns, header.Rows):
            raise EncodedError(f"it is a picture of {image.width}x{image.height}")
        if image.format == "JPEG" and not has_end(data):
            raise EncodedError("its JPEG ends before its last marker")


def _depth(stored: Path, header: Any) -> tuple[int, int]:
    """(shift to the right, depth in bits) of all frames, whose pixels are looked through once if they have 16 bits."""
    bits = max(8, int(header.BitsStored))
    if int(header.BitsAllocated) <= 8:
        return 0, bits
    largest = 0
    with contextlib.suppress(Exception):  # whoever needs the frame is told
        for pixels in _pixels(stored, header):
            largest = max(largest, int(pixels.max()))
    shift = max(0, int(header.get("HighBit") or bits - 1) + 1 - bits) if largest >= 1 << bits else 0
    top = largest >> shift
    if not shift:
        top = min(top, _window_top(header) or top)
    needed = next((depth for depth in STORED_BITS if top < 1 << depth), bits)
    return shift, needed if needed == 8 or bits == 16 else bits


def _window_top(header: Any) -> int | None:
    """The brightest value of the file's window, where that begins at 0; None without one."""
    try:
        centre, width = (
            float(value if isinstance(value, (int, float, str)) else value[0])
            for value in (header.get("WindowCenter"), header.get("WindowWidth"))
        )
    except (TypeError, ValueError, IndexError):
        return None
    low, top = centre - width / 2, centre + width / 2
    return round(top) - 1 if width > 1 and abs(low) <= max(1.0, width / 50) else None


def _palette_bits(header: Any) -> int:
    """The depth that the brightest entry of the palette needs."""
    entries = int(header.RedPaletteColorLookupTableDescriptor[0]) or 1 << 16
    first = int(header.RedPaletteColorLookupTableDescriptor[1])
    indices = np.arange(first, first + entries).astype(np.uint16 if header.BitsAllocated > 8 else np.uint8)
    colours = importlib.import_module("pydicom.pixels").apply_color_lut(indices.reshape(1, -1), header)
    return next(depth for depth in STORED_BITS if int(colours.max()) < 1 << depth)


def _grey(pixels: npt.NDArray[Any], header: Any, bits: int) -> tuple[Image, int]:
    photometric = str(header.PhotometricInterpretation)
    if photometric == PALETTE:
        pixels = importlib.import_module("pydicom.pixels").apply_color_lut(pixels, header)
        if bits == 16:
            pixels, bits = pixels >> 8, 8
    grey = to_uint8(pixels, bits)
    if grey.ndim == 3:
        grey = cv2.cvtColor(grey, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    if photometric == "MONOCHROME1":
        grey = cv2.bitwise_not(grey).astype(np.uint8, copy=False)
    return grey, bits
