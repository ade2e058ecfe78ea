"""What the frames of one file say together."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fetaledge_runtimes.tasks.registry import all_measures
from fetaledge_runtimes.tasks.task import Task

FEW, DISAGREE = "few-good-frames", "frames-disagree"


def summary_of(
    source: str, entries: Sequence[Mapping[str, Any]], task: Task, region: int | None = None
) -> dict[str, Any]:
    """An entry of ``summary`` in a prediction: a :class:`SummaryFields` with each measure's median and range."""
    good = [entry for entry in entries if entry["status"] == "ok"]
    values = {
        measure.key: sorted(entry[measure.key] for entry in good if entry[measure.key] is not None)
        for measure in all_measures()
    }
    cine = len(entries) > 1
    few = cine and 2 * len(good) < len(entries)
    medians = {
        f"{key}_median": statistics.median(found) if found and not few else None for key, found in values.items()
    }
    ranges = {f"{key}_iqr": _iqr(found) for key, found in values.items()}
    wide = any(_spread(values[measure.key]) > measure.cine_spread for measure in task.measures)
    return {
        "source": source,
        "region": region,
        "frames": len(entries),
        "statuses": dict(sorted(Counter(entry["status"] for entry in entries).items())),
        "n": len(good),
        "verdict": None if not cine else FEW if few else DISAGREE if wide else "ok",
        **medians,
        **ranges,
    }


def _iqr(values: Sequence[float]) -> float | None:
    """Interquartile range; None of fewer than four values."""
    if len(values) < 4:
        return None
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return third - first


def _spread(values: Sequence[float]) -> float:
    """How far sorted values lie apart: the interquartile range, and of fewer than four from the first to the last."""
    iqr = _iqr(values)
    if iqr is not None:
        return iqr
    return values[-1] - values[0] if values else 0.0


def summary_line(source: Mapping[str, Any], task: Task) -> str | None:
    """An entry of ``summary`` as a line for people; None where the frames' own lines say it all."""
    if source["frames"] < 2:
        return None
    used = f"{source['n']} good frames of {source['frames']}"
    name = source["source"] if source.get("region") is None else f"{source['source']} region {source['region']}"
    measure = task.measure_of_tables
    value, spread = source[f"{measure.key}_median"], source[f"{measure.key}_iqr"]
    if value is None:
        return f"{name}  no median: {used}"
    shown = "" if spread is None else f" (half of them within {spread:.{measure.digits}f}{measure.sign})"
    warning = "; the frames disagree" if source["verdict"] == DISAGREE else ""
    return f"{name}  median {measure.text(value)} of {used}{shown}{warning}"
