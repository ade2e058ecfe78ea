"""Which engine runs a model format."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.errors import EngineMissing

if TYPE_CHECKING:
    pass


ENGINES = {
    "onnx": ("fetaledge_runtimes.engines.onnxruntime", "OnnxRuntimeEngine"),
    "openvino": ("fetaledge_runtimes.engines.openvino", "OpenVinoEngine"),
    "tflite": ("fetaledge_runtimes.engines.litert", "LiteRtEngine"),
}


def formats() -> tuple[str, ...]:
    """The formats that an engine is registered for."""
    return tuple(ENGINES)


def engine_class(format_name: str) -> type[Engine]:
    """The engine class of a model format; importing it does not import the engine's package."""
    module, name = ENGINES[format_name]
    cls: type[Engine] = getattr(importlib.import_module(module), name)
    return cls


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
        hint = f"run: pip install {cls.packages[0]}"
        raise EngineMissing(f"{path.name} needs {cls.name}, which is not installed", hint)
    return cls(path, threads)
