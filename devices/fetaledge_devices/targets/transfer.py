"""Files on their way to a device and back: laid out for one copy, and compared by their hashes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from fetaledge_devices.targets.error_messages import NO_SPACE
from fetaledge_runtimes.errors import OutputError

BYTES_OF_NAMES = 30_000
SPACE_HERE = "free some space here"


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder of this machine for files on their way. Raises OutputError where it cannot be made."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=prefix)
    except OSError as error:
        raise OutputError(f"cannot make a temporary folder on this machine: {error}", SPACE_HERE) from None
    with folder as name:
        yield Path(name)


def check_space(folder: Path, size: int) -> None:
    """Raise OutputError where a folder of this machine has no room for ``size`` bytes more, or cannot be written."""
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write into {folder} on this machine", "choose a folder that you may write to")
    free = shutil.disk_usage(folder).free
    if free < size:
        sizes = f"{size / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free"
        raise OutputError(f"no space is left in {folder} on this machine: {sizes}", SPACE_HERE)


def check_written(folder: Path, said: str) -> None:
    """Raise OutputError where a copy into a folder of this machine failed as its disk is full.

    Args:
        said: the messages of the program that copied. What it copies from it only reads, so that they are about
            ``folder``.
    """
    if re.search(NO_SPACE, said):
        raise OutputError(f"no space is left in {folder} on this machine", SPACE_HERE)


def stage(files: Mapping[str, Path], folder: Path) -> int:
    """Lay files out as they are to lie there: hard links, or copies where there can be none. Returns their bytes."""
    size = 0
    for name, path in files.items():
        if name != str(PurePosixPath(name)) or name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise ValueError(f"{name!r} is no relative path")
        place = folder / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path.resolve(), place)
            except OSError:
                shutil.copy2(path, place)
            size += place.stat().st_size
        except OSError as error:
            raise OutputError(
                f"cannot prepare {path} for sending: {error.strerror} in {folder} on this machine", SPACE_HERE
            ) from None
    return size


def hash_commands(paths: Sequence[str]) -> str:
    """A script that prints the hashes of those paths that are files."""
    parts = (" ".join(shlex.quote(f"./{path}") for path in part) for part in _parts(paths))
    return "".join(f"sha256sum {part} 2>/dev/null\n" for part in parts)


def _parts(paths: Sequence[str]) -> Iterator[list[str]]:
    """The paths in lists short enough for one command line."""
    part: list[str] = []
    size = 0
    for path in paths:
        if part and size + len(path) > BYTES_OF_NAMES:
            yield part
            part, size = [], 0
        part.append(path)
        size += len(path) + 4
    if part:
        yield part


def read_hashes(text: str) -> dict[str, str]:
    """Paths and digests of sha256sum's lines; it puts a backslash in front of a line whose name it had to escape."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        parsed = re.fullmatch(r"(\\?)([0-9a-f]{64}) [ *](?:\./)?(.+)", line)
        if parsed:
            escaped, digest, name = parsed.groups()
            found[name.replace("\\\\", "\\") if escaped else name] = digest
    return found
