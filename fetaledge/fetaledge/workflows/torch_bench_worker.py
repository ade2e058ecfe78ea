"""``python -m fetaledge.workflows.torch_bench_worker RUN …``: times eager PyTorch, the benchmark's reference row.

It speaks the protocol of ``python -m fetaledge_runtimes bench``: one JSON document on stdout.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fetaledge_runtimes.errors import FetalEdgeError
from fetaledge_runtimes.quiet import quiet

if TYPE_CHECKING:
    from fetaledge.runs.run import Run


def _weights(run: Run) -> Path:
    """What training stored; of a SAM run's fold that is what it changed of its base."""
    from fetaledge.runs.run import WEIGHTS
    from fetaledge.runs.sam_fold import fold_weights
    from fetaledge.runs.sam_run import FOLD, SamRun

    return fold_weights(run.folder / FOLD.format(run.fold)) if isinstance(run, SamRun) else run.folder / WEIGHTS


def main() -> int:
    """Run the worker; the exit code."""
    quiet()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--fold", type=int)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--masks", type=Path)
    options = parser.parse_args()
    try:
        from fetaledge.runs.open import open_run
        from fetaledge_export.torch_engine import TorchEngine
        from fetaledge_runtimes.bench_worker import answer
        from fetaledge_runtimes.predictor import Predictor

        def load() -> tuple[Predictor, list[Path]]:
            run = open_run(options.run, options.fold, options.base)
            engine = TorchEngine(run.network(), run.scale, run.offset, options.threads)
            predictor = Predictor.from_engine(engine, run.size, run.task)  # masks are made as a bundle's are
            return predictor, [_weights(run)]

        answer(options, load)
    except FetalEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
