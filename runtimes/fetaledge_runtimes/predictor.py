"""From a frame to a mask, a status and measures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter_ns

import cv2

from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.ellipse import Ellipse, from_mask
from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.engines.registry import open_engine
from fetaledge_runtimes.errors import BundleError, UsageError
from fetaledge_runtimes.frames.frame import Frame, Image, Logits
from fetaledge_runtimes.postprocess import mask_from_logits
from fetaledge_runtimes.preprocess import resize
from fetaledge_runtimes.tasks.head import HeadMeasures, head_status, measure_ellipse
from fetaledge_runtimes.tasks.ps_fh import Progression, measure_progression
from fetaledge_runtimes.tasks.task import TASKS


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found in one frame.

    Attributes:
        frame: the frame itself.
        mask: ``uint8 (H, W)`` on the frame's own grid, the class of each pixel: :mod:`fetaledge_runtimes.tasks.task`.
        status: ``ok``, or why nothing should be read off it: :func:`fetaledge_runtimes.tasks.head.head_status`, and for
            ``ps-fh`` :func:`fetaledge_runtimes.tasks.ps_fh.measure_progression`.
        ellipse: second-moment ellipse of the mask, in pixels of the frame; None where the mask is empty, and for
            ``ps-fh``.
        measures: in mm, whatever the status; None without a spacing or a mask, and for ``ps-fh``.
        latency_ms: ``preprocess``, ``kernel`` (the engine's call alone), ``postprocess`` (mask, ellipse, measures,
            status) and ``end_to_end``, from the decoded frame to the measures.
        progression: angle of progression and its construction; None for ``head``.
    """

    frame: Frame
    mask: Image
    status: str
    ellipse: Ellipse | None
    measures: HeadMeasures | None
    latency_ms: dict[str, float]
    progression: Progression | None = None


def interpret(frame: Frame, logits: Logits, task: str, grid: tuple[int, int] | None = None) -> Prediction:
    """What the network's logits ``float32 (C, h, w)`` say of a frame; its ``latency_ms`` is empty.

    ``grid``: as in :func:`fetaledge_runtimes.postprocess.mask_from_logits`.
    """
    mask = mask_from_logits(logits, frame.pixels.shape, grid)
    if task == "ps-fh":
        progression = measure_progression(mask, frame.pixel_mm)
        return Prediction(frame, mask, progression.status, None, None, {}, progression)
    ellipse = from_mask(mask)
    spacing = frame.pixel_mm
    measures = None if ellipse is None or spacing is None else measure_ellipse(ellipse, spacing)
    return Prediction(frame, mask, head_status(mask, ellipse, spacing), ellipse, measures, {})


class Predictor:
    """One model, ready to run.

    Attributes:
        engine: what executes the model.
        size: (height, width) of the network's grid.
        task: ``head`` or ``ps-fh``.
        variant_name: the variant's name in the bundle, or the engine's name where there is no bundle.
        nearest: whether classes are decided on the network's grid: :meth:`from_engine`.
    """

    engine: Engine
    size: tuple[int, int]
    task: str
    variant_name: str
    nearest: bool

    def __init__(self, bundle: Bundle, variant: str | None = None, threads: int = 1) -> None:
        """Open a variant; without a name, the first whose engine is installed.

        OpenCV gets the same number of threads, for the whole process.

        Raises:
            UsageError: no such variant, or ``threads`` is below 1.
            EngineMissing: its engine is not installed.
            InputError: the engine cannot load the file.
            BundleError: the bundle is for a task that this version does not know.
        """
        if threads < 1:
            raise UsageError(f"{threads} threads were asked for", "give 1 or more")
        manifest = bundle.manifest
        if manifest.task not in TASKS:
            raise BundleError(
                f"{bundle.folder} is for the task {manifest.task!r}", f"this version knows {', '.join(TASKS)}"
            )
        chosen = bundle.variant(variant)
        cv2.setNumThreads(threads)
        engine = open_engine(chosen.format, bundle.model_path(chosen), threads)
        self._set(engine, (manifest.input.height, manifest.input.width), manifest.task, chosen.name)

    @classmethod
    def from_engine(cls, engine: Engine, size: tuple[int, int], task: str = "head", nearest: bool = False) -> Predictor:
        """A predictor around any engine, without a bundle; ``size`` = (height, width) that the engine takes.

        With ``nearest`` the classes are decided at ``size`` and taken to the frame by the nearest neighbour, as the
        LoRA-tuned SAM was published: for comparison only, the default is finer.
        """
        predictor = cls.__new__(cls)
        predictor._set(engine, size, task, engine.name, nearest)
        return predictor

    def _set(self, engine: Engine, size: tuple[int, int], task: str, variant_name: str, nearest: bool = False) -> None:
        self.engine, self.size, self.task, self.variant_name = engine, size, task, variant_name
        self.nearest = nearest

    def logits(self, frame: Frame) -> Logits:
        """Logits ``float32 (C, h, w)`` of the resized frame."""
        return self.engine(resize(frame.pixels, self.size))

    def __call__(self, frame: Frame) -> Prediction:
        """Segment and measure one frame."""
        times = [perf_counter_ns()]
        pixels = resize(frame.pixels, self.size)
        times.append(perf_counter_ns())
        logits = self.engine(pixels)
        times.append(perf_counter_ns())
        prediction = interpret(frame, logits, self.task, self.size if self.nearest else None)
        times.append(perf_counter_ns())
        spans = [(end - start) / 1e6 for start, end in pairwise(times)]
        latency_ms = {
            "preprocess": spans[0],
            "kernel": spans[1],
            "postprocess": spans[2],
            "end_to_end": (times[-1] - times[0]) / 1e6,
        }
        return replace(prediction, latency_ms=latency_ms)
