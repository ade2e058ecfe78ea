"""What gathers about one row while a benchmark runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fetaledge_benchmarks.mask_agreement import Agreement
from fetaledge_benchmarks.plan import Row
from fetaledge_benchmarks.worker_client import Answer
from fetaledge_devices.facts.cores import cpu_mask
from fetaledge_devices.facts.model import Conditions
from fetaledge_runtimes.scores.case import CaseScore


@dataclass(frozen=True)
class Moment:
    """One process of a sustained run.

    Attributes:
        at_s: when it began, seconds after the first.
        busy: the share of its time that it predicted in; the rest was start, load and the way there.
        conditions: how the target was after it.
    """

    at_s: float
    kernel_ms: tuple[float, ...]
    busy: float
    conditions: Conditions


@dataclass
class Measurement:
    """A row's answers (one a round), the conditions around each, its masks' scores, or why it failed.

    Attributes:
        pinned: the cores that its processes are held to; empty: all.
        answer_of_accuracy: what the process answered that predicted every frame, for the engine's version.
        agreement: with the same model on this machine.
        googles_tool: what Google's ``benchmark_model`` said of the same model, in ms, or why it did not.
        interruptions: how often the connection dropped while it was measured.
    """

    row: Row
    answers: list[Answer] = field(default_factory=list)
    conditions: list[Conditions] = field(default_factory=list)
    scores: tuple[CaseScore, ...] | None = None
    failure: str | None = None
    pinned: tuple[int, ...] = ()
    answer_of_accuracy: Answer | None = None
    agreement: Agreement | None = None
    sustained: list[Moment] = field(default_factory=list)
    sustained_from: Conditions | None = None
    sustained_failure: str | None = None
    googles_tool: dict[str, Any] | None = None
    interruptions: int = 0

    def series(self, name: str) -> list[float]:
        """All samples of one of the worker's series, round after round, in ms; empty where it was not measured."""
        return [value for answer in self.answers for value in answer.series[name]]

    @property
    def prefix(self) -> tuple[str, ...]:
        """What starts the row's command there, to hold it to its cores."""
        return ("taskset", cpu_mask(self.pinned)) if self.pinned else ()

    @property
    def timed(self) -> bool:
        return any(answer.series["kernel_ms"] for answer in self.answers) and self.failure is None

    @property
    def engine_version(self) -> str | None:
        answers = [*self.answers, *([self.answer_of_accuracy] if self.answer_of_accuracy else [])]
        return answers[0].engine_version if answers else None
