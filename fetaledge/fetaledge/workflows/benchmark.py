"""A bundle and its run, benchmarked in one go."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from fetaledge.data.layouts.open import open_usable
from fetaledge.data.split import choose_frames, training_remark
from fetaledge.runs.open import open_run
from fetaledge.runs.sam_run import SamRun
from fetaledge_benchmarks import BenchmarkOptions, BenchmarkRecord, Reference, run_benchmark
from fetaledge_benchmarks.mask_agreement import LOCAL
from fetaledge_devices.targets import open_target
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.tasks.registry import task_named


def benchmark_bundle(
    bundle_folder: Path,
    data: Path,
    options: BenchmarkOptions,
    *,
    progress: Callable[[str], None],
    targets: Sequence[str] = (LOCAL,),
    run_folder: Path | None = None,
    base: Path | None = None,
    split: str | None = None,
    task: str | None = None,
    layout: str | None = None,
) -> BenchmarkRecord:
    """Benchmark a bundle on ``targets``; with ``run_folder``, eager PyTorch too, on this machine.

    Args:
        bundle_folder: the bundle.
        data: a folder with labelled frames.
        options: which rows, and how often.
        progress: called with one line before each process.
        targets: addresses: ``local``, ``ssh://…``, ``adb://…``.
        run_folder: the run that the bundle was exported from; None: no reference.
        base: a SAM run's base; None: where the run says.
        split: ``all``, ``train`` or ``validation``; None: validation of the bundle's own data, all of other data.
        task: what the labels mark, if it is not to be inferred.
        layout: the name of the data set's layout, if it is not to be recognised.

    Returns:
        The record of :func:`fetaledge_benchmarks.run_benchmark`.

    Raises:
        UsageError: no such kind of target, the bundle was not exported from that run, the frames are labelled for
            another task, or there is a run and this machine is no target.
    """
    if run_folder is not None and LOCAL not in targets:
        raise UsageError("--run adds PyTorch's row on this machine, which is no target", "add --target local")
    machines = [open_target(address) for address in targets]
    bundle = Bundle.open(bundle_folder)
    dataset = open_usable(data, task=task, layout=layout, progress=progress)
    dataset.check_task(task_named(bundle.manifest.task), bundle_folder)
    reference = None if run_folder is None else _reference(run_folder, base, bundle, options.threads)
    frames = choose_frames(dataset, split, bundle.manifest.source)
    if remark := training_remark(bundle.manifest.source):
        progress(remark)
    with ExitStack() as opened:
        for machine in machines:
            opened.enter_context(machine)
        return run_benchmark(
            bundle_folder,
            frames,
            options,
            machines,
            reference=reference,
            attribution=", ".join(filter(None, (dataset.attribution, dataset.licence))) or None,
            progress=progress,
        )


def _reference(run_folder: Path, base: Path | None, bundle: Bundle, threads: tuple[int, ...]) -> Reference:
    command = [sys.executable, "-m", "fetaledge.workflows.torch_bench_worker", str(run_folder.resolve())]
    fold = _exported_fold(run_folder, bundle)
    if fold is not None:
        command += ["--fold", str(fold)]
    if base is not None:
        command += ["--base", str(base)]
    return Reference("torch-fp32", "PyTorch", tuple(command), threads)


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
