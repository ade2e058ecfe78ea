"""The lease of a device's lock: renewed from a thread of its own while nothing else does so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from fetaledge_devices.targets.base import Cancelled
from fetaledge_devices.targets.processes import Processes
from fetaledge_runtimes.errors import TargetError

LEASE_S = 600
RENEW_S = 200
POLL_S = 10.0


class Lease:
    """Renews a lease whenever nothing else has done so for ``RENEW_S``, from :meth:`begin` to :meth:`end`.

    A renewal that fails is tried again and says nothing: whatever uses the device next says it.
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._over = threading.Event()
        self._processes = Processes()
        self._thread: threading.Thread | None = None

    def begin(self, renew: Callable[[Processes], bool]) -> None:
        """``renew`` tells whether it did; it is called in a thread of its own."""
        self._over = threading.Event()
        self._processes = Processes()
        self._thread = threading.Thread(target=self._keep, args=(renew, self._over, self._processes), daemon=True)
        self._thread.start()

    def held(self, seconds: float) -> None:
        """The lease was renewed just now, for so many seconds."""
        self._until = time.monotonic() + seconds

    def stop(self) -> None:
        """Renew no more."""
        self._over.set()
        self._processes.cancel()

    def end(self) -> None:
        """Renew no more; nothing of it runs here any longer."""
        self.stop()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _keep(self, renew: Callable[[Processes], bool], over: threading.Event, processes: Processes) -> None:
        while not over.wait(min(POLL_S, RENEW_S / 10)):
            if self._until - time.monotonic() < LEASE_S - RENEW_S:
                with suppress(TargetError, TimeoutError, Cancelled):
                    if renew(processes):
                        self.held(LEASE_S)
