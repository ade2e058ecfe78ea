"""From a frame to a mask, a status and measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter_ns

import cv2
import numpy as np

from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.engines.registry import open_engine
from fetaledge_runtimes.errors import BundleError, InputError, UsageError
from fetaledge_runtimes.frames.frame import Frame, Image, Logits
from fetaledge_runtimes.postprocess import mask_from_logits
from fetaledge_runtimes.preprocess import resize
from fetaledge_runtimes.tasks.registry import task_named
from fetaledge_runtimes.tasks.task import MIRRORED, Measured, Task


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found in one frame.

    Attributes:
        frame: the frame itself.
        mask: ``uint8 (H, W)`` on the frame's own grid, the class of each pixel.
        measured: what the task read off the mask.
        latency_ms: ``preprocess``, ``kernel`` (the engine's call alone), ``postprocess`` (mask, measures, status) and
            ``end_to_end``, from the decoded frame to the measures.
    """

    frame: Frame
    mask: Image
    measured: Measured
    latency_ms: dict[str, float]

    @property
    def status(self) -> str:
        """``ok``, or the one word that says why nothing should be read off."""
        return self.measured.status

    @property
    def measures(self) -> Mapping[str, float | None]:
        """Values by key, such as ``hc_mm``; None where there is none. Read them where ``status`` is ``ok``."""
        return self.measured.values


def interpret(frame: Frame, logits: Logits, task: Task, grid: tuple[int, int] | None = None) -> Prediction:
    """What the network's logits ``float32 (C, h, w)`` say of a frame; its ``latency_ms`` is empty.

    ``grid``: as in :func:`fetaledge_runtimes.postprocess.mask_from_logits`.
    """
    mask = mask_from_logits(logits, frame.pixels.shape, grid)
    return Prediction(frame, mask, task.measure(mask, frame.pixel_mm), {})


def _flip(pixels: Image) -> Image:
    return np.ascontiguousarray(pixels[:, ::-1])


def _mirror_image(frame: Frame) -> Frame:
    return replace(frame, pixels=_flip(frame.pixels))


class Predictor:
    """One model, ready to run.

    Attributes:
        engine: what executes the model.
        size: (height, width) of the network's grid.
        task: what is segmented and measured.
        variant_name: the variant's name in the bundle, or the engine's name where there is no bundle.
        nearest: whether classes are decided on the network's grid: :meth:`from_engine`.
    """

    engine: Engine
    size: tuple[int, int]
    task: Task
    variant_name: str
    nearest: bool

    def __init__(self, bundle: Bundle, variant: str | None = None, threads: int = 1) -> None:
        """Open a variant; without a name, the first whose engine is installed.

        OpenCV gets the same number of threads, for the whole process.

        Raises:
            UsageError: no such variant, or ``threads`` is below 1.
            EngineMissing: its engine is not installed.
            InputError: the engine cannot load the file.
            BundleError: the bundle is for a task that is not installed.
        """
        if threads < 1:
            raise UsageError(f"{threads} threads were asked for", "give 1 or more")
        manifest = bundle.manifest
        try:
            task = task_named(manifest.task)
        except InputError as error:
            raise BundleError(f"{bundle.folder}: {error.message}", error.hint) from None
        chosen = bundle.variant(variant)
        cv2.setNumThreads(threads)
        engine = open_engine(chosen.format, bundle.model_path(chosen), threads)
        self._set(engine, (manifest.input.height, manifest.input.width), task, chosen.name)

    @classmethod
    def from_engine(cls, engine: Engine, size: tuple[int, int], task: Task, nearest: bool = False) -> Predictor:
        """A predictor around any engine, without a bundle; ``size`` = (height, width) that the engine takes.

        With ``nearest`` the classes are decided at ``size`` and taken to the frame by the nearest neighbour, as the
        LoRA-tuned SAM was published: for comparison only, the default is finer.
        """
        predictor = cls.__new__(cls)
        predictor._set(engine, size, task, engine.name, nearest)
        return predictor

    def _set(self, engine: Engine, size: tuple[int, int], task: Task, variant_name: str, nearest: bool = False) -> None:
        self.engine, self.size, self.task, self.variant_name = engine, size, task, variant_name
        self.nearest = nearest

    def logits(self, frame: Frame) -> Logits:
        """Logits ``float32 (C, h, w)`` of the resized frame."""
        return self.engine(resize(frame.pixels, self.size))

    def __call__(self, frame: Frame, orientation: str | None = None) -> Prediction:
        """Segment and measure one frame.

        Args:
            frame: of any size.
            orientation: ``standard``, the default, or ``mirrored``: then the frame's mirror image is segmented and
                measured, and mask and construction are turned back onto the frame's own grid.

        Raises:
            UsageError: an orientation that there is not, or any for a task that has none.
        """
        self.task.check_orientation(orientation)
        times = [perf_counter_ns()]
        seen = _mirror_image(frame) if orientation == MIRRORED else frame
        pixels = resize(seen.pixels, self.size)
        times.append(perf_counter_ns())
        logits = self.engine(pixels)
        times.append(perf_counter_ns())
        prediction = interpret(seen, logits, self.task, self.size if self.nearest else None)
        if orientation == MIRRORED:
            measured = self.task.mirror(prediction.measured, frame.pixels.shape[1])
            prediction = replace(prediction, frame=frame, mask=_flip(prediction.mask), measured=measured)
        times.append(perf_counter_ns())
        spans = [(end - start) / 1e6 for start, end in pairwise(times)]
        latency_ms = {
            "preprocess": spans[0],
            "kernel": spans[1],
            "postprocess": spans[2],
            "end_to_end": (times[-1] - times[0]) / 1e6,
        }
        return replace(prediction, latency_ms=latency_ms)
