"""The arithmetic of the bound, on counts made by hand; the table and the picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import pytest
from msgspec.structs import replace

from fetaledge_benchmarks.cost import draw_roofline, table_header, table_rows
from fetaledge_benchmarks.cost.bound import CORES, WHAT, bound, core_named
from fetaledge_benchmarks.cost.count import PROGRAM, parse_counts
from fetaledge_benchmarks.cost.qemu_plugin import SOURCE
from fetaledge_benchmarks.cost.record import CostRecord, CostResult, core_facts, least_time
from fetaledge_benchmarks.cost.roofline import attained, intensity
from fetaledge_runtimes.errors import UsageError

A72, A76 = CORES["cortex-a72"], CORES["cortex-a76"]
MILLION = 1_000_000


@pytest.mark.parametrize(
    ("core", "executed", "read", "written", "model", "limited_by", "ms"),
    [
        # 18 M FMA: one a cycle at 1.8 GHz, two a cycle at 2.4 GHz
        (A72, {"vector_fma": 18 * MILLION}, 0, 0, 0, "vector", 10.0),
        (A76, {"vector_fma": 48 * MILLION}, 0, 0, 0, "vector", 10.0),
        # half-width ones take half of the A72's pipelines, and all of them are still decoded at three a cycle
        (A72, {"vector_fma_64": 36 * MILLION}, 0, 0, 0, "vector", 10.0),
        # one pipeline multiplies integers, one shifts, two add
        (A72, {"vector_multiply": 18 * MILLION, "vector_shift": 9 * MILLION}, 0, 0, 0, "vector", 10.0),
        (A76, {"vector_shift": 24 * MILLION, "vector_integer": 12 * MILLION}, 0, 0, 0, "vector", 10.0),
        (A76, {"dot_product": 48 * MILLION}, 0, 0, 0, "vector", 10.0),
        # loads: one a cycle or two; a pair of 128-bit registers is two of them
        (A72, {"vector_load": 18 * MILLION}, 18 * 16 * MILLION, 0, 0, "load_store", 10.0),
        (A72, {"vector_load": 9 * MILLION}, 18 * 16 * MILLION, 0, 0, "load_store", 10.0),
        (A76, {"load": 24 * MILLION, "store": 24 * MILLION}, 24 * 8 * MILLION, 24 * 8 * MILLION, 0, "load_store", 10.0),
        (A76, {"integer_multiply": 24 * MILLION}, 0, 0, 0, "integer", 10.0),
        (A72, {"branch": 18 * MILLION}, 0, 0, 0, "branch", 10.0),
        (A76, {"system": 96 * MILLION}, 0, 0, 0, "issue", 10.0),
        # 129 MB of weights, of which 1 MB may stay in the cache, at 12.8 GB/s
        (A72, {"integer": MILLION}, 0, 0, 129 * MILLION, "dram", 10.0),
        (A72, {}, 0, 0, MILLION, "vector", 0.0),
    ],
)
def test_each_limit(
    core: Any, executed: dict[str, int], read: int, written: int, model: int, limited_by: str, ms: float
) -> None:
    least = bound(core, executed, read, written, model)
    assert least.limited_by == limited_by
    assert least.ms == pytest.approx(ms)
    assert least.ms == max(least.limits_ms.values())
    assert least_time(least).what == "bound, not a measurement"


def test_a_bound_never_falls_when_instructions_are_added() -> None:
    executed = {"vector_fma": 1000, "vector_load": 800, "integer": 500, "branch": 100}
    for core in (A72, A76):
        for name in (*core.slots, "load", "store", "atomic", "integer", "integer_multiply", "branch", "other"):
            if core.slots.get(name, 0) is not None:
                more = {**executed, name: executed.get(name, 0) + 10_000}
                assert bound(core, more, 12_800, 0).ms > bound(core, executed, 12_800, 0).ms


def test_an_instruction_that_the_core_lacks() -> None:
    with pytest.raises(ValueError, match="5 instructions of the class dot_product were executed, which cortex-a72"):
        bound(A72, {"dot_product": 5}, 0, 0)


def test_unknown_cpu() -> None:
    with pytest.raises(UsageError, match="'cortex-a5' are not known; known are cortex-a72, cortex-a76"):
        core_named("cortex-a5")


def test_counts_of_all_threads_are_added() -> None:
    line = '{"marking_thread": 0, "threads": {"0": {"integer": 3, "load": 2, "bytes_loaded": 16, "bytes_stored": 0}, '
    line += '"4": {"integer": 5, "load": 0, "bytes_loaded": 0, "bytes_stored": 8}}}'
    counts = parse_counts(line, "1.2")
    assert counts.executed == {"integer": 8, "load": 2}
    assert (counts.instructions, counts.read, counts.written, counts.threads) == (10, 16, 8, 2)


def result(variant: str, cpu: str, fma: int, loads: int) -> CostResult:
    names = ("vector_fma", "vector_fma_64", "dot_product", "matrix_multiply", "vector_multiply", "vector_float")
    names += ("vector_float_64", "vector_shift", "vector_integer", "scalar_float", "transfer", "load", "vector_load")
    names += ("store", "vector_store", "atomic", "integer", "integer_multiply", "branch", "system", "other")
    executed = {**dict.fromkeys(names, 0), "vector_fma": fma, "vector_load": loads}
    return CostResult(
        variant=variant,
        cpu=cpu,
        engine="ONNX Runtime",
        multiply_adds=4 * fma,
        model_bytes=0,
        instructions=sum(executed.values()),
        by_class=executed,
        bytes_read=16 * loads,
        bound=least_time(bound(CORES[cpu], executed, 16 * loads, 0)),
    )


def document() -> CostRecord:
    failed = CostResult(
        variant="openvino-int8", cpu="cortex-a72", engine="OpenVINO", multiply_adds=None, model_bytes=0, failure="no"
    )
    rows = [result("onnx-fp32", name, 18 * MILLION, 4 * MILLION) for name in CORES]
    return CostRecord(
        bundle="some",
        note="",
        bytes_read_note="",
        threads=1,
        warmup=1,
        frame="a",
        multiply_adds_from=None,
        cpus=tuple(core_facts(core) for core in (A72, A76)),
        results=(*rows, failed),
    )


def test_table_says_bound() -> None:
    assert f"≥ ms ({WHAT})" in table_header()
    first, _, failed = table_rows(document())
    assert dict(zip(table_header(), first, strict=True)) == {
        "variant": "onnx-fp32",
        "CPU": "cortex-a72",
        "MMAC": "72.0",
        "M instr": "22.0",
        "FMA": "18.0",
        "dot": "0.00",
        "int mul": "0.00",
        "other vector": "0.00",
        "load": "4.00",
        "store": "0.00",
        "other": "0.00",
        "MB read": "64.0",
        f"≥ ms ({WHAT})": "10.0",
        "limited by": "vector",
    }
    assert failed[-1] == "not run"
    assert len(failed) == len(table_header())


@pytest.mark.integration
def test_roofline_labels_run_along_their_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    found: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: found.append(figure))
    draw_roofline(replace(document(), bundle="b $a_$"), Path("unused.png"))  # no formula
    (figure,) = found
    figure.draw_without_rendering()
    assert figure.get_suptitle() == f"Roofline of b $a_$: {WHAT}"
    for axes in figure.axes:
        (x0, y0), (x1, y1) = axes.transData.transform([(1, 1), (10, 10)])  # every such line: a byte's worth, 45 degrees
        labels = [text for text in axes.texts if "GB/s" in text.get_text()]
        assert [text.get_text().partition(":")[0] for text in labels] == ["cache", "memory"]
        for label in labels:
            assert label.get_rotation() == pytest.approx(math.degrees(math.atan2(y1 - y0, x1 - x0)), abs=0.5)


@pytest.mark.integration
def test_roofline(tmp_path: Path) -> None:
    row = result("onnx-fp32", "cortex-a72", 18 * MILLION, 4 * MILLION)
    assert intensity(row) == pytest.approx(72 / 64)
    assert attained(row) == pytest.approx(7.2)  # the core's peak: nothing but FMA limits it
    draw_roofline(document(), tmp_path / "roof.png")
    picture = cv2.imread(str(tmp_path / "roof.png"))
    assert picture is not None
    assert picture.shape[1] > 1000
    with pytest.raises(ValueError, match="no result"):
        draw_roofline(replace(document(), results=()), tmp_path / "none.png")


def test_the_counted_program_and_the_plugins_source_are_there() -> None:
    assert PROGRAM.is_file() and SOURCE.is_file()
