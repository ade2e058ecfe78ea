"""What a file is: told by its content, and by its suffix where the content says nothing."""

from __future__ import annotations

from pathlib import Path

from fetaledge_runtimes.frames import dicom, images, video
from fetaledge_runtimes.frames.containers import container_of

HEAD_BYTES = 400
SUFFIXES = {"dicom": dicom.SUFFIXES, "video": video.SUFFIXES, "image": images.SUFFIXES}


def kind_of(path: Path) -> str | None:
    """``dicom``, ``video`` or ``image``; None for anything else, and for what is no regular file.

    A file whose content is of no known kind counts by its suffix: whoever reads it says what is wrong with it.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError:
        head = b""
    if dicom.is_dicom(head):
        return "dicom"
    if images.is_picture(head):
        return "image"
    if container_of(head) is not None:
        return "video"
    suffix = path.suffix.lower()
    return next((kind for kind, suffixes in SUFFIXES.items() if suffix in suffixes), None)
