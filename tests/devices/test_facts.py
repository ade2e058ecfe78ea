from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from fetaledge_benchmarks.validity import reasons_against
from fetaledge_devices.facts.cores import cpu_mask, pinned_cores
from fetaledge_devices.facts.model import throttle_words
from fetaledge_devices.facts.parse import parse_conditions, parse_facts
from fetaledge_devices.facts.scripts import CONDITIONS_SCRIPT, FACTS_SCRIPT
from fetaledge_devices.targets import Target, open_target
from fetaledge_runtimes.errors import TargetError
from tests.stand_ins.fixtures import program
from tests.stand_ins.phone import Phone
from tests.stand_ins.pi import Pi

CPUFREQ = "/sys/devices/system/cpu/cpu{}/cpufreq"
ELF64 = " 7f 45 4c 46 02 01 01 00 00 00 00 00 00 00 00 00\n 03 00 b7 00\n"
ELF32 = " 7f 45 4c 46 01 01 01 00 00 00 00 00 00 00 00 00\n 03 00 28 00\n"
SHELL = "lrwxrwxrwx 1 pi pi 0 Nov 22 00:33 /proc/812/exe -> /usr/bin/dash\nsh\0-s\0\n"
DF = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/mmcblk0p2 30358492 5271560 23809620 19% /\n"
SHELLS = [["dash"], ["mksh"], ["busybox", "sh"]]


def cpuinfo(parts: Sequence[str], maker: str = "0x41", end: str = "") -> str:
    cores = [
        f"processor\t: {n}\nFeatures\t: fp asimd crc32 asimddp\nCPU implementer\t: {maker}\nCPU part\t: {part}"
        for n, part in enumerate(parts)
    ]
    return "\n".join([*cores, end])


def clocks(highest: Sequence[int], limit: Sequence[int] | None = None, now: int = 600000) -> dict[str, str]:
    files = {f"{CPUFREQ.format(0)}/scaling_governor": "ondemand", f"{CPUFREQ.format(0)}/scaling_driver": "cpufreq-dt"}
    for core, (most, allowed) in enumerate(zip(highest, limit or highest, strict=True)):
        folder = CPUFREQ.format(core)
        files |= {f"{folder}/cpuinfo_max_freq": f"{most}", f"{folder}/scaling_max_freq": f"{allowed}"}
        files |= {f"{folder}/scaling_cur_freq": f"{now}"}
    return files


def answer(files: Mapping[str, str], **sections: str) -> str:
    """What the script prints: the files line by line, then the sections."""
    lines = [f"{path}:{line}" for path, text in files.items() for line in text.splitlines() if line]
    parts = ["@@FILES", *lines]
    for name, text in sections.items():
        parts += [f"@@{name}", text.removesuffix("\n")]
    return "\n".join([*parts, "@@END", ""])


def pi_answer(parts: str, clock: int, board: str, soc: str, *, temperature: int = 41381, **sections: str) -> str:
    files = {
        "/proc/cpuinfo": cpuinfo([parts] * 4, end=f"Hardware\t: BCM2835\nSerial\t\t: 1000000\nModel\t\t: {board}"),
        "/proc/meminfo": "MemTotal:        3884380 kB\nMemAvailable:    3312004 kB\n",
        "/etc/os-release": 'NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        "/proc/self/status": "Name:\tgrep\nCpus_allowed_list:\t0-3\n",
        "/sys/devices/system/cpu/possible": "0-3",
        "/sys/devices/system/cpu/online": "0-3",
        "/sys/class/thermal/thermal_zone0/temp": str(temperature),
        "/proc/sys/kernel/random/boot_id": "a3055413-b201-4245-9824-7d400f22e6c9",
    } | clocks([clock] * 4)
    given = {
        "THROTTLED": "throttled=0x0",
        "SPACE": DF,
        "UNAME": "6.6.31+rpt-rpi-v8 aarch64",
        "SHELL": SHELL,
        "BOARD": f"{board}\0",
        "COMPATIBLE": f"raspberrypi,model\0brcm,{soc}\0",
        "PYTHON": "Python 3.11.2 /opt/a b/python3",
        "ELF": ELF64,
        "BITS": "64",
        "LIBC": "glibc 2.36",
        "TASKSET": "/usr/bin/taskset\n",
    }
    return answer(files, **(given | sections))


BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Dock powered: false
  Max charging current: 500000
  Max charging voltage: 5000000
  Charge counter: 2851000
  status: 2
  health: 2
  present: true
  level: 87
  scale: 100
  voltage: 4350
  temperature: 301
  technology: Li-ion
"""
THERMAL = """IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 2
Thermal Status: 1
Cached temperatures:
\tTemperature{mValue=99.0, mType=0, mName=BIG, mStatus=0}
HAL Ready: true
HAL connection:
\tThermalHAL AIDL 2  connected: yes
Current temperatures from HAL:
\tTemperature{mValue=36.5, mType=0, mName=LITTLE, mStatus=0}
\tTemperature{mValue=41.25, mType=0, mName=BIG, mStatus=0}
\tTemperature{mValue=4200.0, mType=6, mName=vbat, mStatus=0}
\tTemperature{mValue=33.1, mType=3, mName=VIRTUAL-SKIN, mStatus=1}
Current cooling devices from HAL:
\tCoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}
"""
ASLEEP = "  mWakefulness=Asleep"
PIXEL = """[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.hardware]: [shiba]
[ro.product.manufacturer]: [Google]
[ro.product.model]: [Pixel 8]
[ro.soc.manufacturer]: [Google]
[ro.soc.model]: [Tensor G3]
"""
PIXEL_CORES = ["0xd46"] * 4 + ["0xd4d"] * 4 + ["0xd4e"]
PIXEL_CLOCKS = [1704000] * 4 + [2367000] * 4 + [2914000]


def phone_answer(properties: str = PIXEL, frequencies: Mapping[str, str] | None = None, **sections: str) -> str:
    files = {
        "/proc/cpuinfo": cpuinfo(PIXEL_CORES),
        "/proc/meminfo": "MemTotal:        7800000 kB\nMemAvailable:    2900000 kB\n",
        "/proc/self/status": "Cpus_allowed_list:\t0-8\n",
        "/sys/devices/system/cpu/possible": "0-8",
        "/sys/devices/system/cpu/online": "0-8",
    } | dict(clocks(PIXEL_CLOCKS) if frequencies is None else frequencies)
    given = {
        "BATTERY": BATTERY,
        "THERMAL": THERMAL,
        "LOW_POWER": "0",
        "POWER": "  mWakefulness=Awake\n  mWakefulnessChanging=false\n",
        "SPACE": "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/fuse 1000 100 900 10% /data\n",
        "UNAME": "5.15.110-android14 aarch64",
        "SHELL": "lrwxrwxrwx 1 shell shell 0 2026-11-22 00:33 /proc/812/exe -> /system/bin/sh\n/system/bin/sh\0-\0\n",
        "PYTHON": "",
        "ELF": ELF64,
        "BITS": "64",
        "LIBC": "",
        "TASKSET": "/system/bin/taskset\n",
        "PROPERTIES": properties,
    }
    return answer(files, **(given | sections))


PI4 = pi_answer("0xd08", 1800000, "Raspberry Pi 4 Model B Rev 1.4", "bcm2711")


def test_pi_4() -> None:
    facts = parse_facts(PI4)
    assert facts.machine == {
        "model": "Raspberry Pi 4 Model B Rev 1.4",
        "soc": "BCM2711",
        "cpu": "4 × cortex-a72",
        "architecture": "aarch64",
        "cores": 4,
        "cores_usable": 4,
        "core_max_mhz": [1800] * 4,
        "flags": ["asimd", "asimddp"],
        "virtual": False,
        "memory_mb": 3978,
        "governor": "ondemand",
        "os": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.6.31+rpt-rpi-v8",
        "libc": "glibc 2.36",
        "python": "3.11.2",
    }
    platform = facts.platform
    assert not facts.emulated
    assert (platform.system, platform.machine, platform.libc) == ("linux", "aarch64", "glibc 2.36")
    assert (platform.python, platform.python_path) == ((3, 11), "/opt/a b/python3")
    assert platform.cpu_parts == ("cortex-a72",)
    assert (platform.memory_mb, platform.available_mb, platform.free_mb) == (3978, 3391, 24381)
    assert platform.taskset
    conditions = facts.conditions
    assert (conditions.throttled, conditions.temperature_c, conditions.cores_online) == (0, 41.381, 4)
    assert conditions.clock_khz == (600000,) * 4 and conditions.clock_max_khz == (1800000,) * 4
    assert (conditions.battery, conditions.thermal_status, conditions.screen_on) == (None, None, None)
    assert "boot_id" not in conditions.document() and conditions.boot_id not in str(conditions.document())


def test_throttled_pi_5() -> None:
    facts = parse_facts(
        pi_answer("0xd0b", 2400000, "Raspberry Pi 5 Model B Rev 1.0", "bcm2712", THROTTLED="throttled=0xe0008")
    )
    assert facts.machine["soc"] == "BCM2712" and facts.machine["cpu"] == "4 × cortex-a76"
    word = facts.conditions.throttled
    assert word == 0xE0008
    assert throttle_words(word) == ("soft temperature limit",)
    assert throttle_words(word, 16) == ("clock capped", "throttled", "soft temperature limit")
    assert facts.conditions.throttle_history


def test_vcgencmd_without_permission_says_nothing() -> None:
    text = pi_answer(
        "0xd08", 1800000, "Raspberry Pi 4 Model B Rev 1.4", "bcm2711", THROTTLED="VCHI initialization failed"
    )
    conditions = parse_facts(text).conditions
    assert (conditions.throttled, conditions.throttle_history) == (None, None)


@pytest.mark.parametrize(("said", "word"), [("0", 0), ("50005", 5), ("80000", 8)])
def test_the_kernels_copy_of_the_throttling_word_where_vcgencmd_is_denied(tmp_path: Path, said: str, word: int) -> None:
    """Its history is that of two seconds, so that it counts as now; its path differs among the boards."""
    file = tmp_path / "soc@107c000000" / "soc@107c000000:firmware" / "get_throttled"
    file.parent.mkdir(parents=True)
    file.write_text(f"{said}\n")
    (tmp_path / "vcgencmd").write_text("#!/bin/sh\necho 'VCHI initialization failed'\nexit 255\n")
    (tmp_path / "vcgencmd").chmod(0o755)
    script = CONDITIONS_SCRIPT.replace("/sys/devices/platform", str(tmp_path))
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ran = subprocess.run(["/bin/sh"], input=script, env=path, capture_output=True, text=True, timeout=60)
    conditions = parse_conditions(ran.stdout)
    assert (conditions.throttled, conditions.throttle_history) == (word, False)


def test_a_folder_that_a_restart_empties_is_told() -> None:
    for name, volatile in (("overlay", True), ("overlayroot", True), ("tmpfs", True), ("/dev/mmcblk0p2", False)):
        facts = parse_facts(answer({}, SPACE=DF.replace("/dev/mmcblk0p2", name)))
        assert facts.platform.volatile == volatile and facts.platform.free_mb == 24381


def test_32_bit_programs_on_a_64_bit_kernel() -> None:
    text = pi_answer(
        "0xd03", 1200000, "Raspberry Pi 3 Model B Rev 1.2", "bcm2837",
        ELF=ELF32, BITS="32", LIBC="glibc 2.31", PYTHON="Python 3.9.2 ",
    )  # fmt: skip
    facts = parse_facts(text)
    assert facts.platform.machine == "armv7l"
    assert (facts.platform.python, facts.platform.python_path) == ((3, 9), None)
    assert facts.machine["kernel"] == "6.6.31+rpt-rpi-v8 (aarch64)"
    without_od = parse_facts(text.replace(ELF32, ""))
    assert without_od.platform.machine == "armv7l"


def test_phone() -> None:
    facts = parse_facts(phone_answer())
    machine, conditions = facts.machine, facts.conditions
    assert (machine["model"], machine["soc"]) == ("Google Pixel 8", "Google Tensor G3")
    assert machine["cpu"] == "4 × cortex-a510 + 4 × cortex-a715 + 1 × cortex-x3"
    assert (machine["os"], machine["python"], machine["cores"]) == ("Android 14 (SDK 34)", None, 9)
    assert not facts.emulated
    assert (facts.platform.system, facts.platform.libc, facts.platform.python) == ("android", "bionic", None)
    assert (conditions.thermal_status, conditions.temperature_c) == (1, 41.25)
    assert conditions.screen_on is True and conditions.document()["screen_on"] is True
    battery = conditions.battery
    assert battery is not None and (battery.level_percent, battery.charging, battery.plugged) == (87, True, "USB")
    assert (battery.status, battery.supply_ma, battery.low_power) == ("charging", 500, False)
    assert battery.temperature_c == pytest.approx(30.1)


def test_phone_that_denies_and_lacks_much() -> None:
    samsung = PIXEL.replace("Google", "samsung").replace("Pixel 8", "SM-S911B").replace("Tensor G3", "SM8550")
    facts = parse_facts(phone_answer(samsung, {}, THERMAL="", LOW_POWER="null"))
    conditions = facts.conditions
    assert facts.machine["model"] == "samsung SM-S911B" and facts.machine["core_max_mhz"] is None
    assert (conditions.clock_khz, conditions.governor, conditions.temperature_c) == (None, None, None)
    assert conditions.thermal_status is None and conditions.battery is not None
    assert conditions.battery.low_power is None
    assert parse_facts(phone_answer(POWER="")).conditions.screen_on is None
    assert parse_facts(phone_answer(POWER="  mWakefulness=Dozing")).conditions.screen_on is False
    assert pinned_cores(facts, 1) == () and facts.cores == 9


def test_capacity_where_the_clocks_are_denied() -> None:
    capacity = {f"/sys/devices/system/cpu/cpu{n}/cpu_capacity": "160" if n < 4 else "1024" for n in range(9)}
    facts = parse_facts(phone_answer(frequencies=capacity))
    assert pinned_cores(facts, 1) == (4, 5, 6, 7, 8) and facts.machine["core_max_mhz"] is None


def test_one_hardware_thread_of_each_core_that_may_be_used() -> None:
    """Two fast cores of two threads each, and three slow ones, of which one may not be used and one is off."""
    files = clocks([47, 47, 47, 47, 35, 35, 35]) | {
        "/proc/self/status": "Cpus_allowed_list:\t1-5\n",
        "/sys/devices/system/cpu/online": "0-4,6",
    }
    for core, siblings in enumerate(("0-1", "0-1", "2,3", "2,3", "4")):
        files[f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"] = siblings
    facts = parse_facts(answer(files))
    assert facts.core_speed == (None, 47, 47, None, 35, None, None) and facts.cores == 4
    assert (pinned_cores(facts, 2), pinned_cores(facts, 3)) == ((1, 2), ())


def test_a_battery_that_is_not_there_or_not_read() -> None:
    television = BATTERY.replace("present: true", "present: false")
    assert parse_facts(phone_answer(BATTERY=television)).conditions.battery is None
    assert parse_facts(phone_answer(BATTERY="Can't find service: battery")).conditions.battery is None


def test_the_fastest_cores_and_the_mask_that_pins_to_them() -> None:
    facts = parse_facts(phone_answer())
    assert pinned_cores(facts, 1) == (8,)
    assert pinned_cores(facts, 2) == pinned_cores(facts, 5) == (4, 5, 6, 7, 8)
    assert pinned_cores(facts, 6) == ()
    assert pinned_cores(parse_facts(PI4), 1) == ()
    assert cpu_mask((4, 5, 6, 7)) == "f0" and cpu_mask((8,)) == "100"


@pytest.mark.parametrize(
    ("shell", "board", "properties"),
    [
        (" -> /usr/bin/qemu-aarch64-static\n/usr/bin/qemu-aarch64-static\0/bin/sh\0", "", ""),
        ("/usr/libexec/qemu-binfmt/aarch64-binfmt-P\0/bin/sh\0sh\0", "", ""),
        (" -> /bin/dash\n/usr/bin/qemu-aarch64\0sh\0", "", ""),
        (SHELL, "linux,dummy-virt\0", ""),
        (SHELL, "", "[ro.boot.qemu]: [1]\n"),
        (SHELL, "", "[ro.hardware]: [ranchu]\n"),
    ],
)
def test_emulators_are_noticed(shell: str, board: str, properties: str) -> None:
    sections = {"SHELL": shell, "BOARD": board, "UNAME": "6.1 aarch64"} | (
        {"PROPERTIES": properties} if properties else {}
    )
    assert parse_facts(answer({}, **sections)).emulated


def test_a_shell_that_was_told_about_qemu_is_no_emulator() -> None:
    told = SHELL.replace("sh\0-s\0", "sh\0-c\0/usr/bin/qemu-aarch64-static --version\0")
    assert not parse_facts(answer({}, SHELL=told)).emulated
    assert not parse_facts(answer({}, SHELL="sh\0-c\0/usr/bin/qemu-aarch64-static\0")).emulated


def test_a_core_without_a_name_and_one_of_another_maker() -> None:
    files = {"/proc/cpuinfo": cpuinfo(["0xfff"]) + "\n" + cpuinfo(["0x804"], maker="0x51")}
    platform = parse_facts(answer(files)).platform
    assert platform.cpu_parts == ("0x41-0xfff", "cortex-a76")


@pytest.mark.parametrize("text", ["", "sh: 1: syntax error\n", PI4[: len(PI4) // 2]])
def test_an_answer_that_did_not_arrive_whole(text: str) -> None:
    with pytest.raises(TargetError, match="did not arrive whole"):
        parse_facts(text)


def test_carriage_returns_of_old_phones() -> None:
    assert parse_facts(phone_answer().replace("\n", "\r\n")) == parse_facts(phone_answer())


def test_a_shell_without_any_program_still_answers(tmp_path: Path) -> None:
    ran = subprocess.run(
        ["/bin/sh", "-s"], input=FACTS_SCRIPT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60
    )
    facts = parse_facts(ran.stdout)
    assert ran.stderr == "" and not facts.platform.taskset and facts.cores == 1


def test_a_python_in_an_odd_place_is_found_by_its_absolute_path(tmp_path: Path) -> None:
    place = tmp_path / "a  b"
    place.mkdir()
    (place / "python3").symlink_to(sys.executable)
    ran = subprocess.run(
        ["/bin/sh"], input=FACTS_SCRIPT, env={"PATH": str(place)}, capture_output=True, text=True, timeout=60
    )
    platform = parse_facts(ran.stdout).platform
    assert (platform.python, platform.python_path) == (sys.version_info[:2], str(place / "python3"))


def userland(tmp_path: Path, many: str) -> str:
    """A folder with nothing but the programs of busybox or toybox, and a phone's own as a shell script gives them."""
    every = program(many)
    for name in ("grep", "df", "uname", "ls", "head", "cat", "od", "getconf", "taskset", "timeout"):
        (tmp_path / name).symlink_to(every)
    for name, text in {
        "getprop": PIXEL,
        "dumpsys": f'case $1 in battery) echo "{BATTERY}" ;; power) echo "{ASLEEP}" ;; *) echo "{THERMAL}" ;; esac',
        "settings": "echo 1",
    }.items():
        script = text if name != "getprop" else f'echo "{text}"'
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    return str(tmp_path)


