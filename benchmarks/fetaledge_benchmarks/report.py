"""The report of a benchmark: one HTML page and two PNGs that stand alone offline."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fetaledge_benchmarks import figures
from fetaledge_benchmarks.record import record_valid
from fetaledge_benchmarks.table import MEASURES, table_header, table_rows
from fetaledge_runtimes.files import atomic_folder, write_json

PAGE, RECORD = "report.html", "benchmark.json"
SCATTER, DISTRIBUTIONS = "latency_dice.png", "latency_distributions.png"
HC18_ATTRIBUTION = (
    "HC18: T. L. A. van den Heuvel et al., “Automated measurement of fetal head circumference using 2D ultrasound "
    "images”, doi 10.5281/zenodo.1327317, CC BY 4.0."
)


def write_report(record: dict[str, Any], folder: Path, *, force: bool = False) -> None:
    """Write ``report.html`` (its pictures inside it), the same pictures as PNGs, and the record as ``benchmark.json``.

    Raises:
        OutputError: ``folder`` exists and ``force`` is not set, or it cannot be written.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fetaledge_benchmarks"),
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
            header=table_header(record["model"]["task"]),
            measure=MEASURES[record["model"]["task"]][2],
            rows=list(zip(record["results"], table_rows(record), strict=True)),
            pictures=pictures,
            facts=_facts(record["host"]),
            attribution=HC18_ATTRIBUTION if "hc18" in record["data"].lower() else None,
        )
        (partial / PAGE).write_text(page, encoding="utf-8")
        write_json(partial / RECORD, record)


def _draw(record: dict[str, Any], folder: Path) -> list[tuple[str, str]]:
    """Draw what there is to draw; (alternative text, data URI) of each picture."""
    timed = figures.drawable(record)
    pictures: list[tuple[str, str]] = []
    if any(result["accuracy"] is not None for result in timed):
        figures.draw_latency_dice(record, folder / SCATTER)
        pictures.append(("Kernel latency against mean Dice", _data_uri(folder / SCATTER)))
    if timed:
        figures.draw_distributions(record, folder / DISTRIBUTIONS)
        pictures.append(("Distributions of latency", _data_uri(folder / DISTRIBUTIONS)))
    return pictures


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _facts(host: dict[str, Any]) -> Sequence[tuple[str, str]]:
    unknown = "unknown"
    return [
        ("Processor", f"{host['cpu']} ({host['architecture']}{', virtual machine' if host['virtual'] else ''})"),
        ("Cores", f"{host['cores_usable']} usable of {host['cores']}"),
        ("Instruction sets", ", ".join(host["flags"]) or unknown),
        ("Clock governor", host["governor"] or unknown),
        ("Memory", f"{host['memory_mb']:,} MB" if host["memory_mb"] else unknown),
        ("System", f"{host['os']}, kernel {host['kernel']}"),
        ("Python", host["python"]),
    ]
