"""The pictures of a report: latency against Dice, the distributions of latency, and latency over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fetaledge_benchmarks.plan import threads_text
from fetaledge_benchmarks.record import BenchmarkRecord, Result
from fetaledge_benchmarks.report.tables import milliseconds
from fetaledge_runtimes.engines.registry import engine_class, formats
from fetaledge_runtimes.notice import NOTICE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OTHER_COLOUR = "#4D4D4D"
# A marker and its area in square points: fp32 and fp16 often fall on one another, and both must be seen.
MARKERS = {"fp32": ("o", 230), "fp16": ("s", 70), "int8": ("^", 150)}
INK, SOFT, GREY, FAINT = "#1f2933", "#5b6670", "#8a949e", "#d5dbe1"
SMALLEST_DICE_SPAN = 0.01
NUMBERS_ON_A_LOG_AXIS = (1, 2, 5)


def drawable(record: BenchmarkRecord) -> list[Result]:
    """The rows that were timed, the fastest kernel first."""
    timed = [result for result in record.results if result.latency_ms is not None]
    return sorted(timed, key=kernel_p50)


def kernel_p50(result: Result) -> float:
    """Median of the kernel's samples in ms. Raises ValueError for a row that was not timed."""
    if result.latency_ms is None:
        raise ValueError(f"{result.variant} was not timed")
    return result.latency_ms.kernel.p50


def row_label(result: Result, several_threads: bool) -> str:
    """What the pictures call a row."""
    threads = f" · {result.threads} thr" if several_threads else ""
    return f"{result.variant}{threads}{'' if result.valid else ' (invalid)'}"


def colour(engine: str) -> str:
    """That of the engine with this name; of Okabe and Ito's palette where it is ours."""
    colours = {engine_class(name).name: engine_class(name).colour for name in formats()}
    return colours.get(engine, OTHER_COLOUR)


def draw_latency_dice(record: BenchmarkRecord, path: Path) -> None:
    """Scatter of kernel p50 (log axis) and mean Dice, one point a row, one panel a thread count; a PNG."""
    from matplotlib.figure import Figure

    rows = [result for result in drawable(record) if result.accuracy is not None]
    scores = [result.accuracy for result in rows if result.accuracy is not None]
    threads = sorted({result.threads for result in rows})
    figure = Figure(figsize=(9.6, 1.6 + 4.2 * len(threads)), dpi=150, layout="constrained")
    panels = figure.subplots(len(threads), sharex=True, sharey=True, squeeze=False)[:, 0]
    dice = np.array([score["dice_mean"] for score in scores], np.float64)
    middle, span = (dice.min() + dice.max()) / 2, max(float(np.ptp(dice)) * 1.5, SMALLEST_DICE_SPAN)
    cases = " or ".join(str(count) for count in sorted({int(score["cases"] or 0) for score in scores}))
    for axes, count in zip(panels, threads, strict=True):
        _style(axes)
        axes.set_ylim(middle - span / 2, middle + span / 2)
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.set_ylabel(f"mean Dice over {cases} frames")
        axes.set_title(threads_text(count), loc="right", color=SOFT, fontsize=10.5)
        for result in sorted(rows, key=lambda row: -marker_and_area(row.variant)[1]):
            if result.threads == count:
                _point(axes, result)
    _latency_axis(
        panels[-1],
        np.array([kernel_p50(result) for result in rows]),
        "kernel latency p50, ms (log scale); faster is left, better is up",
        margin=1.7,
    )
    _title(panels[0], record, "Latency against Dice")
    _scatter_legend(panels[-1], rows)
    _footer(figure, record)
    figure.savefig(path)


def marker_and_area(variant: str) -> tuple[str, int]:
    """Marker of a variant's precision, and its area in square points."""
    return MARKERS.get(variant.rpartition("-")[2], ("D", 100))


def _point(axes: Axes, result: Result) -> None:
    tone, valid = colour(result.engine), result.valid
    marker, area = marker_and_area(result.variant)
    axes.scatter(
        kernel_p50(result),
        float((result.accuracy or {}).get("dice_mean") or 0.0),
        s=area,
        marker=marker,
        facecolor=tone if valid else "white",
        edgecolor="white" if valid else tone,
        linewidth=1.2,
        alpha=0.9,
        zorder=3,
    )


def draw_distributions(record: BenchmarkRecord, path: Path) -> None:
    """Per row a filled box for the kernel, an open one for end to end; whiskers p5 to p95, a dot each sample; a PNG."""
    from matplotlib.figure import Figure

    rows = drawable(record)
    series = _series(rows)
    figure = Figure(figsize=(9.6, 2.1 + 0.62 * len(rows)), dpi=150, layout="constrained")
    axes = figure.subplots()
    rng = np.random.default_rng(0)
    for place, result in enumerate(rows):
        tone = colour(result.engine)
        for name, offset, height in series:
            values = np.array(getattr(result.samples_ms, name))
            if not len(values):
                continue
            kernel = name == "kernel"
            box = axes.boxplot(
                values,
                orientation="horizontal",
                positions=[place + offset],
                widths=height,
                whis=(5, 95),
                showfliers=False,
                patch_artist=True,
                manage_ticks=False,
                boxprops={
                    "facecolor": tone if kernel else "white",
                    "edgecolor": tone,
                    "alpha": 0.85 if kernel else 1.0,
                },
                whiskerprops={"color": tone},
                capprops={"color": tone},
                medianprops={"color": "white" if kernel else INK, "linewidth": 1.6},
            )
            for artist in box["boxes"]:
                artist.set_zorder(3)
            jitter = rng.uniform(-height / 2, height / 2, len(values))
            axes.scatter(values, place + offset + jitter, s=5, color=INK, alpha=0.22, linewidth=0, zorder=2)
    several = len({result.threads for result in rows}) > 1
    axes.set_yticks(range(len(rows)), [row_label(result, several) for result in rows])
    axes.set_ylim(len(rows) - 0.45, -0.55)
    every = np.concatenate([getattr(result.samples_ms, name) for result in rows for name, _, _ in series])
    _style(axes)
    _latency_axis(axes, every, "latency, ms (log scale; left is faster)", margin=1.15)
    _median_column(axes, rows, series)
    _title(axes, record, "Latency of every sample")
    _distribution_legend(figure, len(series))
    _footer(figure, record)
    figure.savefig(path)


