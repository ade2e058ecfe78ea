"""Stand-ins for a Raspberry Pi and an Android phone: real sshd and adbd over emulated 64-bit Arm userlands.

    python -m tests.stand_ins build             install what is needed (root, Debian), make the roots in .stand-ins/
    python -m tests.stand_ins run pi4 phone     start them, print what to export, stop them at Ctrl-C

Each has network, mount and process namespaces of its own that live as long as the process that started it: whatever
happens to that process, nothing is left behind. What they cannot show: times, heat, SELinux, Android's own libc.
"""

from __future__ import annotations
