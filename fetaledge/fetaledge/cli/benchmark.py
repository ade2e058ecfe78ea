"""``fetaledge benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fetaledge.cli.options import (
    ADDRESS,
    DEVICES,
    OUTPUT,
    BaseOption,
    BundleArgument,
    DataOption,
    EnginesOption,
    ForceOption,
    IgnoreMemoryOption,
    JsonOption,
    LayoutOption,
    OutFileOption,
    SplitOption,
    TaskOption,
    VariantsOption,
)
from fetaledge.cli.output import check_out, deliver, print_table, raise_if_lost, say

if TYPE_CHECKING:
    from fetaledge_benchmarks import BenchmarkRecord

ROWS = "Rows"


def benchmark(
    bundle: BundleArgument,
    data: DataOption,
    task: TaskOption = None,
    layout: LayoutOption = None,
    split: SplitOption = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Run that the bundle comes from: adds the row torch-fp32.", rich_help_panel=ROWS
        ),
    ] = None,
    base: BaseOption = None,
    variant: VariantsOption = None,
    threads: Annotated[
        list[int] | None,
        typer.Option(help="Thread count. Repeat it for several (default: 1).", rich_help_panel=ROWS),
    ] = None,
    samples: Annotated[int, typer.Option(help="Number of timed predictions of each row.", rich_help_panel=ROWS)] = 60,
    rounds: Annotated[
        int, typer.Option(help="Number of processes to spread the samples over.", rich_help_panel=ROWS)
    ] = 6,
    seed: Annotated[
        int, typer.Option(help="Seed of the order in which the rows are measured.", rich_help_panel=ROWS)
    ] = 0,
    sustained: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES",
            min=0.1,
            help="Keep each row running for this long afterwards, for latency over time.",
            rich_help_panel=ROWS,
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Device to measure on: {ADDRESS}. Repeat it for several (default: local).", rich_help_panel=DEVICES
        ),
    ] = None,
    engine: EnginesOption = None,
    ignore_memory: IgnoreMemoryOption = False,
    cool_down: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="Longest wait before each process for the device to cool down.",
            rich_help_panel=DEVICES,
        ),
    ] = None,
    benchmark_model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also time TFLite variants on phones with this program of Google's.",
            rich_help_panel=DEVICES,
        ),
    ] = None,
    as_json: JsonOption = False,
    out: OutFileOption = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write an HTML page and pictures to this folder.", rich_help_panel=OUTPUT),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Measure latency and accuracy of every variant, all in one interleaved run."""
    from fetaledge.workflows.benchmark import benchmark_bundle
    from fetaledge_benchmarks import BenchmarkOptions, write_report
    from fetaledge_benchmarks.mask_agreement import LOCAL
    from fetaledge_benchmarks.report.page import PAGE
    from fetaledge_runtimes.files import refuse_existing

    check_out(out, force)
    if report is not None:
        refuse_existing(report, force, marker=PAGE)
    options = BenchmarkOptions(
        threads=tuple(threads or [1]),
        variants=tuple(variant or ()) or None,
        samples=samples,
        rounds=rounds,
        seed=seed,
        engines=tuple(engine or ()),
        ignore_memory=ignore_memory,
        sustained_minutes=sustained,
        cool_down_s=cool_down,
        benchmark_model=benchmark_model,
    )
    record = benchmark_bundle(
        bundle,
        data,
        options,
        targets=target or [LOCAL],
        run_folder=run,
        base=base,
        split=split,
        task=task,
        layout=layout,
        progress=say,
    )
    if not as_json:
        _print_tables(record)
    deliver(record, out, as_json)
    if report is not None:
        write_report(record, report, force=force)
        say(f"wrote {report / PAGE}")
    _say_remarks(record)
    _raise_if_incomplete(record)


def _print_tables(record: BenchmarkRecord) -> None:
    from fetaledge_benchmarks import agreement_table, terminal_table
    from fetaledge_benchmarks.report.tables import baselines

    print_table(*terminal_table(record))
    if any(result.against_fp32 for result in record.results):
        print(f"Δ is against {baselines(record)}")
    header, rows = agreement_table(record)
    if rows:
        print()
        print_table(header, rows)


def _say_remarks(record: BenchmarkRecord) -> None:
    from fetaledge_benchmarks.report.notes import label, remarks

    if record.frames.note:
        say(record.frames.note)
    for name in record.devices:
        for remark in remarks(record, name):
            say(f"{name}: {remark}")
    for result in record.results:
        if not result.valid:
            where = "" if result.target == "local" else f" on {result.target}"
            say(f"not valid: {label(result)}{where}: {'; '.join(result.reasons)}")


def _raise_if_incomplete(record: BenchmarkRecord) -> None:
    """Raise TargetError where a target was lost, InvalidMeasurement where a row is not valid."""
    from fetaledge_runtimes.errors import InvalidMeasurement

    raise_if_lost(record.lost)
    invalid = [result for result in record.results if not result.valid]
    if invalid:
        emulated = all(result.emulated for result in invalid)
        raise InvalidMeasurement(
            f"{len(invalid)} of {len(record.results)} rows are not valid",
            "an emulated device gives masks and no times" if emulated else "measure again on a quiet machine",
        )
