"""The tables beside frames: HC18's and ``pixels.csv``."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.spacing import PLAUSIBLE_MM


def read_table(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Rows of a CSV file with at least these columns; surrounding blanks are dropped.

    Raises:
        InputError: it cannot be read, or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            names = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = names
            missing = [column for column in columns if column not in names]
            if missing:
                raise InputError(
                    f"{path} lacks the column {missing[0]!r}", f"its header must hold: {', '.join(columns)}"
                )
            return [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read as a CSV table ({error})", "save it as comma-separated UTF-8 text"
        ) from error


def positive(text: str, what: str) -> float:
    """A finite number above zero. Raises ValueError with a message for people."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{what} is {text!r}, not a number") from None
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{what} is {text}, which must be above zero")
    return value


def spacing_mm(text: str, what: str) -> float:
    """A plausible spacing in mm. Raises ValueError with a message for people."""
    value = positive(text, what)
    low, high = PLAUSIBLE_MM
    if not low <= value <= high:
        raise ValueError(f"{what} is {text}, which is not within {low} to {high} mm")
    return value
