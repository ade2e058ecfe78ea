"""What is said of a record beside its table; by values, no benchmark is run."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fetaledge_benchmarks.record import BenchmarkRecord, Moment, Result, Sustained, ToolTimes
from fetaledge_benchmarks.report.notes import remarks
from fetaledge_benchmarks.report.page import conditions_text
from fetaledge_benchmarks.report.tables import agreement_table, baselines
from fetaledge_devices.facts.model import Battery, Conditions
from fetaledge_runtimes.records import to_json
from tests.benchmarks.old_record import old_record, result


def row(variant: str, threads: int = 1, target: str = "ssh://pi", **given: Any) -> Result:
    return result(variant, threads=threads, target=target, engine="LiteRT", engine_version="2.3.0", **given)


def record_of(*rows: Result, dropped: int = 0) -> BenchmarkRecord:
    old = old_record()
    notes = {"a": ("known fault",), "b": ("known fault",)}
    device = replace(old.devices["local"], notes=notes, interruptions=dropped)
    return replace(old, results=rows, devices={entry.target: device for entry in rows})


def moment(at_s: float, p50: float) -> Moment:
    latency = old_record().results[0].latency_ms
    assert latency is not None
    state = dict.fromkeys(("temperature_c", "clock_khz", "throttled", "thermal_status"))
    return Moment(**{**to_json(latency.kernel), "p50": p50}, at_s=at_s, busy=0.9, **state)  # type: ignore[arg-type]


@pytest.mark.parametrize(("dropped", "words"), [(1, "dropped once;"), (3, "dropped 3 times;")])
def test_notes_stand_once_and_drops_are_counted(dropped: int, words: str) -> None:
    first, second = remarks(record_of(row("tflite-int8"), dropped=dropped), "ssh://pi")
    assert first == "known fault" and words in second


def test_a_rows_note_names_the_row_unless_all_have_it() -> None:
    noted, two = row("tflite-int8", notes=("restart it",)), row("tflite-int8", 2, notes=("restart it",))
    assert remarks(record_of(noted, two, row("onnx-fp32")), "ssh://pi")[1:] == [
        "tflite-int8, 1 thread; tflite-int8, 2 threads: restart it"
    ]
    assert remarks(record_of(noted, two), "ssh://pi")[1:] == ["every row: restart it"]
    assert remarks(record_of(noted, row("a", target="local")), "local") == ["known fault"]


def test_googles_tool() -> None:
    told = row("tflite-fp32", benchmark_model=ToolTimes(mean_ms=20.04, runs=50))
    failed = row("tflite-int8", 4, benchmark_model=ToolTimes(failure="no such file"))
    assert remarks(record_of(told, failed), "ssh://pi")[1:] == [
        "benchmark_model on tflite-fp32, 1 thread: mean 20.0 ms of 50 runs on random input",
        "benchmark_model on tflite-int8, 4 threads: no such file",
    ]


def test_sustained_runs_and_why_they_failed() -> None:
    moments = (moment(0.0, 20.0), moment(90.0, 31.0))
    ran = row("onnx-fp32", sustained=Sustained(started_at_c=None, moments=moments, failure=None))
    killed = Sustained(started_at_c=None, moments=(), failure="the worker was killed by SIGKILL")
    failed = row("onnx-int8", sustained=killed)
    first, second = remarks(record_of(ran, failed), "ssh://pi")[1:]
    assert "20.0 ms at first, 31.0 ms in the process that began after 1.5 minutes" in first and "early" not in first
    assert second == "sustained, onnx-int8, 1 thread: it ended early: the worker was killed by SIGKILL"


def test_what_a_change_is_against_by_target() -> None:
    here = [row("onnx-int8", target="local", against_fp32={"fp32": "torch-fp32"})]
    there = [row(f"{kind}-int8", against_fp32={"fp32": f"{kind}-fp32"}) for kind in ("onnx", "tflite", "onnx")]
    assert baselines(record_of(*here)) == "torch-fp32"
    assert baselines(record_of(*here, *there)) == "torch-fp32 on local; onnx-fp32, tflite-fp32 on ssh://pi"
    assert baselines(record_of(row("onnx-fp32"))) == "fp32, which was not measured"


def test_means_of_the_agreement_stand_with_their_counts() -> None:
    local = {"n": 12, "dice_mean": 0.99871, "dice_min": 0.99, "hc_n": 9, "hc_abs_mean_mm": 0.1, "hc_p95_mm": 0.2}
    header, (cells,) = agreement_table(record_of(row("onnx-int8", against_local=local)))
    assert dict(zip(header[3:], cells[3:], strict=True)) == {
        "mean Dice to local (n)": "0.99871 (12)",
        "smallest Dice": "0.99000",
        "mean |ΔHC| to local mm (n)": "0.100 (9)",
        "p95 |ΔHC| mm": "0.200",
    }


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"throttled": 0}, "not throttled"),
        ({"throttled": 0x50000}, "not throttled now, throttled since its start (under-voltage, throttled)"),
        (
            {"throttled": 0x80008},
            "throttled now (soft temperature limit), throttled since its start (soft temperature limit)",
        ),
        ({"thermal_status": 2}, "thermal status 2 of 6"),
        ({"throttle_events": 0}, "not slowed down by heat since its start"),
        ({"throttle_events": 7}, "slowed down by heat since its start"),
        ({}, "throttling unknown"),
    ],
)
def test_throttling_in_a_line(given: dict[str, int], text: str) -> None:
    conditions = Conditions(
        **({"governor": "ondemand", "driver": None, "throttle_events": None} | given), temperature_c=60
    )  # type: ignore[arg-type]
    assert conditions_text(conditions) == f"60 °C, governor ondemand, {text}"


def test_a_battery_in_a_line() -> None:
    battery = Battery(87.0, True, "USB", 30.0, True, "charging")
    conditions = Conditions(None, None, None, None, thermal_status=0, battery=battery)
    assert conditions_text(conditions) == "thermal status 0 of 6, battery 87 %, charging, battery saver on"
