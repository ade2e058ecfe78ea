"""Latency and accuracy of a bundle's variants, in one interleaved run. Research software, not a medical device."""

from __future__ import annotations

from fetaledge_benchmarks.measure import run_benchmark
from fetaledge_benchmarks.plan import Reference
from fetaledge_benchmarks.record import record_valid
from fetaledge_benchmarks.report import write_report
from fetaledge_benchmarks.table import agreement_table, table_header, table_rows, terminal_table
from fetaledge_benchmarks.targets import open_target
from fetaledge_benchmarks.targets.base import Target

__all__ = [
    "Reference",
    "Target",
    "agreement_table",
    "open_target",
    "record_valid",
    "run_benchmark",
    "table_header",
    "table_rows",
    "terminal_table",
    "write_report",
]
