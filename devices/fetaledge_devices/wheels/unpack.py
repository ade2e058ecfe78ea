"""Wheels, unpacked side by side in the cache, each once: a Python program gets them by its search path."""

from __future__ import annotations

import zipfile
from pathlib import Path

from fetaledge_devices.cache import folder
from fetaledge_devices.wheels.resolve import name_and_version
from fetaledge_runtimes.errors import OutputError
from fetaledge_runtimes.files import atomic_folder, sha256


def site_name(wheel: Path) -> str:
    """The folder that a wheel is unpacked into: of its name, version and content."""
    name, version = name_and_version(wheel)
    return f"{name.replace('-', '_')}-{version}-{sha256(wheel)[:12]}"


def unpacked(wheel: Path) -> Path:
    """The folder that holds the wheel's packages.

    Raises:
        OutputError: the cache cannot be written.
    """
    place = folder("cost") / site_name(wheel)
    if place.is_dir():
        return place
    try:
        with atomic_folder(place) as partial, zipfile.ZipFile(wheel) as archive:
            archive.extractall(partial)
    except (OSError, OutputError, zipfile.BadZipFile) as error:
        if not place.is_dir():  # else another process was faster
            raise OutputError(f"{wheel.name} cannot be unpacked into {place}: {error}", "free some space") from None
    return place
