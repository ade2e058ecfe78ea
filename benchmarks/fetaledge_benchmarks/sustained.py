"""Sustained runs: latency over time, which heat changes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from statistics import median

from fetaledge_benchmarks.row_measurement import Measurement, SustainedSample
from fetaledge_benchmarks.target_session import TargetSession
from fetaledge_benchmarks.worker_client import WorkerFailed

SUSTAINED_SAMPLES = 20
SUSTAINED_PROCESS_S = 30.0
"""How long a process is kept busy: long against its start, in which the device cools."""


def sustain(
    session: TargetSession, measurements: Sequence[Measurement], minutes: float, cool_down_s: float | None, frames: str
) -> None:
    """Keep each timed row busy for ``minutes``, process after process, and note its latency over time.

    Args:
        session: of the target.
        measurements: of the rows; the results are added to them.
        minutes: for each row.
        cool_down_s: longest wait in seconds before each row; None: no wait.
        frames: the folder with the timing frames on the target.
    """
    process_s = min(SUSTAINED_PROCESS_S, 60 * minutes / 6)
    for measurement in measurements:
        if not measurement.timed:
            continue
        frame_ms = measurement.series("end_to_end_ms") or measurement.series("kernel_ms")
        samples = max(SUSTAINED_SAMPLES, math.ceil(1000 * process_s / median(frame_ms)))
        measurement.sustained_from = session.wait_until_cool(cool_down_s)
        start = time.monotonic()
        while (at_s := time.monotonic() - start) < 60 * minutes:
            session.progress(f"sustained: {measurement.row.label}, minute {at_s / 60:.1f} of {minutes:g}")
            try:
                result = session.take_samples(measurement, frames, samples, 0)
            except WorkerFailed as failure:
                measurement.sustained_failure = str(failure)
                break
            kernel_ms = result.series["kernel_ms"]
            busy_s = sum(result.series["end_to_end_ms"] or kernel_ms) / 1000
            took_s = time.monotonic() - start - at_s
            measurement.sustained.append(SustainedSample(at_s, kernel_ms, busy_s / took_s, session.conditions()))
