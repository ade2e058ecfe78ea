"""``fetaledge verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fetaledge.cli.options import (
    ADDRESS,
    DATA,
    DEVICES,
    MODEL,
    BundleArgument,
    EnginesOption,
    ForceOption,
    IgnoreMemoryOption,
    JsonOption,
    LayoutOption,
    OutFileOption,
    TaskOption,
    VariantsOption,
)
from fetaledge.cli.output import check_out, deliver, print_table, raise_if_lost, say


def verify(
    bundle: BundleArgument,
    variant: VariantsOption = None,
    threads: Annotated[
        int,
        typer.Option(help="Number of threads of the engine; on a device only with --data.", rich_help_panel=MODEL),
    ] = 1,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Device to verify on: {ADDRESS}. Repeat it for several (default: local).", rich_help_panel=DEVICES
        ),
    ] = None,
    engine: EnginesOption = None,
    ignore_memory: IgnoreMemoryOption = False,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With --target: the data set of the export. Its gate is repeated there on the same frames.",
            rich_help_panel=DATA,
        ),
    ] = None,
    task: TaskOption = None,
    layout: LayoutOption = None,
    as_json: JsonOption = False,
    out: OutFileOption = None,
    force: ForceOption = False,
) -> None:
    """Check every file's hash, and run the golden frames through every engine: here, or on devices."""
    from fetaledge_runtimes.errors import UsageError

    check_out(out, force)
    names, targets, engines = variant or [], target or [], engine or []
    if targets and data is not None:
        _gate_there(bundle, names, threads, targets, engines, ignore_memory, data, task, layout, as_json, out)
    elif set(targets) <= {"local"}:
        if data is not None or engines or ignore_memory:
            raise UsageError("--data, --engine and --ignore-memory are for devices", "name one with --target")
        _verify_here(bundle, names, threads, as_json, out)
    elif threads != 1:
        raise UsageError(
            f"--threads {threads} was given, but on a device the golden frames run on one thread",
            "add --data to repeat the gate with so many, or leave --threads out",
        )
    else:
        _verify_there(bundle, names, targets, engines, ignore_memory, as_json, out)


def _verify_here(bundle: Path, names: list[str], threads: int, as_json: bool, out: Path | None) -> None:
    from fetaledge_runtimes.bundle import Bundle
    from fetaledge_runtimes.selftest import exit_code, verify_bundle, verify_document

    opened = Bundle.open(bundle)
    variants = [opened.variant(name) for name in names] if names else opened.manifest.variants
    results = verify_bundle(opened, variants, threads)
    if not as_json:
        print_table(
            ("variant", "engine", "result", "details"),
            [(r.variant, r.engine, r.result, "; ".join(r.details)) for r in results],
        )
    deliver(verify_document(opened, results), out, as_json)
    raise typer.Exit(exit_code(results))


def _verify_there(
    bundle: Path,
    names: list[str],
    targets: list[str],
    engines: list[str],
    ignore_memory: bool,
    as_json: bool,
    out: Path | None,
) -> None:
    from fetaledge.workflows.verify_on_devices import verify_on_targets

    document = verify_on_targets(
        bundle, targets, variants=names or None, engines=engines, ignore_memory=ignore_memory, progress=say
    )
    if not as_json:
        print_table(
            ("target", "variant", "engine", "result", "details"),
            [
                (r.target, r.variant, f"{r.engine} {r.engine_version or ''}", r.result, r.details)
                for r in document.results
            ],
        )
    deliver(document, out, as_json)
    say(document.notice)
    raise_if_lost(document.lost)
    raise typer.Exit(0 if document.passed else 1)


def _gate_there(
    bundle: Path,
    names: list[str],
    threads: int,
    targets: list[str],
    engines: list[str],
    ignore_memory: bool,
    data: Path,
    labelled_for: str | None,
    layout: str | None,
    as_json: bool,
    out: Path | None,
) -> None:
    from fetaledge.workflows.verify_on_devices import gate_on_targets
    from fetaledge_export.results import change_cells, change_header
    from fetaledge_runtimes.tasks.registry import task_named

    document = gate_on_targets(
        bundle,
        data,
        targets,
        variants=names or None,
        threads=threads,
        engines=engines,
        ignore_memory=ignore_memory,
        progress=say,
        labelled_for=labelled_for,
        layout=layout,
    )
    task = task_named(document.task)
    if not as_json:
        rows = [
            (
                result.target,
                result.variant,
                *change_cells(result.against_fp32, task),
                "–" if result.against_local is None else f"{result.against_local['dice_min']:.5f}",
                "; ".join((*(result.reasons or ["passed"]), *result.notes)),
            )
            for result in document.results
        ]
        print_table(("target", "variant", *change_header(task), "Dice to local, min", "verdict"), rows)
    deliver(document, out, as_json)
    if document.note:
        say(document.note)
    say(document.notice)
    raise_if_lost(document.lost)
    raise typer.Exit(0 if document.passed else 1)
