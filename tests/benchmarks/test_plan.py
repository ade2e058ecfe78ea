from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fetaledge_benchmarks import BenchmarkOptions, run_benchmark
from fetaledge_benchmarks.plan import Reference, Sampling, plan_rows
from fetaledge_runtimes.bundle import Bundle, choose_variants
from fetaledge_runtimes.errors import UsageError


def test_every_round_runs_every_row_once_in_an_order_of_its_own() -> None:
    order = Sampling(60, 6, seed=0).order(9)
    assert len(order) == 6
    assert all(sorted(rows) == list(range(9)) for rows in order)
    assert len(set(order)) == 6


def test_the_seed_decides_the_order() -> None:
    assert Sampling(60, 6, seed=4).order(9) == Sampling(60, 6, seed=4).order(9)
    assert Sampling(60, 6, seed=4).order(9) != Sampling(60, 6, seed=5).order(9)


def test_no_row_has_a_favoured_place() -> None:
    firsts = Counter(rows[0] for rows in Sampling(400, 400, seed=0).order(4))
    assert all(70 <= firsts[row] <= 130 for row in range(4))


@pytest.mark.parametrize(("samples", "rounds", "shares"), [(60, 6, (10,) * 6), (31, 2, (16, 15)), (5, 5, (1,) * 5)])
def test_samples_are_spread_evenly_and_none_is_lost(samples: int, rounds: int, shares: tuple[int, ...]) -> None:
    assert Sampling(samples, rounds, seed=0).per_round() == shares


@pytest.mark.parametrize(("samples", "rounds"), [(5, 6), (0, 1), (10, 0), (-1, -1)])
def test_a_round_without_a_sample_is_refused(samples: int, rounds: int) -> None:
    with pytest.raises(UsageError, match="samples"):
        Sampling(samples, rounds, seed=0)


def test_rows_are_variants_by_threads_with_the_reference_first(bundle_folder: Path) -> None:
    bundle = Bundle.open(bundle_folder)
    chosen = choose_variants(bundle, ["onnx-int8", "openvino-fp32", "onnx-int8"])
    rows = plan_rows(
        chosen, [2, 1, 2], ("python", "-m", "x"), "/there", Reference("torch-fp32", "PyTorch", ("t",), (1,))
    )
    assert [(row.name, row.threads) for row in rows] == [
        ("torch-fp32", 1),
        ("onnx-int8", 2),
        ("onnx-int8", 1),
        ("openvino-fp32", 2),
        ("openvino-fp32", 1),
    ]
    assert rows[1].command == ("python", "-m", "x", "bench", "/there", "--variant", "onnx-int8")
    assert rows[3].file_mb == pytest.approx(
        sum((bundle_folder / f"openvino-fp32.{end}").stat().st_size for end in ("xml", "bin")) / 1e6, abs=1e-3
    )
    assert (rows[3].format, rows[3].precision, rows[3].engine) == ("openvino", "fp32", "OpenVINO")


def test_an_unknown_variant_is_refused_by_name(bundle_folder: Path) -> None:
    with pytest.raises(UsageError, match="onnx-fp8.*onnx-fp32, onnx-int8, openvino-fp32"):
        choose_variants(Bundle.open(bundle_folder), ["onnx-fp8"])


@pytest.mark.parametrize(("threads", "reference"), [([], None), ([0], None), ([1, -2], None), ([1], (0,))])
def test_thread_counts_must_be_positive(
    heads: Any, tmp_path: Path, threads: list[int], reference: tuple[int, ...] | None
) -> None:
    torch = None if reference is None else Reference("torch-fp32", "PyTorch", ("t",), reference)
    with pytest.raises(UsageError, match="thread"):
        run_benchmark(tmp_path, heads, BenchmarkOptions(threads=tuple(threads)), [], reference=torch)