@pytest.mark.integration
@pytest.mark.parametrize("many", ["busybox", "toybox"])
@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_the_script_on_a_small_userland(shell: list[str], many: str, tmp_path: Path) -> None:
    path = userland(tmp_path, many)
    command = [program(shell[0]), *shell[1:], "-s"]
    environment = {"PATH": path, "ROOT": str(tmp_path / "not" / "there")}
    ran = subprocess.run(command, input=FACTS_SCRIPT, env=environment, capture_output=True, text=True, timeout=60)
    facts = parse_facts(ran.stdout)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert facts.machine["model"] == "Google Pixel 8" and facts.machine["memory_mb"] > 100
    platform = facts.platform
    assert platform.free_mb is not None and platform.machine != ""
    assert platform.taskset
    conditions = facts.conditions
    assert conditions.thermal_status == 1 and conditions.temperature_c == 41.25
    assert conditions.battery is not None and conditions.battery.low_power is True
    assert conditions.boot_id and conditions.cores_online and conditions.screen_on is False


@pytest.mark.integration
@pytest.mark.parametrize("as_argument", [False, True])
@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_the_scripts_here(shell: list[str], as_argument: bool) -> None:
    program(shell[0])

    def ask(script: str) -> str:
        command = [*shell, "-c", script] if as_argument else [*shell, "-s"]
        return subprocess.run(
            command, input="" if as_argument else script, capture_output=True, text=True, timeout=60, check=True
        ).stdout

    facts = parse_facts(ask(FACTS_SCRIPT))
    assert not facts.emulated
    assert facts.platform.system == "linux" and facts.platform.python is not None
    assert facts.platform.libc.startswith(("glibc 2.", "musl")) and (facts.platform.free_mb or 0) > 0
    conditions = parse_conditions(ask(CONDITIONS_SCRIPT))
    assert conditions.boot_id == facts.conditions.boot_id and conditions.cores_online == facts.conditions.cores_online


