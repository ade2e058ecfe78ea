"""One connection to a target during a benchmark: restart what a drop interrupted, cool down, run a worker process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from fetaledge_benchmarks.row_measurement import Measurement
from fetaledge_benchmarks.worker_client import WorkerResult, run_worker
from fetaledge_devices.facts.model import Conditions, Facts
from fetaledge_devices.targets.base import ConnectionLost, Target

START_TIMEOUT_S = 300.0
"""The longest that a process may take to start and load its model."""
FRAME_TIMEOUT_S = 60.0
"""The longest that it may then take for each frame."""
SLOWEST_PACE = 20.0
"""How many times longer a frame may take in a timed process than it took on average in the one for accuracy."""
ATTEMPTS = 3
"""How often one process is started on a target whose connection drops."""
RECONNECT_S = 120.0
COOL_WITHIN_C = 2.0
COOL_POLL_S = 5.0

T = TypeVar("T")


@dataclass
class TargetSession:
    """The connection to one target while a benchmark measures it.

    Attributes:
        target: the machine.
        progress: called with one line before each step.
        facts: of the machine when the benchmark began; None before they were read.
        interruptions: how often the connection dropped.
        hidden: path that an error's text may hold -> its replacement in the record.
        pace_s: model -> seconds that a frame took in its process for accuracy, start and load included.
    """

    target: Target
    progress: Callable[[str], None]
    facts: Facts | None = None
    interruptions: int = 0
    hidden: dict[str, str] = field(default_factory=dict)
    pace_s: dict[str, float] = field(default_factory=dict)

    def retry_on_reconnect(self, call: Callable[[], T]) -> T:
        """Return the result of ``call``, which is called again after the connection dropped and came back.

        Raises:
            ConnectionLost: the target stayed away, or dropped out :data:`ATTEMPTS` times.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return call()
            except ConnectionLost as error:
                self.interruptions += 1
                self.progress(f"the connection was lost ({error.message}); waiting for it")
                if attempt == ATTEMPTS or not self.target.wait(RECONNECT_S):
                    raise
                self.progress("reconnected; restarting the interrupted step")
        raise AssertionError("unreachable")

    def conditions(self) -> Conditions:
        """The target's present state."""
        return self.retry_on_reconnect(self.target.conditions)

    def wait_until_cool(self, longest_s: float | None) -> Conditions:
        """Wait until the target is about as cool as when the benchmark began; return its state then.

        Args:
            longest_s: the longest wait in seconds; None: no wait.
        """
        conditions = self.conditions()
        start_c = self.facts.conditions.temperature_c if self.facts is not None else None
        if start_c is None or longest_s is None:
            return conditions
        end = time.monotonic() + longest_s
        while (conditions.temperature_c or start_c) > start_c + COOL_WITHIN_C and time.monotonic() < end:
            self.progress(f"cooling down: {conditions.temperature_c:.0f} °C, began at {start_c:.0f} °C")
            self.target.pause(min(COOL_POLL_S, max(0.0, end - time.monotonic())))
            conditions = self.conditions()
        return conditions

    def take_samples(self, measurement: Measurement, frames: str, samples: int, warmup: int) -> WorkerResult:
        """Run one process of a row that takes ``samples`` over the frames in the folder ``frames`` on the target.

        Raises:
            WorkerFailed: the process failed.
            TargetError: the target was lost.
        """
        per_frame_s = min(FRAME_TIMEOUT_S, SLOWEST_PACE * self.pace_s[measurement.row.name])
        timeout_s = START_TIMEOUT_S + per_frame_s * (samples + warmup)
        return self.run_process(measurement, frames, samples, warmup, timeout_s)

    def run_process(
        self,
        measurement: Measurement,
        frames: str,
        samples: int,
        warmup: int,
        timeout_s: float,
        masks: str | None = None,
    ) -> WorkerResult:
        """Run one worker process of a row, again after the connection dropped and came back.

        Args:
            measurement: the row's; its interruptions are counted.
            frames: the folder with the frames on the target.
            samples: timed predictions; 0: predict every frame once.
            warmup: predictions before the timed ones.
            timeout_s: the process is ended after it.
            masks: the folder on the target for the masks; None: write none.

        Raises:
            WorkerFailed: the process failed.
            TargetError: the target was lost.
        """
        before = self.interruptions
        try:
            return self.retry_on_reconnect(
                partial(
                    run_worker,
                    self.target,
                    measurement.row,
                    prefix=measurement.prefix,
                    frames=frames,
                    samples=samples,
                    warmup=warmup,
                    timeout_s=timeout_s,
                    masks=masks,
                    hidden=self.hidden,
                )
            )
        finally:
            measurement.interruptions += self.interruptions - before
