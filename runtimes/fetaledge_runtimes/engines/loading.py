"""What the engines share while they open a model: import a package, keep native code quiet, say what is wrong."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from fetaledge_runtimes.errors import BundleError, EngineMissing, InputError
from fetaledge_runtimes.quiet import native_stderr_hidden, quiet

REMEDY = "the file may be damaged: copy the bundle again, or export it again"


def load_package(module: str, engine: str, package: str) -> ModuleType:
    """Import an engine's module.

    Raises:
        EngineMissing: it is not installed, or it is and cannot be loaded on this machine.
    """
    quiet()
    try:
        with native_stderr_hidden():  # one that was built for another NumPy has a page to say
            return importlib.import_module(module)
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise EngineMissing(f"{engine} cannot be loaded: {reason}", f"run: pip install {package}") from error


@contextlib.contextmanager
def loading(path: Path, engine: str) -> Iterator[None]:
    """Hide what native code writes to standard error, and turn any failure into an InputError that names ``path``.

    Some engines announce every model they open below Python's ``sys.stderr``, so the file descriptor is redirected.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist", REMEDY)
    try:
        with native_stderr_hidden():
            yield
    except (InputError, KeyboardInterrupt):
        raise
    except Exception as error:  # the engines' own exception types share no parent below Exception
        raise InputError(f"{path} cannot be loaded by {engine}: {_reason(error)}", REMEDY) from error


def check_input(path: Path, dtype: str, shape: Sequence[object], *, channel_last: bool = False) -> tuple[int, int]:
    """The (height, width) of a model's input.

    Raises:
        InputError: it does not take one grey frame, ``uint8``, at a fixed size.
    """
    order = "(1, height, width, 1)" if channel_last else "(1, 1, height, width)"
    if dtype == "uint8" and len(shape) == 4:
        height, width = shape[1:3] if channel_last else shape[2:4]
        expected = (1, height, width, 1) if channel_last else (1, 1, height, width)
        if tuple(shape) == expected and isinstance(height, int) and isinstance(width, int):
            return height, width
    raise InputError(f"{path} takes {dtype} {tuple(shape)} where a fixed uint8 {order} was expected", REMEDY)


def check_output(path: Path, dtype: str, shape: Sequence[object]) -> None:
    """InputError unless a model gives ``float32`` logits of four dimensions."""
    if dtype != "float32" or len(shape) != 4:
        raise InputError(
            f"{path} gives {dtype} {tuple(shape)} where float32 logits in 4 dimensions were expected", REMEDY
        )


def check_frame(path: Path, shape: tuple[int, ...], size: tuple[int, int]) -> None:
    """BundleError where a frame has not the network's size: the manifest and the model disagree."""
    if shape != size:
        raise BundleError(f"{path} takes frames of {size} pixels and was given one of {shape}", REMEDY)


def _reason(error: Exception) -> str:
    """The end of an engine's message: what stands before it are error codes and source locations."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rsplit(" : ", 1)[-1].rstrip(".") if lines else type(error).__name__
