"""One fresh process that loads a model and takes samples of it: its command line, and its answer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fetaledge_benchmarks.plan import Row
from fetaledge_devices.targets.base import Target
from fetaledge_devices.targets.failure_text import failure_text, redact
from fetaledge_runtimes.bench_worker import SCHEMA

SERIES = ("kernel_ms", "end_to_end_ms", "preprocess_ms", "postprocess_ms")


class WorkerFailed(Exception):
    """A worker that crashed, hung or did not answer in the protocol; the text says how."""


@dataclass(frozen=True)
class Answer:
    """What one worker measured: ``series`` by the names of :data:`SERIES`, in ms, one value per sample.

    A native runner measures ``kernel_ms`` alone; its other series are empty.
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
) -> Answer:
    """Run one process of a row on the target; ``frames`` and ``masks`` are places there.

    ``hidden`` maps machine paths to what stands for them in an error's text; ``prefix`` starts the command line.

    Raises:
        WorkerFailed: see there.
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
    return parse_answer(completed.stdout, samples)


def parse_answer(text: str, samples: int) -> Answer:
    """The answer in a worker's stdout.

    Raises:
        WorkerFailed: not the protocol's document, not as many samples as were asked for, or a value that is no time.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
        if document["schema"] != SCHEMA:
            raise WorkerFailed(f"the worker answered in the schema {document['schema']!r}, expected was {SCHEMA!r}")
        series = {name: tuple(_time(value) for value in document[name] or ()) for name in SERIES}
        unmeasured = {name for name in SERIES[1:] if document[name] is None}
        answer = Answer(
            engine_version=str(document["engine_version"]),
            load_ms=_time(document["load_ms"]),
            peak_rss_mb=_time(document["peak_rss_mb"]),
            file_mb=_time(document["file_mb"]),
            series=series,
        )
    except (ValueError, TypeError, KeyError) as error:
        raise WorkerFailed(f"the worker's answer cannot be read: {type(error).__name__} {error}") from None
    for name, values in series.items():
        if len(values) != samples and name not in unmeasured:
            raise WorkerFailed(f"the worker gave {len(values)} {name} samples where {samples} were asked for")
    return answer


def _time(value: Any) -> float:
    number = round(float(value), 4)
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"{value} is no time or size")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
