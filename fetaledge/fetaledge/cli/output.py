"""Tables and messages on the terminal: data to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def say(message: str) -> None:
    """A message or a line of progress, to stderr."""
    print(message, file=sys.stderr, flush=True)


def print_json(document: Any) -> None:
    print(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell: the first and the last to the left, numbers between them to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    last = len(header) - 1

    def line(row: Sequence[str]) -> str:
        cells = (
            cell.ljust(width) if n in (0, last) else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    print(line(header))
    print("  ".join("─" * width for width in widths))
    for row in rows:
        print(line(row))
