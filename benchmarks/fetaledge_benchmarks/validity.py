"""The rules by which a measurement is called invalid, each with a sentence that says so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fetaledge_benchmarks.host import Conditions

FEWEST_SAMPLES = 30
LARGEST_SPREAD = 1.5
SLOW_GOVERNORS = ("powersave", "conservative")
SELF_CLOCKED = ("intel_pstate", "amd-pstate-epp")
"""Drivers under which the governor ``powersave`` still clocks up as far as the load asks."""


def reasons_against(
    threads: int,
    cores: int,
    kernel_ms: Sequence[float],
    asked: int,
    conditions: Sequence[Conditions],
    failure: str | None,
) -> list[str]:
    """Why a row is invalid; empty where it is valid.

    Args:
        threads, cores: the row's thread count, and the cores that a process may use.
        kernel_ms: its samples; ``asked``: how many were asked for.
        conditions: the machine's state before and after each of its processes.
        failure: a failed worker's text.
    """
    if failure is not None:
        return [failure]
    reasons = []
    if len(kernel_ms) < FEWEST_SAMPLES:
        reasons.append(f"too few samples: {len(kernel_ms)}, and percentiles need {FEWEST_SAMPLES}")
    if len(kernel_ms) < asked:
        reasons.append(f"{len(kernel_ms)} of {asked} samples were taken")
    if kernel_ms:
        p50, p95 = np.percentile(kernel_ms, [50, 95])
        if p95 > LARGEST_SPREAD * p50:
            reasons.append(
                f"unsteady: kernel p95 is {p95 / p50:.2f} times p50, where at most {LARGEST_SPREAD} was expected: "
                "let nothing else run on the machine"
            )
    if threads > cores:
        reasons.append(f"{threads} threads on {cores} usable core{'' if cores == 1 else 's'}")
    return reasons + _clock_reasons(conditions)


def _clock_reasons(conditions: Sequence[Conditions]) -> list[str]:
    reasons = []
    slow = {c.governor for c in conditions if c.governor in SLOW_GOVERNORS and c.driver not in SELF_CLOCKED}
    if slow:
        reasons.append(f"the clock governor was {', '.join(sorted(map(str, slow)))}: set it to performance")
    if len({c.governor for c in conditions}) > 1:
        reasons.append("the clock governor changed during the measurement")
    pairs = zip(conditions[::2], conditions[1::2], strict=True)
    throttled = sum((after.throttle_events or 0) - (before.throttle_events or 0) for before, after in pairs)
    if throttled > 0:
        reasons.append(f"heat slowed the processor down {throttled} time{'' if throttled == 1 else 's'}")
    return reasons
