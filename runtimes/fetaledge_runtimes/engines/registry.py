"""Which engine runs a model format, found through the entry point group ``fetaledge.engines``."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.errors import EngineMissing
from fetaledge_runtimes.plugins import load, names

GROUP = "fetaledge.engines"


def formats() -> tuple[str, ...]:
    """The formats that an engine is registered for, the one that a device should take by default first."""
    return tuple(sorted(names(GROUP), key=lambda name: (engine_class(name).rank, name)))


@cache
def engine_class(format_name: str) -> type[Engine]:
    """The engine class of a model format; importing it does not import the engine's package.

    Raises:
        UsageError: no engine is registered for the format.
    """
    cls: type[Engine] = load(GROUP, format_name)
    return cls


def is_known(format_name: str) -> bool:
    """Whether an engine is registered for this format."""
    return format_name in names(GROUP)


def is_installed(format_name: str) -> bool:
    """Whether a package that runs this format can be imported here."""
    return any(importlib.util.find_spec(package) is not None for package in engine_class(format_name).packages)


def open_engine(format_name: str, path: Path, threads: int) -> Engine:
    """Open a model file.

    Raises:
        EngineMissing: the engine is not installed.
        InputError: the engine cannot load the file.
    """
    cls = engine_class(format_name)
    if not is_installed(format_name):
        hint = f"run: pip install {cls.distribution}"
        raise EngineMissing(f"{path.name} needs {cls.name}, which is not installed", hint)
    return cls(path, threads)
