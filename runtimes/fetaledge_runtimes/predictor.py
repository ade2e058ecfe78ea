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
from fetaledge_runtimes.frames.scan import Box
from fetaledge_runtimes.postprocess import labels_from_logits, largest_components, place, second_share
from fetaledge_runtimes.preprocess import network_input
from fetaledge_runtimes.tasks.registry import task_named
from fetaledge_runtimes.tasks.task import MIRRORED, UNSURE, Measured, Task
from fetaledge_runtimes.view.black import black_share
from fetaledge_runtimes.view.check import NO_CHECK, ViewCheck

NO_SCAN = "no-scan"
MIN_CONTRAST = 1.0
MAX_SECOND_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found in one frame.

    Attributes:
        frame: the frame itself.
        mask: ``uint8 (H, W)`` on the frame's own grid, the class of each pixel.
        measured: what the task read off the mask.
        latency_ms: ``preprocess``, ``kernel`` (the engine's call alone), ``postprocess`` (mask, measures, status) and
            ``end_to_end``, from the decoded frame to the measures.
        crop: the part of the frame that was segmented; None where that is the whole frame.
        quality: 0 to 1, how far the frame is from being withheld by the view check; None without a check.
    """

    frame: Frame
    mask: Image
    measured: Measured
    latency_ms: dict[str, float]
    crop: Box | None = None
    quality: float | None = None

    @property
    def status(self) -> str:
        """``ok``, or the one word that says why nothing should be read off."""
        return self.measured.status

    @property
    def measures(self) -> Mapping[str, float | None]:
        """Values by key, such as ``hc_mm``; None where there is none. Read them where ``status`` is ``ok``."""
        return self.measured.values


def interpret(
    frame: Frame, logits: Logits, task: Task, grid: tuple[int, int] | None = None, crop: Box | None = None
) -> Prediction:
    """What the network's logits ``float32 (C, h, w)`` say of a frame; its ``latency_ms`` is empty.

    Args:
        frame: the whole frame.
        logits: of the frame, or of its part ``crop``.
        task: what is measured.
        grid: as in :func:`fetaledge_runtimes.postprocess.labels_from_logits`.
        crop: the part of the frame that the network saw.
    """
    seen = frame.pixels if crop is None else crop.cut(frame.pixels)
    labels = labels_from_logits(logits, seen.shape, grid)
    mask = largest_components(labels, max(len(logits), 2))
    measured = task.measure(mask, frame.pixel_mm)
    for label, status in task.single.items():
        if second_share((labels == label).astype(np.uint8)) > MAX_SECOND_SHARE:
            measured = replace(measured, status=status)
    if crop is not None:
        mask = place(mask, frame.pixels.shape, crop)
        measured = replace(task.measure(mask, frame.pixel_mm), status=measured.status)
    return Prediction(frame, mask, measured, {}, crop)


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
        view: tells frames that the model was not made for; None where the bundle has no such check.
    """

    engine: Engine
    size: tuple[int, int]
    task: Task
    variant_name: str
    nearest: bool
    view: ViewCheck | None

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
        engine = open_engine(chosen.format, bundle.model_path(chosen), threads, chosen.engine_oldest)
        view = None if manifest.view is None else ViewCheck.read(bundle.folder / manifest.view)
        self._set(engine, (manifest.input.height, manifest.input.width), task, chosen.name, view=view)

    @classmethod
    def from_engine(cls, engine: Engine, size: tuple[int, int], task: Task, nearest: bool = False) -> Predictor:
        """A predictor around any engine, without a bundle; ``size`` = (height, width) that the engine takes.

        With ``nearest`` the classes are decided at ``size`` and taken to the frame by the nearest neighbour, as the
        LoRA-tuned SAM was published: for comparison only, the default is finer.
        """
        predictor = cls.__new__(cls)
        predictor._set(engine, size, task, engine.name, nearest)
        return predictor

    def _set(
        self,
        engine: Engine,
        size: tuple[int, int],
        task: Task,
        variant_name: str,
        nearest: bool = False,
        view: ViewCheck | None = None,
    ) -> None:
        self.engine, self.size, self.task, self.variant_name = engine, size, task, variant_name
        self.nearest, self.view = nearest, view

    @property
    def view_remark(self) -> str | None:
        """A sentence for people where frames of other views could be told apart, and are not."""
        return NO_CHECK if self.view is None and self.task.other_view is not None else None

    def logits(self, frame: Frame) -> Logits:
        """Logits ``float32 (C, h, w)`` of the scan in a frame."""
        return self.engine(network_input(frame.pixels, self.size)[0])

    def __call__(self, frame: Frame, orientation: str | None = None) -> Prediction:
        """Segment and measure one frame.

        Args:
            frame: of any size.
            orientation: ``standard`` or ``mirrored``: then the frame's mirror image is segmented and measured, and
                mask and construction are turned back onto the frame's own grid. Without it the view check says whether
                a frame is mirrored; without a check it is taken for standard.

        Raises:
            UsageError: an orientation that there is not, or any for a task that has none.
        """
        self.task.check_orientation(orientation)
        times = [perf_counter_ns()]
        seen = _mirror_image(frame) if orientation == MIRRORED else frame
        pixels, crop = network_input(seen.pixels, self.size)
        times.append(perf_counter_ns())
        logits = self.engine(pixels)
        times.append(perf_counter_ns())
        prediction = interpret(seen, logits, self.task, self.size if self.nearest else None, crop)
        prediction = self._judged(prediction, pixels, logits, orientation)
        if orientation == MIRRORED:
            measured = self.task.mirror(prediction.measured, frame.pixels.shape[1])
            crop = None if crop is None else crop.flipped(frame.pixels.shape[1])
            prediction = replace(prediction, frame=frame, mask=_flip(prediction.mask), measured=measured, crop=crop)
        times.append(perf_counter_ns())
        spans = [(end - start) / 1e6 for start, end in pairwise(times)]
        latency_ms = {
            "preprocess": spans[0],
            "kernel": spans[1],
            "postprocess": spans[2],
            "end_to_end": (times[-1] - times[0]) / 1e6,
        }
        return replace(prediction, latency_ms=latency_ms)

    def _judged(self, prediction: Prediction, pixels: Image, logits: Logits, orientation: str | None) -> Prediction:
        """The prediction with the view check's status.

        What the user says of the orientation goes before it, and so does a second structure, which says more.
        """
        if pixels.std() < MIN_CONTRAST:
            return replace(prediction, measured=replace(prediction.measured, status=NO_SCAN))
        if self._partly_black(prediction, pixels):
            prediction = replace(prediction, measured=replace(prediction.measured, status=UNSURE))
        known = None if self.view is None else self.view(pixels, logits, skipped=(MIRRORED,) if orientation else ())
        if known is None:
            return prediction
        measured = prediction.measured
        if known.status is not None and measured.status not in self.task.single.values():
            measured = replace(measured, status=known.status)
        return replace(prediction, measured=measured, quality=known.quality)

    def _partly_black(self, prediction: Prediction, pixels: Image) -> bool:
        """Whether too much of what is measured lies where the frame shows nothing."""
        if self.task.max_black_share >= 1 or prediction.status != "ok":
            return False
        mask = prediction.mask if prediction.crop is None else prediction.crop.cut(prediction.mask)
        return black_share(pixels, mask) > self.task.max_black_share
