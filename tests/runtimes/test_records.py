"""Documents: written and read both ways; what is unknown, missing or ill-typed is refused with its path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fetaledge_runtimes.errors import BundleError, InputError
from fetaledge_runtimes.records import (
    Document,
    Part,
    from_json,
    read_document,
    schemas,
    to_json,
    to_text,
    write_document,
)


class Street(Part, kw_only=True, frozen=True):
    name: str
    numbers: tuple[int, ...] = ()


class Town(Document, kw_only=True, frozen=True):
    schema: str = "example/town/1"
    streets: tuple[Street, ...]
    area_km2: float | None = None


TOWN = Town(streets=(Street(name="Gartenweg", numbers=(1, 3)),), area_km2=2.5)


def test_written_and_read_it_is_the_same(tmp_path: Path) -> None:
    write_document(tmp_path / "town.json", TOWN)
    assert read_document(tmp_path / "town.json", Town, "town") == TOWN
    assert json.loads((tmp_path / "town.json").read_text()) == json.loads(to_text(TOWN)) == {
        "schema": "example/town/1",
        "streets": [{"name": "Gartenweg", "numbers": [1, 3]}],
        "area_km2": 2.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mayor": "?"}, "town.json has an unknown key mayor"),
        ({"streets": [{"name": "a", "length": 3}]}, r"town.json has an unknown key streets\[0\]\.length"),
        ({"streets": [{}]}, r"town.json lacks the key streets\[0\]\.name"),
        ({"streets": [{"name": 3}]}, r"an unusable value in streets\[0\]\.name: expected `str`, got `int`"),
        ({"area_km2": "large"}, "an unusable value in area_km2: expected `float | null`, got `str`"),
        ({"schema": "example/town/2"}, "the schema 'example/town/2', and this version reads 'example/town/1'"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_path(tmp_path: Path, change: dict[str, object], message: str) -> None:
    (tmp_path / "town.json").write_text(json.dumps({**to_json(TOWN), **change}))
    with pytest.raises(InputError, match=message.replace("|", r"\|")):
        read_document(tmp_path / "town.json", Town, "town")


@pytest.mark.parametrize("given", [[], None, 3, "town"])
def test_another_kind_of_json_is_refused(given: object) -> None:
    with pytest.raises(InputError, match="the answer has the schema None"):
        from_json(given, Town, "the answer")


def test_the_error_is_the_callers(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not exist"):
        read_document(tmp_path / "town.json", Town, "town", BundleError)


def test_nan_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_text(Town(streets=(), area_km2=float("nan")))


def test_each_document_has_a_schema() -> None:
    schema = schemas()["example/town/1"]
    definitions = schema["$defs"]
    assert definitions["Town"]["required"] == ["streets"]
    assert definitions["Street"]["additionalProperties"] is False
