"""What a benchmark keeps when one of its targets drops out: a target here that loses its connection on purpose."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fetaledge_benchmarks import BenchmarkRecord, benchmark, target_run, target_session
from fetaledge_benchmarks.sustained import SUSTAINED_SAMPLES
from fetaledge_devices.deploy import Deployment
from fetaledge_devices.facts import here
from fetaledge_devices.targets import open_target
from fetaledge_devices.targets.base import Completed, ConnectionLost
from fetaledge_devices.targets.local import LocalTarget
from fetaledge_runtimes.errors import TargetError
from fetaledge_runtimes.records import to_json

pytestmark = pytest.mark.integration  # real engines, in processes of their own
RunBenchmark = Callable[..., BenchmarkRecord]


class Dropping(LocalTarget):
    """This machine as if it were a Pi; the connection drops before each of the processes numbered ``at``."""

    kind, is_local = "ssh", False

    def __init__(self, at: Sequence[int], comes_back: bool) -> None:
        super().__init__()
        self.name, self.at, self.comes_back = "ssh://dropping", at, comes_back
        self.count, self.waited = 0, 0

    def run(self, command: Sequence[str], timeout_s: float) -> Completed:
        self.count += 1
        if self.count in self.at:
            raise ConnectionLost("ssh://dropping closed the connection", "look at it")
        return super().run(command, timeout_s)

    def wait(self, seconds: float) -> bool:
        self.waited += 1
        return self.comes_back


@pytest.fixture(autouse=True)
def nothing_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    def deploy(folder: Path, target: Any, **_: Any) -> Deployment:
        return Deployment(target, str(folder), open_target("local").worker, False, (), {}, {}, {})

    monkeypatch.setattr(target_run, "deploy", deploy)


def test_a_dropped_connection_is_taken_up_again(benchmark_of: RunBenchmark) -> None:
    target = Dropping(at=(1, 3), comes_back=True)
    record = benchmark_of(targets=[target], samples=4, rounds=2)
    (row,) = record.results
    assert target.waited == 2 and not record.lost
    assert row.interruptions == 2
    assert row.latency_ms.kernel.n == 4 and row.accuracy["cases"] == 10


def test_a_target_that_stays_away_keeps_what_it_gave(benchmark_of: RunBenchmark) -> None:
    target = Dropping(at=(3,), comes_back=False)
    record = benchmark_of(targets=[open_target("local"), target], samples=4, rounds=2)
    here, there = record.results
    assert here.target == "local" and here.latency_ms.kernel.n == 4
    assert "closed the connection" in record.lost["ssh://dropping"]
    assert there.latency_ms.kernel.n == 2 and there.accuracy["dice_mean"] > 0.99
    assert not there.valid
    assert any("dropped out" in reason for reason in there.reasons)


def test_a_connection_that_drops_again_and_again_is_given_up(benchmark_of: RunBenchmark) -> None:
    target = Dropping(at=range(1, 100), comes_back=True)
    record = benchmark_of(targets=[target], samples=2, rounds=1)
    assert target.count == target_session.ATTEMPTS and record.lost


def test_masks_are_compared_with_this_machines(benchmark_of: RunBenchmark) -> None:
    record = benchmark_of(targets=[Dropping(at=(), comes_back=True)], samples=2, rounds=1)
    (row,) = record.results
    assert row.against_local["n"] == 10
    assert row.against_local["dice_min"] == 1.0 and row.against_local["hc_abs_mean_mm"] == 0.0
    assert list(record.evaluations) == ["onnx-fp32 on ssh://dropping"]


def test_an_emulated_target_has_no_times(benchmark_of: RunBenchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    emulated = replace(here.read_facts(), emulated=True)
    monkeypatch.setattr(here, "read_facts", lambda: emulated)
    (row,) = benchmark_of(targets=[Dropping(at=(), comes_back=True)], samples=2, rounds=1).results
    assert row.emulated and not row.valid and row.latency_ms is None and row.load_ms is None
    assert row.peak_rss_mb is None and not any(to_json(row.samples_ms).values())
    assert row.accuracy["dice_mean"] > 0.99 and row.against_local["dice_min"] == 1.0
    assert any("emulated" in reason for reason in row.reasons)


def test_what_was_refused_costs_nothing(benchmark_of: RunBenchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    """No frame goes to a device that runs nothing, and this machine predicts only what some device ran."""

    class Untouched(LocalTarget):
        kind, is_local = "ssh", False

        def send(self, folder: Path) -> str:
            raise AssertionError(folder)

    class Here(LocalTarget):
        def run(self, command: Sequence[str], timeout_s: float) -> Completed:
            ran.append(" ".join(command))
            return super().run(command, timeout_s)

    def deploy(folder: Path, target: Any, **_: Any) -> Deployment:
        names = {"ssh://untouched": ("onnx-fp32", "onnx-int8"), "local": ()}.get(target.name, ("onnx-int8",))
        refused = dict.fromkeys(names, "no wheel")
        return Deployment(target, str(folder), target.worker, False, (), refused, {}, {})

    ran: list[str] = []
    untouched = Untouched()
    untouched.name = "ssh://untouched"
    monkeypatch.setattr(target_run, "deploy", deploy)
    monkeypatch.setattr(benchmark, "open_target", lambda name: Here())
    record = benchmark_of(targets=[untouched, Dropping((), True)], variants=("onnx-fp32", "onnx-int8"), samples=2)
    assert [row.reasons[0] for row in record.results if row.accuracy is None] == ["no wheel"] * 3
    assert record.lost == {} and record.devices["ssh://untouched"].order is None
    assert len(ran) == 1 and "onnx-fp32" in ran[0]


@pytest.mark.parametrize("ignore", [False, True])
def test_the_estimate_of_memory_can_be_ignored(
    benchmark_of: RunBenchmark, monkeypatch: pytest.MonkeyPatch, ignore: bool
) -> None:
    wishes: list[bool] = []

    def deploy(folder: Path, target: Any, *, ignore_memory: bool, **_: Any) -> Deployment:
        wishes.append(ignore_memory)
        return Deployment(target, str(folder), target.worker, False, (), {"onnx-fp32": "no memory"}, {}, {})

    monkeypatch.setattr(target_run, "deploy", deploy)
    benchmark_of(targets=[Dropping((), True)], ignore_memory=ignore)
    assert wishes == [ignore]


def test_a_shell_that_fails_when_all_is_measured_loses_nothing(
    benchmark_of: RunBenchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: Sequence[str], **_: Any) -> None:
        raise OSError("no shell")

    def progress(line: str) -> None:
        if line.startswith("scoring"):
            monkeypatch.setattr(subprocess, "run", fail)

    record = benchmark_of(progress=progress)
    assert record.host.cores >= 1 and record.results[0].accuracy["cases"] == 10
    with pytest.raises(TargetError, match="no shell"):
        here.read_facts()


def test_latency_over_time(benchmark_of: RunBenchmark, tmp_path: Path) -> None:
    from fetaledge_benchmarks import write_report

    record = benchmark_of(samples=2, rounds=1, sustained_minutes=0.05)
    (row,) = record.results
    moments = row.sustained.moments
    assert row.sustained.failure is None and moments[0].at_s == pytest.approx(0, abs=0.1)
    assert len(moments) >= 2 and all(moment.n >= SUSTAINED_SAMPLES and moment.p50 > 0 for moment in moments)
    assert all(0 < moment.busy < 1 for moment in moments)
    write_report(record, tmp_path / "report")
    assert (tmp_path / "report" / "sustained.png").stat().st_size > 10_000
