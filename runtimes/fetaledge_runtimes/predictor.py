"""From a frame to a mask, a status and measures."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter_ns

import cv2

from fetaledge_runtimes.biometry import HeadMeasures, head_status, measure_ellipse
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.ellipse import Ellipse, from_mask
from fetaledge_runtimes.engines import open_engine
from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.errors import BundleError, UsageError
from fetaledge_runtimes.frame import Frame, Image, Logits
from fetaledge_runtimes.postprocess import mask_from_logits
from fetaledge_runtimes.preprocess import resize

TASKS = ("head",)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found in one frame.

    Attributes:
        frame: the frame itself.
        mask: ``uint8 (H, W)`` on the frame's own grid: 0 background, 1 head.
        status: ``ok``, or why no millimetre should be read off it: :func:`fetaledge_runtimes.biometry.head_status`.
        ellipse: second-moment ellipse of the mask, in pixels of the frame; None where the mask is empty.
        measures: in mm, whatever the status; None without a spacing or a mask.
        latency_ms: ``preprocess``, ``kernel`` (the engine's call alone), ``postprocess`` (mask, ellipse, measures,
            status) and ``end_to_end``, from the decoded frame to the measures.
    """

    frame: Frame
    mask: Image
    status: str
    ellipse: Ellipse | None
    measures: HeadMeasures | None
    latency_ms: dict[str, float]


class Predictor:
    """One model, ready to run.

    Attributes:
        engine: what executes the model.
        size: (height, width) of the network's grid.
        task: ``head``.
        variant_name: the variant's name in the bundle, or the engine's name where there is no bundle.
    """

    engine: Engine
    size: tuple[int, int]
    task: str
    variant_name: str

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
    def from_engine(cls, engine: Engine, size: tuple[int, int], task: str = "head") -> Predictor:
        """A predictor around any engine, without a bundle; ``size`` = (height, width) that the engine takes."""
        predictor = cls.__new__(cls)
        predictor._set(engine, size, task, engine.name)
        return predictor

    def _set(self, engine: Engine, size: tuple[int, int], task: str, variant_name: str) -> None:
        self.engine, self.size, self.task, self.variant_name = engine, size, task, variant_name

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
        mask = mask_from_logits(logits, frame.pixels.shape)
        ellipse = from_mask(mask)
        known = ellipse is not None and frame.pixel_mm is not None
        measures = measure_ellipse(ellipse, frame.pixel_mm) if known else None  # type: ignore[arg-type]
        status = head_status(mask, ellipse, frame.pixel_mm)
        times.append(perf_counter_ns())
        spans = [(end - start) / 1e6 for start, end in pairwise(times)]
        latency_ms = {
            "preprocess": spans[0],
            "kernel": spans[1],
            "postprocess": spans[2],
            "end_to_end": (times[-1] - times[0]) / 1e6,
        }
        return Prediction(frame, mask, status, ellipse, measures, latency_ms)
