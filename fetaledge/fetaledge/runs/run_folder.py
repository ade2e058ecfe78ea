"""The folder of a run, before training writes to it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fetaledge.runs.run import CURVE, DOCUMENT, LOG, RESUME, WEIGHTS, write_document
from fetaledge_runtimes.errors import InputError, OutputError, UsageError
from fetaledge_runtimes.files import read_json, refuse_existing


def check_folder(out: Path, document: dict[str, Any], fixed: Sequence[str], *, resume: bool, force: bool) -> None:
    """Make sure that a run can be written to, or resumed in, the folder; nothing is touched.

    Args:
        fixed: the keys of ``run.json`` that a resumed run must share.

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
    earlier = read_json(out / DOCUMENT, "run")
    if "validation" in earlier:
        raise InputError(f"{out} is finished", "there is nothing to resume")
    changed = [key for key in fixed if not _agree(earlier.get(key), document[key])]
    if changed:
        raise UsageError(f"{out} was started with another {changed[0]}", "resume with the same data and options")


def _agree(earlier: Any, now: Any) -> bool:
    """Whether two values of a key are the same. Of two objects only keys of the earlier, older one are compared."""
    if isinstance(earlier, dict) and isinstance(now, dict):
        return all(key in now and now[key] == value for key, value in earlier.items())
    return bool(earlier == now)


def prepare_folder(out: Path, document: dict[str, Any], folders: Sequence[str] = (), *, resume: bool) -> None:
    """Clear what an earlier run left, or of an interrupted one what was half-written, and write ``run.json``.

    Args:
        folders: sub-folders that the run makes, such as its folds'.
    """
    if not resume:
        for name in (RESUME, WEIGHTS, CURVE, LOG):
            (out / name).unlink(missing_ok=True)
        for folder in out.glob("fold-*"):
            shutil.rmtree(folder)
    patterns = [f".{Path(name).stem}.*" for name in (RESUME, WEIGHTS, LOG, DOCUMENT)]
    patterns += [f"{name}/.*.*" for name in folders]
    for partial in (path for pattern in patterns for path in out.glob(pattern)):  # what a killed process was writing
        partial.unlink()
    write_document(out, document)
