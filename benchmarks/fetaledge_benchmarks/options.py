"""Options of a benchmark: one object from the command line to the plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fetaledge_benchmarks.plan import Sampling
from fetaledge_runtimes.errors import UsageError

SAMPLES = 60
ROUNDS = 6


@dataclass(frozen=True)
class BenchmarkOptions:
    """How a bundle is measured, the same on every target.

    Attributes:
        threads: thread counts; each variant has a row for each.
        variants: names of the variants; None: all of the bundle.
        samples: timed predictions of each row, in all rounds together.
        rounds: number of processes to spread the samples over.
        seed: of the rows' order.
        engines: versions for deploying, such as ``onnxruntime==1.22.0``.
        ignore_memory: also try variants that are estimated to need more memory than a target has available.
        sustained_minutes: how long each row then runs on, for latency over time; None: not at all.
        cool_down_s: longest wait in seconds before a process for the temperature at the start; None: no wait.
        benchmark_model: Google's program of that name, for the TFLite variants on phones; None: not used.
        accuracy_only: predict every frame, and time nothing.

    Raises:
        UsageError: a thread count below 1, no thread count, no round, or fewer samples than rounds.
    """

    threads: tuple[int, ...] = (1,)
    variants: tuple[str, ...] | None = None
    samples: int = SAMPLES
    rounds: int = ROUNDS
    seed: int = 0
    engines: tuple[str, ...] = ()
    ignore_memory: bool = False
    sustained_minutes: float | None = None
    cool_down_s: float | None = None
    benchmark_model: Path | None = None
    accuracy_only: bool = False

    def __post_init__(self) -> None:
        check_threads(self.threads)
        _ = self.sampling

    @property
    def sampling(self) -> Sampling:
        """The samples' plan."""
        return Sampling(self.samples, self.rounds, self.seed)


def check_threads(counts: tuple[int, ...]) -> None:
    """Raise UsageError unless there are thread counts, all of them above 0."""
    if not counts or min(counts) < 1:
        raise UsageError(f"the thread counts {list(counts)} were given", "give one or more whole numbers above 0")