def reasons(target: Target, change: Callable[[], None]) -> str:
    """What is said against a measurement during which ``change`` happened to the target."""
    before = target.conditions()
    change()
    return "; ".join(reasons_against(1, 4, [10.0] * 60, 60, (before, target.conditions()), None))


@pytest.mark.integration
def test_the_stand_in_of_a_pi(pi4: Pi) -> None:
    with open_target(pi4.address) as target:
        facts = target.facts()
        assert facts.emulated and target.emulated
        assert facts.machine["model"].startswith("Raspberry Pi 4") and facts.machine["python"].startswith("3.11.")
        assert (facts.machine["cores"], facts.machine["core_max_mhz"]) == (4, [1800] * 4)
        platform = facts.platform
        assert platform.cpu_parts == ("cortex-a72",)
        assert (platform.machine, platform.libc) == ("aarch64", "glibc 2.36")
        assert platform.taskset and (platform.free_mb or 0) > 0
        try:
            assert reasons(target, lambda: None) == ""
            assert "(under-voltage, throttled)" in reasons(target, lambda: pi4.set(throttled="0x50005"))
            pi4.set(throttled="0x0")
            limit = "/sys/devices/system/cpu/cpu2/cpufreq/scaling_max_freq"
            assert "core 2 was held to 600 of 1800 MHz" in reasons(target, lambda: pi4.write(limit, "600000\n"))
            pi4.write(limit, "1800000\n")
            online = "/sys/devices/system/cpu/online"
            assert "cores were switched off" in reasons(target, lambda: pi4.write(online, "0-2\n"))
        finally:
            pi4.set(throttled="0x0")
            pi4.write(limit, "1800000\n")
            pi4.write(online, "0-3\n")


