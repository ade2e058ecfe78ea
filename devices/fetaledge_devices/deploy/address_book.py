"""The targets that were deployed to from this machine, so that ``fetaledge devices`` can ask how they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fetaledge_devices.cache import folder
from fetaledge_runtimes.errors import FetalEdgeError, OutputError
from fetaledge_runtimes.records import Document, read_document, write_document


class KnownTarget(Document, kw_only=True, frozen=True):
    """A target in the address book.

    Attributes:
        bundle, variants: what was deployed there last; None and empty where nobody noted it.
    """

    schema: str = "fetaledge/target/1"
    address: str
    bundle: str | None = None
    variants: tuple[str, ...] = ()


def remember(target: KnownTarget) -> None:
    """Note a target, in place of what was noted of its address. Raises OutputError where the cache is read-only."""
    write_document(_note(target.address), target)


def forget(address: str) -> None:
    """Delete the note of a target. Raises OutputError where the cache cannot be written."""
    note = _note(address)
    try:
        note.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot delete {note}: {error.strerror}", "delete it: the target is gone") from None


def known_targets() -> list[KnownTarget]:
    """The notes, by address; one that cannot be read is left out."""
    notes = []
    for path in folder("targets").glob("*.json"):
        try:
            notes.append(read_document(path, KnownTarget, "note of a target"))
        except FetalEdgeError:
            continue
    return sorted(notes, key=lambda note: note.address)


def _note(address: str) -> Path:
    return folder("targets") / f"{hashlib.sha256(address.encode()).hexdigest()[:24]}.json"
