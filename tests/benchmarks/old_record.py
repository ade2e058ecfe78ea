"""A record as the first version wrote it, kept in ``tests/records/benchmark-1.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fetaledge_benchmarks.record import BenchmarkRecord, Result
from fetaledge_runtimes.records import read_document

FILE = Path(__file__).parents[1] / "records" / "benchmark-1.json"


def old_record() -> BenchmarkRecord:
    """Three rows: ``torch-fp32``, ``tflite-fp32`` and ``onnx-fp32``, none valid, for they have 4 samples each."""
    return read_document(FILE, BenchmarkRecord, "benchmark")


def result(variant: str, **changes: Any) -> Result:
    """A row of it under another name, without a comparison, and with ``changes``."""
    row = replace(old_record().results[2], variant=variant, against_fp32=None, against_local=None)
    return replace(row, **changes)
