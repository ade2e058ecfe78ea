"""Google's ``benchmark_model``, where the user has it: its command line, and a strict parser of its output.

It runs on random input: it gives latency, and no accuracy.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from fetaledge_benchmarks.plan import Sampling
from fetaledge_benchmarks.record import ToolTimes
from fetaledge_benchmarks.row_measurement import Measurement
from fetaledge_benchmarks.target_session import FRAME_TIMEOUT_S, START_TIMEOUT_S, TargetSession
from fetaledge_benchmarks.worker_client import WorkerFailed
from fetaledge_devices.targets.failure_text import failure_text, redact
from fetaledge_runtimes.errors import InputError

NUMBER = r"\d+(?:\.\d+)?(?:e[+-]\d+)?"
# Newer builds begin each line with "INFO: ".
SUMMARY = re.compile(
    rf"(?:INFO: )?Inference timings in us: Init: (?P<init>{NUMBER}), First inference: (?P<first>{NUMBER}), "
    rf"Warmup \(avg\): (?P<warmup>{NUMBER}), Inference \(avg\): (?P<average>{NUMBER})"
)
RUNS = re.compile(
    rf"(?:INFO: )?count=(?P<count>\d+) first=(?P<first>{NUMBER}) curr={NUMBER} min=(?P<min>{NUMBER}) "
    rf"max=(?P<max>{NUMBER}) avg=(?P<avg>{NUMBER}) std=(?P<std>{NUMBER})"
    rf"(?: p5=(?P<p5>{NUMBER}) median=(?P<median>{NUMBER}) p95=(?P<p95>{NUMBER}))?"
)
SAME_RUNS = re.compile(rf"(?:INFO: )?count=(?P<count>\d+) curr=(?P<avg>{NUMBER})(?:\(all same\))?")
NOT_DELEGATED = "delegate is explicitly applied, the model graph will not be executed by the delegate"
REMEDY = "take benchmark_model from a current TensorFlow Lite, built for android_arm64"
ELF_ARM64 = (b"\x7fELF\x02\x01", b"\xb7\x00")


def check_tool(path: Path) -> None:
    """InputError unless the file is a program for 64-bit Arm."""
    try:
        with path.open("rb") as stream:
            head = stream.read(20)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", REMEDY) from None
    if not head.startswith(ELF_ARM64[0]) or head[18:20] != ELF_ARM64[1]:
        raise InputError(f"{path} is no program for 64-bit Arm", REMEDY)


def command_line(tool: str, model: str, *, threads: int, samples: int, warmup: int) -> tuple[str, ...]:
    """The command for these places on the phone: exactly ``samples`` timed runs, at least ``warmup`` before them."""
    return (
        tool,
        f"--graph={model}",
        f"--num_threads={threads}",
        f"--num_runs={samples}",
        "--min_secs=0",
        f"--warmup_runs={warmup}",
        "--use_xnnpack=true",
    )


def parse(text: str, samples: int) -> ToolTimes:
    """The times in the tool's output (standard output and error together).

    Raises:
        InputError: it is not the output of one whole benchmark of ``samples`` runs on XNNPACK.
    """
    lines = [line.strip() for line in text.splitlines()]
    if any(NOT_DELEGATED in line for line in lines):
        raise InputError("benchmark_model could not use XNNPACK for this model", "measure with the native runner")
    places = [index for index, line in enumerate(lines) if "Inference timings in us" in line]
    if len(places) != 1:
        raise InputError(f"benchmark_model gave {len(places)} lines of inference timings where 1 was expected", REMEDY)
    summary = SUMMARY.fullmatch(lines[places[0]])
    if summary is None:
        raise InputError(f"benchmark_model's line {lines[places[0]]!r} is of an unknown form", REMEDY)
    counts = [line for line in lines[: places[0]] if re.match(r"(?:INFO: )?count=", line)]
    if not counts:
        raise InputError("benchmark_model gave no line of counts before its timings", REMEDY)
    runs = RUNS.fullmatch(counts[-1]) or SAME_RUNS.fullmatch(counts[-1])
    if runs is None:
        raise InputError(f"benchmark_model's line {counts[-1]!r} is of an unknown form", REMEDY)
    if float(runs["avg"]) != float(summary["average"]):
        raise InputError("benchmark_model's two averages differ: its last counts are not of its timed runs", REMEDY)
    if int(runs["count"]) != samples:
        hint = "the tool ends after 150 s: ask for fewer samples" if int(runs["count"]) < samples else REMEDY
        raise InputError(f"benchmark_model took {runs['count']} samples where {samples} were asked for", hint)
    return _times(summary.groupdict(), runs.groupdict())


def _times(summary: dict[str, str], runs: dict[str, str | None]) -> ToolTimes:
    def ms(value: str | None) -> float | None:
        return None if value is None else float(value) / 1000

    average = float(summary["average"]) / 1000
    low, high, spread = (
        ms(runs.get("min", summary["average"])),
        ms(runs.get("max", summary["average"])),
        runs.get("std"),
    )
    times = ToolTimes(
        runs=int(runs["count"] or 0),
        init_ms=float(summary["init"]) / 1000,
        first_ms=float(summary["first"]) / 1000,
        warmup_ms=float(summary["warmup"]) / 1000,
        mean_ms=average,
        min_ms=average if low is None else low,
        max_ms=average if high is None else high,
        std_ms=ms(spread) or 0.0,
        p5_ms=ms(runs.get("p5")),
        median_ms=ms(runs.get("median")),
        p95_ms=ms(runs.get("p95")),
    )
    _check_order([value for value in (times.min_ms, times.p5_ms, times.median_ms, times.p95_ms, times.max_ms) if value])
    return times


def _check_order(rising_ms: Sequence[float]) -> None:
    if list(rising_ms) != sorted(rising_ms) or not all(map(math.isfinite, rising_ms)):
        raise InputError(f"benchmark_model's percentiles {list(rising_ms)} ms are in no order", REMEDY)


def time_with_benchmark_model(
    session: TargetSession, measurements: Sequence[Measurement], program: Path, work: Path, sampling: Sampling
) -> None:
    """Time each TFLite row with Google's program, on random input, beside our own samples.

    Args:
        session: of the phone.
        measurements: of the rows; the times, or why there are none, are added to them.
        program: ``benchmark_model`` on this machine.
        work: a folder of this machine for a copy of it.
        sampling: how often it runs each model.

    Raises:
        TargetError: the phone was lost.
    """
    folder = work / "tool"
    folder.mkdir()
    shutil.copyfile(program, folder / "benchmark_model")
    target, retry = session.target, session.retry_on_reconnect
    place = f"{retry(partial(target.send, folder))}/benchmark_model"
    retry(partial(target.run, ["chmod", "755", place], START_TIMEOUT_S))
    for measurement in measurements:
        row = measurement.row
        if row.format != "tflite" or measurement.failure is not None:
            continue
        session.progress(f"benchmark_model: {row.label}")
        command = (*measurement.prefix, *command_line(
            place, row.command[-1], threads=row.threads, samples=sampling.samples, warmup=sampling.warmup
        ))  # fmt: skip
        before = session.conditions()
        timeout_s = START_TIMEOUT_S + FRAME_TIMEOUT_S * sampling.samples
        try:
            done = retry(partial(target.run, command, timeout_s))
            if done.returncode != 0:
                raise WorkerFailed(failure_text(done))
            times = parse(f"{done.stdout}\n{done.stderr}", sampling.samples)
        except (TimeoutError, WorkerFailed, InputError) as error:
            times = ToolTimes(failure=redact(str(error), session.hidden))
        measurement.benchmark_model = msgspec.structs.replace(
            times, before=before.for_record(), after=session.conditions().for_record()
        )
