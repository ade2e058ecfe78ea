"""The gate's record of a bundle of version 0.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fetaledge_export.gate import Limits
from fetaledge_runtimes.errors import BundleError
from fetaledge_runtimes.records import from_json, to_json
from fetaledge_runtimes.scores.record import case_scores
from fetaledge_runtimes.tasks.head import HEAD

EARLIER = Path(__file__).parents[1] / "records" / "v0.1" / "gate-head.json"


def earlier() -> Any:
    return json.loads(EARLIER.read_text(encoding="utf-8"))


def test_it_is_read_and_keeps_every_value() -> None:
    from fetaledge_export.results import GateRecord

    old = earlier()
    record = from_json(old, GateRecord, "the file")
    written = to_json(record)
    assert {key: written[key] for key in old if key != "variants"} == {
        key: value for key, value in old.items() if key != "variants"
    }
    for before, after in zip(old["variants"], written["variants"], strict=True):
        assert {key: after[key] for key in before} == before
        assert after["verdict"] is None
    assert from_json(written, GateRecord, "the file") == record
    assert Limits.of_document(record.limits, HEAD).document(HEAD) == {**old["limits"], "min_cases": 1}
    assert len(case_scores(record.reference, HEAD)) == record.cases == 5


@pytest.mark.parametrize(("place", "path"), [((), "surprise"), (("variants", 1), "variants[1].surprise")])
def test_an_unknown_key_is_refused_with_its_path(place: tuple[str | int, ...], path: str) -> None:
    from fetaledge_export.results import GateRecord

    document = earlier()
    part = document
    for step in place:
        part = part[step]
    part["surprise"] = 1
    with pytest.raises(BundleError) as caught:
        from_json(document, GateRecord, "the file", BundleError)
    assert caught.value.message == f"the file has an unknown key {path}"
