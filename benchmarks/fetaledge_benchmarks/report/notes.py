"""What must be said of a target's measurements and stands in no table, for a terminal and a page alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fetaledge_benchmarks.plan import threads_text
from fetaledge_benchmarks.report.tables import milliseconds


def remarks(record: dict[str, Any], target: str) -> list[str]:
    """Sentences in the order in which things happened, each once."""
    device = record["devices"][target]
    rows = [result for result in record["results"] if result["target"] == target]
    said = [note for notes in device["notes"].values() for note in notes]
    if dropped := device["interruptions"]:
        often = "once" if dropped == 1 else f"{dropped} times"
        said.append(f"the connection dropped {often}; what was interrupted began anew")
    for note in dict.fromkeys(note for result in rows for note in result["notes"]):
        of = [result for result in rows if note in result["notes"]]
        said.append(f"{_labels(of, rows)}: {note}")
    said += [_googles_tool(result) for result in rows if result["benchmark_model"]]
    said += [_sustained(result) for result in rows if result["sustained"]]
    return list(dict.fromkeys(said))


def label(result: dict[str, Any]) -> str:
    """What a row is called in a sentence."""
    return f"{result['variant']}, {threads_text(result['threads'])}"


def _labels(some: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> str:
    return "every row" if len(some) == len(rows) > 1 else "; ".join(label(result) for result in some)


def _googles_tool(result: dict[str, Any]) -> str:
    """What Google's ``benchmark_model`` said of a row's model."""
    told, row = result["benchmark_model"], f"benchmark_model on {label(result)}"
    if "failure" in told:
        return f"{row}: {told['failure']}"
    return f"{row}: mean {milliseconds(told['mean_ms'])} ms of {told['runs']} runs on random input"


def _sustained(result: dict[str, Any]) -> str:
    """A sustained run's first and last process, and why it ended early."""
    moments, failure = result["sustained"]["moments"], result["sustained"]["failure"]
    parts = []
    if moments:
        first, last = moments[0], moments[-1]
        parts.append(
            f"kernel p50 {milliseconds(first['p50'])} ms at first, {milliseconds(last['p50'])} ms "
            f"in the process that began after {last['at_s'] / 60:.1f} minutes"
        )
    if failure is not None:
        parts.append(f"it ended early: {failure}")
    return f"sustained, {label(result)}: {'; '.join(parts)}"
