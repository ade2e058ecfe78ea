"""Parts of a target's session and run that need no engine: cooling down, pinning, and Google's tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as with_changes

from fetaledge_benchmarks.build_record import build_result
from fetaledge_benchmarks.plan import Row, Sampling
from fetaledge_benchmarks.row_measurement import Measurement
from fetaledge_benchmarks.target_run import TargetRun
from fetaledge_benchmarks.target_session import TargetSession
from fetaledge_benchmarks.tflite_benchmark_model import time_with_benchmark_model
from fetaledge_benchmarks.worker_client import WorkerFailed
from fetaledge_devices.facts.model import Conditions, Facts, Platform
from fetaledge_devices.targets.base import Completed, ConnectionLost
from fetaledge_devices.targets.local import LocalTarget
from fetaledge_runtimes.tasks.registry import task_named

COOL = Conditions(None, None, None, 50.0)
PLATFORM = Platform("linux", "x86_64", "glibc 2.36", (3, 11), (), 8000, None, None, True)
FACTS = Facts({}, 4, COOL, PLATFORM)
TOLD = """\
INFO: Running benchmark for at least 5 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=24 first=21000 curr=20400 min=20100 max=21000 avg=20500 std=200 p5=20150 median=20450 p95=20900
INFO: Running benchmark for at least 30 iterations and at least 0 seconds but terminate if exceeding 150 seconds.
INFO: count=30 first=20100 curr=19900 min=19000 max=22000 avg=20000 std=300 p5=19100 median=19950 p95=21000
INFO: Inference timings in us: Init: 8000, First inference: 21000, Warmup (avg): 20500, Inference (avg): 20000
"""


class Phone(LocalTarget):
    """Temperatures one after another, pauses written down, and an answer to every command."""

    kind, is_local, worker_kind = "adb", False, "native"

    def __init__(self, celsius: Sequence[float] = (50.0,), answer: Completed | None = None) -> None:
        super().__init__()
        self.name = "adb://1"
        self.celsius, self.answer = list(celsius), answer
        self.pauses: list[float] = []
        self.commands: list[list[str]] = []
        self.drops = 0
        self.limits_s: list[float] = []

    def conditions(self) -> Conditions:
        return with_changes(COOL, temperature_c=self.celsius.pop(0) if len(self.celsius) > 1 else self.celsius[0])

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def run(self, command: Sequence[str], timeout_s: float) -> Completed:
        self.commands.append(list(command))
        self.limits_s.append(timeout_s)
        if self.drops and "chmod" not in command:
            self.drops -= 1
            raise ConnectionLost("dropped")
        return Completed(0, "", "") if self.answer is None or "chmod" in command else self.answer


def session_of(target: LocalTarget) -> TargetSession:
    return TargetSession(target, lambda line: None, facts=FACTS)


def rows(*names: str) -> list[Measurement]:
    return [Measurement(Row(name, "LiteRT", 2, ("ld.so", "runner", f"/there/{name}.tflite"), 1.0)) for name in names]


def test_a_hot_device_is_waited_for() -> None:
    target = Phone([60, 55, 52.5, 51.9, 40])
    assert session_of(target).wait_until_cool(600).temperature_c == 51.9
    assert target.pauses == [5, 5, 5]


def test_a_process_that_hangs_ends_long_before_the_slowest_board_would() -> None:
    target = Phone(answer=Completed(1, "", "error: none"))
    session, (row,) = session_of(target), rows("tflite-int8")
    for session.pace_s in ({"tflite-int8": 0.02}, {"tflite-int8": 50.0}):
        with pytest.raises(WorkerFailed):
            session.take_samples(row, "/frames", 1500, 0)
    assert target.limits_s == [300 + 20 * 0.02 * 1500, 300 + 60 * 1500]


def run_of(target: LocalTarget, work: Path, *names: str) -> TargetRun:
    nothing: Any = None
    return TargetRun(session_of(target), nothing, nothing, work, rows(*names))


def test_rows_are_held_to_the_fastest_cores(tmp_path: Path) -> None:
    run = run_of(LocalTarget(), tmp_path, "tflite-int8")
    run.session.facts = replace(FACTS, core_speed=(None, 2400, 2400, 3200, 1700))
    run.pin()
    assert run.measurements[0].pinned == (1, 2, 3)


def test_a_row_says_what_cannot_be_told_of_it(tmp_path: Path) -> None:
    run = run_of(Phone(), tmp_path, "tflite-int8", "onnx-int8")
    run.measurements[0].conditions = [with_changes(COOL, throttled=0x50000)] * 2
    first, second = (
        build_result(measurement, run, Sampling(30, 2, 0), task_named("head")) for measurement in run.measurements
    )
    assert "had throttled since its start (under-voltage, throttled)" in first.notes[0] and second.notes == ()


def test_the_wait_has_an_end_and_must_be_asked_for() -> None:
    target = Phone([70])
    assert session_of(target).wait_until_cool(0).temperature_c == 70
    assert session_of(target).wait_until_cool(None).temperature_c == 70
    assert not target.pauses


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    path = tmp_path / "benchmark_model"
    path.write_bytes(b"\x7fELF")
    return path


def test_googles_tool_adds_its_latency(tmp_path: Path, tool: Path) -> None:
    target = Phone(answer=Completed(0, TOLD, ""))
    session, (first, second) = session_of(target), rows("tflite-int8", "onnx-int8")
    first.pinned = (6, 7)
    target.drops = 1
    time_with_benchmark_model(session, [first, second], tool, tmp_path, Sampling(30, 2, 0))
    told = first.benchmark_model
    assert told is not None and second.benchmark_model is None
    assert (told.runs, told.mean_ms, told.p95_ms) == (30, 20.0, 21.0)
    assert told.before is not None and told.before.temperature_c == 50 and not first.conditions
    command = target.commands[-1]
    assert command[:2] == ["taskset", "c0"] and "--num_threads=2" in command and "--num_runs=30" in command
    assert "--graph=/there/tflite-int8.tflite" in command and session.interruptions == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Completed(0, "something else", ""), "benchmark_model"),
        (Completed(1, "", "ERROR: no such model in /secret/place"), "no such model in PLACE"),
    ],
)
def test_what_the_tool_says_must_be_understood(answer: Completed, text: str, tmp_path: Path, tool: Path) -> None:
    session, (row,) = session_of(Phone(answer=answer)), rows("tflite-int8")
    session.hidden = {"/secret/place": "PLACE"}
    time_with_benchmark_model(session, [row], tool, tmp_path, Sampling(30, 2, 0))
    assert row.benchmark_model is not None and text in (row.benchmark_model.failure or "") and row.failure is None
