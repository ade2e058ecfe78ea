"""``fetaledge benchmark``."""

from __future__ import annotations

from pathlib import Path

import typer

from fetaledge.cli.options import TASK
from fetaledge.cli.output import print_json, print_table, say


def benchmark(
    bundle: Path = typer.Argument(..., metavar="BUNDLE"),
    data: Path = typer.Option(..., help="Labelled frames."),
    task: str | None = TASK,
    run: Path | None = typer.Option(
        None, metavar="RUN", help="The run the bundle comes from: adds the row torch-fp32."
    ),
    base: Path | None = typer.Option(None, metavar="FILE|DIR", help="A SAM run's base, if it was moved."),
    target: list[str] = typer.Option(
        ["local"], help="Where to measure: local, ssh://[user@]host[:port], adb://SERIAL. More than once for several."
    ),
    engine: list[str] = typer.Option([], metavar="PIN", help="An engine's version on devices: onnxruntime==1.22.0."),
    variant: list[str] = typer.Option([], help="More than once for several (default: all)."),
    threads: list[int] = typer.Option([1], help="More than once for several."),
    split: str | None = typer.Option(
        None, help="all, train or validation (default: validation of the bundle's own data, all of other data)."
    ),
    samples: int = typer.Option(60, help="Timed frames of each row."),
    rounds: int = typer.Option(6, help="Processes that they are spread over."),
    seed: int = typer.Option(0, help="Of the order of measuring."),
    sustained: float | None = typer.Option(
        None, metavar="MINUTES", min=0.1, help="Let each row then run on for so long: latency over time."
    ),
    cool_down: float | None = typer.Option(
        None, metavar="SECONDS", min=0, help="Before each process wait, at most so long, for the first temperature."
    ),
    benchmark_model: Path | None = typer.Option(
        None, metavar="FILE", help="Google's program of that name: adds its latency of TFLite variants on phones."
    ),
    json_file: Path | None = typer.Option(None, "--json", metavar="FILE", help="Write the record here (- for stdout)."),
    report: Path | None = typer.Option(None, metavar="DIR", help="Write an HTML page and pictures here."),
    force: bool = typer.Option(False, "--force", help="Replace earlier files."),
) -> None:
    """Measure latency and accuracy of every variant, all in one interleaved run."""
    from fetaledge.workflows.benchmark import benchmark_bundle
    from fetaledge_benchmarks import agreement_table, record_valid, terminal_table, write_report
    from fetaledge_benchmarks.report.notes import label, remarks
    from fetaledge_benchmarks.report.page import PAGE
    from fetaledge_benchmarks.report.tables import baselines
    from fetaledge_runtimes.errors import InvalidMeasurement, TargetError
    from fetaledge_runtimes.files import refuse_existing, write_json

    if json_file is not None and str(json_file) != "-":
        refuse_existing(json_file, force)
    if report is not None:
        refuse_existing(report, force, marker=PAGE)
    record = benchmark_bundle(
        bundle,
        data,
        run_folder=run,
        variants=variant or None,
        threads=threads,
        split=split,
        samples=samples,
        rounds=rounds,
        seed=seed,
        progress=say,
        base=base,
        task=task,
        targets=target,
        engines=engine,
        sustained_minutes=sustained,
        cool_down_s=cool_down,
        benchmark_model=benchmark_model,
    )
    if str(json_file) == "-":
        print_json(record)
    else:
        print_table(*terminal_table(record))
        if any(result["against_fp32"] for result in record["results"]):
            print(f"Δ is against {baselines(record)}")
        header, rows = agreement_table(record)
        if rows:
            print()
            print_table(header, rows)
    if json_file is not None and str(json_file) != "-":
        write_json(json_file, record)
        say(f"wrote {json_file}")
    if report is not None:
        write_report(record, report, force=force)
        say(f"wrote {report / PAGE}")
    if record["frames"]["note"]:
        say(record["frames"]["note"])
    for name in record["devices"]:
        for remark in remarks(record, name):
            say(f"{name}: {remark}")
    for name, reason in record["lost"].items():
        say(f"lost: {name}: {reason}")
    if not record_valid(record):
        invalid = [result for result in record["results"] if not result["valid"]]
        for result in invalid:
            where = "" if result["target"] == "local" else f" on {result['target']}"
            say(f"not valid: {label(result)}{where}: {'; '.join(result['reasons'])}")
    if record["lost"]:
        others = "; the others' results were kept" if len(target) > 1 else ""
        raise TargetError(f"{', '.join(record['lost'])} gave no results, or not all{others}", "the reason stands above")
    if not record_valid(record):
        emulated = all(result["emulated"] for result in invalid)
        raise InvalidMeasurement(
            f"{len(invalid)} of {len(record['results'])} rows are not valid",
            "an emulated device gives masks and no times" if emulated else "measure again on a quiet machine",
        )
