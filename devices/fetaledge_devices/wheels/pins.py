"""Versions of the engines' packages that are deployed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fetaledge_devices.wheels.resolve import package_of
from fetaledge_runtimes.errors import UsageError

ENGINES = {"onnx": "onnxruntime", "openvino": "openvino", "tflite": "ai-edge-litert"}
"""The package that runs each format. numpy is all that it needs beside itself at run time."""
BASE = ("numpy", "opencv-python-headless")


def pinned_versions(pins: Sequence[str]) -> dict[str, str]:
    """Package -> ``PACKAGE==VERSION``. Raises UsageError where one cannot be read or is of no package that we bring."""
    known = (*ENGINES.values(), *BASE)
    pinned = {}
    for pin in pins:
        found = re.fullmatch(r"([A-Za-z][\w.-]*)==(\d[\w.+!]*)", pin.strip())
        package = package_of(found.group(1)) if found else ""
        if found is None or package not in known:
            raise UsageError(f"the engine {pin!r} was given", f"write PACKAGE==VERSION, with one of {', '.join(known)}")
        pinned[package] = f"{package}=={found.group(2)}"
    return pinned
