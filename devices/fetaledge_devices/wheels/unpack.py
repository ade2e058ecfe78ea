"""Wheels, unpacked side by side in the cache, each once: a Python program gets them by its search path."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path

from fetaledge_devices.cache import folder
from fetaledge_runtimes.errors import OutputError
from fetaledge_runtimes.files import sha256


def unpacked(wheel: Path) -> Path:
    """The folder that holds the wheel's packages.

    Raises:
        OutputError: the cache cannot be written.
    """
    place = folder("cost") / f"{wheel.stem.split('-py')[0].split('-cp')[0]}-{sha256(wheel)[:16]}"
    if place.is_dir():
        return place
    partial = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(partial)
        partial.chmod(0o755)
        if not place.is_dir():  # another process may have been faster
            partial.rename(place)
    except (OSError, zipfile.BadZipFile) as error:
        if not place.is_dir():
            raise OutputError(f"{wheel.name} cannot be unpacked into {place}: {error}", "free some space") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return place
