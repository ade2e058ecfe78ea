"""Tables, documents and messages on the terminal: data to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetaledge_runtimes.errors import GateFailed, TargetError
from fetaledge_runtimes.files import refuse_existing, write_json
from fetaledge_runtimes.records import Document, to_json

if TYPE_CHECKING:
    from fetaledge_export.results import ExportResult

WIDE = 10_000
"""Columns of a table that no terminal shows: its values are never cut off."""


def say(message: str) -> None:
    """Print a message or a line of progress to stderr."""
    print(message, file=sys.stderr, flush=True)


def check_out(out: Path | None, force: bool) -> None:
    """Raise OutputError where the file of ``--out`` exists and may not be replaced: before the work, not after it."""
    if out is not None:
        refuse_existing(out, force)


def deliver(document: Document | dict[str, Any], out: Path | None, as_json: bool) -> None:
    """Print a document where ``--json`` was given, and write it where ``--out`` names a file.

    Args:
        document: a struct, or JSON's own types that were validated against one.
        out: the file of ``--out``, or None.
        as_json: whether ``--json`` was given.

    Raises:
        OutputError: the file cannot be written.
    """
    plain = document if isinstance(document, dict) else to_json(document)
    if as_json:
        print(json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False))
    if out is not None:
        write_json(out, plain)
        say(f"wrote {out}")


def raise_if_lost(lost: Mapping[str, str]) -> None:
    """Print why each target was lost.

    Args:
        lost: target -> why.

    Raises:
        TargetError: there is one; the message names the first reason.
    """
    for name, reason in lost.items():
        say(f"lost: {name}: {reason}")
    if lost:
        first = next(iter(lost))
        raise TargetError(f"{', '.join(lost)} gave no results, or not all; {first}: {lost[first]}")


def raise_if_left_out(result: ExportResult, record: Path) -> None:
    """Raise GateFailed where a variant is not in the bundle; the message names the first reason.

    Args:
        result: of the export.
        record: the file that holds the scores of every frame.
    """
    if result.failed:
        names, first = ", ".join(variant.name for variant in result.failed), result.failed[0]
        raise GateFailed(
            f"not in the bundle: {names} ({first.name}: {first.said})", f"see the scores of every frame in {record}"
        )


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
