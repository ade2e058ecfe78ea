"""The table of a benchmark record, as text cells for a terminal or a page."""

from __future__ import annotations

from typing import Any

TABLE_HEADER = [
    "variant",
    "threads",
    "MB",
    "load ms",
    "peak RSS MB",
    "kernel p50 ms",
    "kernel p95 ms",
    "kernel min ms",
    "end-to-end p50 ms",
    "speed-up over torch",
    "Dice (n)",
    "total misses",
    "HC MAE mm (n)",
    "mean |ΔHC| to fp32 mm (n)",
    "valid",
]
NOTHING = "–"
# What fits a terminal, under shorter names; the page shows all.
ON_A_TERMINAL = {
    "variant": "variant",
    "threads": "thr",
    "MB": "MB",
    "kernel p50 ms": "p50 ms",
    "kernel p95 ms": "p95 ms",
    "end-to-end p50 ms": "end-to-end",
    "speed-up over torch": "torch ÷",
    "Dice (n)": "Dice (n)",
    "HC MAE mm (n)": "HC MAE mm (n)",
    "mean |ΔHC| to fp32 mm (n)": "|ΔHC| mm (n)",
    "valid": "valid",
}


def table_rows(record: dict[str, Any]) -> list[list[str]]:
    """One list of cells, in the order of :data:`TABLE_HEADER`, for each result; a mean never without its count."""
    return [_cells(result) for result in record["results"]]


def terminal_table(record: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the columns that matter most, about 110 characters wide."""
    picked = [TABLE_HEADER.index(name) for name in ON_A_TERMINAL]
    return list(ON_A_TERMINAL.values()), [[row[column] for column in picked] for row in table_rows(record)]


def _cells(result: dict[str, Any]) -> list[str]:
    latency = result["latency_ms"] or {"kernel": {}, "end_to_end": {}}
    accuracy, change = result["accuracy"] or {}, result["against_fp32"] or {}
    speedup = result["speedup_over_torch"]
    return [
        result["variant"],
        str(result["threads"]),
        _number(result["file_mb"], 1),
        _number(result["load_ms"], 0),
        _number(result["peak_rss_mb"], 0),
        milliseconds(latency["kernel"].get("p50")),
        milliseconds(latency["kernel"].get("p95")),
        milliseconds(latency["kernel"].get("min")),
        milliseconds(latency["end_to_end"].get("p50")),
        NOTHING if speedup is None else f"{speedup:.2f}×",
        _counted(accuracy.get("dice_mean"), 4, accuracy.get("cases")),
        str(accuracy.get("failures", NOTHING)),
        _counted(accuracy.get("hc_mae_mm"), 2, accuracy.get("hc_cases")),
        _counted(change.get("hc_abs_mean_mm"), 3, change.get("hc_n")),
        "yes" if result["valid"] else "no",
    ]


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def milliseconds(value: float | None) -> str:
    """Three significant digits: 0.345, 5.67, 12.3, 123."""
    if value is None:
        return NOTHING
    return f"{value:.{3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0}f}"


def _counted(value: float | None, digits: int, count: int | None) -> str:
    return NOTHING if value is None else f"{value:.{digits}f} ({count})"
