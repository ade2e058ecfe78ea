"""CSV tables beside frames: one row a file."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PureWindowsPath

from fetaledge_runtimes.errors import InputError

FILENAME = "filename"
HINT = "save it as comma-separated UTF-8 text with one line a file"


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        line: its number in the file, from 1.
        filename: the file that it is about, without its folder.
        cells: text by column, without surrounding blanks; "" where a cell is empty or the column is missing.
    """

    line: int
    filename: str
    cells: dict[str, str]

    def number(self, column: str) -> float | None:
        """The number above zero in a cell, or None where the cell is empty. Raises ValueError for anything else."""
        text = self.cells[column]
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{column} is {text!r}, not a number") from None
        if not math.isfinite(value) or value <= 0:
            raise ValueError(f"{column} is {text}, which must be above zero")
        return value


@dataclass(frozen=True)
class Table:
    """The rows of a table by file name.

    Attributes:
        path: of the CSV file.
        header: its columns.
        rows: by the name in the column ``filename``, in the order of the file.
    """

    path: Path
    header: tuple[str, ...]
    rows: dict[str, Row]

    def row_of(self, image: Path) -> Row | None:
        """The row about a file: the one with its name, else the one row with its stem that names no file beside it.

        So ``a.png`` or plain ``a`` in a table also stands for an ``a.jpg``, unless there is an ``a.png`` too.
        """
        for name in (image.name, image.stem):
            if name in self.rows:
                return self.rows[name]
        alike = [row for row in self._by_stem.get(image.stem, []) if not image.with_name(row.filename).exists()]
        return alike[0] if len(alike) == 1 else None

    def unmatched(self, images: Iterable[Path]) -> list[str]:
        """The names of the rows that :meth:`row_of` gives for none of these files."""
        used = {row.filename for row in map(self.row_of, images) if row}
        return [name for name in self.rows if name not in used]

    @cached_property
    def _by_stem(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self.rows.values():
            found.setdefault(Path(row.filename).stem, []).append(row)
        return found


def read_table(path: Path, required: Sequence[str] = (), optional: Sequence[str] = ()) -> Table:
    """Read the columns ``filename``, ``required`` and ``optional`` of a CSV file; other columns are ignored.

    Blanks around headers and cells are dropped, and lines without any text are skipped. A file may stand in several
    lines if these columns agree in all of them.

    Args:
        path: of the file, UTF-8 with or without a byte-order mark.
        required: columns that must be there.
        optional: columns that may be there.

    Raises:
        InputError: the file cannot be read as a table, lacks a column, has a line without a file name, or says two
            things of one file; the message names the lines.
    """
    columns = (*required, *optional)
    rows: dict[str, Row] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            reader.fieldnames = header = [name.strip() for name in reader.fieldnames or []]
            missing = [column for column in (FILENAME, *required) if column not in header]
            if missing:
                raise InputError(
                    f"{path} lacks the column {missing[0]!r}: it has {', '.join(header) or 'no header'}",
                    f"its header must hold: {', '.join((FILENAME, *required))}",
                )
            for given in reader:
                cells = {column: (given.get(column) or "").strip() for column in (FILENAME, *columns)}
                if any(cells.values()):
                    _add(rows, Row(reader.line_num, PureWindowsPath(cells.pop(FILENAME)).name, cells), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table: {error}", HINT) from error
    return Table(path, tuple(header), rows)


def _add(rows: dict[str, Row], row: Row, path: Path) -> None:
    if not row.filename:
        raise InputError(f"{path} line {row.line} names no file", f"fill its column {FILENAME!r}")
    earlier = rows.setdefault(row.filename, row)
    for column, text in row.cells.items():
        if text != earlier.cells[column]:
            raise InputError(
                f"{path} gives two values for the {column} of {row.filename}: "
                f"{earlier.cells[column] or 'nothing'} in line {earlier.line}, {text or 'nothing'} in line {row.line}",
                "keep one line a file",
            )
