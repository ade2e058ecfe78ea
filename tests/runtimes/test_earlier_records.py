"""Documents of version 0.1 are read, and what this version writes it reads again."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fetaledge_runtimes.bundle import Manifest
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.predict_documents import prediction_type
from fetaledge_runtimes.records import from_json, to_json
from fetaledge_runtimes.scores.record import case_scores, evaluation_record, read_record
from fetaledge_runtimes.tasks.registry import task_named

EARLIER = Path(__file__).parents[1] / "records" / "v0.1"
TASKS = ("head", "ps-fh")
# What version 0.1 wrote of each case beside the keys of today.
DROPPED = {
    "head": {"aop_deg", "aop_true_deg", "aop_true_status", "aop_error_deg", "aop_status"},
    "ps-fh": {"hc_mm", "hc_true_mm", "hc_error_mm", "aop_true_status", "aop_status"},
}


def earlier(name: str) -> Any:
    return json.loads((EARLIER / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", TASKS)
def test_an_evaluation_keeps_every_value(name: str) -> None:
    task, old = task_named(name), earlier(f"evaluation-{name}")
    read = read_record(old, task, "the file")
    assert len(read["per_case"]) == len(old["per_case"]) > 3
    for before, after in zip(old["per_case"], read["per_case"], strict=True):
        assert {key: after[key] for key in before.keys() - DROPPED[name]} == {
            key: value for key, value in before.items() if key not in DROPPED[name]
        }
    assert {key: value for key, value in read.items() if key != "per_case"} == {
        key: value for key, value in old.items() if key != "per_case"
    }


@pytest.mark.parametrize("name", TASKS)
def test_the_scores_of_an_earlier_evaluation_give_it_again(name: str) -> None:
    task, old = task_named(name), earlier(f"evaluation-{name}")
    facts = {key: old[key] for key in ("variant", "engine", "data", "synthetic")}
    given = evaluation_record(case_scores(old, task), task=task, **facts)
    for key in old.keys() - {"per_case", *(m.key for other in TASKS for m in task_named(other).measures)}:
        assert given[key] == old[key], key
    for measure in task.measures:
        assert {key: given[measure.key][key] for key in old[measure.key]} == old[measure.key]
    again = read_record(json.loads(json.dumps(given)), task, "the file")
    assert again == given and case_scores(again, task) == case_scores(old, task)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ((), "has an unknown key surprise"),
        (("dice",), "has an unknown key dice.surprise"),
        (("per_case", 1), "per_case[1] has an unknown key surprise"),
        (("per_case", 2, "counts"), "per_case[2] has an unknown key counts.surprise"),
    ],
)
def test_an_unknown_key_of_an_evaluation_is_refused_with_its_path(
    name: str, place: tuple[str | int, ...], said: str
) -> None:
    record = earlier(f"evaluation-{name}")
    part = record
    for step in place:
        part = part[step]
    part["surprise"] = 1
    with pytest.raises(InputError) as caught:
        read_record(record, task_named(name), "the file")
    assert f"the file{': ' if 'per_case' in place else ' '}{said}" in caught.value.message


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("dice", "mean"), "high", "has an unusable value in dice.mean: expected `float | null`, got `str`"),
        (("per_case", 0, "failed"), 0, "per_case[0] has an unusable value in failed: expected `bool`, got `int`"),
        (("per_case", 0, "hc_mm"), "200", "per_case[0] has an unusable value in measures[...].value"),
        (("per_case",), None, "has no per_case"),
    ],
)
def test_an_ill_typed_key_of_an_evaluation_is_refused(place: tuple[str | int, ...], value: Any, said: str) -> None:
    record = earlier("evaluation-head")
    part = record
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    with pytest.raises(InputError) as caught:
        read_record(record, task_named("head"), "the file")
    assert said in caught.value.message


def test_a_prediction_there_and_back() -> None:
    old = earlier("prediction-head")
    read = from_json(old, prediction_type(), "the file")
    written = to_json(read)
    assert {key: value for key, value in written.items() if key not in ("frames", "summary")} == {
        key: value
        for key, value in {**old, "view_check": False, "remarks": []}.items()
        if key not in ("frames", "summary")
    }
    for key in ("frames", "summary"):
        for before, after in zip(old[key], written[key], strict=True):
            assert {name: after[name] for name in before} == before
    assert from_json(written, prediction_type(), "the file") == read


@pytest.mark.parametrize("part", ["frames", "summary"])
def test_an_unknown_key_of_a_prediction_is_refused_with_its_path(part: str) -> None:
    document = copy.deepcopy(earlier("prediction-head"))
    document[part][1]["surprise"] = 1
    with pytest.raises(InputError) as caught:
        from_json(document, prediction_type(), "the file")
    assert f"the file has an unknown key {part}[1].surprise" in caught.value.message


def test_a_manifest_there_and_back(tmp_path: Path) -> None:
    shutil.copy(EARLIER / "manifest-head.json", tmp_path / "manifest.json")
    manifest = Manifest.read(tmp_path)
    same = {**earlier("manifest-head"), "multiply_adds": None, "view": None}
    assert json.loads(json.dumps(to_json(manifest))) == same
    manifest.write(tmp_path)
    assert json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8")) == same
    assert Manifest.read(tmp_path) == manifest
