from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace as with_changes

from fetaledge_benchmarks.validity import reasons_against, throttling_blind_spots
from fetaledge_devices.facts.model import Battery, Conditions

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


def test_a_governor_that_could_not_be_read_once_has_not_changed() -> None:
    assert reasons(conditions=(COOL, with_changes(COOL, governor=None))) == []


def test_heat_is_counted_within_the_rows_own_processes_only() -> None:
    hot = Conditions("performance", "intel_pstate", 7, 99.0)
    assert reasons(conditions=(COOL, hot)) == ["heat slowed the processor down"]
    assert reasons(conditions=(COOL, COOL, hot, hot)) == []


def test_a_failure_is_the_only_reason() -> None:
    assert reasons([], failure="the worker was killed by SIGSEGV") == ["the worker was killed by SIGSEGV"]


def test_an_emulated_row_says_so_and_nothing_else() -> None:
    (reason,) = reasons_against(9, 4, [], 60, (), None, emulated=True)
    assert reason == "emulated: its times say nothing about a device, so none are kept"
    assert reasons_against(1, 4, [], 60, (), "it crashed", emulated=True) == ["it crashed"]


def state(**given: Any) -> Conditions:
    return Conditions("performance", "cpufreq-dt", None, 50.0, **given)


PI = "Raspberry Pi 5 Model B Rev 1.0"


def test_a_board_that_throttled() -> None:
    calm, earlier, now = state(throttled=0), state(throttled=0x50000), state(throttled=0x50005)
    assert reasons(conditions=(calm, calm)) == []
    assert reasons(conditions=(earlier, earlier)) == []
    (reason,) = reasons(conditions=(calm, state(throttled=0x80000)))
    assert reason == "the board slowed itself down (soft temperature limit): give it a fan, or --cool-down"
    (reason,) = reasons(conditions=(now, now))
    assert "(under-voltage, throttled): use the supply" in reason
    assert reasons(conditions=(calm, calm, earlier, earlier)) == []
    assert reasons(conditions=(state(throttled=None), earlier)) == []


def test_a_board_that_tells_little_of_its_throttling() -> None:
    (remark,) = throttling_blind_spots((state(throttled=0, throttle_history=False),) * 2, PI)
    assert "forgets after two seconds" in remark and "group video" in remark
    (remark,) = throttling_blind_spots((COOL, COOL), PI)
    assert remark.startswith("neither vcgencmd nor the kernel")
    assert (
        throttling_blind_spots((COOL, COOL), "Google Pixel 8")
        == throttling_blind_spots((COOL, COOL), None)
        == throttling_blind_spots((), PI)
        == []
    )


def test_what_cannot_be_told_of_a_board_that_had_throttled_before() -> None:
    calm, earlier, worse = (state(throttled=word, throttle_history=True) for word in (0, 0x50000, 0x90000))
    assert throttling_blind_spots((calm, calm), PI) == throttling_blind_spots((calm, earlier), PI) == []
    (remark,) = throttling_blind_spots((calm, earlier, earlier, worse, worse, worse), PI)
    assert remark == (
        "the board had throttled since its start (under-voltage, throttled, soft temperature limit), so that a short "
        "throttling during the measurement cannot be told: restart it and measure again"
    )


def test_a_capped_clock() -> None:
    free = state(clock_limit_khz=(1800000, None), clock_max_khz=(1800000, None))
    held = state(clock_limit_khz=(1700000, 600000), clock_max_khz=(1800000, 1800000))
    assert reasons(conditions=(free, free)) == []
    (reason,) = reasons(conditions=(free, held))
    assert "core 1 was held to 600 of 1800 MHz" in reason


@pytest.mark.parametrize(("status", "word"), [(1, "light"), (3, "severe"), (6, "shutdown"), (9, "unknown")])
def test_a_hot_phone(status: int, word: str) -> None:
    (reason,) = reasons(conditions=(state(thermal_status=0), state(thermal_status=status)))
    assert f"(thermal status {status}, {word})" in reason
    assert reasons(conditions=(state(thermal_status=0), state(thermal_status=None))) == []


def test_lost_cores_and_a_restart() -> None:
    eight, six = state(cores_online=8, boot_id="a"), state(cores_online=6, boot_id="b")
    assert reasons(conditions=(eight, eight)) == []
    assert reasons(conditions=(eight, six)) == [
        "cores were switched off: 8 ran at most, 6 at least",
        "the device restarted during the measurement",
    ]


def powered(level: float = 87, status: str = "charging", plugged: str | None = "USB", **given: Any) -> Conditions:
    low_power = given.pop("low_power", False)
    return state(battery=Battery(level, status in ("charging", "full"), plugged, 30.0, low_power, status, **given))


@pytest.mark.parametrize(
    "good",
    [
        powered(),
        powered(100, "full", "AC"),
        powered(80, "not charging", "AC"),
        powered(60, "discharging", None),
        powered(20),
        powered(low_power=None),
        powered(supply_ma=500.0),
    ],
)
def test_a_battery_that_disturbs_nothing(good: Conditions) -> None:
    assert reasons(conditions=(good, good)) == []


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (powered(19), "low battery: 19 %, where at least 20 % was expected"),
        (powered(low_power=True), "battery saver was on"),
        (powered(60, "discharging"), "the battery discharges although USB is plugged in"),
        (powered(60, "not charging", "AC"), "AC is plugged in and the battery is not charging"),
        (powered(supply_ma=100.0), "the charger is too weak: 100 mA"),
    ],
)
def test_a_battery_that_may_hold_the_processor_back(bad: Conditions, words: str) -> None:
    (reason,) = reasons(conditions=(bad, bad))
    assert words in reason


def test_a_battery_that_changed() -> None:
    assert reasons(conditions=(powered(60), powered(59))) == [
        "the charger is too weak: the battery fell although plugged in"
    ]
    unplugged = powered(60, "discharging", None)
    assert reasons(conditions=(unplugged, powered(59, "discharging", None))) == []
    assert reasons(conditions=(powered(60), unplugged)) == ["the charger was plugged in or out during the measurement"]
    assert reasons(conditions=(powered(100, "full"), powered(99, "full"))) == []
