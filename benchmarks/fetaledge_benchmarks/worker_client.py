"""A worker: one fresh process that loads a model and takes samples. Its command line and its result."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fetaledge_benchmarks.plan import Row
from fetaledge_devices.targets.base import Target
from fetaledge_devices.targets.failure_text import failure_text, redact
from fetaledge_runtimes.bench_worker import Samples
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.records import from_json

SERIES = ("kernel_ms", "end_to_end_ms", "preprocess_ms", "postprocess_ms")


class WorkerFailed(Exception):
    """A worker crashed, hung, or printed something else than the protocol's document; the text says which."""


@dataclass(frozen=True)
class WorkerResult:
    """Measurements of one worker.

    Attributes:
        engine_version: of the engine that ran.
        load_ms: time to open the model.
        peak_rss_mb: largest resident set, 10⁶ bytes.
        file_mb: size of the model's files, 10⁶ bytes.
        series: name of :data:`SERIES` -> ms, one value a sample; a native runner fills ``kernel_ms`` alone.
    """

    engine_version: str
    load_ms: float
    peak_rss_mb: float
    file_mb: float
    series: dict[str, tuple[float, ...]]


def run_worker(
    target: Target,
    row: Row,
    *,
    frames: str,
    samples: int,
    warmup: int,
    timeout_s: float,
    masks: str | None = None,
    hidden: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> WorkerResult:
    """Run one process of a row on the target.

    Args:
        target: the machine.
        row: gives the command and the thread count.
        frames: the folder with the frames on the target.
        samples: timed predictions; 0: predict every frame once.
        warmup: predictions before the timed ones.
        timeout_s: the process is ended after it.
        masks: the folder on the target for the masks; None: write none.
        hidden: path that an error's text may hold -> its replacement.
        prefix: start of the command line.

    Raises:
        WorkerFailed: it crashed, hung, or its output is not of the protocol.
        TargetError: the target was lost.
    """
    command = [*prefix, *row.command, "--frames", frames, "--threads", str(row.threads)]
    command += ["--samples", str(samples), "--warmup", str(warmup)]
    if masks is not None:
        command += ["--masks", masks]
    try:
        completed = target.run(command, timeout_s)
    except TimeoutError as error:
        raise WorkerFailed(f"the worker {error}") from None
    if completed.returncode != 0:
        raise WorkerFailed(redact(failure_text(completed), hidden or {}))
    return parse_result(completed.stdout, samples)


def parse_result(text: str, samples: int) -> WorkerResult:
    """Read the result from a worker's standard output.

    Raises:
        WorkerFailed: it is not the protocol's document, has another number of samples than ``samples``, or a value that
            is no time.
    """
    try:
        given = from_json(json.loads(text, parse_constant=_refuse_constant), Samples, "the worker's output")
        series = {name: tuple(map(_time, getattr(given, name) or ())) for name in SERIES}
        result = WorkerResult(
            engine_version=given.engine_version,
            load_ms=_time(given.load_ms),
            peak_rss_mb=_time(given.peak_rss_mb),
            file_mb=_time(given.file_mb),
            series=series,
        )
    except InputError as error:
        raise WorkerFailed(error.message) from None
    except ValueError as error:
        raise WorkerFailed(f"the worker's output cannot be read: {error}") from None
    for name, values in series.items():
        if len(values) != samples and getattr(given, name) is not None:
            raise WorkerFailed(f"the worker gave {len(values)} {name} samples where {samples} were asked for")
    return result


def _time(value: float) -> float:
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{value} is no time or size")
    return round(value, 4)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
