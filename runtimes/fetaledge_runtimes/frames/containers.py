"""Kinds of video file, told by their first bytes, and whether one breaks off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

QUICKTIME_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
LARGE_BOXES = (b"moov", b"mdat")
STILL_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")
"""Phones' pictures in MP4's container: of their tiles FFmpeg gives one."""
ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
EBML_HEADER, EBML_SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"
PACK, PROGRAM_END = 0xBA, 0xB9
PACKET_BYTES = {0: 188, 4: 192}
"""Of a transport stream, by where in it the letter G stands: some writers put a time before each packet."""
GIF_END, TAIL_BYTES = b";", 4096
SLACK_BYTES = 16
"""Some writers of AVI count the file's first header in."""


@dataclass(frozen=True)
class Container:
    """A kind of video file.

    Attributes:
        name: of the format.
        doubtful: how many of the last frames may be half old and half new where a file breaks off: more than one where
            codecs store frames out of order.
    """

    name: str
    doubtful: int = 1


MP4, MATROSKA, MPEG, TRANSPORT = Container("MP4", 3), Container("MKV", 0), Container("MPEG", 2), Container("TS", 2)
AVI, ASF, GIF = Container("AVI"), Container("WMV"), Container("GIF")


def container_of(head: bytes) -> Container | None:
    """The kind of video that a file's first bytes begin; None for anything else.

    FFmpeg itself would also follow a text file that names other files or addresses.
    """
    box, brand = head[4:8], head[8:12]
    known = box in LARGE_BOXES or (box in QUICKTIME_BOXES and head[:1] == b"\0")  # text begins with a letter
    if known and not (box == b"ftyp" and brand in STILL_BRANDS):
        return MP4
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return AVI
    for start, container in (
        (ASF_HEADER, ASF), (EBML_HEADER, MATROSKA), (b"\0\0\1\xba", MPEG), (b"\0\0\1\xb3", MPEG), (b"GIF8", GIF),
    ):  # fmt: skip
        if head.startswith(start):
            return container
    return TRANSPORT if _packet_bytes(head) else None


def is_cut(path: Path, head: bytes, container: Container) -> bool:
    """Whether a video file is shorter than it says. False where it does not say.

    Args:
        path: of the file.
        head: its first 4096 bytes.
        container: its kind.
    """
    length = path.stat().st_size
    if container is TRANSPORT:
        return length % _packet_bytes(head) != 0
    if container is GIF:
        with path.open("rb") as stream:
            stream.seek(max(0, length - TAIL_BYTES))
            return not stream.read().rstrip(b"\0").endswith(GIF_END)
    stated = 0
    if container is AVI:
        stated = 8 + int.from_bytes(head[4:8], "little") - SLACK_BYTES
    elif container is ASF and ASF_PROPERTIES in head:
        at = head.index(ASF_PROPERTIES) + 40
        stated = int.from_bytes(head[at : at + 8], "little")
    elif container is MATROSKA:
        stated = _segment_end(head)
    elif container in (MP4, MPEG):
        with path.open("rb") as stream:
            stated = _last_end(stream, length, _box_bytes if container is MP4 else _program_bytes)
    return stated > length


def _packet_bytes(head: bytes) -> int:
    """The length of a transport stream's packets; 0 for anything else."""
    for start, length in PACKET_BYTES.items():
        if head[start::length][:3] == b"GGG":
            return length
    return 0


def _segment_end(head: bytes) -> int:
    """Where Matroska's segment ends; 0 where that is left open."""
    at = head.find(EBML_SEGMENT) + len(EBML_SEGMENT)
    if at < len(EBML_SEGMENT) or at == len(head):
        return 0
    width = 9 - head[at].bit_length()
    size = int.from_bytes(head[at : at + width], "big") & ((1 << 7 * width) - 1)
    return 0 if size == (1 << 7 * width) - 1 else at + width + size


def _last_end(stream: BinaryIO, length: int, size_at: Callable[[bytes], int]) -> int:
    """Where the last of a file's parts says that it ends; 0 where something else stands between them."""
    end = 0
    while end + 16 <= length:
        stream.seek(end)
        size = size_at(stream.read(16))
        if size <= 0:
            return 0
        end += size
    return end


def _box_bytes(header: bytes) -> int:
    """The size of one of MP4's boxes. One of size 0 goes to the end of the file."""
    size = int.from_bytes(header[:4], "big")
    if size == 1:  # it stands behind the name
        size = int.from_bytes(header[8:16], "big")
    return size if size >= 8 and header[4:8].isascii() else 0


def _program_bytes(header: bytes) -> int:
    """The size of a pack's header or of a packet in a program stream."""
    if not header.startswith(b"\0\0\1"):
        return 0
    if header[3] == PACK:
        return 14 + (header[13] & 7) if header[4] >> 6 == 1 else 12  # MPEG-2, MPEG-1
    return 0 if header[3] <= PROGRAM_END else 6 + int.from_bytes(header[4:6], "big")
