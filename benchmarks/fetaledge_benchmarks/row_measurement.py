"""State of one benchmark row while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from fetaledge_benchmarks.mask_agreement import Agreement
from fetaledge_benchmarks.plan import Row
from fetaledge_benchmarks.record import ToolTimes
from fetaledge_benchmarks.worker_client import WorkerResult
from fetaledge_devices.facts.cores import cpu_mask
from fetaledge_devices.facts.model import Conditions
from fetaledge_runtimes.scores.case import CaseScore


@dataclass(frozen=True)
class SustainedSample:
    """One process of a sustained run.

    Attributes:
        at_s: its start, in seconds after that of the first.
        kernel_ms: the engine's call alone, one value a prediction.
        busy: the part of its time spent predicting; the rest was start, load and transfer.
        conditions: the target's state after it.
    """

    at_s: float
    kernel_ms: tuple[float, ...]
    busy: float
    conditions: Conditions


@dataclass
class Measurement:
    """The results of one row so far.

    Attributes:
        row: the model and its thread count.
        results: of its timed processes, one a round.
        conditions: the target's state before and after each of them.
        scores: of its masks against the labels, one a frame.
        failure: the sentence why it failed; None: it did not.
        pinned: the cores that its processes are held to; empty: all.
        accuracy_result: of the process that predicted every frame, for the engine's version.
        agreement: with the masks of the same model on this machine.
        sustained: the processes of its sustained run.
        sustained_from: the target's state before that run.
        sustained_failure: the sentence why that run ended early; None: it did not.
        benchmark_model: times of Google's ``benchmark_model``; None: not asked.
        interruptions: how often the connection dropped while it was measured.
    """

    row: Row
    results: list[WorkerResult] = field(default_factory=list)
    conditions: list[Conditions] = field(default_factory=list)
    scores: tuple[CaseScore, ...] | None = None
    failure: str | None = None
    pinned: tuple[int, ...] = ()
    accuracy_result: WorkerResult | None = None
    agreement: Agreement | None = None
    sustained: list[SustainedSample] = field(default_factory=list)
    sustained_from: Conditions | None = None
    sustained_failure: str | None = None
    benchmark_model: ToolTimes | None = None
    interruptions: int = 0

    def series(self, name: str) -> list[float]:
        """All samples of one of the worker's series, round after round, in ms; empty where it was not measured."""
        return [value for result in self.results for value in result.series[name]]

    @property
    def prefix(self) -> tuple[str, ...]:
        """The start of the row's command line, which holds it to its cores."""
        return ("taskset", cpu_mask(self.pinned)) if self.pinned else ()

    @property
    def timed(self) -> bool:
        """Whether the row has samples and did not fail."""
        return any(result.series["kernel_ms"] for result in self.results) and self.failure is None

    @property
    def engine_version(self) -> str | None:
        """Version of the engine that ran; None where nothing ran."""
        results = [*self.results, *([self.accuracy_result] if self.accuracy_result else [])]
        return results[0].engine_version if results else None
