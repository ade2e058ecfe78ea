"""The table of a benchmark record, as text cells for a terminal or a page."""

from __future__ import annotations

from fetaledge_benchmarks.record import BenchmarkRecord, Result
from fetaledge_runtimes.tasks.registry import task_named
from fetaledge_runtimes.tasks.task import Measure

NOTHING = "–"


def has_devices(record: BenchmarkRecord) -> bool:
    """Whether anything else than this machine was asked."""
    return set(record.devices) != {"local"}


def table_header(record: BenchmarkRecord) -> list[str]:
    """Names of all columns; where devices were measured, the target first."""
    return header_of(_measure(record), has_devices(record))


def header_of(measure: Measure, devices: bool) -> list[str]:
    """Names of all columns for a measure, with the target where ``devices`` were measured."""
    name, sign = measure.name, measure.sign
    return [
        *(["target"] if devices else []),
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
        f"{name} MAE {sign.strip()} (n)",
        f"mean |Δ{name}| to fp32 {sign.strip()} (n)",
        "valid",
    ]


SHORT_NAMES = {
    "threads": "thr",
    "kernel p50 ms": "p50 ms",
    "kernel p95 ms": "p95 ms",
    "end-to-end p50 ms": "end-to-end",
    "speed-up over torch": "torch ÷",
}
NOT_ON_A_TERMINAL = ("load ms", "peak RSS MB", "kernel min ms", "total misses")


def table_rows(record: BenchmarkRecord) -> list[list[str]]:
    """One list of cells, in the order of :func:`table_header`, for each result; a mean never without its count."""
    devices = has_devices(record)
    return [_cells(result, _measure(record), devices) for result in record.results]


def terminal_table(record: BenchmarkRecord) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the columns that matter most, about 110 characters wide, under shorter names."""
    names = table_header(record)
    picked = [column for column, name in enumerate(names) if name not in NOT_ON_A_TERMINAL]
    header = [
        SHORT_NAMES.get(names[column], names[column]).removeprefix("mean ").replace(" to fp32", "") for column in picked
    ]
    return header, [[row[column] for column in picked] for row in table_rows(record)]


def agreement_table(record: BenchmarkRecord) -> tuple[list[str], list[list[str]]]:
    """Header and rows of how each device's masks agree with those of the same model on this machine; once a model."""
    measure = _measure(record)
    name, sign = measure.name, measure.sign
    header = ["target", "variant", "engine", "mean Dice to local (n)", "smallest Dice"]
    header += [f"mean |Δ{name}| to local {sign.strip()} (n)", f"p95 |Δ{name}| {sign.strip()}"]
    rows: dict[tuple[str, str], list[str]] = {}
    for result in record.results:
        local = result.against_local
        if local is not None:
            rows[result.target, result.variant] = [
                result.target,
                result.variant,
                f"{result.engine} {result.engine_version}",
                _counted(local["dice_mean"], 5, local["n"]),
                _number(local["dice_min"], 5),
                _counted(local[measure.named("abs_mean")], 3, local[measure.named("n")]),
                _number(local[measure.named("p95")], 3),
            ]
    return header, list(rows.values())


def baselines(record: BenchmarkRecord) -> str:
    """What the columns "to fp32" are measured from; by target where several were asked."""
    found: dict[str, dict[str, None]] = {}
    for result in record.results:
        if result.against_fp32:
            found.setdefault(result.target, {})[result.against_fp32["fp32"]] = None
    texts = [", ".join(names) + (f" on {target}" if has_devices(record) else "") for target, names in found.items()]
    return "; ".join(texts) or "fp32, which was not measured"


def _cells(result: Result, measure: Measure, devices: bool) -> list[str]:
    kernel = result.latency_ms.kernel if result.latency_ms else None
    end_to_end = result.latency_ms.end_to_end if result.latency_ms else None
    accuracy, change = result.accuracy or {}, result.against_fp32 or {}
    speedup = result.speedup_over_torch
    return [
        *([result.target] if devices else []),
        result.variant,
        str(result.threads),
        _number(result.file_mb, 1),
        _number(result.load_ms, 0),
        _number(result.peak_rss_mb, 0),
        milliseconds(kernel.p50 if kernel else None),
        milliseconds(kernel.p95 if kernel else None),
        milliseconds(kernel.min if kernel else None),
        milliseconds(end_to_end.p50 if end_to_end else None),
        NOTHING if speedup is None else f"{speedup:.2f}×",
        _counted(accuracy.get("dice_mean"), 4, accuracy.get("cases")),
        str(accuracy.get("failures", NOTHING)),
        _counted(accuracy.get(measure.named("mae")), 2, accuracy.get(measure.named("cases"))),
        _counted(change.get(measure.named("abs_mean")), 3, change.get(measure.named("n"))),
        "yes" if result.valid else "no",
    ]


def _measure(record: BenchmarkRecord) -> Measure:
    return task_named(record.model.task).measure_of_tables


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def milliseconds(value: float | None) -> str:
    """Three significant digits: 0.345, 5.67, 12.3, 123."""
    if value is None:
        return NOTHING
    return f"{value:.{3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0}f}"


def _counted(value: float | None, digits: int, count: float | None) -> str:
    return NOTHING if value is None else f"{value:.{digits}f} ({count})"
