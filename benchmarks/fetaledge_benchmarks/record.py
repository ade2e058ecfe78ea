"""The record ``fetaledge/benchmark/1``: what was measured, whether it is valid, and every raw value."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import fmean, median
from typing import Any

from fetaledge_benchmarks import mask_agreement
from fetaledge_benchmarks.benchmark_frames import Workload
from fetaledge_benchmarks.plan import Row, Sampling
from fetaledge_benchmarks.row_measurement import Measurement
from fetaledge_benchmarks.target_session import Share
from fetaledge_benchmarks.validity import reasons_against, remarks_on
from fetaledge_benchmarks.worker_client import SERIES
from fetaledge_devices.facts.model import Facts
from fetaledge_runtimes.bench_worker import percentiles
from fetaledge_runtimes.bundle import MANIFEST, Bundle
from fetaledge_runtimes.files import sha256
from fetaledge_runtimes.notice import NOTICE
from fetaledge_runtimes.scores.case import CaseScore
from fetaledge_runtimes.scores.change import paired_change
from fetaledge_runtimes.scores.record import evaluation_record
from fetaledge_runtimes.tasks.registry import task_named
from fetaledge_runtimes.tasks.task import Task

SCHEMA = "fetaledge/benchmark/1"


def record_valid(record: dict[str, Any]) -> bool:
    """Whether every row of a benchmark record is valid."""
    return all(result["valid"] for result in record["results"])


def build_record(
    bundle: Bundle, data: str, workload: Workload, sampling: Sampling, host: Facts, shares: Sequence[Share]
) -> dict[str, Any]:
    """The JSON-able record; null, never NaN, where something was not measured. Sizes are in MB (10⁶ bytes).

    ``host``: this machine's facts. They are not asked for here: measuring is over, and no failure may lose it.
    """
    manifest = bundle.manifest
    task = task_named(manifest.task)
    return {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "notice": NOTICE,
        "bundle": manifest.name,
        "data": data,
        "host": host.machine,
        "devices": {share.target.name: _facts(share) for share in shares},
        "lost": {share.target.name: share.lost for share in shares if share.lost is not None},
        "model": {
            "task": task.name,
            "input": [manifest.input.height, manifest.input.width],
            "manifest_sha256": sha256(bundle.folder / MANIFEST),
            "fetaledge": manifest.fetaledge,
        },
        "frames": {
            "count": workload.frames,
            "subjects": workload.subjects,
            "with_spacing": workload.with_spacing,
            "synthetic": workload.synthetic,
            "note": synthetic_note(workload),
            "timing": [
                {"name": name, "size": list(size)}
                for name, size in zip(workload.timing_names, workload.timing_sizes, strict=True)
            ],
        },
        "plan": {
            "samples": sampling.samples,
            "rounds": sampling.rounds,
            "warmup": sampling.warmup,
            "seed": sampling.seed,
        },
        "results": [_result(m, share, sampling, task) for share in shares for m in share.measurements],
        "evaluations": _evaluations(shares, task, data, workload.synthetic > 0),
    }


def _facts(share: Share) -> dict[str, Any]:
    """A target's entry under ``devices`` in the record."""
    facts, deployment = share.facts, share.deployment
    return {
        "facts": facts.machine if facts else None,
        "emulated": share.emulated,
        "before": facts.conditions.document() if facts else None,
        "after": share.after.document() if share.after else None,
        "engines": dict(deployment.versions) if deployment else {},
        "refused": dict(deployment.refused) if deployment else {},
        "order": share.order,
        "interruptions": share.interruptions,
        "notes": {name: list(notes) for name, notes in deployment.notes.items()} if deployment else {},
    }


def synthetic_note(workload: Workload) -> str | None:
    """What must stand beside every score where some frames are phantoms, else None."""
    if not workload.synthetic:
        return None
    share = "all" if workload.synthetic == workload.frames else f"{workload.synthetic} of"
    return f"{share} {workload.frames} frames are synthetic: their scores say nothing about clinical accuracy"


