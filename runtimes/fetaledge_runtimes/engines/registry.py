"""Which engine runs a model format, found through the entry point group ``fetaledge.engines``."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.errors import EngineMissing, InputError
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


def open_engine(format_name: str, path: Path, threads: int, oldest: str | None = None) -> Engine:
    """Open a model file.

    Args:
        format_name: of the file.
        path: the file.
        threads: of the engine.
        oldest: the oldest version of the engine that is known to run the file; None: that of any file.

    Raises:
        EngineMissing: the engine is not installed.
        InputError: the engine cannot load the file; where it is older than ``oldest``, the message says so.
    """
    cls = engine_class(format_name)
    if not is_installed(format_name):
        hint = f"run: pip install {cls.distribution}"
        raise EngineMissing(f"{path.name} needs {cls.name}, which is not installed", hint)
    try:
        return cls(path, threads)
    except Exception as error:  # an old engine fails in ways of its own; one that works is not asked for its age
        old = _too_old(cls, oldest or cls.oldest)
        if old is None or not path.is_file():
            raise
        raise old from error


def _too_old(cls: type[Engine], oldest: str) -> InputError | None:
    """The error where the installed engine is older than it has to be, or of another distribution."""
    installed = cls.installed()
    if installed is None:
        return None
    distribution, version = installed
    own = distribution == cls.distribution
    if own and _numbers(version) >= _numbers(oldest):
        return None
    needed = oldest if own else f"{cls.distribution} {oldest}"
    return InputError(
        f"{distribution} {version} is installed, this bundle needs {needed} or later",
        f"run: pip install '{cls.distribution}>={oldest}'",
    )


def _numbers(version: str) -> tuple[int, ...]:
    """(1, 20, 1) of ``1.20.1``, whatever follows."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
