"""A folder of phantoms: the request that is checked, and the note beside them."""

from __future__ import annotations

from pathlib import Path

from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.files import write_json

NOTICE = "a score on phantoms says nothing about clinical accuracy"


def check_request(count: int, seed: int) -> None:
    """Raise UsageError for a set of phantoms that cannot be drawn."""
    if count < 1 or seed < 0:
        raise UsageError(
            f"a count of {count} phantoms of seed {seed} was asked for", "give 1 or more, of a seed of 0 or more"
        )


def write_note(folder: Path, task: str, count: int, seed: int) -> None:
    """``phantom.json``: says of a folder that its frames are synthetic."""
    note = {"schema": "fetaledge/phantom/1", "synthetic": True, "task": task}
    write_json(folder / "phantom.json", note | {"count": count, "seed": seed, "notice": NOTICE})
