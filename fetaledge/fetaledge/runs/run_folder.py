"""The folder of a run, before training writes to it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from fetaledge.runs.imported_run import ImportedRunDocument
from fetaledge.runs.open import read_run_document
from fetaledge.runs.run import CURVE, DOCUMENT, LOG, RESUME, WEIGHTS, TrainedRunDocument
from fetaledge_runtimes.errors import InputError, OutputError, UsageError
from fetaledge_runtimes.files import refuse_existing
from fetaledge_runtimes.records import write_document


def check_folder(out: Path, document: TrainedRunDocument, *, resume: bool, force: bool) -> None:
    """Make sure that a run can be written to, or resumed in, the folder; nothing is touched.

    Args:
        out: the folder.
        document: ``run.json`` of the run that is about to start.
        resume: go on with an interrupted run.
        force: replace an earlier run.

    Raises:
        InputError: nothing to resume. UsageError: the interrupted run had other values.
        OutputError: the folder exists, or is not a run's.
    """
    if not resume:
        refuse_existing(out, force)
        if out.is_dir() and any(out.iterdir()) and not (out / DOCUMENT).is_file():
            raise OutputError(f"{out} holds no {DOCUMENT}, so it was not made by this command", "choose another name")
        return
    if not (out / DOCUMENT).is_file():
        raise InputError(f"{out} holds no {DOCUMENT}", "there is nothing to resume: leave --resume out")
    earlier = read_run_document(out)
    if isinstance(earlier, ImportedRunDocument) or earlier.validation is not None:
        raise InputError(f"{out} is finished", "there is nothing to resume")
    before, now = earlier.fixed(), document.fixed()
    changed = [name for name in now if before.get(name) != now[name]]
    if changed:
        raise UsageError(f"{out} was started with another {changed[0]}", "resume with the same data and options")


def prepare_folder(out: Path, document: TrainedRunDocument, folders: Sequence[str] = (), *, resume: bool) -> None:
    """Clear an earlier run's files, or an interrupted run's half-written ones, and write ``run.json``.

    Args:
        out: the folder; made where it is missing.
        document: ``run.json``.
        folders: sub-folders that the run makes, such as its folds'.
        resume: keep the finished files of the interrupted run.
    """
    if not resume:
        for name in (RESUME, WEIGHTS, CURVE, LOG):
            (out / name).unlink(missing_ok=True)
        for folder in out.glob("fold-*"):
            shutil.rmtree(folder)
    patterns = [f".{Path(name).stem}.*" for name in (RESUME, WEIGHTS, LOG, DOCUMENT)]
    patterns += [f"{name}/.*.*" for name in folders]
    for partial in (path for pattern in patterns for path in out.glob(pattern)):  # a killed process was writing it
        partial.unlink()
    write_document(out / DOCUMENT, document)
