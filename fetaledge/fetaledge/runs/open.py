"""Opening a run of any architecture."""

from __future__ import annotations

from pathlib import Path

from fetaledge.runs.run import DOCUMENT, SCHEMA, Run
from fetaledge.runs.sam_run import open_sam_run
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.files import read_json


def open_run(folder: Path | str, fold: int | None = None, base: str | Path | None = None, force: bool = False) -> Run:
    """Open a run of any architecture.

    Args:
        fold: of a SAM run, from 1; None for all of its folds together.
        base: where a SAM run's base is, if not where ``run.json`` says.
        force: go on with a base of other weights than the run was trained on.

    Raises:
        UsageError: there is no such fold, or fold or base are given for a run without them.
        InputError: the folder is not a finished run.
    """
    folder = Path(folder)
    if not (folder / DOCUMENT).is_file():
        raise InputError(f"{folder} is not a run: it holds no {DOCUMENT}", "pass the folder that fetaledge train wrote")
    document = read_json(folder / DOCUMENT, "run")
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise InputError(
            f"{folder / DOCUMENT} has the schema {schema!r}, expected {SCHEMA!r}", "train again with this version"
        )
    if "validation" not in document:
        raise InputError(f"{folder} is not finished", "go on with it: the same command and --resume")
    try:
        if document["architecture"]["name"] == "sam":
            run: Run = open_sam_run(folder, document, fold, None if base is None else str(base), force)
        else:
            if fold is not None or base is not None:
                raise UsageError(
                    f"{folder} is a U-Net's run: it has no folds and no base", "leave --fold and --base out"
                )
            run = Run(folder, document)
        run.check()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f"{folder / DOCUMENT} lacks or misnames something ({type(error).__name__}: {error})", "train again"
        ) from None
    return run
