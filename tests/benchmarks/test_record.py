"""The record as a file: earlier ones are read, and what is no record is refused with the key's path."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fetaledge_benchmarks import agreement_table, record_valid, table_rows, write_report
from fetaledge_benchmarks.record import BenchmarkRecord
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.records import from_json, schemas, to_json
from tests.benchmarks.old_record import FILE, old_record

Change = Callable[[dict[str, Any]], Any]


def test_a_record_of_the_first_version_is_read_and_written_back() -> None:
    given = json.loads(FILE.read_text(encoding="utf-8"))
    record = from_json(given, BenchmarkRecord, FILE.name)
    assert json.loads(json.dumps(to_json(record), allow_nan=False)) == {**given, "attribution": None}
    assert record.results[0].variant == "torch-fp32" and not record_valid(record)


def test_its_99th_percentile_is_kept_though_it_has_few_samples() -> None:
    latency = old_record().results[0].latency_ms
    assert latency is not None and latency.kernel.n == 4 and latency.kernel.p99 == pytest.approx(7.850735)


def test_its_table_and_its_report(tmp_path: Path) -> None:
    record = old_record()
    assert [row[0] for row in table_rows(record)] == ["torch-fp32", "tflite-fp32", "onnx-fp32"]
    assert agreement_table(record)[1] == []
    write_report(record, tmp_path / "report")
    written = json.loads((tmp_path / "report" / "benchmark.json").read_text(encoding="utf-8"))
    assert written == {**json.loads(FILE.read_text(encoding="utf-8")), "attribution": None}


def test_keys_that_earlier_versions_lacked_have_defaults() -> None:
    given = json.loads(FILE.read_text(encoding="utf-8"))
    for key in ("pinned", "emulated", "notes", "against_local", "benchmark_model", "interruptions", "sustained"):
        for row in given["results"]:
            del row[key]
    del given["lost"]
    assert to_json(from_json(given, BenchmarkRecord, "it")) == to_json(old_record())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda given: given.update(schema="fetaledge/benchmark/9"), "has the schema 'fetaledge/benchmark/9'"),
        (lambda given: given.update(colour="red"), "has an unknown key colour"),
        (lambda given: given["results"][1].pop("valid"), r"lacks the key results\[...\]\.valid|results\[1\]"),
        (lambda given: given["plan"].update(samples="four"), r"unusable value in plan\.samples"),
        (lambda given: given["results"][0]["latency_ms"]["kernel"].update(p50=None), r"latency_ms\.kernel\.p50"),
    ],
)
def test_what_is_no_record_is_refused_with_its_key(change: Change, words: str) -> None:
    given = copy.deepcopy(json.loads(FILE.read_text(encoding="utf-8")))
    change(given)
    with pytest.raises(InputError, match=words):
        from_json(given, BenchmarkRecord, "record.json")


def test_the_documents_have_schemas() -> None:
    assert {"fetaledge/benchmark/1", "fetaledge/samples/1"} <= set(schemas())
