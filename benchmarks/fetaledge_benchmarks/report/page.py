"""The report of a benchmark: one HTML page and two PNGs that stand alone offline."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from fetaledge_benchmarks.plan import threads_text
from fetaledge_benchmarks.record import BenchmarkRecord, Result, record_valid
from fetaledge_benchmarks.report import figures
from fetaledge_benchmarks.report.notes import remarks
from fetaledge_benchmarks.report.tables import agreement_table, baselines, has_devices, table_header, table_rows
from fetaledge_devices.device_list import clocks_text
from fetaledge_devices.facts.model import THROTTLE_SINCE_START, Conditions, Machine, throttle_words
from fetaledge_runtimes.files import atomic_folder
from fetaledge_runtimes.quiet import quiet
from fetaledge_runtimes.records import write_document
from fetaledge_runtimes.tasks.registry import task_named

PAGE, RECORD = "report.html", "benchmark.json"
SCATTER, DISTRIBUTIONS, SUSTAINED = "latency_dice", "latency_distributions", "sustained"
HC18_ATTRIBUTION = (
    "HC18: T. L. A. van den Heuvel et al., “Automated measurement of fetal head circumference using 2D ultrasound "
    "images”, doi 10.5281/zenodo.1327317, CC BY 4.0."
)


def write_report(record: BenchmarkRecord, folder: Path, *, force: bool = False) -> None:
    """Write ``report.html`` (its pictures inside it), the same pictures as PNGs, and the record as ``benchmark.json``.

    Raises:
        OutputError: ``folder`` exists and ``force`` is not set, or it cannot be written.
    """
    import jinja2

    quiet()  # matplotlib writes nothing under the home folder
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fetaledge_benchmarks", "report/templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    with atomic_folder(folder, force=force, marker=PAGE) as partial:
        pictures = _draw(record, partial)
        page = environment.get_template(PAGE).render(
            record=record,
            valid=record_valid(record),
            header=table_header(record),
            measure=task_named(record.model.task).measure_of_tables.name,
            rows=list(zip(record.results, table_rows(record), strict=True)),
            pictures=pictures,
            machines=_machines(record),
            baselines=baselines(record),
            agreement=agreement_table(record),
            devices=has_devices(record),
            timed=any(result.latency_ms for result in record.results),
            attribution=HC18_ATTRIBUTION if "hc18" in record.data.lower() else None,
        )
        (partial / PAGE).write_text(page, encoding="utf-8")
        write_document(partial / RECORD, record)


def _draw(record: BenchmarkRecord, folder: Path) -> list[tuple[str, str]]:
    """Draw what there is to draw, each target by itself; (alternative text, data URI) of each picture."""
    pictures: list[tuple[str, str]] = []
    for number, (target, device) in enumerate(record.devices.items()):
        rows = [result for result in record.results if result.target == target]
        part = replace(record, results=tuple(rows), host=device.facts or record.host)
        suffix, where = ("", "") if target == "local" else (f"-{number}", f" on {target}")
        timed = figures.drawable(part)
        wanted = [
            (SCATTER, figures.draw_latency_dice, "Kernel latency against mean Dice", any(r.accuracy for r in timed)),
            (DISTRIBUTIONS, figures.draw_distributions, "Distributions of latency", bool(timed)),
            (SUSTAINED, figures.draw_sustained, "Latency over time", any(_moments(r) for r in rows)),
        ]
        for name, draw, text, possible in wanted:
            if possible:
                path = folder / f"{name}{suffix}.png"
                draw(part, path)
                pictures.append((text + where, _data_uri(path)))
    return pictures


def _moments(result: Result) -> bool:
    return bool(result.sustained and result.sustained.moments)


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


@dataclass(frozen=True)
class MachineSection:
    """One target in the report: (name, value) facts, the engines it ran, what did not run and why, why it was lost."""

    target: str
    facts: Sequence[tuple[str, str]]
    remarks: Sequence[str]
    lost: str | None


def _machines(record: BenchmarkRecord) -> list[MachineSection]:
    machines = []
    for target, device in record.devices.items():
        facts = list(_facts(device.facts)) if device.facts else []
        if device.emulated:
            facts.insert(0, ("Emulated", "yes: its masks count, its times do not"))
        rows = [result for result in record.results if result.target == target]
        for engine in dict.fromkeys(result.engine for result in rows):
            versions = sorted({str(r.engine_version) for r in rows if r.engine == engine and r.engine_version})
            if versions:
                facts.append((engine, ", ".join(versions)))
        for threads, cores in {r.threads: r.pinned for r in rows if r.pinned}.items():
            facts.append((threads_text(threads), f"on the cores {', '.join(map(str, cores))}"))
        for state, when in ((device.before, "Before"), (device.after, "After")):
            if state:
                facts.append((when, conditions_text(state)))
        machines.append(MachineSection(target, facts, remarks(record, target), record.lost.get(target)))
    return machines


def conditions_text(conditions: Conditions) -> str:
    """What of a target's state can be said in a line."""
    battery, screen = conditions.battery, conditions.screen_on
    parts = [
        None if conditions.temperature_c is None else f"{conditions.temperature_c:.0f} °C",
        None if conditions.governor is None else f"governor {conditions.governor}",
        *_throttling(conditions),
    ]
    if battery is not None:
        parts += [f"battery {battery.level_percent:.0f} %"] if battery.level_percent is not None else []
        parts += [battery.status, "battery saver on" if battery.low_power else None]
    if screen is not None:
        parts.append("screen on" if screen else "screen off")
    return ", ".join(part for part in parts if part)


def _throttling(conditions: Conditions) -> list[str]:
    """By a Raspberry Pi's word, a phone's status, or a processor's counts; each has one of them, or nothing tells."""
    word, status, events = conditions.throttled, conditions.thermal_status, conditions.throttle_events
    if word is not None:
        now, earlier = ", ".join(throttle_words(word)), ", ".join(throttle_words(word, THROTTLE_SINCE_START))
        since = [f"throttled since its start ({earlier})"] if earlier else []
        return [f"throttled now ({now})" if now else "not throttled now" if earlier else "not throttled", *since]
    if status is not None:
        return [f"thermal status {status} of 6"]
    if events is not None:
        return ["slowed down by heat since its start" if events else "not slowed down by heat since its start"]
    return ["throttling unknown"]


def _facts(facts: Machine) -> Sequence[tuple[str, str]]:
    unknown = "unknown"
    device = ", ".join(filter(None, (facts.model, facts.soc)))
    return [
        *([("Device", device)] if device else []),
        ("Processor", f"{facts.cpu} ({facts.architecture}{', virtual machine' if facts.virtual else ''})"),
        ("Cores", f"{facts.cores_usable} usable of {facts.cores}"),
        ("Highest clocks", clocks_text(facts.core_max_mhz) or unknown),
        ("Instruction sets", ", ".join(facts.flags) or unknown),
        ("Clock governor", facts.governor or unknown),
        ("Memory", f"{facts.memory_mb:,} MB" if facts.memory_mb else unknown),
        ("System", f"{facts.os}, kernel {facts.kernel}"),
        *([("C library", facts.libc)] if facts.libc else []),
        *([("Python", facts.python)] if facts.python else []),
    ]
