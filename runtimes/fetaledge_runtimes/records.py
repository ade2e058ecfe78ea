"""Documents: one typed struct each, written as JSON and read back whole or refused.

    class Cities(Document, kw_only=True, frozen=True):
        schema: str = "example/cities/1"
        names: tuple[str, ...]

    write_document(path, Cities(names=("Bern",)))
    cities = read_document(path, Cities, "list of cities")

A document is a file or an answer that others read: its struct says which keys it has, and :func:`schemas` gives the
JSON Schema of each. Structs inside a document are plain :class:`Part` structs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fetaledge_runtimes.errors import FetalEdgeError, InputError
from fetaledge_runtimes.files import read_json, write_json


class Part(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A part of a document. Unknown keys are refused."""


class Document(Part, kw_only=True, frozen=True):
    """A whole document. A subclass gives ``schema`` its default, ``"fetaledge/NAME/VERSION"``."""

    schema: str


D = TypeVar("D", bound=Document)
P = TypeVar("P", bound=Part)


def schema_of(kind: type[Document]) -> str:
    """The name that a document carries in its key ``schema``."""
    fields = {field.name: field.default for field in msgspec.structs.fields(kind)}
    return str(fields["schema"])


def to_json(part: Part) -> dict[str, Any]:
    """A document or a part of one as JSON's own types, keys in the order of its fields."""
    plain: dict[str, Any] = _listed(msgspec.to_builtins(part))
    return plain


def to_text(part: Part) -> str:
    """As indented JSON. Raises ValueError where it holds NaN or infinity, which are not JSON."""
    return json.dumps(to_json(part), indent=1, ensure_ascii=False, allow_nan=False)


def from_json(
    given: Any, kind: type[P], where: str, error: type[FetalEdgeError] = InputError, hint: str = "make it again"
) -> P:
    """A struct of a decoded JSON value; ``where`` names the file or answer that it came from.

    Raises:
        InputError: (or ``error``) another schema, or a key that is missing, unknown or ill-typed: the message names its
            path, such as ``variants[0].files``.
    """
    if issubclass(kind, Document):
        expected = schema_of(kind)
        schema = given.get("schema") if isinstance(given, Mapping) else None
        if schema != expected:
            raise error(f"{where} has the schema {schema!r}, and this version reads {expected!r}", hint)
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as problem:
        raise error(f"{where} {_sentence(str(problem))}", hint) from None


def write_document(path: Path | str, document: Document) -> None:
    """Write a document as indented JSON, atomically. Raises OutputError where that fails, ValueError for NaN."""
    write_json(path, to_json(document))


def read_document(
    path: Path | str, kind: type[D], what: str, error: type[FetalEdgeError] = InputError, hint: str = ""
) -> D:
    """Read a document; ``what`` is the word for people of the thing that holds it ("bundle", "run").

    Raises:
        InputError: (or ``error``) the file is missing, is not JSON, or is not this document.
    """
    try:
        given = read_json(path, what)
    except InputError as problem:
        raise error(problem.message, problem.hint) from None
    return from_json(given, kind, str(path), error, hint or f"it may be damaged; make the {what} again")


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema (2020-12) of every document whose struct has been imported, by the name in its key ``schema``.

    A struct that others extend is none of its own. Several of one name, such as the runs of two kinds of network, are
    alternatives (``anyOf``).
    """
    kinds: dict[str, list[type[Document]]] = {}
    for kind in _documents(Document):
        if not kind.__subclasses__():
            kinds.setdefault(schema_of(kind), []).append(kind)
    found = {}
    for name, alternatives in sorted(kinds.items()):
        alternatives.sort(key=lambda kind: kind.__name__)
        bodies, parts = msgspec.json.schema_components(alternatives, ref_template="#/$defs/{name}")
        body = bodies[0] if len(bodies) == 1 else {"anyOf": list(bodies)}
        found[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **body, "$defs": parts}
    return found


def _listed(value: Any) -> Any:
    """The same with lists in place of tuples, as JSON gives them back."""
    if isinstance(value, dict):
        return {key: _listed(inner) for key, inner in value.items()}
    return [_listed(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _documents(kind: type[Document]) -> Iterator[type[Document]]:
    for child in kind.__subclasses__():
        yield child
        yield from _documents(child)


def _sentence(problem: str) -> str:
    """What msgspec says, as the rest of a sentence that begins with the document's name."""
    text, _, place = problem.partition(" - at `")
    path = place.rstrip("`").removeprefix("$").removeprefix(".")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", text)
    if unknown:
        return f"has an unknown key {_joined(path, unknown[1])}"
    missing = re.fullmatch(r"Object missing required field `(.*)`", text)
    if missing:
        return f"lacks the key {_joined(path, missing[1])}"
    return f"has an unusable value in {path or 'its top level'}: {text[:1].lower()}{text[1:]}"


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
