"""Programs of a 64-bit Arm board on this machine: a root folder from Debian's packages, and QEMU's user emulation.

What it counts and whether it runs is the board's; how long it takes is not.
"""

from __future__ import annotations

from fetaledge_benchmarks.cost.emulation.pi_root import RELEASES, pi_root
from fetaledge_benchmarks.cost.emulation.qemu import qemu_command

__all__ = ["RELEASES", "pi_root", "qemu_command"]
