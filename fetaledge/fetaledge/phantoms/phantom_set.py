"""A folder of phantoms: the check of the request, and the note beside the frames."""

from __future__ import annotations

from pathlib import Path

from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.records import Document, write_document
from fetaledge_runtimes.scores.record import SYNTHETIC_NOTE

NOTE = "phantom.json"


class PhantomNote(Document, kw_only=True, frozen=True):
    """``phantom.json``: says of a folder that its frames are synthetic, and how to make them again."""

    schema: str = "fetaledge/phantom/1"
    synthetic: bool = True
    task: str
    count: int
    seed: int
    notice: str = SYNTHETIC_NOTE


def check_request(count: int, seed: int) -> None:
    """Raise UsageError for a set of phantoms that cannot be drawn."""
    if count < 1 or seed < 0:
        raise UsageError(
            f"a count of {count} phantoms with the seed {seed} was asked for", "give 1 or more, and a seed of 0 or more"
        )


def write_note(folder: Path, task: str, count: int, seed: int) -> None:
    """Write ``phantom.json`` into a folder of phantoms."""
    write_document(folder / NOTE, PhantomNote(task=task, count=count, seed=seed))
