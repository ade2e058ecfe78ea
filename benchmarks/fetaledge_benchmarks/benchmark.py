"""The benchmark: every row in fresh processes, interleaved, on one target or on several side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from pathlib import Path

from fetaledge_benchmarks.benchmark_frames import Workload, write_workload
from fetaledge_benchmarks.build_record import build_record
from fetaledge_benchmarks.mask_agreement import LOCAL, Scores, score_masks
from fetaledge_benchmarks.options import BenchmarkOptions, check_threads
from fetaledge_benchmarks.plan import Reference
from fetaledge_benchmarks.record import BenchmarkRecord
from fetaledge_benchmarks.target_run import TargetRun
from fetaledge_benchmarks.target_session import TargetSession
from fetaledge_benchmarks.tflite_benchmark_model import check_tool
from fetaledge_devices.deploy import check_engines
from fetaledge_devices.facts.here import read_facts
from fetaledge_devices.targets import open_target
from fetaledge_devices.targets.base import Cancelled, Target
from fetaledge_runtimes.bundle import Bundle, choose_variants
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.frames.frame import LabelledFrames
from fetaledge_runtimes.tasks.registry import task_named


def _quiet(line: str) -> None:
    pass


def run_benchmark(
    bundle_folder: Path,
    data: LabelledFrames,
    options: BenchmarkOptions,
    targets: Sequence[Target],
    *,
    reference: Reference | None = None,
    progress: Callable[[str], None] = _quiet,
) -> BenchmarkRecord:
    """Measure a bundle's variants, and a reference, in one run.

    First each model predicts every labelled frame once, in a process of its own, for its accuracy. Then come the
    rounds: in each, every row (model and thread count) loads its model in a fresh process and takes its part of the
    samples over the same few frames. The rows' order is shuffled anew in every round, so that other load on the machine
    hits all alike. A row whose worker fails stays in the record, invalid, with the reason. No process and no temporary
    folder stays behind, also after Ctrl-C.

    This machine is measured first, alone; then the other targets side by side, the bundle deployed to each first. A
    target that cannot be reached or drops out loses no other's results: it is listed under ``lost``, beside its results
    so far. The masks of other targets are also compared with this machine's, which predicts them if it is not a target
    itself. An emulated target gives masks alone.

    Args:
        bundle_folder: the bundle.
        data: the labelled frames.
        options: which rows, and how often.
        targets: the machines; the caller closes them.
        reference: also measured, on this machine only; None: no reference.
        progress: called with one line before each process.

    Raises:
        UsageError: no such variant, a thread count below 1, a target named twice, ``benchmark_model`` without a phone.
        BundleError, InputError: the bundle or the data set cannot be used.
        TargetError: this machine's shell does not answer.
    """
    native = _check(options, targets, reference)
    bundle = Bundle.open(bundle_folder)
    choose_variants(bundle, options.variants)
    grid, output = bundle.manifest.input, bundle.manifest.output
    host = read_facts()
    with tempfile.TemporaryDirectory(prefix="fetaledge-benchmark-") as name:
        work = Path(name)
        progress(f"writing {len(data)} frames")
        workload = write_workload(data, work, (grid.height, grid.width) if native else None)
        runs = [
            TargetRun(
                TargetSession(target, _named(progress, target.name, len(targets))),
                bundle,
                workload,
                work / f"target-{number}",
            )
            for number, target in enumerate(targets)
        ]
        local = [run for run in runs if run.target.is_local]
        others = [run for run in runs if not run.target.is_local]
        for group in (local, others):  # this machine is timed while nothing else runs on it
            _side_by_side(
                [
                    partial(run.take, options, reference if run.target.is_local else None, alone=len(runs) == 1)
                    for run in group
                ],
                [run.target for run in group],
            )
        scored = runs if local else [*runs, *_predict_here(runs, options, bundle, workload, work, progress)]
        progress(f"scoring the masks of {len(data)} frames")
        folders = {(run.target.name, model): folder for run in scored for model, folder in run.masks.items()}
        shape = (output.channels, output.height, output.width)
        _add_scores(runs, score_masks(data, folders, task_named(bundle.manifest.task), shape), work)
        return build_record(bundle, data.name, workload, options.sampling, host, runs)


def _check(options: BenchmarkOptions, targets: Sequence[Target], reference: Reference | None) -> bool:
    """Raise UsageError where the options do not fit the targets; return whether a phone is among them."""
    native = any(target.worker_kind == "native" for target in targets)
    if options.benchmark_model is not None:
        check_tool(options.benchmark_model)
        if not native:
            raise UsageError("--benchmark-model is for phones, and no target is one", "add --target adb://SERIAL")
    if reference is not None:
        check_threads(reference.threads)
    names = [target.name for target in targets]
    if len(set(names)) < len(names):
        raise UsageError(f"the targets {', '.join(names)} name one twice", "name each target once")
    check_engines(options.engines, names)
    return native


def _predict_here(
    runs: Sequence[TargetRun],
    options: BenchmarkOptions,
    bundle: Bundle,
    workload: Workload,
    work: Path,
    progress: Callable[[str], None],
) -> list[TargetRun]:
    """Predict on this machine the models that other targets predicted, to compare the masks; nothing is timed."""
    ran = tuple(dict.fromkeys(name for run in runs for name in run.masks))
    if not ran:
        return []
    session = TargetSession(open_target(LOCAL), _named(progress, LOCAL, 2))
    here = TargetRun(session, bundle, workload, work / "target-local")
    masks_alone = replace(options, variants=ran, accuracy_only=True)
    _side_by_side([partial(here.take, masks_alone, None)], [here.target])
    if here.lost is not None:
        progress(f"no comparison with this machine: {here.lost}")
    return [here]


def _add_scores(runs: Sequence[TargetRun], scores: Scores, work: Path) -> None:
    for run in runs:
        for measurement in run.measurements:
            key = (run.target.name, measurement.row.name)
            measurement.scores = scores.cases.get(key)
            measurement.agreement = scores.agreement(*key)
            if key in scores.failures:
                measurement.failure = measurement.failure or scores.failures[key].replace(str(work), ".")


def _named(progress: Callable[[str], None], name: str, targets: int) -> Callable[[str], None]:
    return progress if targets == 1 else lambda line: progress(f"{name}: {line}")


def _side_by_side(works: Sequence[Callable[[], None]], targets: Sequence[Target]) -> None:
    """Do all works at once, one a target; Ctrl-C cancels them all, and waits for them to clean up.

    Raises:
        the first work's error; the other works are cancelled for it.
    """
    if not works:
        return
    futures: list[Future[None]] = []
    with ThreadPoolExecutor(len(works)) as pool:
        try:
            futures += [pool.submit(work) for work in works]
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            if len(futures) < len(works) or not all(future.done() for future in futures):
                for target in targets:
                    target.cancel()
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise next((error for error in errors if not isinstance(error, Cancelled)), errors[0])