@pytest.mark.integration
def test_the_stand_in_of_a_phone(phone: Phone) -> None:
    with open_target(phone.address) as target:
        facts = target.facts()
        platform = facts.platform
        assert facts.emulated
        assert (platform.system, platform.machine, platform.python) == ("android", "aarch64", None)
        assert facts.machine["os"] == "Android 14 (SDK 34)"
        assert pinned_cores(facts, 1) == tuple(range(facts.machine["cores"] // 2, facts.machine["cores"]))
        mask = cpu_mask(pinned_cores(facts, 1))
        assert target.run(("taskset", mask, "/system/bin/sh", "-c", "echo pinned"), 60).stdout == "pinned\n"
        try:
            assert reasons(target, lambda: None) == ""
            assert target.conditions().screen_on is True
            phone.set_screen(False)
            assert target.conditions().screen_on is False
            assert "low battery: 12 %" in reasons(target, lambda: phone.set_battery(level=12))
            assert "the battery discharges although USB" in reasons(target, lambda: phone.set_battery(charging=False))
            phone.set_battery()
            assert "battery saver was on" in reasons(target, lambda: phone.set_low_power(True))
            phone.set_low_power(False)
            assert "(thermal status 3, severe)" in reasons(target, lambda: phone.set_thermal(status=3))
        finally:
            phone.set_battery()
            phone.set_screen(True)
            phone.set_low_power(False)
            phone.set_thermal()
