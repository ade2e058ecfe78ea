"""``fetaledge export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fetaledge.cli.options import (
    DATA,
    OUTPUT,
    BaseOption,
    FoldOption,
    ForceWithBaseOption,
    FormatName,
    JsonOption,
    LayoutOption,
    TaskOption,
)
from fetaledge.cli.output import deliver, print_table, raise_if_left_out, say
from fetaledge_runtimes.errors import UsageError

FORMATS, GATE = "Formats", "Gate"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run to export.")],
    *,
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="The run's own data (calibration from its training subjects, gate on the others), or other frames.",
            rich_help_panel=DATA,
        ),
    ],
    task: TaskOption = None,
    layout: LayoutOption = None,
    calibration_frames: Annotated[
        int, typer.Option(help="Number of training frames to measure int8 ranges on.", rich_help_panel=DATA)
    ] = 64,
    fold: FoldOption = None,
    base: BaseOption = None,
    formats: Annotated[
        list[FormatName] | None,
        typer.Option(
            "--format", help="Format to write. Repeat it for several (default: all).", rich_help_panel=FORMATS
        ),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Add int8 variants.", rich_help_panel=FORMATS)] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Add fp16 variants.", rich_help_panel=FORMATS)] = False,
    max_hc_mean_mm: Annotated[
        float | None,
        typer.Option(help="Largest mean |ΔHC| against fp32 PyTorch, mm (default: 0.5).", rich_help_panel=GATE),
    ] = None,
    max_hc_bias_mm: Annotated[
        float | None, typer.Option(help="Largest |mean ΔHC|, mm (default: 0.2).", rich_help_panel=GATE)
    ] = None,
    max_hc_p95_mm: Annotated[
        float | None,
        typer.Option(help="Largest 95th percentile of |ΔHC|, mm (default: 2.26).", rich_help_panel=GATE),
    ] = None,
    max_aop_mean_deg: Annotated[
        float | None,
        typer.Option(help="Largest mean |ΔAoP| against fp32 PyTorch, degrees (default: 1).", rich_help_panel=GATE),
    ] = None,
    max_aop_p95_deg: Annotated[
        float | None,
        typer.Option(help="Largest 95th percentile of |ΔAoP|, degrees (default: 3).", rich_help_panel=GATE),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Any limit of the task's measures, such as hc_p95_mm=2. Repeat it for several.",
            rich_help_panel=GATE,
        ),
    ] = None,
    max_dice_drop: Annotated[float, typer.Option(help="Largest loss of mean Dice.", rich_help_panel=GATE)] = 0.005,
    max_new_failures: Annotated[
        int, typer.Option(help="Number of frames that the variant alone may miss.", rich_help_panel=GATE)
    ] = 0,
    min_cases: Annotated[
        int,
        typer.Option(
            help="Number of frames that must have a measure before it counts as judged.", rich_help_panel=GATE
        ),
    ] = 5,
    allow_unmeasured: Annotated[
        bool,
        typer.Option(
            "--allow-unmeasured", help="Let in variants whose measure the gate could not judge.", rich_help_panel=GATE
        ),
    ] = False,
    as_json: JsonOption = False,
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="Bundle folder to write.", rich_help_panel=OUTPUT)],
    force: ForceWithBaseOption = False,
) -> None:
    """Export a run to a bundle: fp32, and int8 or fp16 where asked for; each variant passes the gate or stays out."""
    from fetaledge.workflows.export import export_run
    from fetaledge_export.export import EVALUATION
    from fetaledge_export.gate import Limits
    from fetaledge_export.results import read_gate
    from fetaledge_runtimes.bundle import Bundle

    flags = {
        "hc_abs_mean_mm": max_hc_mean_mm,
        "hc_bias_mm": max_hc_bias_mm,
        "hc_p95_mm": max_hc_p95_mm,
        "aop_abs_mean_deg": max_aop_mean_deg,
        "aop_p95_deg": max_aop_p95_deg,
    }
    measures = {**{name: value for name, value in flags.items() if value is not None}, **_given(limit or [])}
    limits = Limits(max_dice_drop, max_new_failures, min_cases, measures)
    precisions = [name for name, wanted in (("int8", int8), ("fp32", True), ("fp16", fp16)) if wanted]
    result = export_run(
        run,
        out,
        data,
        precisions=precisions,
        formats=formats or [],
        calibration_frames=calibration_frames,
        limits=limits,
        allow_unmeasured=allow_unmeasured,
        force=force,
        progress=say,
        fold=fold,
        base=base,
        task=task,
        layout=layout,
    )
    if as_json:
        deliver(read_gate(Bundle.open(out)), None, as_json)
    else:
        print_table(*result.table())
    if result.synthetic:
        say("synthetic frames: these scores say nothing about clinical accuracy")
    kept = len(result.manifest.variants)
    say(f"wrote {out} with {kept} of {len(result.variants)} variants")
    raise_if_left_out(result, out / EVALUATION)


def _given(limits: list[str]) -> dict[str, float]:
    """The values of ``--limit NAME=VALUE``."""
    found = {}
    for text in limits:
        name, _, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise UsageError(f"--limit {text} is no NAME=VALUE", "write it like --limit hc_p95_mm=2") from None
    return found
