"""Remarks on a target's measurements that are in no table, for a terminal and a page alike."""

from __future__ import annotations

from collections.abc import Sequence

from fetaledge_benchmarks.plan import threads_text
from fetaledge_benchmarks.record import BenchmarkRecord, Result, Sustained, ToolTimes
from fetaledge_benchmarks.report.tables import milliseconds


def remarks(record: BenchmarkRecord, target: str) -> list[str]:
    """Sentences in the order in which things happened, each once."""
    device = record.devices[target]
    rows = [result for result in record.results if result.target == target]
    said = [note for notes in device.notes.values() for note in notes]
    if dropped := device.interruptions:
        often = "once" if dropped == 1 else f"{dropped} times"
        said.append(f"the connection dropped {often}; the interrupted step was restarted")
    for note in dict.fromkeys(note for result in rows for note in result.notes):
        of = [result for result in rows if note in result.notes]
        said.append(f"{_labels(of, rows)}: {note}")
    said += [_tool(result, result.benchmark_model) for result in rows if result.benchmark_model]
    said += [_sustained(result, result.sustained) for result in rows if result.sustained]
    return list(dict.fromkeys(said))


def label(result: Result) -> str:
    """Name of a row in a sentence."""
    return f"{result.variant}, {threads_text(result.threads)}"


def _labels(some: Sequence[Result], rows: Sequence[Result]) -> str:
    return "every row" if len(some) == len(rows) > 1 else "; ".join(label(result) for result in some)


def _tool(result: Result, times: ToolTimes) -> str:
    """A sentence on Google's ``benchmark_model``."""
    row = f"benchmark_model on {label(result)}"
    if times.failure is not None:
        return f"{row}: {times.failure}"
    return f"{row}: mean {milliseconds(times.mean_ms)} ms of {times.runs} runs on random input"


def _sustained(result: Result, run: Sustained) -> str:
    """A sentence on a sustained run's first and last process, and why it ended early."""
    parts = []
    if run.moments:
        first, last = run.moments[0], run.moments[-1]
        parts.append(
            f"kernel p50 {milliseconds(first.p50)} ms at first, {milliseconds(last.p50)} ms "
            f"in the process that began after {last.at_s / 60:.1f} minutes"
        )
    if run.failure is not None:
        parts.append(f"it ended early: {run.failure}")
    return f"sustained, {label(result)}: {'; '.join(parts)}"
