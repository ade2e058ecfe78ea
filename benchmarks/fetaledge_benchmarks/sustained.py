"""Sustained runs: latency over time, which heat changes."""

from __future__ import annotations

import math
import time
from statistics import median

from fetaledge_benchmarks.row_measurement import Moment
from fetaledge_benchmarks.target_session import Share
from fetaledge_benchmarks.worker_client import WorkerFailed

SUSTAINED_SAMPLES = 20
SUSTAINED_PROCESS_S = 30.0
"""How long a process is kept busy: long against its start, in which the device cools."""


def sustain(share: Share, minutes: float, cool_down_s: float | None, timing: str) -> None:
    """Let each row run on for so long, process after process, each kept busy: latency over time."""
    process_s = min(SUSTAINED_PROCESS_S, 60 * minutes / 6)
    for measurement in share.measurements:
        if not measurement.timed:
            continue
        whole_ms = measurement.series("end_to_end_ms") or measurement.series("kernel_ms")
        samples = max(SUSTAINED_SAMPLES, math.ceil(1000 * process_s / median(whole_ms)))
        measurement.sustained_from = share.cooled(cool_down_s)
        start = time.monotonic()
        while (at_s := time.monotonic() - start) < 60 * minutes:
            share.progress(f"sustained: {measurement.row.label}, minute {at_s / 60:.1f} of {minutes:g}")
            try:
                answer = share.sampled(measurement, timing, samples, 0)
            except WorkerFailed as failure:
                measurement.sustained_failure = str(failure)
                break
            kernel_ms = answer.series["kernel_ms"]
            busy_s = sum(answer.series["end_to_end_ms"] or kernel_ms) / 1000
            took_s = time.monotonic() - start - at_s
            measurement.sustained.append(Moment(at_s, kernel_ms, busy_s / took_s, share.conditions()))
