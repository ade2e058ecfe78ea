"""Opening a run of any architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fetaledge.runs.imported_run import ImportedRun, ImportedRunDocument
from fetaledge.runs.run import DOCUMENT, Run, RunDocument
from fetaledge.runs.sam_run import SamRun, SamRunDocument
from fetaledge.runs.unet_run import UnetRun, UnetRunDocument
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.files import read_json
from fetaledge_runtimes.records import from_json, schema_of

HINT = "it may be damaged; train again"


def open_run(folder: Path | str, fold: int | None = None, base: str | Path | None = None, force: bool = False) -> Run:
    """Open a run of any architecture.

    Args:
        folder: the run's.
        fold: of a SAM run, from 1; None for all of its folds together.
        base: where a SAM run's base is, if not where ``run.json`` says.
        force: go on with a base of other weights than the run was trained on.

    Raises:
        UsageError: there is no such fold, or fold or base are given for a run without them.
        InputError: the folder is not a finished run.
    """
    folder = Path(folder)
    refuse_what_is_no_run(folder)
    given = _read(folder)
    if given.get("validation") is None and "imported" not in given:
        raise InputError(f"{folder} is not finished", "go on with it: the same command and --resume")
    document = _typed(given, folder)
    if isinstance(document, SamRunDocument):
        folds = len(document.folds)
        if fold is not None and not 1 <= fold <= folds:
            raise UsageError(f"{folder} has no fold {fold}", f"choose from 1 to {folds}")
        return SamRun(folder, document, fold, None if base is None else str(base), force)
    if fold is not None or base is not None:
        raise UsageError(f"{folder} is no SAM's run: it has no folds and no base", "leave --fold and --base out")
    if isinstance(document, ImportedRunDocument):
        return ImportedRun(folder, document)
    return UnetRun(folder, document)


def refuse_what_is_no_run(path: Path) -> None:
    """Raise :class:`InputError` where there is nothing, a file, or a folder without ``run.json``."""
    if not path.exists():
        raise InputError(f"{path} does not exist", "pass the folder that fetaledge train or import wrote")
    if not path.is_dir():
        raise InputError(
            f"{path} is a file, not a run", f"make a run of a network's weights: fetaledge import {path} --out RUN"
        )
    if not (path / DOCUMENT).is_file():
        raise InputError(
            f"{path} is not a run: it holds no {DOCUMENT}", "pass the folder that fetaledge train or import wrote"
        )


def read_run_document(folder: Path) -> UnetRunDocument | SamRunDocument | ImportedRunDocument:
    """The ``run.json`` of a run that may be unfinished.

    Raises:
        InputError: it is missing, not JSON, or not a run's; the message names the first key that does not fit.
    """
    return _typed(_read(folder), folder)


def _read(folder: Path) -> dict[str, Any]:
    given = read_json(folder / DOCUMENT, "run")
    schema, expected = given.get("schema") if isinstance(given, dict) else None, schema_of(RunDocument)
    if schema != expected:
        raise InputError(
            f"{folder / DOCUMENT} has the schema {schema!r}, expected {expected!r}", "train again with this version"
        )
    document: dict[str, Any] = given
    return document


def _typed(given: dict[str, Any], folder: Path) -> UnetRunDocument | SamRunDocument | ImportedRunDocument:
    architecture = given.get("architecture")
    if not isinstance(architecture, dict):
        raise InputError(f"{folder / DOCUMENT} lacks the key architecture", HINT)
    if architecture.get("name") == "sam":
        return from_json(given, SamRunDocument, str(folder / DOCUMENT), hint=HINT)
    if "imported" in given:
        return from_json(given, ImportedRunDocument, str(folder / DOCUMENT), hint=HINT)
    return from_json(given, UnetRunDocument, str(folder / DOCUMENT), hint=HINT)
