"""``fetaledge benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fetaledge.cli.options import TASK
from fetaledge.cli.output import check_out, deliver, print_table, say

if TYPE_CHECKING:
    from fetaledge_benchmarks import BenchmarkRecord


def benchmark(
    bundle: Path = typer.Argument(..., metavar="BUNDLE", help="Folder that fetaledge export wrote."),
    data: Path = typer.Option(..., help="Folder with labelled frames."),
    task: str | None = TASK,
    run: Path | None = typer.Option(
        None, metavar="RUN", help="The run the bundle comes from: adds the row torch-fp32."
    ),
    base: Path | None = typer.Option(None, metavar="FILE|DIR", help="Base model of a SAM run, if it was moved."),
    target: list[str] = typer.Option(
        ["local"], help="Where to measure: local, ssh://[user@]host[:port], adb://SERIAL. Repeat it for several."
    ),
    engine: list[str] = typer.Option(
        [], metavar="PIN", help="Engine version for devices, such as onnxruntime==1.22.0."
    ),
    variant: list[str] = typer.Option([], help="A variant's name; repeat it for several (default: all)."),
    threads: list[int] = typer.Option([1], help="Thread count; repeat it for several."),
    split: str | None = typer.Option(
        None, help="all, train or validation (default: validation of the bundle's own data, all of other data)."
    ),
    samples: int = typer.Option(60, help="Number of timed predictions of each row."),
    rounds: int = typer.Option(6, help="Number of processes to spread the samples over."),
    seed: int = typer.Option(0, help="Seed of the order in which the rows are measured."),
    sustained: float | None = typer.Option(
        None, metavar="MINUTES", min=0.1, help="Then keep each row running for this long, for latency over time."
    ),
    cool_down: float | None = typer.Option(
        None,
        metavar="SECONDS",
        min=0,
        help="Longest wait before each process for the device to cool down.",
    ),
    benchmark_model: Path | None = typer.Option(
        None, metavar="FILE", help="Also time TFLite variants on phones with this program of Google's."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the record as JSON."),
    out: Path | None = typer.Option(None, metavar="FILE", help="Write the record here as JSON."),
    report: Path | None = typer.Option(None, metavar="DIR", help="Write an HTML page and pictures here."),
    force: bool = typer.Option(False, "--force", help="Replace earlier files."),
) -> None:
    """Measure latency and accuracy of every variant, all in one interleaved run."""
    from fetaledge.workflows.benchmark import benchmark_bundle
    from fetaledge_benchmarks import BenchmarkOptions, write_report
    from fetaledge_benchmarks.report.page import PAGE
    from fetaledge_runtimes.files import refuse_existing

    check_out(out, force)
    if report is not None:
        refuse_existing(report, force, marker=PAGE)
    options = BenchmarkOptions(
        threads=tuple(threads),
        variants=tuple(variant) or None,
        samples=samples,
        rounds=rounds,
        seed=seed,
        engines=tuple(engine),
        sustained_minutes=sustained,
        cool_down_s=cool_down,
        benchmark_model=benchmark_model,
    )
    record = benchmark_bundle(
        bundle, data, options, targets=target, run_folder=run, base=base, split=split, task=task, progress=say
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
    for name, reason in record.lost.items():
        say(f"lost: {name}: {reason}")
    for result in record.results:
        if not result.valid:
            where = "" if result.target == "local" else f" on {result.target}"
            say(f"not valid: {label(result)}{where}: {'; '.join(result.reasons)}")


def _raise_if_incomplete(record: BenchmarkRecord) -> None:
    """Raise TargetError where a target was lost, InvalidMeasurement where a row is not valid."""
    from fetaledge_runtimes.errors import InvalidMeasurement, TargetError

    if record.lost:
        others = "; the results of the others were kept" if len(record.devices) > 1 else ""
        raise TargetError(
            f"{', '.join(record.lost)} gave no results, or not all{others}",
            "see the lines that begin with lost:, and benchmark it again",
        )
    invalid = [result for result in record.results if not result.valid]
    if invalid:
        emulated = all(result.emulated for result in invalid)
        raise InvalidMeasurement(
            f"{len(invalid)} of {len(record.results)} rows are not valid",
            "an emulated device gives masks and no times" if emulated else "measure again on a quiet machine",
        )
