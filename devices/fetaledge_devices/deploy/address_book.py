"""The targets that were deployed to from this machine, so that ``fetaledge devices`` can ask how they are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from fetaledge_devices.cache import folder
from fetaledge_runtimes.errors import FetalEdgeError, OutputError
from fetaledge_runtimes.files import read_json, write_json

SCHEMA = "fetaledge/target/1"


def remember(address: str, facts: dict[str, Any]) -> None:
    """Note a target's address and some facts about it. Raises OutputError where the cache cannot be written."""
    write_json(_note(address), {"schema": SCHEMA, "address": address, **facts})


def forget(address: str) -> None:
    """Delete the note of a target. Raises OutputError where the cache cannot be written."""
    note = _note(address)
    try:
        note.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot delete {note}: {error.strerror}", "delete it: the target is gone") from None


def known_targets() -> list[dict[str, Any]]:
    """What was noted, by address; a note that cannot be read is left out."""
    notes = []
    for path in folder("targets").glob("*.json"):
        try:
            note = read_json(path)
        except FetalEdgeError:
            continue
        if isinstance(note, dict) and note.get("schema") == SCHEMA and isinstance(note.get("address"), str):
            notes.append(note)
    return sorted(notes, key=lambda note: str(note["address"]))


def _note(address: str) -> Path:
    return folder("targets") / f"{hashlib.sha256(address.encode()).hexdigest()[:24]}.json"
