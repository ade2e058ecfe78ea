"""An Android phone behind a real adbd for 64-bit Arm: a shell, busybox, no Python and no libraries; uid ``shell``."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tests.stand_ins.device import ROOT, WAIT_S, StandIn
from tests.stand_ins.host import Host
from tests.stand_ins.roots import ANSWERS

CORES = min(8, max(2, os.cpu_count() or 2))
BIG = range(CORES // 2, CORES)
SHELL = 2000
MEMORY_KB = 7_654_321
LITTLE_KHZ, BIG_KHZ = 1_800_000, 2_400_000
CPU = "cortex-a76"  # of the big cores
PROPERTIES = {
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.hardware": "stand-in",
    "ro.product.manufacturer": "fetaledge",
    "ro.product.model": "Stand-in",
    "ro.soc.model": "stand-in",
}
BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: {usb}
  Wireless powered: false
  Max charging current: 500000
  status: {status}
  health: 2
  present: true
  level: {level}
  scale: 100
  voltage: 4213
  temperature: {temperature}
  technology: Li-ion
"""
THERMAL = """IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 1
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue={skin_c}, mType=3, mName=skin, mStatus={status}}}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{{mValue={cpu_c}, mType=0, mName=CPU0, mStatus=0}}
\tTemperature{{mValue={skin_c}, mType=3, mName=skin, mStatus={status}}}
"""


class Phone(StandIn):
    """``phone``; its serial is the address and port that ``adb connect`` was given."""

    hostname = "localhost"
    port = 7555

    def __init__(self, root: Path, name: str = "phone", megabytes: int = 1500, host: Host | None = None) -> None:
        super().__init__(root / "phone", name, "/data/local/tmp", SHELL, megabytes, host)

    def prepare(self) -> None:
        from fetaledge_benchmarks.cost.emulation.boards import BOARDS

        self.serial = f"{self.cable.device}:{self.port}"
        self.address = f"adb://{self.serial}"
        cores = []
        for core in range(CORES):
            big = core in BIG
            clock = f"/sys/devices/system/cpu/cpu{core}/cpufreq"
            self.write(f"{clock}/scaling_governor", "schedutil\n")
            for name in ("scaling_cur_freq", "scaling_max_freq", "cpuinfo_max_freq"):
                self.write(f"{clock}/{name}", f"{BIG_KHZ if big else LITTLE_KHZ}\n")
            cores.append(
                f"processor\t: {core}\nBogoMIPS\t: 38.40\n"
                f"Features\t: {BOARDS[CPU].features}\n"
                "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x1\n"
                f"CPU part\t: {'0xd0b' if big else '0xd05'}\nCPU revision\t: 0\n"
            )
        for name in ("online", "possible", "present"):
            self.write(f"/sys/devices/system/cpu/{name}", f"0-{CORES - 1}\n")
        self.write("/sys/class/thermal/thermal_zone0/temp", "38000\n")
        self.write("/sys/class/thermal/thermal_zone0/type", "cpu-0-0\n")
        (self.folder / "cpuinfo").write_text("\n".join(cores), encoding="utf-8")
        meminfo = f"MemTotal: {MEMORY_KB} kB\nMemFree: {MEMORY_KB // 8} kB\nMemAvailable: {MEMORY_KB // 2} kB\n"
        (self.folder / "meminfo").write_text(meminfo, encoding="utf-8")
        for name in ("battery", "thermalservice", "properties", "low_power", "power"):
            self.write(f"/{ANSWERS}/{name}", "\n")
        self.set_properties()
        self.set_battery()
        self.set_thermal()
        self.set_low_power(False)
        self.set_screen(True)

    def set_properties(self, **changed: str) -> None:
        """What ``getprop`` answers; ``ro_hardware="ranchu"`` changes ``ro.hardware``."""
        properties = PROPERTIES | {name.replace("_", "."): value for name, value in changed.items()}
        self.set(properties="".join(f"[{name}]: [{value}]\n" for name, value in properties.items()))

    def set_battery(
        self, *, level: int = 87, plugged: bool = True, charging: bool = True, celsius: float = 28.1
    ) -> None:
        """What ``dumpsys battery`` answers."""
        status = 2 if charging else 3
        usb = str(plugged).lower()
        self.set(battery=BATTERY.format(level=level, usb=usb, status=status, temperature=round(celsius * 10)))

    def set_thermal(self, *, status: int = 0, skin_c: float = 34.1, cpu_c: float = 38.0) -> None:
        """What ``dumpsys thermalservice`` answers; ``status`` 0 (none) to 6 (shutdown)."""
        self.set(thermalservice=THERMAL.format(status=status, skin_c=skin_c, cpu_c=cpu_c))

    def set_low_power(self, yes: bool) -> None:
        """Whether the power saver is on, for ``settings get global low_power``."""
        self.set(low_power=str(int(yes)))

    def set_screen(self, yes: bool) -> None:
        """Whether ``dumpsys power`` shows the phone awake."""
        self.set(power=f"Power Manager State:\n  mWakefulness={'Awake' if yes else 'Asleep'}\n")

    def daemon(self) -> tuple[list[str], dict[str, str]]:
        program = ["/apex/ld.so", "--library-path", "/apex/lib", "/apex/adbd"]
        environment = {
            "PATH": "/system/bin",
            "HOME": "/",
            "TMPDIR": "/data/local/tmp",
            "ADBD_PORT": str(self.port),
            "QEMU_CPU": CPU,
        }
        return ["/usr/sbin/chroot", f"--userspec={SHELL}:{SHELL}", str(ROOT), *program], environment

    def binds(self) -> list[tuple[Path, str]]:
        return []

    def is_daemon(self, line: str) -> bool:
        return "/apex/adbd" in line

    def adb(self, *words: str) -> str:
        """The output of the host's ``adb``, which need not succeed."""
        command = [*self.environment["FETALEDGE_ADB"].split(), *words]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=WAIT_S, check=False)
        return done.stdout + done.stderr

    def connect(self) -> None:
        """Tell the host's adb server where the phone is."""
        self.host.start_adb_server()
        deadline = time.monotonic() + WAIT_S
        while f"{self.serial}\tdevice" not in (said := self.adb("devices")):
            if time.monotonic() > deadline:
                raise RuntimeError(f"adb does not find the phone: {said} {self.log()}")
            self.adb("connect", self.serial)
            time.sleep(0.2)
