"""A bundle and its run, benchmarked in one go."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fetaledge.data.layouts.open import open_dataset
from fetaledge.data.split import choose_frames
from fetaledge.runs.evaluate import check_task
from fetaledge.runs.open import open_run
from fetaledge.runs.sam_run import SamRun
from fetaledge_benchmarks import Reference, run_benchmark
from fetaledge_devices.targets import open_target
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.tasks.registry import task_named


def benchmark_bundle(
    bundle_folder: Path,
    data: Path,
    *,
    run_folder: Path | None,
    variants: Sequence[str] | None,
    threads: Sequence[int],
    split: str | None,
    samples: int,
    rounds: int,
    seed: int,
    progress: Callable[[str], None],
    base: Path | None = None,
    task: str | None = None,
    targets: Sequence[str] = ("local",),
    engines: Sequence[str] = (),
    sustained_minutes: float | None = None,
    cool_down_s: float | None = None,
    benchmark_model: Path | None = None,
) -> dict[str, Any]:
    """The benchmark record of a bundle on ``targets``; with ``run_folder``, eager PyTorch is measured on this machine.

    ``base``: where a SAM run's base is, if not where the run says. ``task``: what the labels mark, if it is not to be
    inferred. The other arguments are those of
    :func:`fetaledge_benchmarks.run_benchmark`.

    Raises:
        UsageError: the run is not the one that the bundle was exported from, the frames are labelled for another
            task, or there is a run and this machine is no target.
    """
    if run_folder is not None and "local" not in targets:
        raise UsageError("--run adds PyTorch's row on this machine, which is no target", "add --target local")
    opened = [open_target(address) for address in targets]
    bundle = Bundle.open(bundle_folder)
    source = bundle.manifest.source
    dataset = open_dataset(data, task=task, progress=progress)
    check_task(bundle_folder, task_named(bundle.manifest.task), dataset)
    reference = None
    if run_folder is not None:
        command: tuple[str, ...] = (
            sys.executable,
            "-m",
            "fetaledge.workflows.torch_bench_worker",
            str(run_folder.resolve()),
        )
        fold = _exported_fold(run_folder, bundle)
        if fold is not None:
            command += ("--fold", str(fold))
        if base is not None:
            command += ("--base", str(base))
        reference = Reference("torch-fp32", "PyTorch", command, tuple(threads))
    frames = choose_frames(dataset, split, source)
    try:
        return run_benchmark(
            bundle_folder,
            frames,
            threads=threads,
            variants=variants,
            reference=reference,
            samples=samples,
            rounds=rounds,
            seed=seed,
            targets=opened,
            engines=engines,
            sustained_minutes=sustained_minutes,
            cool_down_s=cool_down_s,
            benchmark_model=benchmark_model,
            progress=progress,
        )
    finally:
        for target in opened:
            target.close()


def _exported_fold(run_folder: Path, bundle: Bundle) -> int | None:
    """The fold of a SAM run that the bundle was exported from; None for a run without folds."""
    source = bundle.manifest.source
    folds: list[int | None] = [None]
    run = open_run(run_folder)
    if isinstance(run, SamRun):
        folds = list(range(1, run.folds + 1))
    for fold in folds:
        if open_run(run_folder, fold).source()["weights_sha256"] == source.get("weights_sha256"):
            return fold
    raise UsageError(
        f"{bundle.folder} was not exported from {run_folder}",
        f"pass the run {source.get('run')!r} that it comes from",
    )
