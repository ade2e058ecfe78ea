from __future__ import annotations

from fetaledge_devices.facts.linux_files import core_numbers, cpu_flags, cpu_model, memory_mb, os_name, read_conditions

X86 = (
    "processor\t: 0\nmodel name\t: AMD EPYC 7B13\nflags\t\t: fpu sse4_2 avx2 avx512_vnni hypervisor\n\nprocessor\t: 1\n"
)
PI = "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 asimddp\n\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n"


def test_cpu_of_x86_and_of_a_pi() -> None:
    assert cpu_model(X86) == "AMD EPYC 7B13"
    assert cpu_model(PI) == "Raspberry Pi 5 Model B Rev 1.0"
    assert {"avx512_vnni", "hypervisor"} <= cpu_flags(X86)
    assert "asimddp" in cpu_flags(PI)
    assert cpu_model("") is None and cpu_flags("") == frozenset()


def test_memory_and_system() -> None:
    assert memory_mb("MemTotal:        8000000 kB\nMemFree: 1 kB\n") == 8192
    assert os_name('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n') == "Debian GNU/Linux 12 (bookworm)"
    assert memory_mb("") is None and os_name("") is None


def test_conditions_from_the_kernels_files() -> None:
    files = {
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver": "cppc_cpufreq\n",
        "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "2\n",
        "/sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "3\n",
        "/sys/class/thermal/thermal_zone0/temp": "41000\n",
        "/sys/class/thermal/thermal_zone3/temp": "52500\n",
        "/sys/class/thermal/thermal_zone4/temp": "2147483647\n",
        "/sys/class/thermal/thermal_zone5/temp": "-273000\n",
        "/sys/devices/system/cpu/online": "0-1\n",
        "/sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1500000\n",
        "/proc/sys/kernel/random/boot_id": "a3055413\n",
    }
    conditions = read_conditions(files.get, 2)
    assert (conditions.governor, conditions.driver) == ("schedutil", "cppc_cpufreq")
    assert (conditions.throttle_events, conditions.temperature_c) == (5, 52.5)
    assert (conditions.cores_online, conditions.clock_khz) == (2, (None, 1500000))
    assert (conditions.clock_max_khz, conditions.boot_id) == (None, "a3055413")
    nothing = read_conditions(lambda path: None, 2)
    assert (nothing.cores_online, nothing.clock_khz, nothing.boot_id) == (None, None, None)
    assert (nothing.governor, nothing.throttle_events, nothing.temperature_c) == (None, None, None)


def test_numbers_of_cores() -> None:
    assert core_numbers("0-3\n") == (0, 1, 2, 3)
    assert core_numbers("0,2-3,7") == (0, 2, 3, 7)
    assert core_numbers("") == ()
