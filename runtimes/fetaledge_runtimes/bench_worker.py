"""One process's share of a benchmark: predict every frame once, then time, and say what it took."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
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

SCHEMA = "fetaledge/samples/1"


def answer(options: argparse.Namespace, load: Callable[[], tuple[Predictor, Sequence[Path]]]) -> None:
    """Print what :func:`bench_command` gives for a worker's command line.

    Args:
        options: ``frames``, ``threads``, ``samples``, ``warmup``, ``masks``.
        load: opens the model, and is timed; its predictor and its files.
    """
    frames = list(read_frames(options.frames))
    start = time.perf_counter()
    predictor, model_files = load()
    load_ms = (time.perf_counter() - start) * 1000
    document = bench_command(
        predictor,
        load_ms,
        frames,
        threads=options.threads,
        samples=options.samples,
        warmup=options.warmup,
        model_files=model_files,
        masks=options.masks,
    )
    print(json.dumps(document, allow_nan=False))


def bench_command(
    predictor: Predictor,
    load_ms: float,
    frames: Sequence[Frame],
    *,
    threads: int,
    samples: int,
    warmup: int,
    model_files: Sequence[Path],
    masks: Path | None = None,
) -> dict[str, Any]:
    """The document ``fetaledge/samples/1``: raw samples, and what was predicted for each frame.

    Every frame is predicted once before the timing: the caches are warm then, and the accuracy belongs to this very
    engine. With ``samples`` 0 only that is done.

    Args:
        load_ms: how long opening the model took.
        model_files: the variant's files, for ``file_mb``.
        masks: a folder for ``<stem>.png`` masks of the frames' own size, pixel value = class.

    Raises:
        InputError: no frames.
        OutputError: a mask cannot be written.
    """
    if not frames:
        raise InputError("there is no frame to predict", "name a folder with PNG frames")
    predictions = []
    for frame in frames:
        prediction = predictor(frame)
        predictions.append(_entry(prediction))
        if masks is not None:
            write_mask(masks / f"{Path(frame.source).stem}.png", prediction.mask)
    timed = bench(predictor, frames, samples, warmup if samples else 0)
    return {
        "schema": SCHEMA,
        "variant": predictor.variant_name,
        "engine": predictor.engine.name,
        "engine_version": predictor.engine.version,
        "threads": threads,
        "load_ms": load_ms,
        **timed,
        "peak_rss_mb": peak_rss_mb(),
        "file_mb": sum(path.stat().st_size for path in model_files) / 1e6,
        "predictions": predictions,
    }


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


STAGES = ("preprocess", "kernel", "postprocess", "end_to_end")


def bench(predictor: Predictor, frames: Sequence[Frame], samples: int, warmup: int) -> dict[str, list[float]]:
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


def percentiles(samples_ms: Sequence[float]) -> dict[str, float]:
    """``n``, ``min``, ``p50``, ``p90``, ``p95``, ``p99`` and ``mean`` of raw samples (linear interpolation).

    Raises:
        ValueError: there are no samples.
    """
    if not samples_ms:
        raise ValueError("no samples")
    p50, p90, p95, p99 = (float(value) for value in np.percentile(samples_ms, [50, 90, 95, 99]))
    return {
        "n": len(samples_ms),
        "min": float(min(samples_ms)),
        "p50": p50,
        "p90": p90,
        "p95": p95,
        "p99": p99,
        "mean": float(np.mean(samples_ms)),
    }


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
