"""Files that are either whole or absent: written beside their final name, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fetaledge_runtimes.errors import InputError, OutputError


def _refusal(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(f"cannot write {path}: {reason}", "free some space or choose a folder that you may write to")


def refuse_existing(path: Path, force: bool, marker: str | None = None) -> None:
    """Raise :class:`OutputError` where ``path`` may not be written: ask this before long work, not after.

    An existing file or folder needs ``force``; a folder that is replaced must be empty or hold the file ``marker``, so
    that a mistyped ``--out`` never deletes somebody's documents. The nearest folder that exists must be writable.
    """
    filled = path.is_dir() and any(path.iterdir())
    if (filled or path.is_file()) and not force:
        raise OutputError(f"{path} exists already", "choose another name, or pass --force to replace it")
    if filled and marker is not None and not (path / marker).is_file():
        raise OutputError(
            f"{path} holds no {marker}, so it was not made by this command",
            "remove it yourself, or choose another name",
        )
    if path.is_file() and marker is not None:
        raise OutputError(f"{path} is a file where a folder is to be written", "choose another name")
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        hint = "choose a folder that you may write to"
        raise OutputError(f"cannot write {path}: {parent} is read-only, or no folder", hint)


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary name beside ``path`` with the same suffix; rename it on success, remove it on failure.

    Raises:
        OutputError: the folder is read-only, the disk is full, …
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _refusal(path, error) from error
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)  # some writers put a file of their own in its place
        partial.replace(path)
    except BrokenPipeError:  # of who reads the output
        raise
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path | str, *, force: bool = False, marker: str | None = None) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; rename it to ``path`` on success, remove it on failure or Ctrl-C.

    What may be replaced, :func:`refuse_existing` says.

    Raises:
        OutputError: ``path`` exists and may not be replaced, or cannot be written.
    """
    path = Path(path)
    refuse_existing(path, force, marker)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        partial.chmod(0o755)
    except OSError as error:
        raise _refusal(path, error) from error
    try:
        yield partial
        if path.exists():
            _replace_folder(partial, path)
        else:
            partial.rename(path)
    except BrokenPipeError:  # of who reads the output
        raise
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _replace_folder(new: Path, path: Path) -> None:
    """Rename ``new`` to ``path``. Where that fails, the earlier folder has its name back.

    Raises:
        OSError: it failed.
        OutputError: the earlier folder could not be put back either; the hint names its place.
    """
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
    earlier = aside / path.name
    try:
        path.rename(earlier)
        new.rename(path)
    except BaseException:
        if not path.exists():
            try:
                earlier.rename(path)
            except OSError as error:
                raise OutputError(f"{path} could not be replaced", f"the earlier folder is now {earlier}") from error
        shutil.rmtree(aside, ignore_errors=True)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def write_json(path: Path | str, document: Any) -> None:
    """Write ``document`` as indented JSON, atomically. NaN and infinity are refused (they are not JSON)."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path | str, what: str = "file") -> Any:
    """Read a JSON file.

    Raises:
        InputError: it is missing, not text, or not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist", f"a {what} holds this file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error})", f"it may be damaged; make the {what} again") from error


def sha256(path: Path | str) -> str:
    """Hex SHA-256 of a file's content."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
