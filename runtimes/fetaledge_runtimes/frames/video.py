"""A video file to grey frames, one at a time, through OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.frames.images import check_size, read_bytes
from fetaledge_runtimes.frames.spacing import OPTION

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")
QUICKTIME_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
MATROSKA_MAGIC = b"\x1aE\xdf\xa3"

# FFmpeg's own lines about a damaged file; what matters of them is told by an InputError.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def read_video(path: Path | str, pixel_mm: tuple[float, float] | None = None) -> Iterator[Frame]:
    """Yield the frames of an MP4, AVI, MOV, MKV or WebM file, grey ``uint8 (H, W)``, one in memory at a time.

    A file that breaks off gives the frames before the break, since each of them is whole and is measured on its own.
    A video states no millimetres: each frame's spacing is ``pixel_mm``.

    Raises:
        InputError: missing, empty, not a video, none of its frames can be decoded, or they have no size an ultrasound
            frame has.
    """
    path = Path(path)
    _check_container(path)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        index = 0
        while True:
            decoded, pixels = capture.read() if capture.isOpened() else (False, None)
            if not decoded or pixels is None:
                break
            check_size(pixels.shape[0], pixels.shape[1], str(path))
            grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
            yield Frame(grey, pixel_mm, str(path), index, spacing_from=OPTION if pixel_mm else None)
            index += 1
    finally:
        capture.release()
    if index == 0:
        raise InputError(
            f"{path} is a video of which no frame can be decoded", "it may be cut short; export it again as H.264 MP4"
        )


def _check_container(path: Path) -> None:
    """By its first bytes: FFmpeg would also follow a text file that names other files or addresses."""
    head = read_bytes(path, 16)
    avi = head.startswith(b"RIFF") and head[8:12] == b"AVI "
    if not (avi or head[4:8] in QUICKTIME_BOXES or head.startswith(MATROSKA_MAGIC)):
        raise InputError(
            f"{path} is no MP4, AVI, MOV, MKV or WebM video, whatever its name says", "export it again as MP4"
        )
