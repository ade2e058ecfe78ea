"""The measuring plan: which rows, and in which order their processes run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fetaledge_runtimes.bundle import Variant
from fetaledge_runtimes.engines.registry import engine_class
from fetaledge_runtimes.errors import UsageError


@dataclass(frozen=True)
class Reference:
    """What the variants are compared with: another program that speaks the ``bench`` protocol.

    Attributes:
        name: of its row, ``torch-fp32``.
        engine: as people call it.
        command: the start of its command line, which goes on with ``--frames DIR --threads N --samples K --warmup W``
            and, for accuracy, ``--masks OUT``.
        threads: the thread counts it is measured with.
    """

    name: str
    engine: str
    command: tuple[str, ...]
    threads: tuple[int, ...]


def threads_text(count: int) -> str:
    """``1 thread``, ``4 threads``."""
    return f"{count} thread{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Row:
    """One line of the table: a model and a thread count.

    Attributes:
        name: the variant's, or the reference's.
        engine: as people call it.
        threads: the count that the engine is held to.
        command: the start of its worker's command line.
        file_mb: the model files' size in MB (10⁶ bytes), or None where only the worker knows it.
        reference: True for the reference's rows.
    """

    name: str
    engine: str
    threads: int
    command: tuple[str, ...]
    file_mb: float | None
    reference: bool = False

    @property
    def label(self) -> str:
        return f"{self.name}, {threads_text(self.threads)}"

    @property
    def format(self) -> str:
        return self.name.rpartition("-")[0]

    @property
    def precision(self) -> str:
        return self.name.rpartition("-")[2]


@dataclass(frozen=True)
class Sampling:
    """How often each row is measured: ``samples`` in all, spread over ``rounds`` fresh processes.

    Raises:
        UsageError: no round, or fewer samples than rounds.
    """

    samples: int
    rounds: int
    seed: int
    warmup: ClassVar[int] = 5

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.samples < self.rounds:
            raise UsageError(
                f"{self.samples} samples in {self.rounds} rounds were asked for where each round needs at least one",
                "give more samples or fewer rounds (60 samples in 6 rounds is the default)",
            )

    def per_round(self) -> tuple[int, ...]:
        """The samples of each round: as even as can be, their sum exact."""
        share, rest = divmod(self.samples, self.rounds)
        return tuple(share + (index < rest) for index in range(self.rounds))

    def order(self, rows: int) -> tuple[tuple[int, ...], ...]:
        """For each round, the rows' indices in the order they run: every row once, shuffled by the seed."""
        rng = np.random.default_rng(self.seed)
        return tuple(tuple(int(i) for i in rng.permutation(rows)) for _ in range(self.rounds))


def plan_rows(
    variants: Sequence[Variant],
    threads: Sequence[int],
    worker: Sequence[str],
    bundle_place: str,
    reference: Reference | None,
    *,
    native: bool = False,
) -> tuple[Row, ...]:
    """The rows of a benchmark, the reference's first.

    ``native``: the worker is a runner that takes the model's file, not ``python -m fetaledge_runtimes``.
    """
    counts = tuple(dict.fromkeys(threads))
    rows = []
    if reference is not None:
        rows += [
            Row(reference.name, reference.engine, count, reference.command, None, reference=True)
            for count in dict.fromkeys(reference.threads)
        ]
    for variant in variants:
        model = f"{bundle_place}/{variant.files[0].file}"
        command = (*worker, model) if native else (*worker, "bench", bundle_place, "--variant", variant.name)
        size = sum(stored.bytes for stored in variant.files) / 1e6
        engine = engine_class(variant.format).name
        rows += [Row(variant.name, engine, count, command, round(size, 3)) for count in counts]
    return tuple(rows)
