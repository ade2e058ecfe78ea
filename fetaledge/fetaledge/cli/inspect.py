"""``fetaledge inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fetaledge.cli.output import print_json, print_table

if TYPE_CHECKING:
    from fetaledge_export.results import GatedVariant
    from fetaledge_runtimes.tasks.task import Task


def inspect(
    bundle: Path = typer.Argument(..., metavar="BUNDLE"),
    as_json: bool = typer.Option(False, "--json", help="Print manifest and gate as one document."),
) -> None:
    """Print what a bundle holds and how its variants passed the gate."""
    from fetaledge_export.results import change_header, read_gate
    from fetaledge_runtimes.bundle import Bundle
    from fetaledge_runtimes.records import to_json
    from fetaledge_runtimes.tasks.registry import task_named

    opened = Bundle.open(bundle)
    gate = read_gate(opened)
    if as_json:
        print_json({"schema": "fetaledge/inspect/1", "manifest": to_json(opened.manifest), "gate": to_json(gate)})
        return
    source = opened.manifest.source
    data = source.get("data", {})
    grid = opened.manifest.input
    facts = [
        ("bundle", f"{opened.manifest.name} ({opened.manifest.notice})"),
        ("task", f"{opened.manifest.task}: {', '.join(opened.manifest.classes)}"),
        ("input", f"{grid.dtype} grey {grid.height}×{grid.width}, resize: {grid.resize}"),
        (
            "source",
            f"run {source.get('run')}, strategy {source.get('strategy')}, "
            f"weights {source.get('weights_sha256', '')[:12]}",
        ),
        ("data", f"{data.get('name')}, {data.get('frames')} frames{' (synthetic)' if data.get('synthetic') else ''}"),
        ("calibration", _calibration(opened.manifest.calibration)),
        ("made", f"{opened.manifest.created} by fetaledge {opened.manifest.fetaledge}"),
    ]
    for name, value in facts:
        print(f"{name:12}{value}")
    print()
    task = task_named(opened.manifest.task)
    print_table(
        ("variant", "MB", *change_header(task), "engine", "verdict"), [_row(entry, task) for entry in gate.variants]
    )


def _calibration(facts: dict[str, Any] | None) -> str:
    return "none" if facts is None else f"{facts['frames']} frames of {facts['subjects']} subjects"


def _row(entry: GatedVariant, task: Task) -> tuple[str, ...]:
    from fetaledge_export.results import change_cells, megabytes

    return (
        entry.variant,
        megabytes(entry.bytes),
        *change_cells(entry.against_fp32, task),
        f"{entry.engine} {entry.engine_version or ''}".strip(),
        "; ".join(entry.reasons) or entry.verdict or "passed",
    )
