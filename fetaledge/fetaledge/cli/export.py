"""``fetaledge export``."""

from __future__ import annotations

from pathlib import Path

import typer

from fetaledge.cli.options import TASK
from fetaledge.cli.output import print_table, say
from fetaledge_runtimes.errors import UsageError


def export(
    run: Path = typer.Argument(..., metavar="RUN", help="The run to export."),
    out: Path = typer.Option(..., metavar="BUNDLE", help="The bundle folder to write."),
    data: Path = typer.Option(
        ...,
        help="The run's own data (calibration from its training subjects, gate on the others), or other frames.",
    ),
    task: str | None = TASK,
    int8: bool = typer.Option(False, "--int8", help="Add int8 variants."),
    fp16: bool = typer.Option(False, "--fp16", help="Add fp16 variants."),
    formats: list[str] = typer.Option(
        [], "--format", help="onnx, openvino or tflite; more than once for several (default: all)."
    ),
    calibration_frames: int = typer.Option(64, help="Training frames that int8 ranges are measured on."),
    max_hc_mean_mm: float | None = typer.Option(None, help="Gate: mean |ΔHC| against fp32 PyTorch, mm (0.5)."),
    max_hc_bias_mm: float | None = typer.Option(None, help="Gate: |mean ΔHC|, mm (0.2)."),
    max_hc_p95_mm: float | None = typer.Option(None, help="Gate: 95th percentile of |ΔHC|, mm (2.26)."),
    max_dice_drop: float = typer.Option(0.005, help="Gate: loss of mean Dice."),
    max_new_failures: int = typer.Option(0, help="Gate: frames that only the variant misses."),
    max_aop_mean_deg: float | None = typer.Option(None, help="Gate: mean |ΔAoP| against fp32 PyTorch, degrees (1)."),
    max_aop_p95_deg: float | None = typer.Option(None, help="Gate: 95th percentile of |ΔAoP|, degrees (3)."),
    limit: list[str] = typer.Option(
        [], metavar="NAME=VALUE", help="Gate: any limit of the task's measures, such as hc_p95_mm=2; more than once."
    ),
    min_cases: int = typer.Option(5, help="Gate: frames that must have a measure before it counts as judged."),
    allow_unmeasured: bool = typer.Option(
        False, "--allow-unmeasured", help="Let variants in whose measure the gate could not judge."
    ),
    fold: int | None = typer.Option(None, help="A fold of a SAM run, from 1 (default: the best by validation Dice)."),
    base: Path | None = typer.Option(None, metavar="FILE|DIR", help="A SAM run's base, if it was moved."),
    force: bool = typer.Option(
        False, "--force", help="Replace an earlier bundle; with --base, go on with a base of other weights."
    ),
) -> None:
    """Export a run to a bundle: fp32, and int8 or fp16 where asked for; each variant passes the gate or stays out."""
    from fetaledge.workflows.export import export_run
    from fetaledge_export.export import EVALUATION
    from fetaledge_export.gate import Limits
    from fetaledge_runtimes.errors import GateFailed

    flags = {
        "hc_abs_mean_mm": max_hc_mean_mm,
        "hc_bias_mm": max_hc_bias_mm,
        "hc_p95_mm": max_hc_p95_mm,
        "aop_abs_mean_deg": max_aop_mean_deg,
        "aop_p95_deg": max_aop_p95_deg,
    }
    measures = {**{name: value for name, value in flags.items() if value is not None}, **_given(limit)}
    limits = Limits(max_dice_drop, max_new_failures, min_cases, measures)
    precisions = [name for name, wanted in (("int8", int8), ("fp32", True), ("fp16", fp16)) if wanted]
    result = export_run(
        run,
        out,
        data,
        precisions=precisions,
        formats=formats,
        calibration_frames=calibration_frames,
        limits=limits,
        allow_unmeasured=allow_unmeasured,
        force=force,
        progress=say,
        fold=fold,
        base=base,
        task=task,
    )
    print_table(*result.table())
    if result.synthetic:
        say("synthetic frames: these scores say nothing about clinical accuracy")
    kept = len(result.manifest.variants)
    say(f"wrote {out} with {kept} of {len(result.variants)} variants")
    if result.failed:
        names = ", ".join(variant.name for variant in result.failed)
        raise GateFailed(f"not in the bundle: {names}", f"{out / EVALUATION} says why")


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
