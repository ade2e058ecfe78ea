"""Result tables, made from the records in ``docs/results``.

A page holds a line ``<!-- table NAME -->``; the site's build puts the table of ``docs/results/NAME.json`` there, and
below it the commands, the machine and the origin of its figures. In a file that is read without the site (the README),
the table stands between that line and ``<!-- end -->``, and ``make tables`` writes it anew.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from fetaledge_runtimes.files import atomic_path, read_json
from fetaledge_runtimes.records import Document, Part, read_document

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
PLACE = re.compile(r"<!-- table ([\w-]+) -->\n")
KEPT = re.compile(r"(<!-- table ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Figure = float | int | str | None | list[float | int] | dict[str, float | int | str]


class Column(Part, kw_only=True, frozen=True):
    """A column of a table.

    ``show`` formats a number, a list or an object; text that stands in a column of numbers is shown as it is.
    """

    key: str
    title: str
    show: str = "{}"


class Origin(Part, kw_only=True, frozen=True):
    """Where the figures come from."""

    transcribed: bool
    source: str
    first_commit: str | None = None
    first_date: str | None = None
    machine: str | None = None
    commands: tuple[str, ...] = ()


class ResultTable(Document, kw_only=True, frozen=True):
    """A table of results. A value ``{"file": PATH, "key": "a.0.b"}`` is read from that record of the repository."""

    schema: str = "fetaledge/result-table/1"
    title: str
    origin: Origin
    columns: tuple[Column, ...]
    rows: tuple[dict[str, Figure], ...]
    notes: tuple[str, ...] = ()


def read_table(name: str) -> ResultTable:
    """The record ``docs/results/NAME.json``.

    Raises:
        InputError: it is missing or is not such a record.
    """
    return read_document(RESULTS / f"{name}.json", ResultTable, "result table")


def render(table: ResultTable) -> str:
    """The table as Markdown."""
    lines = [[column.title for column in table.columns], ["---"] * len(table.columns)]
    for row in table.rows:
        unknown = row.keys() - {column.key for column in table.columns}
        if unknown:
            raise KeyError(f"{table.title}: no column shows {', '.join(sorted(unknown))}")
        lines.append([_cell(row.get(column.key), column.show) for column in table.columns])
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def render_origin(table: ResultTable) -> str:
    """How the figures were made, as a folded block below the table."""
    origin = table.origin
    lines = [f"The figures come from {origin.source}."]
    if origin.transcribed:
        lines.append("They were transcribed, not measured again.")
    if origin.first_commit:
        lines.append(f"They were first committed in `{origin.first_commit}`, on {origin.first_date}.")
    if origin.machine:
        lines.append(f"Machine: {origin.machine}.")
    text = '??? note "How these figures were made"\n    ' + " ".join(lines) + "\n"
    if origin.commands:
        text += "\n    ```bash\n" + "".join(f"    {command}\n" for command in origin.commands) + "    ```\n"
    return text


def fill(markdown: str) -> str:
    """A page of the site with every table, its notes and its origin."""

    def block(place: re.Match[str]) -> str:
        table = read_table(place[1])
        notes = "".join(f"\n{note}\n" for note in table.notes)
        return f"\n{render(table)}{notes}\n{render_origin(table)}\n"

    return PLACE.sub(block, markdown)


def refresh(markdown: str) -> str:
    """A file whose tables stand in it, each made anew."""
    return KEPT.sub(lambda place: place[1] + "\n" + render(read_table(place[2])) + "\n" + place[3], markdown)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for each page."""
    return fill(markdown)


def _cell(value: Any, show: str) -> str:
    if isinstance(value, dict) and value.keys() == {"file", "key"}:
        found = read_json(ROOT / value["file"], "record")
        for part in value["key"].split("."):
            found = found[int(part) if isinstance(found, list) else part]
        value = found
    if value is None:
        return ""
    if isinstance(value, str):
        return value if ":" in show else show.format(value)
    if isinstance(value, dict):
        text = show.format(**value)
    elif isinstance(value, list):
        text = show.format(*value)
    else:
        text = show.format(value)
    return text.replace("-", "−") if text.startswith("-") else text


def main(paths: list[str]) -> None:
    """Write the tables of each file anew, where they differ."""
    for path in map(Path, paths):
        before = path.read_text(encoding="utf-8")
        after = refresh(before)
        if after != before:
            with atomic_path(path) as partial:
                partial.write_text(after, encoding="utf-8")
            print(f"wrote the tables of {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
