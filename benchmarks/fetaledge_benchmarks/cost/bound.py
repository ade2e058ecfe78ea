"""The least time that counted instructions can take on one core: a bound, not a measurement.

Every limit assumes that nothing else stands in the way: no cache misses, no dependencies, no mispredicted branches,
every pipeline fed in every cycle. Where a guide gives several figures for a class, the fastest one is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fetaledge_runtimes.errors import UsageError

WHAT = "bound, not a measurement"
LOADS = ("load", "vector_load", "atomic")
STORES = ("store", "vector_store", "atomic")
PIPE_BYTES = 16
"""A load or a store pipeline moves at most one 128-bit register in a cycle, on both cores."""


@dataclass(frozen=True)
class Core:
    """Throughputs of one core.

    Attributes:
        name: QEMU's name of it.
        board: where it is found, with the clock that the board's maker states.
        clock_ghz: that clock.
        width: instructions decoded in a cycle.
        integer: pipelines of integer arithmetic, the multi-cycle one included.
        loads: loads in a cycle; stores in a cycle are ``stores``; together at most ``moves``.
        slots: what one instruction of a class occupies of the two vector pipelines; ``None`` where the core lacks it.
        fma_lanes: 32-bit floating multiply-adds in a cycle.
        int8_lanes: 8-bit integer multiply-adds in a cycle, with ``int8_name`` the instruction that does them.
        dram_gb_s: peak of the board's memory, 10^9 bytes a second.
        cache_mb: the last level of cache, 10^6 bytes: what of a model may stay there from frame to frame.
        source: of the core's figures and the board's.
    """

    name: str
    board: str
    clock_ghz: float
    width: int
    integer: int
    loads: int
    stores: int
    moves: int
    slots: Mapping[str, int | None]
    fma_lanes: int
    int8_lanes: int
    int8_name: str
    dram_gb_s: float
    cache_mb: float
    source: str

    @property
    def load_bytes(self) -> int:
        """Bytes that loads can bring in one cycle."""
        return self.loads * PIPE_BYTES


VECTOR_PIPES = 2
EACH_ONE = dict.fromkeys(
    ("scalar_float", "vector_fma_64", "vector_float_64", "vector_multiply", "vector_shift", "vector_integer"), 1
)

CORES = {
    core.name: core
    for core in (
        Core(
            name="cortex-a72",
            board="Raspberry Pi 4",
            clock_ghz=1.8,
            width=3,
            integer=3,
            loads=1,
            stores=1,
            moves=2,
            # Its pipelines are 64 bits wide for floating point: a 128-bit operation takes a place in both.
            slots={**EACH_ONE, "vector_fma": 2, "vector_float": 2, "dot_product": None, "matrix_multiply": None},
            fma_lanes=4,
            int8_lanes=8,
            int8_name="SMLAL",
            dram_gb_s=12.8,
            cache_mb=1.0,
            source="pipelines: LLVM's model of the sibling Cortex-A57, AArch64SchedA57.td; board: 1.8 GHz, LPDDR4-3200 "
            "on 32 bits and 1 MB of L2 as commonly stated, not checked against the makers' own papers",
        ),
        Core(
            name="cortex-a76",
            board="Raspberry Pi 5",
            clock_ghz=2.4,
            width=4,
            integer=3,
            loads=2,
            stores=2,
            moves=2,
            slots={**EACH_ONE, "vector_fma": 1, "vector_float": 1, "dot_product": 1, "matrix_multiply": None},
            fma_lanes=8,
            int8_lanes=32,
            int8_name="SDOT",
            dram_gb_s=17.1,
            cache_mb=2.5,
            source="pipelines: LLVM's model of the sibling Neoverse N1, AArch64SchedNeoverseN1.td; board: 2.4 GHz, "
            "LPDDR4X-4267 on 32 bits, 512 kB of L2 and 2 MB of L3 as commonly stated, not checked against the makers' "
            "own papers",
        ),
    )
}


@dataclass(frozen=True)
class Bound:
    """``ms`` is the largest of ``limits_ms``, whose name is ``limited_by``."""

    ms: float
    limited_by: str
    limits_ms: dict[str, float]


def core_named(name: str) -> Core:
    """The core of this name.

    Raises:
        UsageError: it is not in the table.
    """
    if name not in CORES:
        raise UsageError(f"the throughputs of the CPU {name!r} are not known", f"known are {', '.join(CORES)}")
    return CORES[name]


def bound(core: Core, executed: Mapping[str, int], read: int, written: int, model_bytes: int = 0) -> Bound:
    """The least time on one core.

    Args:
        core: one of :data:`CORES`.
        executed: instructions by class, those of ``count.c``.
        read: bytes that loads brought; ``written``: that stores took.
        model_bytes: size of the weights, which memory must deliver again for each frame where no cache holds them.

    Raises:
        ValueError: an instruction that the core does not have.
    """
    cycles = {
        "vector": _vector_cycles(core, executed),
        "load_store": _memory_cycles(core, executed, read, written),
        "integer": max(
            executed.get("integer_multiply", 0),
            (executed.get("integer", 0) + executed.get("integer_multiply", 0)) / core.integer,
        ),
        "branch": executed.get("branch", 0),
        "issue": sum(executed.values()) / core.width,
    }
    limits = {name: count / (core.clock_ghz * 1e6) for name, count in cycles.items()}
    limits["dram"] = max(0.0, model_bytes - core.cache_mb * 1e6) / (core.dram_gb_s * 1e6)
    longest = max(limits, key=lambda name: limits[name])
    return Bound(limits[longest], longest, limits)


def _vector_cycles(core: Core, executed: Mapping[str, int]) -> float:
    """Both vector pipelines; one of them alone multiplies integers, and the other alone shifts."""
    slots = 0
    for name, count in executed.items():
        each = core.slots.get(name, 0)
        if each is None and count:
            raise ValueError(f"{count} instructions of the class {name} were executed, which {core.name} lacks")
        slots += count * (each or 0)
    return max(slots / VECTOR_PIPES, executed.get("vector_multiply", 0), executed.get("vector_shift", 0))


def _memory_cycles(core: Core, executed: Mapping[str, int], read: int, written: int) -> float:
    loads = max(sum(executed.get(name, 0) for name in LOADS), read / PIPE_BYTES)
    stores = max(sum(executed.get(name, 0) for name in STORES), written / PIPE_BYTES)
    return max(loads / core.loads, stores / core.stores, (loads + stores) / core.moves)
