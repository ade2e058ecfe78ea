"""The pictures' layout and words, on figures that are laid out and not written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from fetaledge_benchmarks.record import BenchmarkRecord, Latency, Moment, RawSamples, Result, Sustained
from fetaledge_benchmarks.report import figures
from fetaledge_runtimes.bench_worker import percentiles
from fetaledge_runtimes.records import to_json
from tests.benchmarks.old_record import old_record, result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

pytestmark = pytest.mark.integration

NAME = "scans $a_$ new"  # no formula: matplotlib would refuse this one


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Figure]:
    """The figure that a function draws of a record."""
    from matplotlib.figure import Figure

    found: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: found.append(figure))

    def draw(function: Callable[[BenchmarkRecord, Path], None], record: BenchmarkRecord) -> Figure:
        function(record, Path("unused.png"))
        found[-1].draw_without_rendering()
        return found[-1]

    return draw


def row(variant: str, *, whole: bool = True, temperatures: Sequence[float | None] = (50.0, 60.0)) -> Result:
    kernel, end_to_end = (20.0, 21.0, 22.0), (24.0, 25.0, 26.0) if whole else ()
    moments = tuple(
        Moment(
            **to_json(percentiles(kernel)), at_s=30.0 * number, busy=0.9, temperature_c=value,
            clock_khz=None, throttled=None, thermal_status=None,
        )
        for number, value in enumerate(temperatures)
    )  # fmt: skip
    return result(
        variant,
        valid=True,
        accuracy={"dice_mean": 0.97, "cases": 3},
        latency_ms=Latency(kernel=percentiles(kernel), end_to_end=percentiles(end_to_end) if whole else None),
        samples_ms=RawSamples(kernel=kernel, end_to_end=end_to_end, preprocess=(), postprocess=()),
        sustained=Sustained(started_at_c=None, moments=moments, failure=None),
    )


def record(*rows: Result) -> BenchmarkRecord:
    old = old_record()
    host = replace(old.host, cpu="some $_$ cpu")
    return replace(old, bundle="b$_$", data=NAME, host=host, frames=replace(old.frames, note=None), results=rows)


@pytest.mark.parametrize("function", [figures.draw_latency_dice, figures.draw_distributions, figures.draw_sustained])
def test_names_are_no_formulas(function: Callable[..., None], drawn: Callable[..., Figure]) -> None:
    figure = drawn(function, record(row("onnx-int8")))
    assert figure.axes[0].get_title(loc="left").endswith(f"b$_$ on {NAME}")


@pytest.mark.parametrize("temperatures", [(50.0, None), (None, None)])
def test_the_sustained_legend_lies_on_no_curve(
    temperatures: tuple[float | None, ...], drawn: Callable[..., Figure]
) -> None:
    rows = [row(f"onnx{number}-int8", temperatures=temperatures) for number in range(10)]
    figure = drawn(figures.draw_sustained, record(*rows))
    assert len(figure.axes) == (2 if any(temperatures) else 1)  # no empty panel of heat
    (legend,) = [axes.get_legend() for axes in figure.axes if axes.get_legend() is not None]
    place = legend.get_window_extent()
    assert len(legend.get_texts()) == 10 and place.y0 >= 0
    footer = figure.findobj(lambda artist: getattr(artist, "get_text", str)().startswith("some"))[0]
    for other in (*(axes.get_window_extent() for axes in figure.axes), footer.get_window_extent()):
        assert not place.overlaps(other)


@pytest.mark.parametrize("whole", [True, False])
def test_what_a_native_runner_does_not_time_is_not_named(whole: bool, drawn: Callable[..., Figure]) -> None:
    figure = drawn(figures.draw_distributions, record(row("tflite-int8", whole=whole)))
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text().partition(":")[0] for text in legend.get_texts()] == ["kernel", "end to end"][: 1 + whole]
    assert [text.get_text() for text in axes.texts] == ["p50, ms", "21.0", "25.0"][: 2 + whole]
