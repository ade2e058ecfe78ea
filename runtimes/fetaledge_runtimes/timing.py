"""Latency of a predictor, and the memory of this process."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from fetaledge_runtimes.frame import Frame
from fetaledge_runtimes.predictor import Predictor

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
