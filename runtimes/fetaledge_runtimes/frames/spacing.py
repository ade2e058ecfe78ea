"""Millimetres per pixel: from a table beside the pictures, or as the user gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.frames.tables import Row, Table, read_table

PLAUSIBLE_MM = (0.005, 5.0)
SPACING_FILE, OPTION, DICOM = "pixels.csv", "option", "DICOM"
"""What may state a spacing."""
SPACING_COLUMNS = ("pixel_mm", "row_mm", "column_mm")
PIXELS_COLUMNS = (*SPACING_COLUMNS, "subject", "hc_mm")
HC18_COLUMN = "pixel size(mm)"
HC18_TABLES = ("{}_pixel_size.csv", "{}_pixel_size_and_HC.csv")
"""HC18's tables lie one folder up and carry the name of the folder that they are about."""
LAYOUT_IMAGES = "images"
NEARLY_SQUARE = 0.005

Spacing = tuple[float, float]
"""(row, column) in mm."""
Given = float | Spacing
"""What the user states: one number, which is right for square pixels alone, or (row, column)."""


@dataclass(frozen=True)
class PixelSize:
    """The size of a file's pixels.

    Attributes:
        mm: (row, column) spacing in mm, or None where it is unknown.
        stated_by: what stated it; None where it is unknown.
        remark: a sentence for people about how it came about, or why a statement of the file was not taken.
    """

    mm: Spacing | None = None
    stated_by: str | None = None
    remark: str | None = None


def given_size(given: Given, ratio: float = 1.0, named: str = "", source: str = "", by: str = OPTION) -> PixelSize:
    """The size that the user gives, of a file whose columns lie ``ratio`` times as far apart as its rows.

    One number is the distance of the rows; that of the columns follows from the ratio.

    Args:
        given: one number or (row, column), in mm.
        ratio: column distance over row distance.
        named: what states the ratio, in words.
        source: the file, for the remark.
        by: who states it, if not the option.
    """
    if isinstance(given, tuple):
        return PixelSize(given, by)
    if is_square(ratio):
        return PixelSize((given, given), by)
    mm = given, given * ratio
    return PixelSize(
        mm,
        f"{by}, columns by {named}",
        f"the pixels of {source} are not square ({named}): {mm[0]:g} mm was taken for the rows and {mm[1]:.4g} mm for "
        "the columns; --pixel-mm ROW,COLUMN sets both",
    )


def is_square(ratio: float) -> bool:
    """Whether a ratio of column to row distance is 1 but for rounding."""
    return abs(ratio - 1) <= NEARLY_SQUARE


def read_pixels(path: Path) -> Table:
    """Read a ``pixels.csv``; a table without rows where there is no such file.

    Besides ``filename`` it has ``pixel_mm``, or ``row_mm`` and ``column_mm``; labelled data may add ``subject`` and
    ``hc_mm``. Other columns are ignored. An empty cell means that the value is unknown.

    Raises:
        InputError: as :func:`read_table`, or none of these columns is there.
    """
    if not path.is_file():
        return Table(path, (), {})
    table = read_table(path, optional=PIXELS_COLUMNS)
    if not set(PIXELS_COLUMNS) & set(table.header):
        raise InputError(
            f"{path} has the columns {', '.join(table.header)}",
            "give the columns filename,pixel_mm or filename,row_mm,column_mm",
        )
    return table


def tables_beside(folder: Path) -> list[Table]:
    """The tables that state the spacing of the files in a folder: its ``pixels.csv``, or those one folder up.

    One folder up lie HC18's own, such as ``test_set_pixel_size.csv`` beside ``test_set/``, and the ``pixels.csv``
    beside ``images/`` and ``masks/``.

    Raises:
        InputError: as :func:`read_pixels`.
    """
    folder = folder.absolute()
    above = [folder.parent / name.format(folder.name) for name in HC18_TABLES]
    if folder.name == LAYOUT_IMAGES:
        above.append(folder.parent / SPACING_FILE)
    found = [path for path in (folder / SPACING_FILE, *above) if path.is_file()]
    return [_read_once(path, path.stat().st_mtime_ns, path.stat().st_size) for path in found]


