"""A video file to grey frames, one at a time, through OpenCV."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.containers import container_of, is_cut
from fetaledge_runtimes.frames.frame import Frame, Image
from fetaledge_runtimes.frames.images import check_size, read_bytes
from fetaledge_runtimes.frames.spacing import Given, given_size, is_square, size_in_tables

SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".3gp", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".asf",
    ".gif",
)  # fmt: skip
FORMATS = "MP4, MOV, AVI, MKV, WebM, MPEG, WMV or GIF"
HEAD_BYTES = 4096
MAX_RATIO = 4.0
QUARTER_TURNS = (90, 270)

# FFmpeg's own lines about a damaged file; what matters of them is told by an InputError.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def read_video(path: Path | str, pixel_mm: Given | None = None) -> Iterator[Frame]:
    """Yield the frames of a video or GIF, grey ``uint8 (H, W)``, one in memory at a time.

    A video whose pixels are not square (its sample aspect ratio) is stretched to the width that players show. It states
    no millimetres: each frame's spacing is ``pixel_mm``, that of the picture as shown, or what a table beside it says.

    A file that breaks off gives the frames before the break, since each of them is whole and is measured on its own,
    and then raises; the last frames before it are left out, since they may be half old and half new.

    Raises:
        InputError: missing, empty, not a video, none of its frames can be decoded, they have no size an ultrasound
            frame has, or the file breaks off.
    """
    path = Path(path)
    head = read_bytes(path, HEAD_BYTES)
    container = container_of(head)
    if container is None:
        raise InputError(f"{path} is no {FORMATS} video, whatever its name says", "export it again as MP4")
    size = size_in_tables(path) if pixel_mm is None else given_size(pixel_mm)
    cut = is_cut(path, head, container)
    held: list[Frame] = []
    index = 0
    for index, (grey, ratio) in enumerate(decoded(path), start=1):
        pixels = stretched(grey, ratio)
        check_size(pixels.shape[0], pixels.shape[1], str(path))
        by, remark = size.stated_by, None
        if not is_square(ratio):
            remark = f"the pixels of {path} are {ratio:.4g} times as wide as high: it was stretched as players show it"
            by = by and f"{by}, of the picture as players show it"
        held.append(Frame(pixels, size.mm, str(path), index - 1, spacing_from=by, remark=remark))
        if len(held) > (container.doubtful if cut else 0):
            yield held.pop(0)
    if cut and index > len(held):
        raise InputError(
            f"{path} is cut short: it breaks off after {index - len(held)} whole frames", "copy or export it again"
        )
    if index == len(held):
        raise InputError(
            f"{path} is a video of which no frame can be decoded", "it may be cut short; export it again as H.264 MP4"
        )


def decoded(path: Path) -> Iterator[tuple[Image, float]]:
    """Each frame as it is stored, grey ``uint8 (H, W)``, and how many times wider than high its pixels are."""
    with _plainly_named(path) as named:
        capture = cv2.VideoCapture(str(named.absolute()), cv2.CAP_FFMPEG)  # a colon would make a protocol
        try:
            while True:
                found, pixels = capture.read() if capture.isOpened() else (False, None)
                if not found or pixels is None:
                    return
                check_size(pixels.shape[0], pixels.shape[1], str(path))
                yield cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False), _pixel_ratio(capture)
        finally:
            capture.release()


@contextlib.contextmanager
def _plainly_named(path: Path) -> Iterator[Path]:
    """A path without a suffix where the file's own belongs to no video: FFmpeg believes it before the content."""
    if path.suffix.lower() in ("", *SUFFIXES):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder, "video")
        try:
            named.symlink_to(path.absolute())
        except OSError:  # where links are a privilege
            shutil.copyfile(path, named)
        yield named


def stretched(grey: Image, ratio: float) -> Image:
    """A picture ``uint8 (H, W)`` of pixels ``ratio`` times as wide as high, with square ones: its width grows."""
    if is_square(ratio):
        return grey
    height, width = grey.shape
    wide: Image = cv2.resize(grey, (max(1, round(width * ratio)), height), interpolation=cv2.INTER_LINEAR).astype(
        np.uint8, copy=False
    )
    return wide


def _pixel_ratio(capture: cv2.VideoCapture) -> float:
    """Width over height of a pixel; 1 where the file states none, or one that no video has."""
    across, down = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    ratio = across / down if across > 0 and down > 0 else 1.0
    if not 1 / MAX_RATIO <= ratio <= MAX_RATIO:
        return 1.0
    turned = round(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360 in QUARTER_TURNS
    return 1 / ratio if turned and capture.get(cv2.CAP_PROP_ORIENTATION_AUTO) else ratio
