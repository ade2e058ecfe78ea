"""Latency and accuracy of a bundle's variants, in one interleaved run. Research software, not a medical device."""

from __future__ import annotations

from fetaledge_benchmarks.benchmark import run_benchmark
from fetaledge_benchmarks.options import BenchmarkOptions
from fetaledge_benchmarks.plan import Reference
from fetaledge_benchmarks.record import BenchmarkRecord, record_valid
from fetaledge_benchmarks.report.page import write_report
from fetaledge_benchmarks.report.tables import agreement_table, table_header, table_rows, terminal_table

__all__ = [
    "BenchmarkOptions",
    "BenchmarkRecord",
    "Reference",
    "agreement_table",
    "record_valid",
    "run_benchmark",
    "table_header",
    "table_rows",
    "terminal_table",
    "write_report",
]
