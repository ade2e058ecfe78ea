"""The converters and engines of others, with a log each, and every failure of theirs caught here and nowhere else."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from fetaledge_export.formats.registry import format_named
from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.engines.registry import open_engine
from fetaledge_runtimes.errors import FetalEdgeError
from fetaledge_runtimes.frames.frame import Image, Logits
from fetaledge_runtimes.quiet import silenced


class StepFailed(FetalEdgeError):
    """A converter or an engine failed on a variant, which stays out of the bundle; the others go on."""


@dataclass(frozen=True)
class Conversion:
    """Runs the converters.

    Attributes:
        work: an existing folder for files between the steps.
        logs: the folder of what the converters print, one file a variant.
        transformer: :attr:`fetaledge_export.device_model.DeviceModel.transformer`.
    """

    work: Path
    logs: Path
    transformer: bool

    def convert(self, name: str, model: nn.Module, size: tuple[int, int], part: str = "") -> Path:
        """A model in fp32 as a file of the format of the variant ``name``.

        Args:
            part: where ``model`` is a part of a network that is converted as a model of its own, its name.

        Raises:
            StepFailed: the converter failed.
        """
        found, folder = format_named(_format(name)), self.work / part
        folder.mkdir(exist_ok=True)
        try:
            with silenced(self._log(name)):
                return found.convert(model, size, folder, self.transformer)
        except Exception as error:  # a converter may raise anything
            raise StepFailed(f"it could not be converted: {first_line(error)}") from error

    def write(
        self,
        name: str,
        base: Path,
        path: Path,
        calibration: Sequence[Image],
        metadata: Mapping[str, Any],
        precision: str | None = None,
    ) -> tuple[Path, ...]:
        """The files of the variant ``name``, the model file first; ``precision`` in place of the variant's own.

        Raises:
            StepFailed: the converter failed.
        """
        found, precision = format_named(_format(name)), precision or name.rpartition("-")[2]
        try:
            with silenced(self._log(name)):
                return found.write(base, path, precision, calibration, metadata, self.transformer)
        except Exception as error:  # a converter may raise anything
            raise StepFailed(f"it could not be converted: {first_line(error)}") from error

    def _log(self, name: str) -> Path:
        self.logs.mkdir(exist_ok=True)
        return self.logs / f"{name}.log"

    def keep_log(self, name: str, error: StepFailed) -> str:
        """Add the failure's traceback to the log of a variant; the log's place in the bundle."""
        log = self._log(name)
        cause = error.__cause__ or error
        with log.open("a", encoding="utf-8", errors="replace") as stream:
            stream.writelines(traceback.format_exception(cause))
        return f"{self.logs.name}/{log.name}"

    def drop_log(self, name: str) -> None:
        """Remove the log of a variant that needs none, and the folder where it was the last."""
        self._log(name).unlink(missing_ok=True)
        if not any(self.logs.iterdir()):
            self.logs.rmdir()


class WatchedEngine(Engine):
    """An engine of which every failure is a :class:`StepFailed`."""

    name: ClassVar[str]

    def __init__(self, engine: Engine) -> None:
        self.name, self.version = engine.name, engine.version  # type: ignore[misc]
        self._engine = engine

    @classmethod
    def open(cls, format_name: str, path: Path, threads: int) -> WatchedEngine:
        """Open a model file. Raises StepFailed where the engine is not installed or cannot load it."""
        try:
            return cls(open_engine(format_name, path, threads))
        except FetalEdgeError as error:
            raise StepFailed(f"it does not run: {first_line(error)}") from error

    def __call__(self, pixels: Image) -> Logits:
        try:
            return self._engine(pixels)
        except Exception as error:  # an engine may raise anything
            raise StepFailed(f"it does not run: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """An error in one line, without a hint."""
    text = error.message if isinstance(error, FetalEdgeError) else f"{type(error).__name__}: {error}"
    return text.strip().splitlines()[0][:300]


def _format(name: str) -> str:
    return name.rpartition("-")[0]
