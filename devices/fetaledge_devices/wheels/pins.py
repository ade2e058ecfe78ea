"""Versions of the engines' packages that are deployed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fetaledge_devices.wheels.resolve import package_of
from fetaledge_runtimes.engines.registry import engine_class, formats
from fetaledge_runtimes.errors import UsageError

BASE = ("numpy", "opencv-python-headless")
"""What fetaledge-runtimes needs beside an engine."""


def engine_package(format_name: str) -> str:
    """The package that runs a model format: ``ai-edge-litert`` of ``tflite``. All that it needs is numpy."""
    return engine_class(format_name).distribution


def pinned_versions(pins: Sequence[str]) -> dict[str, str]:
    """Package -> ``PACKAGE==VERSION``. Raises UsageError where one cannot be read or is of no package that we bring."""
    known = (*(engine_package(name) for name in formats()), *BASE)
    pinned = {}
    for pin in pins:
        found = re.fullmatch(r"([A-Za-z][\w.-]*)==(\d[\w.+!]*)", pin.strip())
        package = package_of(found.group(1)) if found else ""
        if found is None or package not in known:
            raise UsageError(f"the engine {pin!r} was given", f"write PACKAGE==VERSION, with one of {', '.join(known)}")
        pinned[package] = f"{package}=={found.group(2)}"
    return pinned
