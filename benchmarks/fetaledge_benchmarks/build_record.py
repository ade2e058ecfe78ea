"""Make the record of a benchmark from its targets' runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import fmean, median
from typing import Any

import msgspec

from fetaledge_benchmarks import mask_agreement
from fetaledge_benchmarks.benchmark_frames import Workload
from fetaledge_benchmarks.plan import Row, Sampling
from fetaledge_benchmarks.record import (
    BenchmarkRecord,
    Device,
    Frames,
    Latency,
    Model,
    Moment,
    Numbers,
    Plan,
    Range,
    RawSamples,
    Result,
    Round,
    Sustained,
    TimedFrame,
)
from fetaledge_benchmarks.row_measurement import Measurement
from fetaledge_benchmarks.target_run import TargetRun
from fetaledge_benchmarks.validity import reasons_against, throttling_blind_spots
from fetaledge_benchmarks.worker_client import SERIES
from fetaledge_devices.facts.model import Facts, Machine
from fetaledge_runtimes.bench_worker import percentiles
from fetaledge_runtimes.bundle import MANIFEST, Bundle
from fetaledge_runtimes.files import sha256
from fetaledge_runtimes.records import to_json
from fetaledge_runtimes.scores.case import CaseScore
from fetaledge_runtimes.scores.change import paired_change
from fetaledge_runtimes.scores.record import evaluation_record
from fetaledge_runtimes.tasks.registry import task_named
from fetaledge_runtimes.tasks.task import Task


def build_record(
    bundle: Bundle, data: str, workload: Workload, sampling: Sampling, host: Facts, runs: Sequence[TargetRun]
) -> BenchmarkRecord:
    """Make the record; null, never NaN, where something was not measured.

    Args:
        bundle: that was measured.
        data: the data set's name.
        workload: the frames.
        sampling: the samples' plan.
        host: facts about this machine, read before: no failure may now lose the measurements.
        runs: one a target.
    """
    manifest = bundle.manifest
    task = task_named(manifest.task)
    return BenchmarkRecord(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        bundle=manifest.name,
        data=data,
        host=_machine(host),
        devices={run.target.name: _device(run) for run in runs},
        lost={run.target.name: run.lost for run in runs if run.lost is not None},
        model=Model(
            task=task.name,
            input=(manifest.input.height, manifest.input.width),
            manifest_sha256=sha256(bundle.folder / MANIFEST),
            fetaledge=manifest.fetaledge,
        ),
        frames=Frames(
            count=workload.frames,
            subjects=workload.subjects,
            with_spacing=workload.with_spacing,
            synthetic=workload.synthetic,
            note=synthetic_note(workload),
            timing=tuple(
                TimedFrame(name=name, size=size)
                for name, size in zip(workload.timing_names, workload.timing_sizes, strict=True)
            ),
        ),
        plan=Plan(samples=sampling.samples, rounds=sampling.rounds, warmup=sampling.warmup, seed=sampling.seed),
        results=tuple(build_result(m, run, sampling, task) for run in runs for m in run.measurements),
        evaluations=_evaluations(runs, task, data, workload.synthetic > 0),
    )


def _machine(facts: Facts) -> Machine:
    return msgspec.convert(facts.machine, Machine)


def _device(run: TargetRun) -> Device:
    facts, deployment = run.session.facts, run.deployment
    return Device(
        facts=_machine(facts) if facts else None,
        emulated=run.target.emulated,
        before=facts.conditions.for_record() if facts else None,
        after=run.after.for_record() if run.after else None,
        engines=dict(deployment.versions) if deployment else {},
        refused=dict(deployment.refused) if deployment else {},
        order=None if run.order is None else tuple(tuple(labels) for labels in run.order),
        interruptions=run.session.interruptions,
        notes={name: tuple(notes) for name, notes in deployment.notes.items()} if deployment else {},
    )


def synthetic_note(workload: Workload) -> str | None:
    """What must stand beside every score where some frames are phantoms, else None."""
    if not workload.synthetic:
        return None
    share = "all" if workload.synthetic == workload.frames else f"{workload.synthetic} of"
    return f"{share} {workload.frames} frames are synthetic: their scores say nothing about clinical accuracy"


def build_result(measurement: Measurement, run: TargetRun, sampling: Sampling, task: Task) -> Result:
    """The result of one row."""
    facts, row, results = run.session.facts, measurement.row, measurement.results
    kernel, end_to_end = measurement.series("kernel_ms"), measurement.series("end_to_end_ms")
    latency = None
    if measurement.timed:
        latency = Latency(kernel=percentiles(kernel), end_to_end=percentiles(end_to_end) if end_to_end else None)
    around = [whole - inner for whole, inner in zip(end_to_end, kernel, strict=False)]
    temperatures = [c.temperature_c for c in measurement.conditions if c.temperature_c is not None]
    reasons = _reasons(measurement, run, sampling)
    blind_spots = throttling_blind_spots(measurement.conditions, facts.machine.get("model") if facts else None)
    return Result(
        target=run.target.name,
        variant=row.name,
        engine=row.engine,
        engine_version=measurement.engine_version,
        threads=row.threads,
        pinned=measurement.pinned or None,
        emulated=run.target.emulated,
        reference=row.reference,
        valid=not reasons,
        reasons=tuple(reasons),
        notes=tuple(blind_spots),
        latency_ms=latency,
        engine_independent_ms=round(median(around), 4) if measurement.timed and around else None,
        load_ms=median(result.load_ms for result in results) if results else None,
        peak_rss_mb=max(result.peak_rss_mb for result in results) if results else None,
        file_mb=row.file_mb if row.file_mb is not None else (results[0].file_mb if results else None),
        accuracy=accuracy(measurement.scores, task),
        against_fp32=_against_fp32(measurement, run.measurements, task),
        against_local=mask_agreement.summary(measurement.agreement, task),
        speedup_over_torch=_speedup(measurement, run.measurements),
        temperature_c=Range(min=min(temperatures), max=max(temperatures)) if temperatures else None,
        samples_ms=RawSamples(**{name.removesuffix("_ms"): tuple(measurement.series(name)) for name in SERIES}),
        rounds=tuple(
            Round(samples=len(one.series["kernel_ms"]), load_ms=one.load_ms, peak_rss_mb=one.peak_rss_mb)
            for one in results
        ),
        benchmark_model=measurement.benchmark_model,
        interruptions=measurement.interruptions,
        sustained=_sustained(measurement),
    )


def _sustained(measurement: Measurement) -> Sustained | None:
    """Latency over time; throttling during it is a finding and does not invalidate the rounds before it."""
    if not measurement.sustained and measurement.sustained_failure is None:
        return None
    start = measurement.sustained_from
    return Sustained(
        started_at_c=start.temperature_c if start is not None else None,
        moments=tuple(
            Moment(
                **to_json(percentiles(sample.kernel_ms)),
                at_s=round(sample.at_s, 1),
                busy=round(sample.busy, 3),
                temperature_c=sample.conditions.temperature_c,
                clock_khz=sample.conditions.clock_khz or None,
                throttled=sample.conditions.throttled,
                thermal_status=sample.conditions.thermal_status,
            )
            for sample in measurement.sustained
        ),
        failure=measurement.sustained_failure,
    )


def _reasons(measurement: Measurement, run: TargetRun, sampling: Sampling) -> list[str]:
    assert run.session.facts is not None  # they come before the rows
    reasons = reasons_against(
        measurement.row.threads,
        len(measurement.pinned) or run.session.facts.cores,
        measurement.series("kernel_ms"),
        sampling.samples,
        measurement.conditions,
        measurement.failure,
        emulated=run.target.emulated,
    )
    return [*reasons, *([f"the target dropped out: {run.lost}"] if run.lost is not None else [])]


def accuracy(scores: Sequence[CaseScore] | None, task: Task) -> Numbers | None:
    """Scores of a model's masks in numbers, by the keys of the record; None without scores."""
    if not scores:
        return None
    dice = [s.dice for s in scores]
    named: Numbers = {}
    for measure in task.measures:
        errors = [error for s in scores if (error := s.measures[measure.key].error) is not None]
        named[measure.named("cases")] = len(errors)
        named[measure.named("mae")] = sum(map(abs, errors)) / len(errors) if errors else None
        named[measure.named("bias")] = sum(errors) / len(errors) if errors else None
        named[measure.named("max")] = max(map(abs, errors)) if errors else None
    return {
        "cases": len(scores),
        "failures": sum(s.failed for s in scores),
        "dice_mean": sum(dice) / len(dice),
        "dice_median": median(dice),
        "dice_min": min(dice),
        **{f"dice_{name}_mean": fmean(s.structures[name].dice for s in scores) for name in scores[0].structures},
        **named,
    }


