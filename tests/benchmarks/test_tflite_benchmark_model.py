"""What Google's benchmark_model is asked and says."""

from __future__ import annotations

from pathlib import Path

import pytest

from fetaledge_benchmarks.tflite_benchmark_model import check_tool, command_line, parse
from fetaledge_runtimes.errors import InputError

# Each text is what the tool printed on a device, its paths apart.
OLD = """STARTING!
Log parameter values verbosely: [0]
Num threads: [4]
Graph: [./mobilenet_v1_1.0_224.tflite]
#threads used for CPU inference: [4]
Loaded model ./mobilenet_v1_1.0_224.tflite
The input model file size (MB): 16.9008
Initialized session in 17.187ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=1 curr=3512391

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=2990275 curr=2913402 min=2727568 max=3189954 avg=2.95034e+06 std=109798

Inference timings in us: Init: 17187, First inference: 3512391, Warmup (avg): 3.51239e+06, Inference (avg): 2.95034e+06
Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual memory
Memory footprint delta from the start of the tool (MB): init=4.21094 overall=46.0859
"""
NEW = """INFO: STARTING!
INFO: Graph: [mobilenet_quant_v1_224.tflite]
INFO: Loaded model mobilenet_quant_v1_224.tflite
INFO: The input model file size (MB): 4.2761
INFO: Initialized session in 1361.24ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=5 first=125113 curr=112537 min=111758 max=125113 avg=115344 std=4959 p5=111758 median=112912 p95=125113

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=50 first=119614 curr=115889 min=111842 max=119614 avg=115246 std=1329 p5=112107 median=115350 p95=116620

INFO: Inference timings in us: Init: 1361236, First inference: 125113, Warmup (avg): 115344, Inference (avg): 115246
INFO: Memory footprint delta from the start of the tool (MB): init=14.4414 overall=14.8164
"""


def test_benchmark_model_without_percentiles() -> None:
    times = parse(OLD, 50)
    assert (times.runs, times.init_ms, times.first_ms, times.warmup_ms) == (50, 17.187, 3512.391, 3512.39)
    assert (times.mean_ms, times.min_ms, times.max_ms, times.std_ms) == (2950.34, 2727.568, 3189.954, 109.798)
    assert times.p5_ms is times.median_ms is times.p95_ms is None


def test_benchmark_model_with_percentiles() -> None:
    times = parse(NEW, 50)
    assert (times.p5_ms, times.median_ms, times.p95_ms) == (112.107, 115.35, 116.62)
    assert (times.mean_ms, times.init_ms) == (115.246, 1361.236)


def test_benchmark_model_with_one_run() -> None:
    text = OLD.replace(OLD.splitlines()[12], "count=1 curr=2950340")
    times = parse(text, 1)
    assert times.mean_ms == times.min_ms == times.max_ms == 2950.34 and times.std_ms == 0


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("Inference timings in us", "Inference timing", "gave 0 lines of inference timings"),
        ("STARTING!", "Inference timings in us: Init: 1", "gave 2 lines of inference timings"),
        ("Inference (avg): 2.95034e+06", "Inference (avg): nan", "is of an unknown form"),
        ("Init: 17187,", "Init: 17187 ms,", "is of an unknown form"),
        (" std=109798", " std=109798 p99=3", "is of an unknown form"),
        ("max=3189954 avg=2.95034e+06", "max=3189954 avg=2.9e+06", "two averages differ"),
        ("min=2727568 max=3189954", "min=3189954 max=2727568", "are in no order"),
        ("count=50", "count=47", "took 47 samples where 50 were asked for; the tool ends after 150 s"),
        (
            "Loaded model",
            "Though XNNPACK delegate is explicitly applied, the model graph will not be executed by the delegate.\n",
            "could not use XNNPACK",
        ),
    ],
)
def test_benchmark_model_that_says_something_else_is_refused(before: str, after: str, sentence: str) -> None:
    assert OLD.count(before) == 1
    with pytest.raises(InputError, match=sentence):
        parse(OLD.replace(before, after), 50)


def test_benchmark_model_without_counts_is_refused() -> None:
    with pytest.raises(InputError, match="no line of counts"):
        parse("\n".join(line for line in OLD.splitlines() if "count=" not in line), 50)


def test_benchmark_models_command() -> None:
    command = command_line("/d/benchmark_model", "/d/a b.tflite", threads=4, samples=50, warmup=5)
    assert command[:2] == ("/d/benchmark_model", "--graph=/d/a b.tflite")
    assert {"--num_threads=4", "--num_runs=50", "--min_secs=0", "--warmup_runs=5", "--use_xnnpack=true"} < set(command)


def test_benchmark_model_has_to_be_a_program_for_arm(tmp_path: Path) -> None:
    tool = tmp_path / "benchmark_model"
    tool.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00" + bytes(40))
    check_tool(tool)
    tool.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00" + bytes(40))
    with pytest.raises(InputError, match="no program for 64-bit Arm"):
        check_tool(tool)
    with pytest.raises(InputError, match="cannot be read"):
        check_tool(tmp_path / "none")
