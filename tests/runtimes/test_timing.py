"""Raw samples and their percentiles."""

from __future__ import annotations

import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.bench_worker import bench, bench_command, peak_rss_mb, percentiles
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Frame, Image, Logits
from fetaledge_runtimes.predictor import Predictor


def test_percentiles_of_one_to_a_hundred() -> None:
    given = percentiles(list(range(100, 0, -1)))
    assert (given.n, given.min, given.p50, given.mean) == (100, 1, 50.5, 50.5)
    assert (given.p90, given.p95) == (pytest.approx(90.1), pytest.approx(95.05))


@pytest.mark.parametrize(("samples", "p99"), [(60, None), (199, None), (200, 198.01), (1000, 990.01)])
def test_a_99th_percentile_needs_200_samples(samples: int, p99: float | None) -> None:
    found = percentiles([float(value) for value in range(1, samples + 1)]).p99
    assert found == (None if p99 is None else pytest.approx(p99))


def test_one_sample_is_all_of_them() -> None:
    given = percentiles([3.0])
    assert {given.min, given.p50, given.p90, given.p95, given.mean} == {3.0} and given.n == 1


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


@pytest.mark.parametrize("threads", [1, 2])
def test_opencv_is_held_to_the_rows_threads(
    threads: int, bundle_folder: Path, bright_frame: Callable[..., Frame], head: Ellipse
) -> None:
    """Also where the predictor is made from an engine, as PyTorch's is: no bundle sets the threads then."""
    bundled = Predictor(Bundle.open(bundle_folder))
    predictor = Predictor.from_engine(bundled.engine, bundled.size, bundled.task)
    before, seen = cv2.getNumThreads(), set()

    def frames() -> Iterator[Frame]:
        for _ in range(3):
            seen.add(cv2.getNumThreads())
            yield bright_frame(head)

    try:
        cv2.setNumThreads(3)
        bench_command(predictor, 1.0, frames(), threads=threads, samples=1, warmup=0, model_files=[])
        assert seen == {threads} and cv2.getNumThreads() == threads
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize(("samples", "warmup", "kept"), [(0, 5, 0), (2, 1, 2), (2, 4, 4)])
def test_only_the_timed_frames_stay_in_memory(
    samples: int, warmup: int, kept: int, bundle_folder: Path, bright_frame: Callable[..., Frame], head: Ellipse
) -> None:
    alive: list[weakref.ref[Frame]] = []
    most = 0

    def frames() -> Iterator[Frame]:
        nonlocal most
        for _ in range(10):
            frame = bright_frame(head)
            alive.append(weakref.ref(frame))
            yield frame
            del frame
            most = max(most, sum(ref() is not None for ref in alive))

    predictor = Predictor(Bundle.open(bundle_folder))
    given = bench_command(
        predictor, 1.0, frames(), threads=1, samples=samples, warmup=warmup, model_files=[], masks=None
    )
    assert len(given.predictions) == 10 and len(given.kernel_ms) == samples
    assert most <= kept + 2  # the one being predicted, and its prediction


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
