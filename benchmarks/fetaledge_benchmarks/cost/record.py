"""The document ``fetaledge/cost/1``: counted instructions of each variant on each CPU, and the bounds they give."""

from __future__ import annotations

from fetaledge_benchmarks.cost.bound import WHAT, Bound, Core
from fetaledge_runtimes.notice import NOTICE
from fetaledge_runtimes.records import Document, Part


class CoreFacts(Part, kw_only=True, frozen=True):
    """Throughputs of one core, as :class:`fetaledge_benchmarks.cost.bound.Core`."""

    name: str
    board: str
    clock_ghz: float
    fma_per_cycle: int
    int8_multiply_adds_per_cycle: int
    int8_instruction: str
    load_bytes_per_cycle: int
    dram_gb_s: float
    source: str


class LeastTime(Part, kw_only=True, frozen=True):
    """The least time in ms that the counted instructions can take: the largest of ``limits_ms``."""

    what: str
    ms: float
    limited_by: str
    limits_ms: dict[str, float]


def core_facts(core: Core) -> CoreFacts:
    """A core as the record holds it."""
    return CoreFacts(
        name=core.name,
        board=core.board,
        clock_ghz=core.clock_ghz,
        fma_per_cycle=core.fma_lanes,
        int8_multiply_adds_per_cycle=core.int8_lanes,
        int8_instruction=core.int8_name,
        load_bytes_per_cycle=core.load_bytes,
        dram_gb_s=core.dram_gb_s,
        source=core.source,
    )


def least_time(bound: Bound) -> LeastTime:
    """A bound as the record holds it."""
    return LeastTime(what=WHAT, ms=bound.ms, limited_by=bound.limited_by, limits_ms=bound.limits_ms)


class CostResult(Part, kw_only=True, frozen=True):
    """One variant on one CPU.

    Attributes:
        variant: its name.
        cpu: QEMU's name of the core.
        engine: the variant's engine.
        multiply_adds: of the network for one frame, as the bundle states them; None: an early version exported it.
        model_bytes: size of the weights.
        engine_version: of the engine that ran; None, like the following, where it could not be counted.
        instructions: executed in one inference.
        by_class: the same by the classes of ``count.c``.
        bytes_read: that loads brought into registers.
        bytes_written: that stores took.
        threads_seen: threads that executed anything.
        bound: the least time.
        notes: what is known of the engine on this CPU.
        failure: why it could not be counted; None: it was.
    """

    variant: str
    cpu: str
    engine: str
    multiply_adds: int | None
    model_bytes: int
    engine_version: str | None = None
    instructions: int | None = None
    by_class: dict[str, int] | None = None
    bytes_read: int | None = None
    bytes_written: int | None = None
    threads_seen: int | None = None
    bound: LeastTime | None = None
    notes: tuple[str, ...] = ()
    failure: str | None = None


class CostRecord(Document, kw_only=True, frozen=True):
    """Cost of a bundle's variants on several CPUs; every time is a bound, not a measurement.

    ``multiply_adds_from``: the file of the bundle that states them; None: none does.
    """

    schema: str = "fetaledge/cost/1"
    bundle: str
    notice: str = NOTICE
    note: str
    bytes_read_note: str
    threads: int
    warmup: int
    frame: str
    multiply_adds_from: str | None
    cpus: tuple[CoreFacts, ...]
    results: tuple[CostResult, ...]
