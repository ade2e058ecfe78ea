"""``run.json``: runs of earlier versions open, and a document that does not fit is refused with the key's path."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.records import from_json, read_document, schemas, to_json, write_document

OLD = Path(__file__).parent / "old_runs"
RECORDS = {
    "reference": OLD / "reference-run.json",
    "unet": OLD / "unet-run.json",
    "sam": OLD / "sam-run.json",
}


def given(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(RECORDS[name].read_text(encoding="utf-8"))
    return document


def written(tmp_path: Path, document: dict[str, Any]) -> Path:
    (tmp_path / "run.json").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", RECORDS)
def test_runs_of_earlier_versions(name: str, tmp_path: Path) -> None:
    """Every key that stood there stands there again, with its value."""

    from fetaledge.runs.open import read_run_document
    from fetaledge.runs.sam_run import SamRunDocument
    from fetaledge.runs.unet_run import UnetRunDocument

    kind = SamRunDocument if name == "sam" else UnetRunDocument
    document = read_document(RECORDS[name], kind, "run")
    write_document(tmp_path / "run.json", document)
    again = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))

    def holds(new: Any, old: Any) -> bool:
        if isinstance(old, dict):
            return all(key in new and holds(new[key], value) for key, value in old.items())
        return bool(new == old)

    assert holds(again, given(name))
    assert read_document(tmp_path / "run.json", kind, "run") == document
    assert read_run_document(written(tmp_path, given(name))) == document


def test_what_early_runs_lacked() -> None:
    from fetaledge.runs.unet_run import UnetRunDocument

    document = from_json(given("reference"), UnetRunDocument, "run.json")
    assert (document.teachers, document.unlabelled, document.multiply_adds) == ((), None, None)
    assert document.recipe.soft_weight is None and document.data.licence is UNSET


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("unet", ("recipe", "epochs"), "12", "unusable value in recipe.epochs: expected `int`, got `str`"),
        ("unet", ("recipe", "epoch"), 12, "unknown key recipe.epoch"),
        ("unet", ("architecture", "decoder_channels"), [32, "16"], "unusable value in architecture.decoder_channels"),
        ("unet", ("architecture", "name"), "w-net", "unusable value in architecture.name"),
        ("unet", ("data", "fingerprint"), None, "unusable value in data.fingerprint"),
        ("unet", ("size",), [64], "unusable value in size"),
        ("unet", ("colour",), "red", "unknown key colour"),
        ("sam", ("architecture", "base", "sha"), "0", "unknown key architecture.base.sha"),
        ("sam", ("architecture", "tune"), "encoder", "unusable value in architecture.tune"),
        ("sam", ("recipe", "restore"), "cubic", "unusable value in recipe.restore"),
        ("sam", ("folds", 1, "best", "dice"), "0.9", "unusable value in folds"),
    ],
)
def test_what_does_not_fit(name: str, place: tuple[Any, ...], value: Any, message: str, tmp_path: Path) -> None:
    from fetaledge.runs.open import open_run

    document = given(name)
    part: Any = document
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    with pytest.raises(InputError, match=message):
        open_run(written(tmp_path, document))


@pytest.mark.parametrize("name", RECORDS)
def test_an_unfinished_run(name: str, tmp_path: Path) -> None:
    from fetaledge.runs.open import open_run, read_run_document

    document = given(name)
    del document["validation"]
    with pytest.raises(InputError, match="is not finished"):
        open_run(written(tmp_path, document))
    assert read_run_document(tmp_path).validation is None
    write_document(tmp_path / "run.json", read_run_document(tmp_path))
    with pytest.raises(InputError, match="is not finished"):
        open_run(tmp_path)


def test_resuming_a_run_that_an_earlier_version_began(tmp_path: Path) -> None:
    """Keys that it did not know are no difference; other values and another kind of run are."""

    from fetaledge.runs.run_folder import check_folder
    from fetaledge.runs.sam_run import SamRunDocument
    from fetaledge.runs.unet_run import UnetRunDocument

    document = given("reference")
    for key in ("validation", "best", "epochs_run"):
        del document[key]
    written(tmp_path, document)
    now = replace(from_json(given("reference"), UnetRunDocument, "run.json"), validation=None)
    now = replace(now, data=replace(now.data, attribution="van den Heuvel et al.", licence="CC BY 4.0"))
    check_folder(tmp_path, now, resume=True, force=False)
    with pytest.raises(UsageError, match="started with another recipe"):
        check_folder(tmp_path, replace(now, recipe=replace(now.recipe, seed=7)), resume=True, force=False)
    sam = from_json(given("sam"), SamRunDocument, "run.json")
    with pytest.raises(UsageError, match="started with another"):
        check_folder(tmp_path, sam, resume=True, force=False)


def test_a_run_knows_its_frames(small_run: Path, tmp_path: Path) -> None:
    from fetaledge.runs.open import open_run

    run = open_run(small_run)
    source = json.loads(json.dumps(run.source()))
    document = json.loads((small_run / "run.json").read_text(encoding="utf-8"))
    assert {key: source[key] for key in ("data", "split", "trained_on", "architecture")} == {
        key: document[key] for key in ("data", "split", "trained_on", "architecture")
    }
    copy = tmp_path / "copy"
    shutil.copytree(small_run, copy)
    write_document(copy / "run.json", run.document)
    assert to_json(open_run(copy).document) == document


def test_the_schema_offers_every_kind_of_run() -> None:
    schema = schemas()["fetaledge/run/1"]
    kinds = [schema["$defs"][one["$ref"].rpartition("/")[2]] for one in schema["anyOf"]]
    told = sorted(next(key for key in ("folds", "imported", "split") if key in kind["properties"]) for kind in kinds)
    assert told == ["folds", "imported", "split"]
    assert all(kind["properties"]["schema"]["default"] == "fetaledge/run/1" for kind in kinds)
    assert not any(kind["additionalProperties"] for kind in kinds)
