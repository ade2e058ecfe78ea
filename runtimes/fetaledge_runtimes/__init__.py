"""fetaledge on the device: frames, engines, head biometry, self-test. Research software, not a medical device."""

from __future__ import annotations

from fetaledge_runtimes.quiet import quiet

quiet()

__version__ = "0.1.0"
