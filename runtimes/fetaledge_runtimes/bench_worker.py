"""Worker of a benchmark: one process that predicts every frame once, then takes timed samples."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.files import atomic_path
from fetaledge_runtimes.frames.frame import Frame, Image
from fetaledge_runtimes.frames.read import read_frames
from fetaledge_runtimes.predictor import Prediction, Predictor
from fetaledge_runtimes.records import Document, Part, to_json

SCHEMA = "fetaledge/samples/1"
STAGES = ("preprocess", "kernel", "postprocess", "end_to_end")
FEWEST_FOR_P99 = 200
"""Samples that a 99th percentile needs: below, it is little more than the largest of them."""


class Samples(Document, kw_only=True, frozen=True):
    """Result of one worker: what it took, and its prediction of each frame.

    Attributes:
        variant: the model's name.
        engine: its engine's name.
        engine_version: of that engine.
        threads: thread count of the engine and of OpenCV.
        load_ms: time to open the model.
        preprocess_ms: frame to the network's input, one value a sample; None: not measured.
        kernel_ms: the engine's call alone, one value a sample.
        postprocess_ms: logits to measures, one value a sample; None: not measured.
        end_to_end_ms: decoded frame to measures, one value a sample; None: not measured.
        peak_rss_mb: largest resident set, 10⁶ bytes.
        file_mb: size of the model's files, 10⁶ bytes.
        predictions: ``name``, ``status`` and ``values`` (the task's) of each frame; empty from a native runner.
        logits: (classes, rows, columns) of the files that a native runner wrote instead of masks.
    """

    schema: str = SCHEMA
    variant: str = ""
    engine: str = ""
    engine_version: str
    threads: int = 1
    load_ms: float
    preprocess_ms: tuple[float, ...] | None
    kernel_ms: tuple[float, ...]
    postprocess_ms: tuple[float, ...] | None
    end_to_end_ms: tuple[float, ...] | None
    peak_rss_mb: float
    file_mb: float
    predictions: tuple[dict[str, Any], ...] = ()
    logits: tuple[int, int, int] | None = None


class Percentiles(Part, kw_only=True, frozen=True):
    """Summary of raw samples in ms; ``p99`` is None below :data:`FEWEST_FOR_P99` of them."""

    n: int
    min: float
    p50: float
    p90: float
    p95: float
    p99: float | None
    mean: float


def answer(options: argparse.Namespace, load: Callable[[], tuple[Predictor, Sequence[Path]]]) -> None:
    """Run a worker's command line, and print its result as one JSON document.

    Args:
        options: ``frames``, ``threads``, ``samples``, ``warmup``, ``masks``.
        load: opens the model, and is timed; returns its predictor and its files.

    Raises:
        InputError: the frames cannot be read, or there are none.
        OutputError: a mask cannot be written.
    """
    frames = read_frames(options.frames)
    start = time.perf_counter()
    predictor, model_files = load()
    load_ms = (time.perf_counter() - start) * 1000
    samples = bench_command(
        predictor,
        load_ms,
        frames,
        threads=options.threads,
        samples=options.samples,
        warmup=options.warmup,
        model_files=model_files,
        masks=options.masks,
    )
    print(json.dumps(to_json(samples), allow_nan=False))


def bench_command(
    predictor: Predictor,
    load_ms: float,
    frames: Iterable[Frame],
    *,
    threads: int,
    samples: int,
    warmup: int,
    model_files: Sequence[Path],
    masks: Path | None = None,
) -> Samples:
    """Predict every frame once, then time the predictor over the first of them.

    The first pass warms the caches, and its accuracy belongs to this very engine. With ``samples`` 0 nothing is timed.
    Of the frames, only those that are timed are kept in memory.

    Args:
        predictor: the model.
        load_ms: time that opening it took.
        frames: read one after another.
        threads: OpenCV is held to it, as the engine is.
        samples: number of timed predictions.
        warmup: number of predictions before them.
        model_files: the variant's files, for ``file_mb``.
        masks: a folder for ``<stem>.png`` masks of the frames' own size, pixel value = class; None: write none.

    Raises:
        InputError: no frames.
        OutputError: a mask cannot be written.
    """
    cv2.setNumThreads(threads)
    warmup = warmup if samples else 0
    timed: list[Frame] = []
    predictions = []
    for frame in frames:
        prediction = predictor(frame)
        predictions.append(_entry(prediction))
        if masks is not None:
            write_mask(masks / f"{Path(frame.source).stem}.png", prediction.mask)
        if len(timed) < max(samples, warmup):
            timed.append(frame)
    if not predictions:
        raise InputError("there is no frame to predict", "name a folder with PNG frames")
    measured = bench(predictor, timed, samples, warmup) if samples else {f"{stage}_ms": () for stage in STAGES}
    return Samples(
        variant=predictor.variant_name,
        engine=predictor.engine.name,
        engine_version=predictor.engine.version,
        threads=threads,
        load_ms=load_ms,
        preprocess_ms=tuple(measured["preprocess_ms"]),
        kernel_ms=tuple(measured["kernel_ms"]),
        postprocess_ms=tuple(measured["postprocess_ms"]),
        end_to_end_ms=tuple(measured["end_to_end_ms"]),
        peak_rss_mb=peak_rss_mb(),
        file_mb=sum(path.stat().st_size for path in model_files) / 1e6,
        predictions=tuple(predictions),
    )


def write_mask(path: Path, mask: Image) -> None:
    """Write a mask as a lossless 8-bit PNG. Raises OutputError where that fails."""
    with atomic_path(path) as partial:
        partial.write_bytes(cv2.imencode(".png", mask)[1].tobytes())


def _entry(prediction: Prediction) -> dict[str, Any]:
    return {
        "name": Path(prediction.frame.source).stem,
        "status": prediction.status,
        "values": dict(prediction.measures),
    }


def bench(predictor: Predictor, frames: Sequence[Frame], samples: int, warmup: int) -> Mapping[str, Sequence[float]]:
    """Raw latencies in ms, one a sample, cycling through ``frames`` after ``warmup`` unmeasured predictions.

    Returns:
        ``preprocess_ms``, ``kernel_ms`` (the engine's call alone), ``postprocess_ms`` and ``end_to_end_ms`` (decoded
        frame to measures), each of ``samples`` values.

    Raises:
        ValueError: ``frames`` is empty, or a count is negative.
    """
    if not frames or samples < 0 or warmup < 0:
        raise ValueError("a benchmark needs frames and counts that are not negative")
    for frame in islice(cycle(frames), warmup):
        predictor(frame)
    measured = [predictor(frame).latency_ms for frame in islice(cycle(frames), samples)]
    return {f"{stage}_ms": [latency[stage] for latency in measured] for stage in STAGES}


def percentiles(samples_ms: Sequence[float]) -> Percentiles:
    """Summarise raw samples in ms, by linear interpolation.

    Raises:
        ValueError: there are no samples.
    """
    if not samples_ms:
        raise ValueError("no samples")
    p50, p90, p95, p99 = (float(value) for value in np.percentile(samples_ms, [50, 90, 95, 99]))
    return Percentiles(
        n=len(samples_ms),
        min=float(min(samples_ms)),
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99 if len(samples_ms) >= FEWEST_FOR_P99 else None,
        mean=float(np.mean(samples_ms)),
    )


def peak_rss_mb() -> float:
    """The largest resident set of this process so far, in MB (10^6 bytes).

    Read from ``/proc`` where there is one: ``ru_maxrss`` also remembers the parent's memory from before an exec.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
