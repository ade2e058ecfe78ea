"""``fetaledge verify`` and ``fetaledge inspect``."""

from __future__ import annotations

from pathlib import Path

import typer

from fetaledge.cli.options import TASK
from fetaledge.cli.output import print_json, print_table, say


def verify(
    bundle: Path = typer.Argument(..., metavar="BUNDLE"),
    variant: list[str] = typer.Option([], help="Only this variant; more than once for several."),
    threads: int = typer.Option(1, help="Threads of the engine; on a device only with --data."),
    target: list[str] = typer.Option(
        [], help="Verify on ssh://[user@]host[:port], adb://SERIAL or local; more than once for several."
    ),
    data: Path | None = typer.Option(
        None, metavar="DIR", help="With --target: the data set of the export; repeats the gate on its frames there."
    ),
    task: str | None = TASK,
    engine: list[str] = typer.Option([], metavar="PIN", help="An engine's version there: onnxruntime==1.22.0."),
    as_json: bool = typer.Option(False, "--json", help="Print one document."),
) -> None:
    """Check every file's hash, and run the golden frames through every engine: here, or on devices."""
    from fetaledge_runtimes.errors import UsageError

    if target and data is not None:
        _gate_there(bundle, variant, threads, target, engine, data, task, as_json)
    elif set(target) <= {"local"}:
        if data is not None or engine:
            raise UsageError("--data and --engine are for devices", "name one with --target")
        _verify_here(bundle, variant, threads, as_json)
    elif threads != 1:
        raise UsageError(
            f"--threads {threads} was given, but on a device the golden frames run on one thread",
            "add --data to repeat the gate with so many, or leave --threads out",
        )
    else:
        _verify_there(bundle, variant, target, engine, as_json)


def _verify_here(bundle: Path, names: list[str], threads: int, as_json: bool) -> None:
    from fetaledge_runtimes.bundle import Bundle
    from fetaledge_runtimes.records import to_json
    from fetaledge_runtimes.selftest import exit_code, verify_bundle, verify_document

    opened = Bundle.open(bundle)
    variants = [opened.variant(name) for name in names] if names else opened.manifest.variants
    results = verify_bundle(opened, variants, threads)
    if as_json:
        print_json(to_json(verify_document(opened, results)))
    else:
        print_table(
            ("variant", "engine", "result", "details"),
            [(r.variant, r.engine, r.result, "; ".join(r.details)) for r in results],
        )
    raise typer.Exit(exit_code(results))


def _verify_there(bundle: Path, names: list[str], targets: list[str], engines: list[str], as_json: bool) -> None:
    from fetaledge.workflows.verify_on_devices import verify_on_targets

    document = verify_on_targets(bundle, targets, variants=names or None, engines=engines, progress=say)
    if as_json:
        print_json(document)
    else:
        print_table(
            ("target", "variant", "engine", "result", "details"),
            [
                (r["target"], r["variant"], f"{r['engine']} {r['engine_version'] or ''}", r["result"], r["details"])
                for r in document["results"]
            ],
        )
    say(document["notice"])
    _raise_lost(document["lost"])
    raise typer.Exit(0 if all(result["result"] == "ok" for result in document["results"]) else 1)


def _gate_there(
    bundle: Path,
    names: list[str],
    threads: int,
    targets: list[str],
    engines: list[str],
    data: Path,
    labelled_for: str | None,
    as_json: bool,
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
        progress=say,
        labelled_for=labelled_for,
    )
    task = task_named(document["task"])
    if as_json:
        print_json(document)
    else:
        rows = [
            (
                result["target"],
                result["variant"],
                *change_cells(result["against_fp32"], task),
                "–" if result["against_local"] is None else f"{result['against_local']['dice_min']:.5f}",
                "; ".join((*(result["reasons"] or ["passed"]), *result["notes"])),
            )
            for result in document["results"]
        ]
        print_table(("target", "variant", *change_header(task), "Dice to local, min", "verdict"), rows)
    if document["note"]:
        say(document["note"])
    say(document["notice"])
    _raise_lost(document["lost"])
    raise typer.Exit(0 if all(result["passed"] for result in document["results"]) else 1)


def _raise_lost(lost: dict[str, str]) -> None:
    from fetaledge_runtimes.errors import TargetError

    if lost:
        for name, reason in lost.items():
            say(f"lost: {name}: {reason}")
        raise TargetError(f"{', '.join(lost)} gave no results, or not all", "the reason stands above")
