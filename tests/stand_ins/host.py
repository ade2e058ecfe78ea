"""The host's side: a network namespace with a cable to each device, one ssh configuration, one adb server."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.stand_ins.spaces import Spaces

NOBODY_MAC = "02:00:00:00:00:03"


class Cable:
    """Between the host and one device. It can be cut, or fall silent.

    Attributes:
        host, device, nobody: the addresses of both ends, and one at which nothing answers.
    """

    def __init__(self, host: Spaces, device: Spaces, number: int) -> None:
        self.host, self.device, self.nobody = (f"10.0.{number}.{end}" for end in (1, 2, 3))
        near, far = f"near{number}", f"far{number}"
        self._ends = (
            (host, near, self.host, f"02:00:00:00:{number:02x}:01"),
            (device, far, self.device, f"02:00:00:00:{number:02x}:02"),
        )
        peer = ["type", "veth", "peer", "name", far, "netns", str(device.pid)]
        host.run("ip", "link", "add", near, *peer)
        for side, name, address, mac in self._ends:
            side.run("ip", "link", "set", "lo", "up")
            side.run("ip", "link", "set", name, "address", mac, "up")
            side.run("ip", "address", "add", f"{address}/24", "dev", name)
        _aim(host, near, self.nobody, NOBODY_MAC)
        self.resume()

    def stall(self) -> None:
        """From now on packets vanish, both ways; neither side is told."""
        for here, there in (self._ends, self._ends[::-1]):
            _aim(here[0], here[1], there[2], NOBODY_MAC)

    def resume(self) -> None:
        for here, there in (self._ends, self._ends[::-1]):
            _aim(here[0], here[1], there[2], there[3])

    def cut(self) -> None:
        """Reset every connection that the device has, now."""
        before = self._connections()
        self._ends[1][0].run("ss", "--kill", "--tcp", "state", "established")
        if left := before & self._connections():
            raise RuntimeError(f"the kernel cannot cut connections (CONFIG_INET_DIAG_DESTROY): {sorted(left)}")

    def _connections(self) -> set[str]:
        rows = self._ends[1][0].run("ss", "--no-header", "--numeric", "--tcp", "state", "established").splitlines()
        return {" ".join(row.split()[2:4]) for row in rows}


class Host:
    """The only machine that reaches the devices plugged into it; the rest of this machine sees nothing of them.

    Attributes:
        environment: what makes ``ssh`` and ``adb`` run there (``FETALEDGE_SSH``, ``FETALEDGE_ADB``).
        folder: its files; goes with it.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="stand-ins-"))
        self.folder.chmod(0o755)
        (self.folder / "ssh").mkdir()
        (self.folder / "ssh_config").write_text(f"Include {self.folder}/ssh/*\n", encoding="utf-8")
        self.spaces = Spaces("net")
        enter = " ".join(self.spaces.enter)
        self.environment = {
            "FETALEDGE_SSH": f"{enter} ssh -F {self.folder / 'ssh_config'}",
            "FETALEDGE_ADB": f"{enter} env HOME={self.folder} TMPDIR={self.folder} adb",
        }
        self._cables = 0
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def plug(self, device: Spaces) -> Cable:
        self._cables += 1
        return Cable(self.spaces, device, self._cables)

    def add_ssh_hosts(self, name: str, text: str) -> None:
        """Add to the configuration of ssh."""
        (self.folder / "ssh" / name).write_text(text, encoding="utf-8")

    def start_adb_server(self) -> None:
        """One that ends with this process; ``adb`` finds it by the usual port, which is free here."""
        if self._server is not None and self._server.poll() is None:
            return
        words = ["setpriv", "--pdeathsig", "KILL", *self.environment["FETALEDGE_ADB"].split(), "server", "nodaemon"]
        with (self.folder / "adb.log").open("ab") as log:
            self._server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def close(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        self.spaces.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _aim(side: Spaces, link: str, address: str, mac: str) -> None:
    side.run("ip", "neighbour", "replace", address, "lladdr", mac, "nud", "permanent", "dev", link)
