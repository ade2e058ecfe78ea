"""The ``fetaledge`` command. Its parts import what they need when they run, so that ``--help`` answers at once."""

from __future__ import annotations

import sys

import typer

import fetaledge
from fetaledge.cli import (
    benchmark,
    cost,
    data,
    demo,
    deploy,
    devices,
    evaluate,
    export,
    import_network,
    inspect,
    merge,
    predict,
    train,
    train_sam,  # noqa: F401
    train_view,  # noqa: F401
    verify,
)
from fetaledge.cli.json_file import JsonFileCommand
from fetaledge.cli.plain_errors import PlainErrors
from fetaledge_runtimes.broken_pipe import ending_with_the_reader
from fetaledge_runtimes.errors import FetalEdgeError
from fetaledge_runtimes.notice import NOTICE
from fetaledge_runtimes.quiet import quiet

INTERRUPTED = 130  # typer's exit code after Ctrl-C

app = typer.Typer(
    name="fetaledge",
    help="A fetal-head segmentation model from training to a point-of-care device.\n\n"
    "Research software, not a medical device.",
    no_args_is_help=True,
    cls=PlainErrors,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fetaledge {fetaledge.__version__} ({NOTICE})")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and leave."
    ),
) -> None:
    pass


app.add_typer(data.app, name="data")
app.add_typer(train.app, name="train")
app.command(name="import")(import_network.import_network)
for command in (
    evaluate.evaluate,
    export.export,
    merge.merge,
    predict.predict,
    benchmark.benchmark,
    deploy.deploy,
    devices.devices,
    cost.cost,
    verify.verify,
    inspect.inspect,
    demo.demo,
):
    app.command(cls=JsonFileCommand if command in (benchmark.benchmark, cost.cost) else None)(command)


def main() -> None:
    """Entry point: run the command and leave with its exit code.

    It is that of ``fetaledge_runtimes.errors``, 130 after Ctrl-C, or 141 where nobody reads the output any more.
    """
    quiet()
    with ending_with_the_reader():
        try:
            app(prog_name="fetaledge")
        except FetalEdgeError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(error.exit_code)
        except SystemExit as leaving:
            if leaving.code == INTERRUPTED:
                print("interrupted", file=sys.stderr)
            raise
