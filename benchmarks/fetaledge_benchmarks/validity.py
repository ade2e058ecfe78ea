"""Rules that make a measurement invalid, each with its sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from fetaledge_devices.facts.model import THROTTLE_SINCE_START, Battery, Conditions, throttle_words

FEWEST_SAMPLES = 30
LARGEST_SPREAD = 1.5
SLOW_GOVERNORS = ("powersave", "conservative")
SELF_CLOCKED = ("intel_pstate", "amd-pstate-epp")
"""Drivers under which the governor ``powersave`` still clocks up as far as the load asks."""
THERMAL_WORDS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Android's thermal status by number (``PowerManager.THERMAL_STATUS_…``)."""
LEAST_THROTTLING = 1
"""From ``light`` on, Android's reference calls every status "throttling"; that users hardly notice it is no matter."""
LOWEST_BATTERY_PERCENT = 20.0
CHARGE_LIMIT_PERCENT = 78.0
"""Phones that spare their battery stop charging from about 80 % on, and live on the charger from then."""
LEAST_SUPPLY_MA = 500.0
"""What a USB 2.0 port gives; below it a phone has to take from its battery what its processor needs."""

Pairs = Sequence[tuple[Conditions, Conditions]]


def reasons_against(
    threads: int,
    cores: int,
    kernel_ms: Sequence[float],
    asked: int,
    conditions: Sequence[Conditions],
    failure: str | None,
    *,
    emulated: bool = False,
) -> list[str]:
    """Why a row is invalid; empty where it is valid.

    Args:
        threads: the row's thread count.
        cores: number of cores that a process may use.
        kernel_ms: its samples.
        asked: number of samples that were asked for.
        conditions: the machine's state before and after each of its processes.
        failure: text of a failed worker; None: none failed.
        emulated: whether an emulator ran it.
    """
    if failure is not None:
        return [failure]
    if emulated:
        return ["emulated: its times say nothing about a device, so none are kept"]
    reasons = _sample_reasons(kernel_ms, asked)
    if threads > cores:
        reasons.append(f"{threads} threads on {cores} usable core{'' if cores == 1 else 's'}")
    pairs = list(zip(conditions[::2], conditions[1::2], strict=True))
    return reasons + _clock_reasons(conditions, pairs) + _core_reasons(pairs) + _battery_reasons(conditions, pairs)


def throttling_blind_spots(conditions: Sequence[Conditions], model: str | None) -> list[str]:
    """What could not be checked for a row. This does not invalidate it.

    Only a restart clears a Raspberry Pi's bits "since the start". Where they were set before a process, throttling is
    only seen if it lasts until the process ends, or if a clock is still capped then.

    Args:
        conditions: as in :func:`reasons_against`.
        model: the machine's name of itself; None: unknown.
    """
    if conditions and (model or "").startswith("Raspberry Pi"):
        histories = {c.throttle_history for c in conditions}
        if None in histories:
            return [
                "neither vcgencmd nor the kernel tells whether the board throttled: let the user into the group video"
            ]
        if False in histories:
            return [
                "vcgencmd does not answer and the kernel's copy forgets after two seconds, so that a short throttling "
                "cannot be told: let the user into the group video"
            ]
    words = [word for c in conditions[::2] for word in throttle_words(c.throttled or 0, THROTTLE_SINCE_START)]
    if not words:
        return []
    return [
        f"the board had throttled since its start ({', '.join(_distinct(words))}), so that a short throttling during "
        "the measurement cannot be told: restart it and measure again"
    ]


def _sample_reasons(kernel_ms: Sequence[float], asked: int) -> list[str]:
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
    return reasons


def _clock_reasons(conditions: Sequence[Conditions], pairs: Pairs) -> list[str]:
    reasons = []
    slow = {c.governor for c in conditions if c.governor in SLOW_GOVERNORS and c.driver not in SELF_CLOCKED}
    if slow:
        reasons.append(f"the clock governor was {', '.join(sorted(map(str, slow)))}: set it to performance")
    if len({c.governor for c in conditions if c.governor is not None}) > 1:
        reasons.append("the clock governor changed during the measurement")
    capped = [cap for cap in map(_cap, conditions) if cap is not None]
    if capped:
        core, limit, highest = min(capped, key=lambda cap: cap[1] / cap[2])
        reasons.append(
            f"the clock was capped: core {core} was held to {limit / 1000:.0f} of {highest / 1000:.0f} MHz: "
            "let it cool, or raise scaling_max_freq"
        )
    if any((after.throttle_events or 0) > (before.throttle_events or 0) for before, after in pairs):
        reasons.append("heat slowed the processor down")
    return reasons + _throttle_reasons(conditions, pairs) + _thermal_reasons(conditions)


