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
    data = source.get("data", {})
    grid = manifest.input
    facts = [
        ("bundle", f"{manifest.name} ({manifest.notice})"),
        ("task", f"{manifest.task}: {', '.join(manifest.classes)}"),
        ("input", f"{grid.dtype} grey {grid.height}×{grid.width}, resize: {grid.resize}"),
        (
            "source",
            f"run {source.get('run')}, strategy {source.get('strategy')}, "
            f"weights {source.get('weights_sha256', '')[:12]}",
        ),
        ("data", f"{data.get('name')}, {data.get('frames')} frames{' (synthetic)' if data.get('synthetic') else ''}"),
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
