"""The two scripts that ask a device what it is and how it is doing, each in one round trip.

They print sections (``@@NAME`` and raw text), run under dash, mksh, busybox and toybox, survive whatever file or
program is missing, and start few processes: under an emulator each costs tens of milliseconds.
"""

from __future__ import annotations

PROPERTIES = (
    "ro.product.model", "ro.product.manufacturer", "ro.soc.model", "ro.soc.manufacturer", "ro.board.platform",
    "ro.hardware", "ro.kernel.qemu", "ro.boot.qemu", "ro.build.version.sdk", "ro.build.version.release",
)  # fmt: skip

# One process reads all files as PATH:LINE. The braces let the shell read the script to its end before it starts, so
# that nothing it runs can swallow the rest.
_START = "{\n"
_END = "echo @@END\n} </dev/null 2>/dev/null\n"
_CONDITION_FILES = (
    "/sys/devices/system/cpu/online /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_*_freq"
    " /sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq"
    " /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor /sys/devices/system/cpu/cpu0/cpufreq/scaling_driver"
    " /sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count"
    " /sys/class/thermal/thermal_zone*/temp /proc/sys/kernel/random/boot_id"
)
_FACT_FILES = (
    "/proc/cpuinfo /proc/meminfo /etc/os-release /proc/self/status /sys/devices/system/cpu/possible"
    " /sys/devices/system/cpu/cpu[0-9]*/cpu_capacity"
    " /sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list"
)
# vcgencmd needs the group "video"; the kernel's own copy (raspberrypi/linux, drivers/firmware/raspberrypi.c) does not.
_CONDITIONS = """
t=; command -v vcgencmd >/dev/null && t=$(vcgencmd get_throttled)
case $t in
throttled=*) ;;
*) for f in /sys/devices/platform/soc*/soc*:firmware/get_throttled; do [ -r "$f" ] && read -r t <"$f"; done ;;
esac
[ -n "$t" ] && { echo @@THROTTLED; echo "$t"; }
command -v dumpsys >/dev/null && {
  echo @@BATTERY; dumpsys battery
  echo @@THERMAL; dumpsys thermalservice
  echo @@LOW_POWER; settings get global low_power
  echo @@POWER; dumpsys power | grep mWakefulness=
}
"""
_FACTS = r"""
r=${ROOT:-${HOME:-/}}
while [ ! -d "$r" ]; do case $r in */*) r=${r%/*} ;; *) r= ;; esac; r=${r:-/}; done
echo @@SPACE; df -kP "$r" || stat -f -c 'free %a %S' "$r"
echo @@UNAME; uname -mr
echo @@SHELL; ls -l /proc/$$/exe; head -c 120 /proc/$$/cmdline; echo
for d in /proc/device-tree /sys/firmware/devicetree/base; do
  [ -r $d/model ] && { echo @@BOARD; cat $d/model; echo; echo @@COMPATIBLE; cat $d/compatible; echo; break; }
done
p=$(python3 -I -S -c 'import sys; print("Python", sys.version.split()[0], sys.executable)')
echo @@PYTHON; echo "$p"
echo @@ELF
for f in "${p#Python * }" /system/bin/sh /bin/sh; do [ -r "$f" ] && od -An -tx1 -N20 "$f" && break; done
echo @@BITS; getconf LONG_BIT
echo @@LIBC
getconf GNU_LIBC_VERSION || for f in /lib/ld-musl-*.so.1 /lib/*-linux-gnu*/libc.so.6 /lib64/libc.so.6; do
  [ -x "$f" ] && { echo "$f"; case $f in *libc.so.6) "$f" ;; esac; break; }
done
echo @@TASKSET; command -v taskset
command -v getprop >/dev/null && { echo @@PROPERTIES; getprop | grep -E '^\[(PROPERTY_NAMES)\]'; }
"""
_FACTS = _FACTS.replace("PROPERTY_NAMES", "|".join(name.replace(".", "[.]") for name in PROPERTIES))
CONDITIONS_SCRIPT = f"{_START}echo @@FILES; grep . /dev/null {_CONDITION_FILES}{_CONDITIONS}{_END}"
"""Prints what ``parse.parse_conditions`` reads; for before and after each process."""
FACTS_SCRIPT = f"{_START}echo @@FILES; grep . /dev/null {_FACT_FILES} {_CONDITION_FILES}{_CONDITIONS}{_FACTS}{_END}"
"""Prints what ``parse.parse_facts`` reads. Free space is that of the folder ``$ROOT``, made or not."""
