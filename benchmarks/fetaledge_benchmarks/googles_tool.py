"""Google's ``benchmark_model`` beside our own runner on a phone, where the user has it."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from fetaledge_benchmarks.android import benchmark_model
from fetaledge_benchmarks.plan import Sampling
from fetaledge_benchmarks.share import TIMEOUT_PER_FRAME_S, TIMEOUT_S, Share
from fetaledge_benchmarks.worker import WorkerFailed, failure_text, without
from fetaledge_runtimes.errors import InputError


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
        command = (*measurement.prefix, *benchmark_model.command_line(
            program, row.command[-1], threads=row.threads, samples=sampling.samples, warmup=sampling.warmup
        ))  # fmt: skip
        before = share.conditions()
        timeout_s = TIMEOUT_S + TIMEOUT_PER_FRAME_S * sampling.samples
        told: dict[str, Any]
        try:
            done = share.steady(partial(share.target.run, command, timeout_s))
            if done.returncode != 0:
                raise WorkerFailed(failure_text(done))
            told = asdict(benchmark_model.parse(f"{done.stdout}\n{done.stderr}", sampling.samples))
        except (TimeoutError, WorkerFailed, InputError) as error:
            told = {"failure": without(str(error), share.hidden)}
        measurement.googles_tool = {
            **told, "before": before.document(), "after": share.conditions().document()
        }  # fmt: skip
