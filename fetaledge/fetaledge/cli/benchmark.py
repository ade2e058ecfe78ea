"""``fetaledge benchmark``."""

from __future__ import annotations

from pathlib import Path

import typer

from fetaledge.cli.tables import print_json, print_table, say


def benchmark(
    bundle: Path = typer.Argument(..., metavar="BUNDLE"),
    data: Path = typer.Option(..., help="Labelled frames."),
    run: Path | None = typer.Option(
        None, metavar="RUN", help="The run the bundle comes from: adds the row torch-fp32."
    ),
    base: Path | None = typer.Option(None, metavar="FILE|DIR", help="A SAM run's base, if it was moved."),
    target: list[str] = typer.Option(["local"], help="Where to measure: local."),
    variant: list[str] = typer.Option([], help="More than once for several (default: all)."),
    threads: list[int] = typer.Option([1], help="More than once for several."),
    split: str | None = typer.Option(
        None, help="all, train or validation (default: validation of the bundle's own data, all of other data)."
    ),
    samples: int = typer.Option(60, help="Timed frames of each row."),
    rounds: int = typer.Option(6, help="Processes that they are spread over."),
    seed: int = typer.Option(0, help="Of the order of measuring."),
    json_file: Path | None = typer.Option(None, "--json", metavar="FILE", help="Write the record here (- for stdout)."),
    report: Path | None = typer.Option(None, metavar="DIR", help="Write an HTML page and pictures here."),
    force: bool = typer.Option(False, "--force", help="Replace earlier files."),
) -> None:
    """Measure latency and accuracy of every variant, all in one interleaved run."""
    from fetaledge.benchmarking import benchmark_bundle
    from fetaledge_benchmarks import record_valid, terminal_table, write_report
    from fetaledge_benchmarks.report import PAGE
    from fetaledge_runtimes.errors import InvalidMeasurement, UsageError
    from fetaledge_runtimes.files import refuse_existing, write_json

    if target != ["local"]:
        raise UsageError(f"there is no target {', '.join(target)}", "only local can be measured in this version")
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
    )
    if str(json_file) == "-":
        print_json(record)
    else:
        print_table(*terminal_table(record))
    if json_file is not None and str(json_file) != "-":
        write_json(json_file, record)
        say(f"wrote {json_file}")
    if report is not None:
        write_report(record, report, force=force)
        say(f"wrote {report / PAGE}")
    if record.get("note"):
        say(record["note"])
    if not record_valid(record):
        invalid = [result for result in record["results"] if not result["valid"]]
        for result in invalid:
            say(f"not valid: {result['variant']}, {result['threads']} threads: {'; '.join(result['reasons'])}")
        raise InvalidMeasurement(
            f"{len(invalid)} of {len(record['results'])} rows are not valid", "measure again on a quiet machine"
        )
