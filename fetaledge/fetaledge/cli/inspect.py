"""``fetaledge inspect``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fetaledge.cli.options import BundleArgument, ForceOption, JsonOption, OutFileOption
from fetaledge.cli.output import check_out, deliver, print_table

if TYPE_CHECKING:
    from fetaledge_export.results import GatedVariant
    from fetaledge_runtimes.tasks.task import Task


def inspect(
    bundle: BundleArgument,
    as_json: JsonOption = False,
    out: OutFileOption = None,
    force: ForceOption = False,
) -> None:
    """Print what a bundle holds and how its variants passed the gate."""
    from fetaledge.workflows.inspection import inspect_bundle
    from fetaledge_export.results import change_header
    from fetaledge_runtimes.tasks.registry import task_named

    check_out(out, force)
    found = inspect_bundle(bundle)
    deliver(found, out, as_json)
    if as_json:
        return
    manifest = found.manifest
    source = manifest.source
    grid = manifest.input
    facts = [
        ("bundle", f"{manifest.name} ({manifest.notice})"),
        ("task", f"{manifest.task}: {', '.join(manifest.classes)}"),
        ("input", f"{grid.dtype} grey {grid.height}×{grid.width}, resize: {grid.resize}"),
        ("source", f"run {source.get('run')}, {_made(source)}, weights {source.get('weights_sha256', '')[:12]}"),
        ("data", _data(source)),
        ("calibration", _calibration(manifest.calibration)),
        ("view check", manifest.view or "none: frames that show something else are measured too"),
        ("made", f"{manifest.created} by fetaledge {manifest.fetaledge}"),
    ]
    for name, value in facts:
        print(f"{name:12}{value}")
    print()
    task = task_named(manifest.task)
    print_table(
        ("variant", "MB", *change_header(task), "engine", "verdict"),
        [_row(entry, task) for entry in found.gate.variants],
    )


def _made(source: dict[str, Any]) -> str:
    """How the run's network came about."""
    imported = "imported" in source and source.get("data") is None
    return f"imported from {source['imported']}" if imported else f"strategy {source.get('strategy')}"


def _data(source: dict[str, Any]) -> str:
    """The data that the run was trained on."""
    from fetaledge.data.split import training_remark

    data = source.get("data") or {}
    frames = f"{data.get('name')}, {data.get('frames')} frames{' (synthetic)' if data.get('synthetic') else ''}"
    return "; ".join(part for part in (frames if data else None, training_remark(source)) if part) or "unknown"


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
