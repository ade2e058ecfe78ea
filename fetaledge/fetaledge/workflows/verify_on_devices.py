"""A bundle proved again on devices: its golden frames, or the export gate itself on the same frames, by the same limits
and against the same PyTorch scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fetaledge.data.dataset import Subset
from fetaledge.data.layouts.open import open_usable
from fetaledge.workflows.device_documents import DeviceGate, DeviceGateVerdict, DeviceVerdict, DeviceVerification
from fetaledge_benchmarks import BenchmarkOptions, run_benchmark
from fetaledge_devices.deploy import check_engines, deploy
from fetaledge_devices.targets import open_target
from fetaledge_export.gate import Limits, judge, unmeasured_limits
from fetaledge_export.results import read_gate
from fetaledge_runtimes.bundle import Bundle, choose_variants
from fetaledge_runtimes.engines.registry import engine_class
from fetaledge_runtimes.errors import FetalEdgeError, InputError, UsageError
from fetaledge_runtimes.frames.frame import LabelledFrames
from fetaledge_runtimes.scores.case import CaseScore, score_case
from fetaledge_runtimes.scores.change import paired_change
from fetaledge_runtimes.scores.record import case_scores
from fetaledge_runtimes.selftest import verify_bundle
from fetaledge_runtimes.tasks.registry import task_named
from fetaledge_runtimes.tasks.task import Task


def verify_on_targets(
    bundle_folder: Path,
    targets: Sequence[str],
    *,
    variants: Sequence[str] | None,
    engines: Sequence[str],
    ignore_memory: bool = False,
    progress: Callable[[str], None],
) -> DeviceVerification:
    """Run the golden frames of every variant on each target, now, on one thread.

    Args:
        bundle_folder: the bundle.
        targets: addresses: ``local``, ``ssh://…``, ``adb://…``.
        variants: their names; None: all.
        engines: versions to use there, such as ``onnxruntime==1.22.0``.
        ignore_memory: also try variants that are estimated to need more memory than a target has available.
        progress: called with one line before each step.

    Raises:
        UsageError: no such variant or target.
    """
    machines = [open_target(address) for address in targets]
    bundle = Bundle.open(bundle_folder)
    chosen = choose_variants(bundle, variants)
    check_engines(engines, targets)
    results: list[DeviceVerdict] = []
    lost = {}
    for target in machines:
        address = target.name
        with target:
            try:
                deployment = deploy(
                    bundle_folder,
                    target,
                    variants=[variant.name for variant in chosen],
                    engines=engines,
                    strict=False,
                    again=True,
                    ignore_memory=ignore_memory,
                    progress=partial(_progress, progress, address),
                )
            except UsageError:
                raise
            except FetalEdgeError as error:
                lost[address] = str(error)
                continue
        refused = dict(deployment.refused)
        if target.is_local:  # where deploying tests nothing
            usable = [variant for variant in chosen if variant.name not in refused]
            tested = verify_bundle(bundle, usable) if usable else []
            refused |= {one.variant: "; ".join(one.details) for one in tested if one.result != "ok"}
        passed = set(deployment.variants) - set(refused)
        for variant in chosen:
            engine = engine_class(variant.format)
            version = deployment.versions.get(engine.distribution)
            results.append(
                DeviceVerdict(
                    target=address,
                    variant=variant.name,
                    engine=engine.name,
                    engine_version=version,
                    result="ok" if variant.name in passed else "refused",
                    details="; ".join(
                        filter(None, (refused.get(variant.name), *deployment.notes.get(variant.name, ())))
                    ),
                )
            )
    return DeviceVerification(
        notice=bundle.manifest.notice, bundle=bundle.manifest.name, results=tuple(results), lost=lost
    )


def _progress(progress: Callable[[str], None], address: str, line: str) -> None:
    progress(f"{address}: {line}")


def gate_on_targets(
    bundle_folder: Path,
    data: Path,
    targets: Sequence[str],
    *,
    variants: Sequence[str] | None,
    threads: int,
    engines: Sequence[str],
    ignore_memory: bool = False,
    progress: Callable[[str], None],
    labelled_for: str | None = None,
    layout: str | None = None,
) -> DeviceGate:
    """Predict the gate's frames on each target, and judge every variant by the gate's limits against fp32 PyTorch.

    Args:
        bundle_folder: the bundle.
        data: the data set that it was exported with.
        targets: addresses: ``local``, ``ssh://…``, ``adb://…``.
        variants: their names; None: all.
        threads: threads of each engine.
        engines: versions to use there, such as ``onnxruntime==1.22.0``.
        ignore_memory: also try variants that are estimated to need more memory than a target has available.
        progress: called with one line before each step.
        labelled_for: the task of the labels, if it is not to be inferred.
        layout: the name of the data set's layout, if it is not to be recognised.

    Raises:
        InputError: ``data`` lacks a frame of the gate, one is not the frame that the gate saw, or the bundle's record
            of the gate cannot be read.
        UsageError: no such variant or target, or frames labelled for another task.
    """
    machines = [open_target(address) for address in targets]
    bundle = Bundle.open(bundle_folder)
    gate = read_gate(bundle)
    task = task_named(bundle.manifest.task)
    reference = case_scores(gate.reference, task, f"{bundle.folder}: the gate's reference")
    dataset = open_usable(data, task=labelled_for, layout=layout, progress=progress)
    dataset.check_task(task, bundle_folder)
    names = {score.name for score in reference}
    items = tuple(item for item in dataset.items if item.name in names)
    if len(items) < len(names):
        raise InputError(
            f"{data} holds {len(items)} of the {len(names)} frames that the gate was judged on ({gate.data})",
            "name the data set that the bundle was exported with",
        )
    frames = Subset(dataset, items)
    _check_truth(reference, frames, task, data)
    try:
        options = BenchmarkOptions(
            threads=(threads,),
            variants=None if variants is None else tuple(variants),
            engines=tuple(engines),
            ignore_memory=ignore_memory,
            accuracy_only=True,
        )
        record = run_benchmark(bundle_folder, frames, options, machines, progress=progress)
    finally:
        for target in machines:
            target.close()
    limits = Limits.of_document(gate.limits, task)
    measurable = not unmeasured_limits(paired_change(reference, reference), limits, task)
    results = []
    for row in record.results:
        key = row.variant if row.target == "local" else f"{row.variant} on {row.target}"
        evaluation = record.evaluations.get(key)
        change = None if evaluation is None else paired_change(reference, case_scores(evaluation, task, key))
        judgement = None if change is None else judge(change, limits, task)
        unknown = () if judgement is None else judgement.unmeasured
        reasons = row.reasons if judgement is None else judgement.reasons
        if measurable:
            reasons, unknown = (*reasons, *unknown), ()
        results.append(
            DeviceGateVerdict(
                target=row.target,
                variant=row.variant,
                engine=row.engine,
                engine_version=row.engine_version,
                passed=not reasons,
                reasons=tuple(reasons),
                notes=(*unknown, *record.devices[row.target].notes.get(row.variant, ())),
                against_fp32=None if change is None else change.document(task),
                against_local=row.against_local,
            )
        )
    return DeviceGate(
        notice=record.notice,
        bundle=record.bundle,
        data=gate.data,
        task=task.name,
        cases=len(reference),
        note=record.frames.note,
        limits=gate.limits,
        devices=record.devices,
        lost=record.lost,
        results=tuple(results),
    )


def _check_truth(reference: Sequence[CaseScore], frames: LabelledFrames, task: Task, data: Path) -> None:
    """Raise InputError where a frame's label or measure is not the one that the gate was judged by.

    Names prove nothing: those of phantoms are the same in every folder.
    """
    expected = {score.name: score for score in reference}
    for case in frames:
        found, known = score_case(case, case.mask, task), expected[case.name]
        if not np.allclose(_truth(found), _truth(known), rtol=0, atol=0.01, equal_nan=True):
            raise InputError(
                f"{case.name} of {data} is not the frame that the gate was judged on: "
                f"{_truth_text(found, task)} where the gate had {_truth_text(known, task)}",
                "name the data set that the bundle was exported with, its spacings included",
            )


def _truth(score: CaseScore) -> npt.NDArray[np.float64]:
    """All that a score says of the truth alone, NaN where it is unknown."""
    true = [measure.true for measure in score.measures.values()]
    return np.array([score.counts.true, score.counts.pixels, *true], np.float64)


def _truth_text(score: CaseScore, task: Task) -> str:
    measure = task.measure_of_tables
    value = score.measures[measure.key].true
    counts = f"{score.counts.true} labelled pixels of {score.counts.pixels}"
    return f"{counts}, {measure.name} " + ("unknown" if value is None else f"{value:.2f}{measure.sign}")
