from __future__ import annotations

from fetaledge_benchmarks.host import Conditions
from fetaledge_benchmarks.validity import reasons_against

QUIET = [10.0 + 0.01 * i for i in range(60)]
COOL = Conditions("performance", "intel_pstate", 4, 50.0)


def reasons(
    kernel_ms: list[float] = QUIET,
    *,
    threads: int = 1,
    conditions: tuple[Conditions, ...] = (COOL, COOL),
    failure: str | None = None,
) -> list[str]:
    return reasons_against(threads, 4, kernel_ms, 60, conditions, failure)


def test_a_quiet_measurement_is_valid() -> None:
    assert reasons() == []
    assert reasons(conditions=(Conditions(None, None, None, None),) * 2) == []


def test_too_few_samples() -> None:
    assert reasons(QUIET[:29])[0] == "too few samples: 29, and percentiles need 30"
    assert reasons(QUIET[:45]) == ["45 of 60 samples were taken"]


def test_a_wide_spread_is_unsteady_and_one_outlier_is_not() -> None:
    assert reasons([10.0] * 59 + [40.0]) == []
    (reason,) = reasons([10.0] * 50 + [18.0] * 10)
    assert "p95 is 1.80 times p50" in reason


def test_more_threads_than_cores() -> None:
    assert reasons(threads=4) == []
    assert reasons(threads=5) == ["5 threads on 4 usable cores"]


def test_a_slow_governor_counts_only_where_it_holds_the_clock_down() -> None:
    slow = Conditions("powersave", "cppc_cpufreq", None, None)
    assert "governor was powersave" in reasons(conditions=(slow, slow))[0]
    self_clocked = Conditions("powersave", "intel_pstate", None, None)
    assert reasons(conditions=(self_clocked, self_clocked)) == []


def test_a_governor_that_changed() -> None:
    assert "changed" in reasons(conditions=(COOL, Conditions("schedutil", "intel_pstate", 4, 50.0)))[0]


def test_heat_is_counted_within_the_rows_own_processes_only() -> None:
    hot = Conditions("performance", "intel_pstate", 7, 99.0)
    assert reasons(conditions=(COOL, hot)) == ["heat slowed the processor down 3 times"]
    assert reasons(conditions=(COOL, COOL, hot, hot)) == []


def test_a_failure_is_the_only_reason() -> None:
    assert reasons([], failure="the worker was killed by SIGSEGV") == ["the worker was killed by SIGSEGV"]
