"""Name, source and licence of a data set, as files beside the data state them."""

from __future__ import annotations

from pathlib import Path

from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.files import read_json
from fetaledge_runtimes.frames.images import read_bytes
from fetaledge_runtimes.records import Document, from_json

NOTE = "dataset.json"
LICENCES = ("LICENCE", "LICENSE", "LICENCE.txt", "LICENSE.txt", "LICENCE.md", "LICENSE.md")
LONGEST_LINE = 200


class DatasetNote(Document, kw_only=True, frozen=True):
    """``dataset.json`` beside a data set: what its folders cannot say.

    Attributes:
        name: of the data set; without it the folder's name.
        attribution: how to cite its source.
        licence: under which it may be used.
    """

    schema: str = "fetaledge/dataset/1"
    name: str | None = None
    attribution: str | None = None
    licence: str | None = None


def read_note(folder: Path) -> DatasetNote:
    """Read ``dataset.json`` and the licence file beside a data set; an empty note where there are none.

    A ``dataset.json`` without the key ``schema`` may be another program's: its texts ``name``, ``attribution`` and
    ``licence`` are taken, and the rest is ignored. Where it states no licence, the first line of a licence file counts.

    Raises:
        InputError: a file cannot be read, or a note with our schema has an unknown or ill-typed key.
    """
    note = _noted(folder / NOTE) if (folder / NOTE).is_file() else DatasetNote()
    licence = next((path for path in (folder / name for name in LICENCES) if path.is_file()), None)
    if note.licence is not None or licence is None:
        return note
    lines = (line.strip("# \t\r") for line in read_bytes(licence).decode(errors="replace").split("\n"))
    first = next(filter(None, lines), licence.name)
    return DatasetNote(name=note.name, attribution=note.attribution, licence=first[:LONGEST_LINE])


def _noted(path: Path) -> DatasetNote:
    given = read_json(path, "data set")
    if not isinstance(given, dict):
        raise InputError(f"{path} holds no JSON object", "give the keys name, attribution and licence")
    if "schema" not in given:
        texts = {key: given[key] for key in ("name", "attribution", "licence") if isinstance(given.get(key), str)}
        return DatasetNote(**texts)
    return from_json(given, DatasetNote, str(path), hint="correct it, or remove it")
