"""A variant's numbers against PyTorch's, at the image embedding and at the logits, and the time of either part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np
from torch import nn

from fetaledge_export.conversion import Conversion, WatchedEngine
from fetaledge_export.device_model import DecoderAlone, DeviceModel, Encoder, EncoderAlone
from fetaledge_export.torch_engine import TorchEngine
from fetaledge_runtimes.engines.base import Engine
from fetaledge_runtimes.engines.registry import engine_class
from fetaledge_runtimes.frames.frame import Image, Logits

FRAMES = 2
REPEATS = 5
LARGEST_FP32 = 1e-3


@dataclass(frozen=True)
class Difference:
    """The largest absolute difference, and that over the largest absolute value that PyTorch gave."""

    max_abs: float
    max_rel: float

    @classmethod
    def between(cls, given: Sequence[Logits], expected: Sequence[Logits]) -> Difference:
        largest = max(float(np.abs(g - e).max()) for g, e in zip(given, expected, strict=True))
        return cls(largest, largest / max(float(np.abs(e).max()) for e in expected))


@dataclass(frozen=True)
class Parity:
    """One variant on the first validation frames.

    Attributes:
        frames: how many.
        logits: of the whole model.
        embedding: of the image encoder alone; None for a network of one part, as the next.
        parts_ms: the fastest of :data:`REPEATS` calls of ``encoder``, ``decoder`` and ``whole``, each a model of its
            own in the variant's engine, and the ``threads`` it had.
    """

    frames: int
    logits: Difference
    embedding: Difference | None = None
    parts_ms: dict[str, float] | None = None

    def refusals(self, precision: str) -> tuple[str, ...]:
        """Why fp32 is not what PyTorch computes; empty where it is, and for other precisions."""
        found = {"logits": self.logits, "image embedding": self.embedding} if precision == "fp32" else {}
        return tuple(
            f"the {name} differ from PyTorch's by {difference.max_rel:.1e} of the largest, {LARGEST_FP32:g} allowed"
            for name, difference in found.items()
            if difference is not None and not difference.max_rel <= LARGEST_FP32
        )

    def to_json(self) -> dict[str, Any]:
        differences = {"embedding": self.embedding, "logits": self.logits}
        return {
            "frames": self.frames,
            **{name: None if difference is None else asdict(difference) for name, difference in differences.items()},
        }


class ParityCheck:
    """What PyTorch gives on a few frames, and the work folders of the parts' own models.

    Args:
        network: as trained; ``model``: the same as a device runs it; ``engine``: around ``network``, with its threads.
        frames: ``uint8 (H, W)`` at the network's size.
        conversion: makes the parts' own models.
    """

    def __init__(
        self,
        network: nn.Module,
        model: DeviceModel,
        engine: TorchEngine,
        frames: Sequence[Image],
        conversion: Conversion,
    ) -> None:
        self.frames = frames[:FRAMES]
        self.threads = engine.threads
        self.conversion = conversion
        self.logits = [engine(pixels) for pixels in self.frames]
        self.embeddings: list[Logits] = []
        self.parts: dict[str, tuple[nn.Module, tuple[int, int]]] = {}
        if model.encoder is not None:
            encoder = TorchEngine(Encoder(network), model.scale, model.offset, engine.threads)
            self.embeddings = [encoder(pixels) for pixels in self.frames]
            depth, height, width = self.embeddings[0].shape
            size = (self.frames[0].shape[0], self.frames[0].shape[1])
            self.parts["encoder"] = (EncoderAlone(model), size)
            self.parts["decoder"] = (DecoderAlone(model, (depth, height, width)), (depth, height * width))

    def __call__(self, whole: Engine, variant: str, calibration: Sequence[Image]) -> Parity:
        """Compare the engine of ``variant``, and time the parts of a network in two.

        Raises:
            StepFailed: a part cannot be converted, or does not run.
        """
        logits = Difference.between([whole(pixels) for pixels in self.frames], self.logits)
        if not self.parts:
            return Parity(len(self.frames), logits)
        times = {"whole": fastest_ms(whole, self.frames[0])}
        embedding = None
        format_name, _, precision = variant.rpartition("-")
        for name, (model, size) in self.parts.items():
            base = self.conversion.convert(variant, model, size, name)
            stored = "fp32" if (name, precision) == ("decoder", "int8") else precision
            path = self.conversion.work / name / f"{precision}{engine_class(format_name).suffix}"
            files = self.conversion.write(variant, base, path, calibration, {}, stored)
            engine = WatchedEngine.open(format_name, files[0], self.threads)
            if name == "encoder":
                embedding = Difference.between([engine(pixels) for pixels in self.frames], self.embeddings)
                times[name] = fastest_ms(engine, self.frames[0])
            else:
                times[name] = fastest_ms(engine, _as_frame(self.embeddings[0]))
            for file in files:
                file.unlink()
        return Parity(len(self.frames), logits, embedding, {**times, "threads": self.threads})


def fastest_ms(engine: Engine, pixels: Image) -> float:
    """Of :data:`REPEATS` calls, after one that is not counted."""
    engine(pixels)
    times = []
    for _ in range(REPEATS):
        start = perf_counter()
        engine(pixels)
        times.append((perf_counter() - start) * 1000)
    return round(min(times), 3)


def _as_frame(embedding: Logits) -> Image:
    """An embedding ``(D, h, w)`` as :class:`fetaledge_export.device_model.DecoderAlone` takes it."""
    scaled = embedding / np.abs(embedding).max() * 127.5 + 127.5
    frame: Image = np.rint(scaled).astype(np.uint8).reshape(len(embedding), -1)
    return frame
