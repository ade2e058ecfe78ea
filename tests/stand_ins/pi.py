"""A Raspberry Pi 4 or 5 behind a real sshd: logins land in an emulated 64-bit Raspberry Pi OS-like root.

``trixie`` is a Raspberry Pi 5 with Debian 13; the others have Debian 12.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.stand_ins.device import ROOT, StandIn
from tests.stand_ins.host import Host
from tests.stand_ins.roots import ANSWERS

CPUS = {"pi4": "cortex-a72", "pi5": "cortex-a76", "trixie": "cortex-a76"}
MEMORY_KB = {"pi4": 3_884_328, "pi5": 8_256_944, "trixie": 8_256_944}
ROOTS = {"pi4": "pi", "pi5": "pi", "trixie": "pi-trixie"}
USER = 1000
CLOSED = 2222

SSHD = """Port 22
ListenAddress {address}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PermitRootLogin no
ChrootDirectory {root}
Subsystem sftp internal-sftp -u 0022
SetEnv QEMU_CPU={cpu}
MaxStartups 100
UseDNS no
"""
CLIENT = """Host {name}*
    HostName {address}
    User pi
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    LogLevel ERROR
Host {name}* !{name}-key-refused
    IdentityFile {folder}/user
"""
PASSWD = f"""root:x:0:0::/root:/bin/sh
sshd:x:105:65534::/run/sshd:/bin/false
pi:*:{USER}:{USER}::/home/pi:/bin/bash
"""
# What goes before the block above wins: ssh takes the first value of each word.
FAULTS = {
    "key-refused": "IdentityFile {folder}/other",
    "key-changed": "UserKnownHostsFile {folder}/other_hosts",
    "key-unknown": "UserKnownHostsFile {folder}/no_hosts\n    StrictHostKeyChecking ask",
    "refused": "Port {closed}",
    "silent": "HostName {nobody}",
    "unresolved": "HostName no-such-host.invalid",
}


class Pi(StandIn):
    """``pi4``, ``pi5`` or ``trixie``.

    Attributes:
        faults: addresses at which ssh fails, by how: ``key-refused``, ``key-changed``, ``key-unknown``, ``refused``,
            ``silent`` (nobody answers), ``unresolved``.
    """

    hostname = "raspberrypi"
    port = 22

    def __init__(self, root: Path, name: str = "pi4", megabytes: int = 1500, host: Host | None = None) -> None:
        self.address = f"ssh://pi@{name}"
        self.faults = {fault: f"ssh://pi@{name}-{fault}" for fault in FAULTS}
        super().__init__(root / ROOTS[name], name, "/home/pi", USER, megabytes, host)

    def prepare(self) -> None:
        from fetaledge_benchmarks.cost.emulation.boards import BOARDS

        board = BOARDS[CPUS[self.name]]
        (self.folder / "cpuinfo").write_text(board.cpuinfo(), encoding="utf-8")
        total = MEMORY_KB[self.name]
        meminfo = (
            f"MemTotal: {total} kB\nMemFree: {total // 2} kB\nMemAvailable: {total * 3 // 4} kB\nSwapTotal: 0 kB\n"
        )
        (self.folder / "meminfo").write_text(meminfo, encoding="utf-8")
        # The kernel's /proc/device-tree points here; a name cannot be added to /proc.
        self.write("/sys/firmware/devicetree/base/model", f"{board.model}\0")
        for name, text in board.cpu_files().items():
            self.write(f"/sys/devices/system/cpu/{name}", text)
        self.write("/sys/class/thermal/thermal_zone0/temp", "48312\n")
        self.write("/sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
        self.write(f"/{ANSWERS}/throttled", "0x0\n")
        self.write(f"/{ANSWERS}/temperature_c", "48.3\n")
        self._write_keys()

    def daemon(self) -> tuple[list[str], dict[str, str]]:
        return ["/usr/sbin/sshd", "-D", "-e", "-f", str(self.folder / "sshd_config")], {"PATH": "/usr/sbin:/usr/bin"}

    def binds(self) -> list[tuple[Path, str]]:
        return [(self.folder / "passwd", "/etc/passwd")]

    def connect(self) -> None:
        """Nothing: ssh connects when it is run."""

    def _write_keys(self) -> None:
        keys = {}
        for name in ("host", "user", "other"):
            path = self.folder / name
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
            keys[name] = path.with_suffix(".pub").read_text(encoding="utf-8")
        words = {
            "name": self.name,
            "address": self.cable.device,
            "folder": self.folder,
            "root": ROOT,
            "cpu": CPUS[self.name],
        }
        words |= {"closed": CLOSED, "nobody": self.cable.nobody}
        faults = (f"Host {self.name}-{fault}\n    {line.format(**words)}\n" for fault, line in FAULTS.items())
        for name, text in {
            "known_hosts": f"{self.cable.device} {keys['host']}{self.cable.nobody} {keys['host']}",
            "other_hosts": f"{self.cable.device} {keys['other']}",
            "no_hosts": "",
            "passwd": PASSWD,
            "sshd_config": SSHD.format(**words),
        }.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        self.host.add_ssh_hosts(self.name, "".join(faults) + CLIENT.format(**words))
