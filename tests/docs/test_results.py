"""No result is typed by hand: tables come from records, and the README's table from the same ones."""

from __future__ import annotations

import json
import re

import pytest

from tests.docs.hooks import DOCS, ROOT, hook

results = hook("results")
NAMES = sorted(path.stem for path in (DOCS / "results").glob("*.json"))
PAGES = sorted(DOCS.glob("*.md"))


def test_the_readme_shows_what_its_record_says() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert results.KEPT.search(readme)
    assert results.refresh(readme) == readme, "run: make tables"


def test_a_changed_figure_is_written_anew() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert results.refresh(readme.replace("| 19.8 |", "| 9.8 |")) == readme


def test_the_readme_is_a_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 130
    assert "research software, not a medical device" in readme.lower()


@pytest.mark.parametrize("name", NAMES)
def test_every_record_is_shown_with_its_origin(name: str) -> None:
    table = results.read_table(name)
    assert table.origin.source
    place = f"<!-- table {name} -->\n"
    assert any(place in page.read_text(encoding="utf-8") for page in PAGES)
    shown = results.fill(place)
    assert results.render(table) in shown and table.origin.source in shown
    assert table.origin.transcribed == ("They were transcribed" in shown)
    widths = {len(re.split(r"(?<!\\)\|", line)) for line in results.render(table).splitlines()}
    assert widths == {len(table.columns) + 2}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_holds_a_table_of_figures(page: str) -> None:
    """A decimal number in a table that is written by hand would be a figure without a record; limits are no results."""
    for line in page.read_text(encoding="utf-8").splitlines():  # type: ignore[attr-defined]
        if line.startswith("|") and "--max-" not in line:
            assert not re.search(r"\d\.\d", line), line


def test_figures_of_the_reference_run_are_read_from_it() -> None:
    run = json.loads((ROOT / "reference/unet-head/run.json").read_text(encoding="utf-8"))
    row = results.render(results.read_table("reference-stages")).splitlines()[-1]
    assert f"{run['validation']['dice']['mean']:.4f}" in row and f"{run['validation']['hc_mm']['mae']:.2f} mm" in row


def test_cells() -> None:
    column = {"key": "a", "title": "A"}
    made = {"title": "t", "origin": results.Origin(transcribed=False, source="s"), "rows": ()}
    for value, show, text in (
        (-0.06, "{:.2f} mm", "−0.06 mm"),
        (None, "{:.1f}", ""),
        ("refused", "{:.1f}", "refused"),
        ("onnx-fp32", "`{}`", "`onnx-fp32`"),
        ([1, 2.5], "{:d} / {:.1f}", "1 / 2.5"),
        ({"deg": 7.04, "frames": 3}, "{deg:.1f}° ({frames:d})", "7.0° (3)"),
        (105, "{}", "105"),
    ):
        table = results.ResultTable(
            **{**made, "columns": (results.Column(**column, show=show),), "rows": ({"a": value},)}
        )
        assert results.render(table).splitlines()[-1] == f"| {text} |"
    stray = results.ResultTable(**{**made, "columns": (results.Column(**column),), "rows": ({"b": 1},)})
    with pytest.raises(KeyError, match="no column shows b"):
        results.render(stray)


@pytest.mark.integration
def test_the_strategies_train_the_counted_parameters() -> None:
    from fetaledge.models.strategies import STRATEGIES, apply_strategy
    from fetaledge.models.unet import Architecture

    unet, plain = Architecture().build(), Architecture(name="plain-unet", encoder="", decoder_channels=()).build()
    rows = results.read_table("strategies").rows
    assert [row["strategy"] for row in rows] == list(STRATEGIES)
    for row in rows:
        network = plain if row["strategy"] == "baseline" else unet
        assert apply_strategy(network, STRATEGIES[row["strategy"]]) == row["parameters"]
