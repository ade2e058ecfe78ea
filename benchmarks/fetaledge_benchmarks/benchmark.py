"""The benchmark itself: every row in fresh processes, interleaved, on one target or on several side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fetaledge_benchmarks.benchmark_frames import write_workload
from fetaledge_benchmarks.mask_agreement import LOCAL, score_masks
from fetaledge_benchmarks.plan import Reference, Sampling
from fetaledge_benchmarks.record import build_record
from fetaledge_benchmarks.target_session import Share, Wanted
from fetaledge_benchmarks.tflite_benchmark_model import check_tool
from fetaledge_devices.deploy import check_engines
from fetaledge_devices.facts.here import read_facts
from fetaledge_devices.targets import open_target
from fetaledge_devices.targets.base import Cancelled, Target
from fetaledge_runtimes.bundle import Bundle, choose_variants
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.frames.frame import LabelledFrames
from fetaledge_runtimes.tasks.registry import task_named

SAMPLES = 60
ROUNDS = 6


def run_benchmark(
    bundle_folder: Path,
    data: LabelledFrames,
    *,
    threads: Sequence[int],
    variants: Sequence[str] | None,
    reference: Reference | None,
    samples: int = SAMPLES,
    rounds: int = ROUNDS,
    seed: int = 0,
    targets: Sequence[Target],
    engines: Sequence[str] = (),
    sustained_minutes: float | None = None,
    cool_down_s: float | None = None,
    benchmark_model: Path | None = None,
    accuracy_only: bool = False,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Measure a bundle's variants, and a reference, in one run; the record ``fetaledge/benchmark/1``.

    First each model predicts every labelled frame once, in a process of its own, for its accuracy. Then come the
    rounds: in each, every row (model and thread count) loads its model in a fresh process and takes its share of the
    samples over the same few frames; the rows' order is shuffled anew in every round, so that a noisy neighbour hits
    all alike. A row whose worker fails stays in the record, invalid, with the reason. No process and no temporary
    folder stays behind, also after Ctrl-C.

    This machine is measured first, alone; then the other targets side by side, the bundle deployed to each first. One
    that cannot be reached or drops out loses no other's results: it stands under ``lost``, beside what it gave before.
    Where a target is not this machine, the masks are also compared with this machine's, which is asked for them if it
    is not a target itself. An emulated target is asked for masks alone.

    Args:
        threads: the thread counts of the variants' rows.
        variants: their names; all of the bundle's without.
        reference: measured on this machine only.
        samples: of each row, in all; ``rounds``: the processes that they are spread over.
        seed: of the rows' order.
        engines: pins for deploying, such as ``onnxruntime==1.22.0``.
        sustained_minutes, cool_down_s, benchmark_model: see :class:`fetaledge_benchmarks.target_session.Wanted`.
        accuracy_only: take no samples of time, from no target.
        progress: called with one line before each process.

    Raises:
        UsageError: no such variant, a thread count below 1, fewer samples than rounds, a target named twice.
        BundleError, InputError: the bundle or the data set cannot be used.
        TargetError: this machine's shell does not answer.
    """
    wanted = Wanted(
        threads=tuple(dict.fromkeys(threads)),
        variants=None if variants is None else tuple(dict.fromkeys(variants)),
        sampling=Sampling(samples, rounds, seed),
        engines=tuple(engines),
        sustained_minutes=sustained_minutes,
        cool_down_s=cool_down_s,
        benchmark_model=benchmark_model,
    )
    native = any(target.worker_kind == "native" for target in targets)
    if benchmark_model is not None:
        check_tool(benchmark_model)
        if not native:
            raise UsageError("--benchmark-model is for phones, and no target is one", "add --target adb://SERIAL")
    everything = (*wanted.threads, *(reference.threads if reference else ()))
    if not wanted.threads or min(everything) < 1:
        raise UsageError(f"the thread counts {list(everything)} were given", "give one or more whole numbers above 0")
    names = [target.name for target in targets]
    if len(set(names)) < len(names):
        raise UsageError(f"the targets {', '.join(names)} name one twice", "name each target once")
    check_engines(engines, names)
    bundle = Bundle.open(bundle_folder)
    choose_variants(bundle, wanted.variants)
    grid, output = bundle.manifest.input, bundle.manifest.output
    host = read_facts()
    with tempfile.TemporaryDirectory(prefix="fetaledge-benchmark-") as name:
        work = Path(name)
        progress(f"writing {len(data)} frames")
        workload = write_workload(data, work, (grid.height, grid.width) if native else None)
        shares = [
            Share(target, bundle, workload, work / f"share-{number}", _named(progress, target, len(targets)))
            for number, target in enumerate(targets)
        ]
        local = [share for share in shares if share.target.is_local]
        others = [share for share in shares if not share.target.is_local]
        take = partial(_take, wanted=wanted, reference=reference, accuracy_only=accuracy_only)
        for group in (local, others):  # this machine is timed while nothing else runs on it
            works = [partial(take, share, alone=len(shares) == 1) for share in group]
            _side_by_side(works, [share.target for share in group])
        here = local[0] if local else None
        if here is None and any(share.masks for share in shares):
            here = Share(open_target(LOCAL), bundle, workload, work / "share-local", _named(progress, None, 2))
            ran = replace(wanted, variants=tuple(dict.fromkeys(name for share in shares for name in share.masks)))
            _side_by_side([partial(_take, here, ran, None, True, alone=False)], [here.target])
            if here.lost is not None:
                progress(f"no comparison with this machine: {here.lost}")
        progress(f"scoring the masks of {len(data)} frames")
        folders = {
            (share.target.name, model): folder
            for share in (*shares, *([] if here is None or here in shares else [here]))
            for model, folder in share.masks.items()
        }
        scores = score_masks(
            data, folders, task_named(bundle.manifest.task), (output.channels, output.height, output.width)
        )
        for share in shares:
            for measurement in share.measurements:
                key = (share.target.name, measurement.row.name)
                measurement.scores = scores.cases.get(key)
                measurement.agreement = scores.agreement(*key)
                if key in scores.failures:
                    measurement.failure = measurement.failure or scores.failures[key].replace(str(work), ".")
        return build_record(bundle, data.name, workload, wanted.sampling, host, shares)


def _take(share: Share, wanted: Wanted, reference: Reference | None, accuracy_only: bool, *, alone: bool) -> None:
    given = reference if share.target.is_local else None
    share.take(wanted, given, accuracy_only=accuracy_only, alone=alone)


def _named(progress: Callable[[str], None], target: Target | None, targets: int) -> Callable[[str], None]:
    name = LOCAL if target is None else target.name
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