def _result(measurement: Measurement, share: Share, sampling: Sampling, task: Task) -> dict[str, Any]:
    row, answers, everything = measurement.row, measurement.answers, share.measurements
    kernel, end_to_end = measurement.series("kernel_ms"), measurement.series("end_to_end_ms")
    latency = None
    if measurement.timed:
        latency = {"kernel": percentiles(kernel), "end_to_end": percentiles(end_to_end) if end_to_end else None}
    around = [whole - inner for whole, inner in zip(end_to_end, kernel, strict=False)]
    temperatures = [c.temperature_c for c in measurement.conditions if c.temperature_c is not None]
    reasons = _reasons(measurement, share, sampling)
    return {
        "target": share.target.name,
        "variant": row.name,
        "engine": row.engine,
        "engine_version": measurement.engine_version,
        "threads": row.threads,
        "pinned": list(measurement.pinned) or None,
        "emulated": share.emulated,
        "reference": row.reference,
        "valid": not reasons,
        "reasons": reasons,
        "notes": remarks_on(measurement.conditions, share.facts.machine.get("model") if share.facts else None),
        "latency_ms": latency,
        "engine_independent_ms": round(median(around), 4) if measurement.timed and around else None,
        "load_ms": median(a.load_ms for a in answers) if answers else None,
        "peak_rss_mb": max(a.peak_rss_mb for a in answers) if answers else None,
        "file_mb": row.file_mb if row.file_mb is not None else (answers[0].file_mb if answers else None),
        "accuracy": _accuracy(measurement.scores, task),
        "against_fp32": _against_fp32(measurement, everything, task),
        "against_local": mask_agreement.summary(measurement.agreement, task),
        "speedup_over_torch": _speedup(measurement, everything),
        "temperature_c": {"min": min(temperatures), "max": max(temperatures)} if temperatures else None,
        "samples_ms": {name.removesuffix("_ms"): measurement.series(name) for name in SERIES},
        "rounds": [
            {"samples": len(a.series["kernel_ms"]), "load_ms": a.load_ms, "peak_rss_mb": a.peak_rss_mb} for a in answers
        ],
        "benchmark_model": measurement.googles_tool,
        "interruptions": measurement.interruptions,
        "sustained": _sustained(measurement),
    }


def _sustained(measurement: Measurement) -> dict[str, Any] | None:
    """Latency over time; what throttled then is a finding here, not a fault of the rounds before it."""
    if not measurement.sustained and measurement.sustained_failure is None:
        return None
    moments = [
        {
            "at_s": round(moment.at_s, 1),
            "busy": round(moment.busy, 3),
            **percentiles(moment.kernel_ms),
            "temperature_c": moment.conditions.temperature_c,
            "clock_khz": list(moment.conditions.clock_khz) if moment.conditions.clock_khz else None,
            "throttled": moment.conditions.throttled,
            "thermal_status": moment.conditions.thermal_status,
        }
        for moment in measurement.sustained
    ]
    start = measurement.sustained_from
    return {
        "started_at_c": start.temperature_c if start is not None else None,
        "moments": moments,
        "failure": measurement.sustained_failure,
    }


def _reasons(measurement: Measurement, share: Share, sampling: Sampling) -> list[str]:
    assert share.facts is not None  # they come before the rows
    reasons = reasons_against(
        measurement.row.threads,
        len(measurement.pinned) or share.facts.cores,
        measurement.series("kernel_ms"),
        sampling.samples,
        measurement.conditions,
        measurement.failure,
        emulated=share.emulated,
    )
    return [*reasons, *([f"the target dropped out: {share.lost}"] if share.lost is not None else [])]


def _accuracy(scores: Sequence[CaseScore] | None, task: Task) -> dict[str, Any] | None:
    if not scores:
        return None
    dice = [s.dice for s in scores]
    named: dict[str, float | None] = {}
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


def _evaluations(shares: Sequence[Share], task: Task, data: str, synthetic: bool) -> dict[str, Any]:
    """Per model, the record ``fetaledge/evaluation/1`` with every case; a device's goes by ``MODEL on TARGET``."""
    return {
        m.row.name
        if share.target.name == mask_agreement.LOCAL
        else f"{m.row.name} on {share.target.name}": evaluation_record(
            m.scores, task=task, variant=m.row.name, engine=m.row.engine, data=data, synthetic=synthetic
        )
        for share in shares
        for m in share.measurements
        if m.scores
    }
