"""Tables, documents and messages on the terminal: data to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fetaledge_runtimes.files import refuse_existing
from fetaledge_runtimes.records import Document, to_text, write_document

WIDE = 10_000
"""Columns of a table that no terminal shows: its values are never cut off."""


def say(message: str) -> None:
    """Print a message or a line of progress to stderr."""
    print(message, file=sys.stderr, flush=True)


def print_json(document: Any) -> None:
    """Print a document of JSON's own types to stdout."""
    print(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))


def check_out(out: Path | None, force: bool) -> None:
    """Raise OutputError where the file of ``--out`` exists and may not be replaced: before the work, not after it."""
    if out is not None:
        refuse_existing(out, force)


def deliver(document: Document, out: Path | None, as_json: bool) -> None:
    """Print a document where ``--json`` was given, and write it where ``--out`` names a file.

    Raises:
        OutputError: the file cannot be written.
    """
    if as_json:
        print(to_text(document))
    if out is not None:
        write_document(out, document)
        say(f"wrote {out}")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: the first and the last column to the left, numbers between them to the right.

    No value is cut off or wrapped, however narrow the terminal: it may be piped into another program.
    """
    from rich.box import Box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    last = len(header) - 1
    lines = Box("    \n    \n ─  \n    \n    \n    \n    \n    \n", ascii=False)
    table = Table(box=lines, show_edge=False, pad_edge=False, header_style="")
    for column, name in enumerate(header):
        table.add_column(Text(name), justify="left" if column in (0, last) else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(width=WIDE, highlight=False, color_system=None, file=sys.stdout)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())
