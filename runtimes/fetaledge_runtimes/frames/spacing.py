"""Millimetres per pixel of plain pictures: from the table ``pixels.csv`` beside them, or as the user gives them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.frames.tables import Row, Table, read_table

PLAUSIBLE_MM = (0.005, 5.0)
SPACING_FILE, OPTION, DICOM = "pixels.csv", "option", "DICOM"
"""What may state a spacing."""
SPACING_COLUMNS = ("pixel_mm", "row_mm", "column_mm")
PIXELS_COLUMNS = (*SPACING_COLUMNS, "subject", "hc_mm")

Spacing = tuple[float, float]
"""(row, column) in mm."""


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


def spacing_of(row: Row) -> Spacing | None:
    """(row, column) spacing in mm in a row of the columns :data:`SPACING_COLUMNS`; None where it states none.

    Raises:
        ValueError: a cell is no number within 0.005 to 5 mm, or one of ``row_mm`` and ``column_mm`` is empty.
    """
    both = plausible_mm(row, "pixel_mm")
    if both is not None:
        return both, both
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


def check_pixel_mm(pixel_mm: float | Sequence[float]) -> Spacing:
    """(row, column) spacing in mm from one number or a pair.

    Raises:
        UsageError: not one or two finite numbers within 0.005 to 5 mm.
    """
    try:
        row, column = (pixel_mm, pixel_mm) if isinstance(pixel_mm, (int, float)) else map(float, pixel_mm)
    except (TypeError, ValueError):
        row = column = math.nan
    if not is_plausible(row, column):
        raise UsageError(
            f"the pixel spacing {pixel_mm} is not one number or two within 0.005 to 5 mm",
            "give the millimetres from one pixel's centre to the next (ultrasound: about 0.05 to 0.5)",
        )
    return float(row), float(column)
