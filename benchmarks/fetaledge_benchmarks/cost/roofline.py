"""The roofline of a cost document (Williams, Waterman, Patterson 2009): what each core could attain, and each bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fetaledge_benchmarks.cost.bound import WHAT
from fetaledge_benchmarks.cost.record import CoreFacts, CostRecord, CostResult
from fetaledge_benchmarks.report.figures import FAINT, INK, SOFT, colour, marker_and_area
from fetaledge_benchmarks.report.tables import milliseconds
from fetaledge_runtimes.quiet import quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def drawable(record: CostRecord) -> list[CostResult]:
    """The results that have both a bound and a number of multiply-adds."""
    return [r for r in record.results if r.bound is not None and r.multiply_adds]


def intensity(result: CostResult) -> float:
    """Multiply-adds for each byte that loads brought. Raises ValueError where it was not counted."""
    if not result.multiply_adds or not result.bytes_read:
        raise ValueError(f"{result.variant} was not counted")
    return result.multiply_adds / result.bytes_read


def least_ms(result: CostResult) -> float:
    """The bound in ms. Raises ValueError where it was not counted."""
    if result.bound is None:
        raise ValueError(f"{result.variant} was not counted")
    return result.bound.ms


def attained(result: CostResult) -> float:
    """10^9 multiply-adds a second if the bound were reached. Raises ValueError where it was not counted."""
    return (result.multiply_adds or 0) / least_ms(result) / 1e6


def draw_roofline(record: CostRecord, path: Path) -> None:
    """One panel a CPU, both axes logarithmic; a PNG.

    Raises:
        ValueError: no result has both a bound and multiply-adds.
    """
    quiet()  # matplotlib writes nothing under the home folder
    from matplotlib.figure import Figure

    rows = drawable(record)
    if not rows:
        raise ValueError("no result has both a bound and a number of multiply-adds")
    cpus = [cpu for cpu in record.cpus if any(row.cpu == cpu.name for row in rows)]
    figure = Figure(figsize=(0.8 + 6.4 * len(cpus), 7.2), dpi=150, layout="constrained")
    panels: list[Axes] = list(figure.subplots(1, len(cpus), sharex=True, sharey=True, squeeze=False)[0])
    x, y = [intensity(row) for row in rows], [attained(row) for row in rows]
    peaks = [cpu.clock_ghz * max(cpu.int8_multiply_adds_per_cycle, cpu.fma_per_cycle) for cpu in cpus]
    span, reach = (min(*x, 0.2) / 4, max(*x, 2.0) * 6), (min(*y, 4.0) / 12, max(*peaks, *y) * 2)
    for axes, cpu in zip(panels, cpus, strict=True):
        here = [row for row in rows if row.cpu == cpu.name]
        _frame(axes, span, reach)
        _roofs(axes, cpu, span, reach)
        _points(axes, here)
        title = f"{cpu.board}: one {cpu.name} at {cpu.clock_ghz:g} GHz"
        axes.set_title(title, loc="left", color=SOFT, fontsize=10.5)
    panels[0].set_ylabel("10⁹ multiply-adds a second, if the bound were reached", color=INK)
    title = f"Roofline of {record.bundle}: {WHAT}"
    figure.suptitle(title, color=INK, fontsize=13, fontweight="bold", parse_math=False)
    figure.supxlabel(
        f"Each point is a {WHAT}: multiply-adds of the network over the least time of its counted instructions.\n"
        "A point above its peak executes fewer multiplications than the network states (Winograd's convolution);\n"
        "one above the dashed line is reached only where caches hold part of what it loads.\n"
        f"Counted in an emulator; no board was timed. {record.notice.capitalize()}.",
        fontsize=8.5,
        color=SOFT,
    )
    figure.savefig(path)


def _frame(axes: Axes, span: tuple[float, float], reach: tuple[float, float]) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*span)
    axes.set_ylim(*reach)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("multiply-adds per byte loaded, counted", color=INK)
    axes.grid(True, which="major", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _roofs(axes: Axes, cpu: CoreFacts, span: tuple[float, float], reach: tuple[float, float]) -> None:
    x = np.geomspace(*span, 400)
    clock, loads = cpu.clock_ghz, cpu.clock_ghz * cpu.load_bytes_per_cycle
    for name, lanes in ((cpu.int8_instruction, cpu.int8_multiply_adds_per_cycle), ("FMA", cpu.fma_per_cycle)):
        peak = clock * lanes
        axes.plot(x, np.minimum(peak, x * loads), color=INK, linewidth=1.5, zorder=2)
        label = f"{name} peak {peak:.3g}"
        axes.annotate(label, (span[1], peak), (-4, 4), textcoords="offset points", ha="right", fontsize=8.5, color=INK)
    axes.plot(x, x * cpu.dram_gb_s, color=SOFT, linewidth=1.1, linestyle="--", zorder=2)
    for rate, name, tone, beside in (
        (loads, "cache", INK, 1.1),
        (cpu.dram_gb_s, "memory", SOFT, 0.8),
    ):
        foot = max(span[0], reach[0] / rate) * 1.3
        axes.text(
            foot,
            foot * rate * beside,
            f"{name}: {rate:.3g} GB/s",
            rotation=math.degrees(math.atan(rate * beside)),  # in the data; matplotlib finds the angle on the page
            rotation_mode="anchor",
            transform_rotates_text=True,
            va="bottom" if beside > 1 else "top",
            fontsize=8.5,
            color=tone,
        )


def _points(axes: Axes, rows: Sequence[CostResult]) -> None:
    """A marker a result; what it is and its bound stand in the legend, for points often fall on one another."""
    order = sorted(rows, key=least_ms)
    for row in sorted(rows, key=lambda row: -marker_and_area(row.variant)[1]):
        marker, area = marker_and_area(row.variant)
        tone = colour(row.engine)
        place = (intensity(row), attained(row))
        axes.scatter(*place, s=area * 0.6, marker=marker, facecolor=tone, edgecolor="white", linewidth=1.1, zorder=4)
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=marker_and_area(row.variant)[0],
            markersize=8,
            color=colour(row.engine),
            label=f"{row.variant} ≥ {milliseconds(least_ms(row))} ms",
        )
        for row in order
    ]
    axes.legend(handles=handles, loc="lower right", fontsize=8.5, title=WHAT, title_fontsize=8.5, framealpha=1.0)
