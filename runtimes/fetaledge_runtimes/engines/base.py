"""The interface of an engine."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from fetaledge_runtimes.frames.frame import Image, Logits


class Engine(ABC):
    """Open a model file with a thread count; give logits for a frame at the network's size.

    Attributes:
        name: as people call it, for records and messages.
        format: of the model files that it runs; the first part of a variant's name.
        suffix: of such a file's name.
        distribution: the package that pip installs for it.
        packages: the modules that provide it, the preferred first.
        oldest: the oldest version of the distribution that is known to run what export writes.
        colour: of its points in figures, ``#rrggbb``.
        rank: engines with a small one are taken first where nobody chose.
        version: of the package in use.
    """

    name: ClassVar[str]
    format: ClassVar[str]
    suffix: ClassVar[str]
    distribution: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    oldest: ClassVar[str]
    colour: ClassVar[str] = "#4D4D4D"
    rank: ClassVar[int] = 100
    version: str

    @classmethod
    def installed(cls) -> tuple[str, str] | None:
        """(name, version) of the distribution that provides the engine here; None where none is installed."""
        for package in cls.packages:
            if find_spec(package) is not None:
                distribution = package.replace("_", "-")
                with contextlib.suppress(PackageNotFoundError):
                    return distribution, version(distribution)
        return None

    @abstractmethod
    def __init__(self, path: Path, threads: int) -> None:
        """Load ``path``. Raises InputError where the engine cannot."""

    @abstractmethod
    def __call__(self, pixels: Image) -> Logits:
        """Logits ``float32 (C, h, w)`` of a frame ``uint8 (H, W)`` at the input size."""
