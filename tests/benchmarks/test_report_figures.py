"""The pictures' layout and words, on figures that are laid out and not written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fetaledge_benchmarks.report import figures

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

    def draw(function: Callable[[dict[str, Any], Path], None], record: dict[str, Any]) -> Figure:
        function(record, Path("unused.png"))
        found[-1].draw_without_rendering()
        return found[-1]

    return draw


def result(variant: str, *, whole: bool = True, temperatures: Sequence[float | None] = (50.0, 60.0)) -> dict[str, Any]:
    kernel, end_to_end = [20.0, 21.0, 22.0], [24.0, 25.0, 26.0] if whole else []
    return {
        "variant": variant,
        "engine": "ONNX Runtime",
        "threads": 1,
        "valid": True,
        "accuracy": {"dice_mean": 0.97, "cases": 3},
        "latency_ms": {"kernel": {"p50": 21.0}, "end_to_end": {"p50": 25.0} if whole else None},
        "samples_ms": {"kernel": kernel, "end_to_end": end_to_end},
        "sustained": {
            "moments": [
                {"at_s": 30.0 * number, "p50": 20.0, "temperature_c": value}
                for number, value in enumerate(temperatures)
            ]
        },
    }


def record(*results: dict[str, Any]) -> dict[str, Any]:
    host = {"cpu": "some $_$ cpu", "cores_usable": 4}
    return {"bundle": "b$_$", "data": NAME, "host": host, "frames": {"note": None}, "results": list(results)}


@pytest.mark.parametrize("function", [figures.draw_latency_dice, figures.draw_distributions, figures.draw_sustained])
def test_names_are_no_formulas(function: Callable[..., None], drawn: Callable[..., Figure]) -> None:
    figure = drawn(function, record(result("onnx-int8")))
    assert figure.axes[0].get_title(loc="left").endswith(f"b$_$ on {NAME}")


@pytest.mark.parametrize("temperatures", [(50.0, None), (None, None)])
def test_the_sustained_legend_lies_on_no_curve(
    temperatures: tuple[float | None, ...], drawn: Callable[..., Figure]
) -> None:
    rows = [result(f"onnx{number}-int8", temperatures=temperatures) for number in range(10)]
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
    figure = drawn(figures.draw_distributions, record(result("tflite-int8", whole=whole)))
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text().partition(":")[0] for text in legend.get_texts()] == ["kernel", "end to end"][: 1 + whole]
    assert [text.get_text() for text in axes.texts] == ["p50, ms", "21.0", "25.0"][: 2 + whole]