def _series(rows: Sequence[Result]) -> tuple[tuple[str, float, float], ...]:
    """What was timed, with the place and the height of its box in a row; a native runner times the kernel alone."""
    if any(result.samples_ms.end_to_end for result in rows):
        return (("kernel", -0.17, 0.26), ("end_to_end", 0.19, 0.18))
    return (("kernel", 0.0, 0.26),)


def draw_sustained(record: BenchmarkRecord, path: Path) -> None:
    """Kernel p50 of each process of the sustained runs over the minutes, the temperature, if known, below it; a PNG."""
    from matplotlib.figure import Figure

    runs = [(result, result.sustained.moments) for result in record.results if result.sustained]
    runs = [(result, moments) for result, moments in runs if moments]
    warm = any(moment.temperature_c is not None for _, moments in runs for moment in moments)
    figure = Figure(figsize=(9.6, 6.4 if warm else 5.0), dpi=150, layout="constrained")
    heights = (3, 1) if warm else (1,)
    latency, *heats = panels = figure.subplots(len(heights), sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    several = len({result.threads for result, _ in runs}) > 1
    for result, moments in runs:
        minutes = [moment.at_s / 60 for moment in moments]
        look = {"color": colour(result.engine), "marker": marker_and_area(result.variant)[0], "markersize": 5}
        latency.plot(minutes, [m.p50 for m in moments], label=row_label(result, several), linewidth=1.6, **look)
        for heat in heats:
            heat.plot(minutes, [np.nan if m.temperature_c is None else m.temperature_c for m in moments], **look)
            heat.set_ylabel("hottest zone, °C")
    for axes in panels:
        _style(axes)
    latency.set_ylim(bottom=0)
    latency.set_ylabel("kernel p50 of each process, ms")
    panels[-1].set_xlabel("minutes since the row's first process", color=INK)
    named = latency.get_legend_handles_labels()
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "borderaxespad": 4}  # below the words
    panels[-1].legend(*named, frameon=False, fontsize=9.5, ncols=3, **place)
    _title(latency, record, "Sustained")
    _footer(figure, record)
    figure.savefig(path)


def _style(axes: Axes) -> None:
    axes.grid(True, which="major", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK, labelsize=10)


def _title(axes: Axes, record: BenchmarkRecord, text: str) -> None:
    title = f"{text}: {record.bundle} on {record.data}"  # folders' names: a dollar in them is no formula
    axes.set_title(title, loc="left", color=INK, fontsize=13, fontweight="bold", parse_math=False)


def _latency_axis(axes: Axes, values: np.ndarray[Any, Any], label: str, margin: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.set_xlim(float(values.min()) / margin, float(values.max()) * margin)
    axes.xaxis.set_major_locator(LogLocator(10, subs=NUMBERS_ON_A_LOG_AXIS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label, color=INK)


def _footer(figure: Figure, record: BenchmarkRecord) -> None:
    host = record.host
    lines = [f"{host.cpu}, {host.cores_usable} usable cores · {NOTICE}"]
    if record.frames.note:
        lines.insert(0, record.frames.note)
    figure.supxlabel("\n".join(lines), fontsize=8.5, color=SOFT, parse_math=False)


def _scatter_legend(axes: Axes, rows: Sequence[Result]) -> None:
    from matplotlib.lines import Line2D

    engines = list(dict.fromkeys(result.engine for result in rows))
    precisions = [p for p in MARKERS if any(result.variant.endswith(p) for result in rows)]
    entries = [("o", colour(engine), colour(engine), engine) for engine in engines]
    entries += [(MARKERS[p][0], GREY, GREY, p) for p in precisions]
    if any(not result.valid for result in rows):
        entries.append(("o", GREY, "white", "invalid"))
    handles = [
        Line2D([], [], linestyle="", markersize=9, marker=marker, color=edge, markerfacecolor=face, label=label)
        for marker, edge, face, label in entries
    ]
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.13),
        ncols=len(handles),
        frameon=False,
        fontsize=9.5,
        handletextpad=0.2,
        columnspacing=1.4,
    )


def _distribution_legend(figure: Figure, count: int) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=GREY, edgecolor=GREY, label="kernel: the engine's call alone"),
        Patch(facecolor="white", edgecolor=GREY, label="end to end: decoded frame to measures"),
    ][:count]
    figure.axes[0].legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, -0.16 * 4 / max(4, len(figure.axes[0].get_yticks()))),
        ncols=2, frameon=False, fontsize=9.5, borderaxespad=1.2,
    )  # fmt: skip


def _median_column(axes: Axes, rows: Sequence[Result], series: Sequence[tuple[str, float, float]]) -> None:
    """The medians, right of the plot, in line with each row."""
    place = axes.get_yaxis_transform()
    axes.text(1.015, -0.62, "p50, ms", transform=place, fontsize=9, color=SOFT, va="bottom")
    for index, result in enumerate(rows):
        for name, offset, _ in series:
            text = milliseconds(shown.p50 if (shown := getattr(result.latency_ms, name)) else None)
            weight = "bold" if name == "kernel" else "normal"
            axes.text(1.015, index + offset, text, transform=place, fontsize=9, va="center", fontweight=weight)
