"""The document ``fetaledge/benchmark/1``: every measurement with its raw values, and whether it is valid.

A value is null where it was not measured. Sizes are in MB (10⁶ bytes), times in ms.
"""

from __future__ import annotations

from typing import Any

from fetaledge_devices.facts.model import Clocks, Conditions, Machine
from fetaledge_runtimes.bench_worker import Percentiles
from fetaledge_runtimes.notice import NOTICE
from fetaledge_runtimes.records import Document, Part

Numbers = dict[str, int | float | None]
"""Values by key, some of them a task's measures (``hc_mae_mm``)."""


class Device(Part, kw_only=True, frozen=True):
    """One target.

    Attributes:
        facts: of the machine; None: it could not be reached.
        emulated: whether its times say nothing about a device.
        before: its state before the first process.
        after: its state after the last.
        engines: package -> version there.
        refused: variant -> why it cannot be used there.
        order: the rows' labels in the order their processes ran, a list a round; None: no round was begun.
        interruptions: how often the connection dropped.
        notes: variant -> what is known or unusual about it there.
    """

    facts: Machine | None
    emulated: bool
    before: Conditions | None
    after: Conditions | None
    engines: dict[str, str]
    refused: dict[str, str]
    order: tuple[tuple[str, ...], ...] | None
    interruptions: int = 0
    notes: dict[str, tuple[str, ...]] = {}


class Model(Part, kw_only=True, frozen=True):
    """The bundle's network: its task, its grid (height, width), and the manifest that names its files."""

    task: str
    input: tuple[int, int]
    manifest_sha256: str
    fetaledge: str


class TimedFrame(Part, kw_only=True, frozen=True):
    """A frame that samples cycle through: name and (height, width)."""

    name: str
    size: tuple[int, int]


class Frames(Part, kw_only=True, frozen=True):
    """The data set: counts of frames and subjects, and the sentence that must go with scores on phantoms."""

    count: int
    subjects: int
    with_spacing: int
    synthetic: int
    note: str | None
    timing: tuple[TimedFrame, ...]


class Plan(Part, kw_only=True, frozen=True):
    """Samples of each row, rounds that they are spread over, warm-up of each process, seed of the rows' order."""

    samples: int
    rounds: int
    warmup: int
    seed: int


class Latency(Part, kw_only=True, frozen=True):
    """``kernel`` is the engine's call alone; ``end_to_end`` runs from the decoded frame to the measures."""

    kernel: Percentiles
    end_to_end: Percentiles | None


class Range(Part, kw_only=True, frozen=True):
    """The lowest and the highest of several values."""

    min: float
    max: float


class RawSamples(Part, kw_only=True, frozen=True):
    """All samples in ms, round after round; empty where it was not measured."""

    kernel: tuple[float, ...]
    end_to_end: tuple[float, ...]
    preprocess: tuple[float, ...]
    postprocess: tuple[float, ...]


class Round(Part, kw_only=True, frozen=True):
    """One timed process."""

    samples: int
    load_ms: float
    peak_rss_mb: float


class Moment(Percentiles, kw_only=True, frozen=True):
    """One process of a sustained run: its kernel latency, its start, its part spent predicting, the state after it."""

    at_s: float
    busy: float
    temperature_c: float | None
    clock_khz: Clocks | None
    throttled: int | None
    thermal_status: int | None


class Sustained(Part, kw_only=True, frozen=True):
    """A sustained run: the temperature at its start, its processes, and why it ended early."""

    started_at_c: float | None
    moments: tuple[Moment, ...]
    failure: str | None


class ToolTimes(Part, kw_only=True, frozen=True):
    """Times of Google's ``benchmark_model`` on random input, in ms; only newer builds give percentiles.

    Attributes:
        failure: why there are no times; None: there are.
        runs: number of timed runs.
        init_ms: time to open the model.
        first_ms: the first inference.
        warmup_ms: mean of the warm-up.
        mean_ms: mean of the timed runs.
        min_ms: the fastest of them.
        max_ms: the slowest.
        std_ms: their standard deviation.
        p5_ms: their 5th percentile.
        median_ms: their median.
        p95_ms: their 95th percentile.
        before: the phone's state before it.
        after: the phone's state after it.
    """

    failure: str | None = None
    runs: int | None = None
    init_ms: float | None = None
    first_ms: float | None = None
    warmup_ms: float | None = None
    mean_ms: float | None = None
    min_ms: float | None = None
    max_ms: float | None = None
    std_ms: float | None = None
    p5_ms: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None
    before: Conditions | None = None
    after: Conditions | None = None


class Result(Part, kw_only=True, frozen=True):
    """One row: a model at one thread count on one target.

    Attributes:
        target: address of the machine.
        variant: the model's name.
        engine: its engine's name.
        engine_version: None where nothing ran.
        threads: thread count.
        pinned: the cores that its processes were held to; None: all.
        emulated: whether an emulator ran it.
        reference: whether it is the reference that the others are compared with.
        valid: whether there is no reason against it.
        reasons: why it is not valid.
        notes: what could not be checked.
        latency_ms: summaries of its samples.
        engine_independent_ms: median of end to end minus kernel.
        load_ms: median over its processes.
        peak_rss_mb: the largest of its processes.
        file_mb: size of the model's files.
        accuracy: of its masks against the labels.
        against_fp32: change against the fp32 model that ``fp32`` names, frame by frame.
        against_local: agreement with the masks of the same model on the machine that drove the benchmark.
        speedup_over_torch: the reference's kernel p50 divided by its own.
        temperature_c: around its processes.
        samples_ms: every sample.
        rounds: its processes.
        benchmark_model: times of Google's program; None: not asked.
        interruptions: how often the connection dropped.
        sustained: its sustained run; None: there was none.
    """

    target: str
    variant: str
    engine: str
    engine_version: str | None
    threads: int
    pinned: tuple[int, ...] | None = None
    emulated: bool = False
    reference: bool
    valid: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()
    latency_ms: Latency | None
    engine_independent_ms: float | None
    load_ms: float | None
    peak_rss_mb: float | None
    file_mb: float | None
    accuracy: Numbers | None
    against_fp32: dict[str, Any] | None
    against_local: Numbers | None = None
    speedup_over_torch: float | None
    temperature_c: Range | None
    samples_ms: RawSamples
    rounds: tuple[Round, ...]
    benchmark_model: ToolTimes | None = None
    interruptions: int = 0
    sustained: Sustained | None = None


class BenchmarkRecord(Document, kw_only=True, frozen=True):
    """A benchmark: the bundle, the data set, the machines, and a result for each row.

    ``host`` is the machine that drove it, ``lost`` maps a target that dropped out to the reason, ``evaluations`` holds
    ``fetaledge/evaluation/1`` of each model; a device's goes by ``MODEL on TARGET``.
    """

    schema: str = "fetaledge/benchmark/1"
    created: str
    notice: str = NOTICE
    bundle: str
    data: str
    host: Machine
    devices: dict[str, Device]
    lost: dict[str, str] = {}
    model: Model
    frames: Frames
    plan: Plan
    results: tuple[Result, ...]
    evaluations: dict[str, dict[str, Any]]


def record_valid(record: BenchmarkRecord) -> bool:
    """Whether every row of a benchmark is valid."""
    return all(result.valid for result in record.results)
