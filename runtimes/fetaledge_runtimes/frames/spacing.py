"""The table of millimetres per pixel that stands beside plain images: ``pixels.csv``."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from fetaledge_runtimes.errors import InputError, UsageError

PLAUSIBLE_MM = (0.005, 5.0)
SPACING_FILE = "pixels.csv"
COLUMNS = "give the columns filename,pixel_mm or filename,row_mm,column_mm"


def read_spacing(path: Path) -> dict[str, tuple[float, float]]:
    """(row, column) mm by file name from a ``pixels.csv``; empty where there is no such file.

    Its columns are ``filename,pixel_mm`` or ``filename,row_mm,column_mm``; others are left alone.

    Raises:
        InputError: it is not a table, lacks a column, repeats a file, or holds a number outside 0.005 to 5 mm.
    """
    if not path.is_file():
        return {}
    spacing: dict[str, tuple[float, float]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or []
            numbers = ("pixel_mm",) if "pixel_mm" in columns else ("row_mm", "column_mm")
            if not {"filename", *numbers} <= set(columns):
                raise InputError(f"{path} has the columns {', '.join(columns) or '(none)'}", COLUMNS)
            for row in reader:
                name = row["filename"]
                if name in spacing:
                    raise InputError(f"{path} line {reader.line_num} names {name} again", "keep one line a file")
                spacing[name] = _pair(path, reader.line_num, [row[number] for number in numbers])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table: {error}", COLUMNS) from error
    return spacing


def check_pixel_mm(pixel_mm: float | Sequence[float]) -> tuple[float, float]:
    """(row, column) spacing in mm from one number or a pair.

    Raises:
        UsageError: not one or two finite numbers within 0.005 to 5 mm.
    """
    low, high = PLAUSIBLE_MM
    try:
        row, column = (pixel_mm, pixel_mm) if isinstance(pixel_mm, (int, float)) else map(float, pixel_mm)
    except (TypeError, ValueError):
        row = column = math.nan
    if not (low <= row <= high and low <= column <= high):
        raise UsageError(
            f"the pixel spacing {pixel_mm} was given where one number or two within {low} to {high} mm were expected",
            "give the millimetres from one pixel's centre to the next (ultrasound: about 0.05 to 0.5)",
        )
    return float(row), float(column)


def _pair(path: Path, line: int, cells: Sequence[str | None]) -> tuple[float, float]:
    try:
        values = [float(cell or "") for cell in cells]
        return check_pixel_mm(values[0] if len(values) == 1 else values)
    except (ValueError, UsageError):
        given = ", ".join(cell or "nothing" for cell in cells)
        raise InputError(
            f"{path} line {line} gives {given} where mm within 0.005 to 5 were expected", "correct the number"
        ) from None