def _cap(conditions: Conditions) -> tuple[int, int, int] | None:
    """The core that is held down most, its limit and its maximum in kHz."""
    cores = enumerate(zip(conditions.clock_limit_khz or (), conditions.clock_max_khz or (), strict=False))
    capped = [(core, limit, most) for core, (limit, most) in cores if limit is not None and most and limit < most]
    return min(capped, key=lambda cap: cap[1] / cap[2], default=None)


def _throttle_reasons(conditions: Sequence[Conditions], pairs: Pairs) -> list[str]:
    """A Raspberry Pi's word: bits that are set now, and bits "since the start" that a process's run has added.

    Where they were set before, :func:`throttling_blind_spots` says so.
    """
    words = [word for c in conditions for word in throttle_words(c.throttled or 0)]
    for before, after in pairs:
        if before.throttled is not None and after.throttled is not None:
            words += throttle_words(after.throttled & ~before.throttled, THROTTLE_SINCE_START)
    if not words:
        return []
    advice = "use the supply of the board's maker" if "under-voltage" in words else "give it a fan, or --cool-down"
    return [f"the board slowed itself down ({', '.join(_distinct(words))}): {advice}"]


def _thermal_reasons(conditions: Sequence[Conditions]) -> list[str]:
    worst = max((c.thermal_status for c in conditions if c.thermal_status is not None), default=0)
    if worst < LEAST_THROTTLING:
        return []
    word = THERMAL_WORDS[worst] if worst < len(THERMAL_WORDS) else "unknown"
    return [f"heat throttled the phone (thermal status {worst}, {word}): let it cool, or --cool-down"]


def _core_reasons(pairs: Pairs) -> list[str]:
    reasons = []
    counts = [c.cores_online for pair in pairs for c in pair if c.cores_online is not None]
    if counts and min(counts) < max(counts):
        reasons.append(f"cores were switched off: {max(counts)} ran at most, {min(counts)} at least")
    starts = {c.boot_id for pair in pairs for c in pair if c.boot_id}
    if len(starts) > 1:
        reasons.append("the device restarted during the measurement")
    return reasons


def _battery_reasons(conditions: Sequence[Conditions], pairs: Pairs) -> list[str]:
    batteries = [c.battery for c in conditions if c.battery is not None]
    reasons = []
    levels = [b.level_percent for b in batteries if b.level_percent is not None]
    if levels and min(levels) < LOWEST_BATTERY_PERCENT:
        reasons.append(
            f"low battery: {min(levels):.0f} %, where at least {LOWEST_BATTERY_PERCENT:.0f} % was expected: charge it"
        )
    if any(b.low_power for b in batteries):
        reasons.append("battery saver was on: switch it off")
    reasons += _distinct(reason for b in batteries if (reason := _charger_reason(b)) is not None)
    if len({b.plugged for b in batteries}) > 1:
        reasons.append("the charger was plugged in or out during the measurement")
    elif any(_fell(before.battery, after.battery) for before, after in pairs):
        reasons.append("the charger is too weak: the battery fell although plugged in")
    return reasons


def _charger_reason(battery: Battery) -> str | None:
    """Whether a charger is plugged in that does not carry the phone: it may then hold its processor back."""
    if battery.plugged is None:
        return None
    if battery.status == "discharging":
        return f"the charger is too weak: the battery discharges although {battery.plugged} is plugged in"
    spared = battery.level_percent is not None and battery.level_percent >= CHARGE_LIMIT_PERCENT
    if battery.status == "not charging" and not spared:
        return f"charging is held back: {battery.plugged} is plugged in and the battery is not charging"
    if battery.supply_ma is not None and battery.supply_ma < LEAST_SUPPLY_MA:
        return f"the charger is too weak: {battery.supply_ma:.0f} mA, where {LEAST_SUPPLY_MA:.0f} mA were expected"
    return None


def _fell(before: Battery | None, after: Battery | None) -> bool:
    if before is None or after is None or before.plugged is None or after.plugged is None:
        return False
    level = after.level_percent
    return level is not None and level < CHARGE_LIMIT_PERCENT and level < (before.level_percent or 0.0)


def _distinct(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
