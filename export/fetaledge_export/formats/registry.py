"""The model formats that are installed, found through the entry point group ``fetaledge.formats``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fetaledge_export.formats.format import Format
from fetaledge_runtimes.engines.registry import engine_class
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.plugins import load, names
from fetaledge_runtimes.quiet import quiet

GROUP = "fetaledge.formats"


def format_names() -> tuple[str, ...]:
    """The formats that can be exported, the one that a device should take by default first."""
    return tuple(sorted(names(GROUP), key=lambda name: (engine_class(name).rank, name)))


@cache
def format_named(name: str) -> Format:
    """The format of this name; importing it does not import its converter.

    Raises:
        UsageError: none is installed.
    """
    quiet()
    found: Format = load(GROUP, name)
    return found


def read_metadata(path: Path) -> dict[str, Any]:
    """What export embedded in a model file: task, classes, input, source run, notice; empty for a stranger's file.

    Raises:
        InputError: the file's ending is none that export writes.
    """
    suffixes = {engine_class(name).suffix: name for name in format_names()}
    if path.suffix not in suffixes:
        raise InputError(
            f"{path} is no model file that export writes", f"pass a file that ends in {', '.join(suffixes)}"
        )
    return format_named(suffixes[path.suffix]).read_metadata(path)
