"""Google's ``benchmark_model``, where the user has it: its command line, and a strict reading of what it prints.

It runs on random input, so that it gives latency alone: no accuracy belongs to it.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fetaledge_benchmarks.plan import Sampling
from fetaledge_benchmarks.target_session import TIMEOUT_PER_FRAME_S, TIMEOUT_S, Share
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


@dataclass(frozen=True)
class ToolTimes:
    """What the tool says of its timed runs, in ms; the percentiles only from newer builds.

    Attributes:
        runs: how many there were.
        init_ms: opening the model; ``first_ms``: the first inference ever; ``warmup_ms``: mean of the warm-up.
    """

    runs: int
    init_ms: float
    first_ms: float
    warmup_ms: float
    mean_ms: float
    min_ms: float
    max_ms: float
    std_ms: float
    p5_ms: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None


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


def time_with_googles_tool(share: Share, tool: Path, sampling: Sampling) -> None:
    """Its latency beside ours, of each TFLite row, on random input; what it prints must be understood in full."""
    folder = share.work / "tool"
    folder.mkdir()
    shutil.copyfile(tool, folder / "benchmark_model")
    program = f"{share.steady(partial(share.target.send, folder))}/benchmark_model"
    share.steady(partial(share.target.run, ["chmod", "755", program], TIMEOUT_S))
    for measurement in share.measurements:
        row = measurement.row
        if row.format != "tflite" or measurement.failure is not None:
            continue
        share.progress(f"benchmark_model: {row.label}")
        command = (*measurement.prefix, *command_line(
            program, row.command[-1], threads=row.threads, samples=sampling.samples, warmup=sampling.warmup
        ))  # fmt: skip
        before = share.conditions()
        timeout_s = TIMEOUT_S + TIMEOUT_PER_FRAME_S * sampling.samples
        told: dict[str, Any]
        try:
            done = share.steady(partial(share.target.run, command, timeout_s))
            if done.returncode != 0:
                raise WorkerFailed(failure_text(done))
            told = asdict(parse(f"{done.stdout}\n{done.stderr}", sampling.samples))
        except (TimeoutError, WorkerFailed, InputError) as error:
            told = {"failure": redact(str(error), share.hidden)}
        measurement.googles_tool = {
            **told, "before": before.document(), "after": share.conditions().document()
        }  # fmt: skip