@lru_cache(maxsize=8)
def _read_once(path: Path, changed_ns: int, size: int) -> Table:
    return read_pixels(path) if path.name == SPACING_FILE else read_table(path, (HC18_COLUMN,))


def size_in_tables(file: Path) -> PixelSize:
    """What the tables beside a file state of it. Raises InputError for an unusable cell or table."""
    found = given_in_tables(file)
    if found is None:
        return PixelSize()
    given, name = found
    return PixelSize(given if isinstance(given, tuple) else (given, given), name)


def given_in_tables(file: Path) -> tuple[Given, str] | None:
    """As :func:`size_in_tables`: one number, or a pair where the table has two columns, and the table's name."""
    for table in tables_beside(file.parent):
        row = table.row_of(file)
        try:
            given = None if row is None else _given_of(row)
        except ValueError as error:
            line = row.line if row else 0
            raise InputError(f"{table.path} line {line}: {error}", "correct the cell, or leave it empty") from None
        if given is not None:
            return given, table.path.name
    return None


def unmatched_rows(folder: Path) -> list[str]:
    """A sentence for each table of a folder that has rows about files that are not there."""
    remarks = []
    for table in tables_beside(folder):
        names = table.unmatched(list(folder.iterdir()))
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            remarks.append(
                f"{table.path} names {', '.join(names[:3])}{more}, which match no file in {folder}: they were not used"
            )
    return remarks


def spacing_of(row: Row) -> Spacing | None:
    """(row, column) spacing in mm in a row of the columns :data:`SPACING_COLUMNS`, or of HC18's; None without one.

    Raises:
        ValueError: a cell is no number within 0.005 to 5 mm, or one of ``row_mm`` and ``column_mm`` is empty.
    """
    given = _given_of(row)
    return (given, given) if isinstance(given, float) else given


def _given_of(row: Row) -> Given | None:
    both = plausible_mm(row, HC18_COLUMN if HC18_COLUMN in row.cells else "pixel_mm")
    if both is not None:
        return both
    if "row_mm" not in row.cells:
        return None
    row_mm, column_mm = plausible_mm(row, "row_mm"), plausible_mm(row, "column_mm")
    if row_mm is not None and column_mm is not None:
        return row_mm, column_mm
    if row_mm is not None or column_mm is not None:
        given, empty = ("row_mm", "column_mm") if column_mm is None else ("column_mm", "row_mm")
        raise ValueError(f"{empty} is empty and {given} is not")
    return None


def plausible_mm(row: Row, column: str) -> float | None:
    """A spacing in mm, or None where the cell is empty. Raises ValueError outside 0.005 to 5 mm."""
    value = row.number(column)
    if value is not None and not is_plausible(value):
        raise ValueError(f"{column} is {row.cells[column]}, which is not within 0.005 to 5 mm")
    return value


def is_plausible(*spacing: float) -> bool:
    """Whether each value is a finite spacing within 0.005 to 5 mm."""
    low, high = PLAUSIBLE_MM
    return all(low <= value <= high for value in spacing)


def parse_pixel_mm(text: str) -> Given:
    """What ``--pixel-mm`` holds: ``MM`` or ``ROW,COLUMN``. Raises ValueError for anything else."""
    numbers = tuple(map(float, text.split(",")))
    if len(numbers) > 2:
        raise ValueError(f"{text} holds {len(numbers)} numbers")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def check_pixel_mm(pixel_mm: float | Sequence[float]) -> Given:
    """One number, or (row, column), in mm.

    Raises:
        UsageError: not one or two finite numbers within 0.005 to 5 mm.
    """
    try:
        numbers = (float(pixel_mm),) if isinstance(pixel_mm, (int, float)) else tuple(map(float, pixel_mm))
    except (TypeError, ValueError):
        numbers = ()
    pair = isinstance(pixel_mm, Sequence)
    if len(numbers) != 1 + pair or not is_plausible(*numbers):
        raise UsageError(
            f"the pixel spacing {pixel_mm} is not one number or two within 0.005 to 5 mm",
            "give the millimetres from one pixel's centre to the next (ultrasound: about 0.05 to 0.5)",
        )
    return (numbers[0], numbers[1]) if pair else numbers[0]
