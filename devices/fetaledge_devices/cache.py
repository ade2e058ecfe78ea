"""Folders of the user's own in which downloads and remembered targets are kept."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

from fetaledge_runtimes.errors import OutputError


def folder(name: str) -> Path:
    """``NAME`` in ``$FETALEDGE_CACHE``, else in the system's folder for caches (``~/.cache/fetaledge``); it is made.

    Raises:
        OutputError: it cannot be made.
    """
    given = os.environ.get("FETALEDGE_CACHE")
    path = (Path(given) if given else user_cache_path("fetaledge", appauthor=False)) / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the cache folder {path}: {error.strerror}", "set FETALEDGE_CACHE") from None
    return path
