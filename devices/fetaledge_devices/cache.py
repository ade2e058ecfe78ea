"""Folders of the user's own in which downloads and remembered targets are kept."""

from __future__ import annotations

import os
from pathlib import Path

from fetaledge_runtimes.errors import OutputError


def folder(name: str) -> Path:
    """``NAME`` in the cache, made where it does not exist: ``$FETALEDGE_CACHE``, else XDG's cache folder.

    Raises:
        OutputError: it cannot be made.
    """
    given = os.environ.get("FETALEDGE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(given or Path(base) / "fetaledge") / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the cache folder {path}: {error.strerror}", "set FETALEDGE_CACHE") from None
    return path
