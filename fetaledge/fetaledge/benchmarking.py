"""A bundle and its run, benchmarked in one go."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fetaledge.data.dataset import open_dataset
from fetaledge.data.split import choose_frames
from fetaledge.training.run import Run
from fetaledge_benchmarks import Reference, open_target, run_benchmark
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.errors import UsageError


def benchmark_bundle(
    bundle_folder: Path,
    data: Path,
    *,
    run_folder: Path | None,
    variants: Sequence[str] | None,
    threads: Sequence[int],
    split: str | None,
    samples: int,
    rounds: int,
    seed: int,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """The benchmark record of a bundle on this machine; with ``run_folder``, eager PyTorch is measured beside it.

    Raises:
        UsageError: the run is not the one that the bundle was exported from.
    """
    bundle = Bundle.open(bundle_folder)
    source = bundle.manifest.source
    reference = None
    if run_folder is not None:
        run = Run.open(run_folder)
        if run.source()["weights_sha256"] != source.get("weights_sha256"):
            raise UsageError(
                f"{bundle_folder} was not exported from {run_folder}",
                f"pass the run {source.get('run')!r} that it comes from",
            )
        command = (sys.executable, "-m", "fetaledge.torch_bench", str(run_folder.resolve()))
        reference = Reference("torch-fp32", "PyTorch", command, tuple(threads))
    frames = choose_frames(open_dataset(data), split, source)
    return run_benchmark(
        bundle_folder,
        frames,
        threads=threads,
        variants=variants,
        reference=reference,
        samples=samples,
        rounds=rounds,
        seed=seed,
        target=open_target("local"),
        progress=progress,
    )
