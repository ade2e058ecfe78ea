from __future__ import annotations

import json
from typing import Any

import pytest

from fetaledge_benchmarks.worker_client import WorkerFailed, parse_result
from fetaledge_devices.targets.base import Completed
from fetaledge_devices.targets.failure_text import failure_text


def document(**changes: Any) -> str:
    series = {name: [1.0, 2.0] for name in ("kernel_ms", "end_to_end_ms", "preprocess_ms", "postprocess_ms")}
    facts = {"engine_version": "1.2", "load_ms": 10, "peak_rss_mb": 90.5, "file_mb": 1.5}
    return json.dumps({"schema": "fetaledge/samples/1", **series, **facts} | changes)


def test_a_good_answer() -> None:
    answer = parse_result(document(), 2)
    assert answer.series["kernel_ms"] == (1.0, 2.0)
    assert (answer.engine_version, answer.load_ms, answer.peak_rss_mb, answer.file_mb) == ("1.2", 10, 90.5, 1.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ("Segmentation fault", "cannot be read"),
        ("[1]", "has the schema None"),
        (document(schema="other/1"), "other/1"),
        (document(kernel_ms=[1.0]), "1 kernel_ms samples where 2"),
        (document(kernel_ms=[1.0, float("nan")]), "NaN"),
        (document(kernel_ms=[1.0, -2.0]), "-2.0"),
        (document(load_ms=None), "unusable value in load_ms"),
        (json.dumps({"schema": "fetaledge/samples/1"}), "lacks the key engine_version"),
    ],
)
def test_a_bad_answer_is_named(text: str, words: str) -> None:
    with pytest.raises(WorkerFailed, match=words):
        parse_result(text, 2)


@pytest.mark.parametrize(
    ("returncode", "stderr", "text"),
    [
        (3, "loading\nerror: x.onnx is damaged; copy it again\n", "x.onnx is damaged; copy it again"),
        (1, "Traceback\n  File\nValueError: no\n", "ValueError: no"),
        (1, "Error in cpuinfo: prctl failed\nValueError: no\n", "ValueError: no"),
        (5, "", "the worker ended with exit code 5 and said nothing"),
        (-11, "", "the worker was killed by SIGSEGV"),
        (-4, "onnxruntime starts\n", "the worker was killed by SIGILL: onnxruntime starts"),
        (-200, "", "the worker was killed by signal 200"),
    ],
)
def test_the_reason_of_a_failure(returncode: int, stderr: str, text: str) -> None:
    assert failure_text(Completed(returncode, "", stderr)) == text