def fp32_of(row: Row, others: Sequence[Measurement]) -> Measurement | None:
    """What a row is compared with: the reference where it was scored, else fp32 of its own format, else any fp32."""
    scored = [m for m in others if m.scores and m.row.name != row.name]
    if row.reference:
        return None
    if any(m.row.reference for m in scored):
        return next(m for m in scored if m.row.reference)
    if row.precision == "fp32":
        return None
    fp32 = [m for m in scored if m.row.precision == "fp32"]
    return next((m for m in fp32 if m.row.format == row.format), fp32[0] if fp32 else None)


def _against_fp32(measurement: Measurement, everything: Sequence[Measurement], task: Task) -> dict[str, Any] | None:
    fp32 = fp32_of(measurement.row, everything)
    if fp32 is None or not fp32.scores or not measurement.scores:
        return None
    return {"fp32": fp32.row.name, **paired_change(fp32.scores, measurement.scores).document(task)}


def _speedup(measurement: Measurement, everything: Sequence[Measurement]) -> float | None:
    """Kernel p50 of the reference over the row's own: at the same thread count, else the reference's only one."""
    references = [m for m in everything if m.row.reference and m.timed]
    same = [m for m in references if m.row.threads == measurement.row.threads]
    base = same or (references if len(references) == 1 else [])
    if not base or not measurement.timed:
        return None
    kernel = median(measurement.series("kernel_ms"))
    return round(median(base[0].series("kernel_ms")) / kernel, 4) if kernel > 0 else None


def _evaluations(runs: Sequence[TargetRun], task: Task, data: str, synthetic: bool) -> dict[str, Any]:
    """Per model, the record ``fetaledge/evaluation/1`` with every case; a device's goes by ``MODEL on TARGET``."""
    return {
        m.row.name
        if run.target.name == mask_agreement.LOCAL
        else f"{m.row.name} on {run.target.name}": evaluation_record(
            m.scores, task=task, variant=m.row.name, engine=m.row.engine, data=data, synthetic=synthetic
        )
        for run in runs
        for m in run.measurements
        if m.scores
    }
