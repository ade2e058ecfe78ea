"""Raw samples and their percentiles."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fetaledge_runtimes.bench_worker import bench, peak_rss_mb, percentiles
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Frame, Image, Logits
from fetaledge_runtimes.predictor import Predictor


def test_percentiles_of_one_to_a_hundred() -> None:
    given = percentiles(list(range(100, 0, -1)))
    assert given == {
        "n": 100, "min": 1, "p50": 50.5, "p90": pytest.approx(90.1), "p95": pytest.approx(95.05),
        "p99": pytest.approx(99.01), "mean": 50.5,
    }  # fmt: skip


def test_one_sample_is_all_of_them() -> None:
    assert set(percentiles([3.0]).values()) == {1, 3.0}


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentiles([])


def test_bench_cycles_through_the_frames(
    bundle_folder: Path, bright_frame: Callable[..., Frame], head: Ellipse, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(Bundle.open(bundle_folder))
    frames = [bright_frame(head), bright_frame(None), bright_frame(Ellipse(300, 250, 200, 160, 70))]
    seen: list[int] = []
    engine = type(predictor.engine)
    original = engine.__call__

    def counted(self: object, pixels: Image) -> Logits:
        seen.append(int(pixels.sum()))
        return original(self, pixels)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "__call__", counted)
    samples = bench(predictor, frames, samples=7, warmup=2)
    assert len(seen) == 9
    assert seen[2:] == (seen[2:5] * 3)[:7]
    assert seen[:2] == seen[2:4]
    assert set(samples) == {"preprocess_ms", "kernel_ms", "postprocess_ms", "end_to_end_ms"}
    assert all(len(values) == 7 and min(values) > 0 for values in samples.values())
    for whole, kernel in zip(samples["end_to_end_ms"], samples["kernel_ms"], strict=True):
        assert whole > kernel


def test_bench_without_frames_or_with_negative_counts(bundle_folder: Path, bright_frame: Callable[..., Frame]) -> None:
    predictor = Predictor(Bundle.open(bundle_folder))
    with pytest.raises(ValueError, match="needs frames"):
        bench(predictor, [], 1, 1)
    with pytest.raises(ValueError, match="not negative"):
        bench(predictor, [bright_frame(None)], -1, 0)


def test_peak_memory_sees_what_was_held() -> None:
    """A child that once held 200 MB says so after it let go; one that did not says less."""
    code = "import numpy, fetaledge_runtimes.bench_worker as t; numpy.ones({size}, 'u1'); print(t.peak_rss_mb())"
    small, large = (
        float(subprocess.run([sys.executable, "-c", code.format(size=size)], capture_output=True, check=True).stdout)
        for size in (1, 200_000_000)
    )
    assert 150 < large - small < 250
    assert peak_rss_mb() > 20
    assert np.isfinite(small)
