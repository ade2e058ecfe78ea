"""The table of a cost document, as text cells."""

from __future__ import annotations

from collections.abc import Mapping

from fetaledge_benchmarks.cost.bound import WHAT
from fetaledge_benchmarks.cost.record import CostRecord, CostResult
from fetaledge_benchmarks.report.tables import NOTHING, milliseconds

# What a reader compares, each the sum of some classes of count.c; every class is in the document.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "FMA": ("vector_fma", "vector_fma_64"),
    "dot": ("dot_product", "matrix_multiply"),
    "int mul": ("vector_multiply",),
    "other vector": (
        "vector_float",
        "vector_float_64",
        "vector_shift",
        "vector_integer",
        "scalar_float",
        "transfer",
    ),
    "load": ("load", "vector_load"),
    "store": ("store", "vector_store", "atomic"),
    "other": ("integer", "integer_multiply", "branch", "system", "other"),
}


def table_header() -> list[str]:
    """Names of the columns; counts of instructions are in millions."""
    return ["variant", "CPU", "MMAC", "M instr", *GROUPS, "MB read", f"≥ ms ({WHAT})", "limited by"]


def table_rows(record: CostRecord) -> list[list[str]]:
    """One row of cells a result, in the order of :func:`table_header`."""
    return [_cells(result) for result in record.results]


def _cells(result: CostResult) -> list[str]:
    start = [result.variant, result.cpu, _millions(result.multiply_adds)]
    classes, least = result.by_class, result.bound
    if classes is None or least is None:
        return [*start, *[NOTHING] * (len(GROUPS) + 3), "not run"]
    groups = [_millions(sum(classes[name] for name in names)) for names in GROUPS.values()]
    return [
        *start,
        _millions(result.instructions),
        *groups,
        _millions(result.bytes_read),
        milliseconds(least.ms),
        least.limited_by.replace("_", "/"),
    ]


def _millions(number: int | None) -> str:
    if number is None:
        return NOTHING
    value = number / 1e6
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"
