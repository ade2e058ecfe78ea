"""What a device's shell is told: POSIX sh that dash, Android's mksh, busybox and toybox all understand.

A script reaches its shell through standard input, so that no login shell ever reads more of it than a constant line.
Its values (``root``, ``token``, …) are set in front of it, each quoted once. ``mark`` is a word nobody else prints:
what a login shell says of itself stays outside, and an exit code is told apart from a connection that was lost.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping


def read_and_run(length: int | None = None) -> str:
    """The line given to the login shell: run the script of that many bytes on standard input, all of it without."""
    reader = "cat" if length is None else f"dd bs=1 count={length} 2>/dev/null"
    return f"exec sh -c 'script=$({reader}); eval \"$script\"'"


def assigned(values: Mapping[str, str | int]) -> str:
    return "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())


def framed(script: str, mark: str) -> str:
    """A script with a line before and a line behind what it prints; the latter holds its exit code."""
    return f"echo; echo '{mark} begin'\n(\n{script}\n)\ncode=$?\necho; echo \"{mark} end $code\"\n"


# The lock is the folder root/lock; its owner is a line: token, the uptime in seconds at which it expires, boot id.
_COMMON = r"""
boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
uptime() { read -r up rest </proc/uptime; echo "${up%%.*}"; }
holder() { owner= expires=0 since=; read -r owner expires since 2>/dev/null <"$root/lock/owner"; }
lease() {
    echo "$token $(($(uptime) + $1)) $boot" >"$root/lock/owner.$token" &&
    mv -f "$root/lock/owner.$token" "$root/lock/owner"
}
drop() { mv "$root/lock" "$root/stale.$token" 2>/dev/null; rm -rf "$root/stale.$token"; }
finish() { kill -9 "-$1" || kill -9 "$1"; } 2>/dev/null
stop_jobs() {
    for file in "$1"/*.pid; do
        pid= since=
        read -r pid since 2>/dev/null <"$file" || continue
        if [ "$since" = "$boot" ]; then
            finish "$pid"
            tries=0
            while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 50 ]; do
                sleep 0.1 2>/dev/null || sleep 1
                tries=$((tries + 1))
            done
        fi
        rm -f "$file"
    done
}
"""

# Prints "taken", or "held S" with the seconds until it expires. What others left under jobs, whose lock is void, goes.
LOCK = (
    _COMMON
    + r"""
umask 077
mkdir -p "$root/jobs" || exit 1
tries=0
while ! mkdir "$root/lock" 2>/dev/null; do
    if [ ! -d "$root/lock" ]; then
        mkdir "$root/lock" && break
        [ -d "$root/lock" ] || exit 1
    fi
    holder
    [ "$owner" = "$token" ] && break
    tries=$((tries + 1))
    [ "$tries" -lt 9 ] || exit 1
    if [ -z "$owner" ] && [ "$tries" -lt 4 ]; then
        sleep 1
        continue
    fi
    left=$((expires - $(uptime)))
    if [ "$since" = "$boot" ] && [ "$left" -gt 0 ]; then
        echo "held $left"
        exit 0
    fi
    drop
done
lease "$seconds" || { drop; exit 1; }
echo taken
for folder in "$root"/jobs/*; do
    [ -d "$folder" ] && [ "$folder" != "$root/jobs/$token" ] || continue
    stop_jobs "$folder"
    rm -rf "$folder"
done
"""
)

RENEW = _COMMON + '\nholder\n[ "$owner" = "$token" ] && lease "$seconds"\n'

UNLOCK = _COMMON + '\nholder\n[ "$owner" = "$token" ] || exit 0\ndrop\n'

# "$@" is the command. Standard input stays open for as long as whoever asked for it is there: when it ends, so does the
# command; so it does after "limit" seconds. "setsid" gives each its own process group, where there is one. adbd hangs
# up on its shell when a connection closes; the shell has to clean up first.
JOB = (
    _COMMON
    + r"""
echo
holder
[ "$owner" = "$token" ] || { echo "$mark refused"; exit 0; }
umask 077
mkdir -p "$root/jobs/$token" && cd "$root/jobs/$token" && lease $((limit + 60)) || { echo "$mark failed"; exit 0; }
echo "$mark begin"
trap '' HUP
exec 3<&0 </dev/null
group=$(command -v setsid)
step=$limit
[ -n "$group" ] || step=5
$group sh -c 'echo "$$ $1" >"$0"; shift; exec "$@"' "$number.pid" "$boot" "$@" 3<&- &
job=$!
$group sh -c '
    left=$1
    while [ "$left" -gt 0 ]; do sleep "$3"; left=$((left - $3)); done
    kill -9 "-$2" || kill -9 "$2"
' sh "$limit" "$job" "$step" >/dev/null 2>&1 3<&- &
guard=$!
echo "$guard $boot" >"$number.guard.pid"
$group sh -c '
    cat >/dev/null
    : >"$0"
    for each; do kill -9 "-$each" || kill -9 "$each"; done
' "$number.alone" "$job" "$guard" <&3 >/dev/null 2>&1 3<&- &
watch=$!
exec 3<&-
wait "$job" 2>/dev/null
code=$?
for each in "$job" "$guard" "$watch"; do finish "$each"; done
[ -e "$number.alone" ] && seconds=60
rm -f "$number.pid" "$number.guard.pid" "$number.alone"
holder
[ "$owner" = "$token" ] && lease "$seconds"
echo
echo "$mark end $code"
"""
)

# Kills what jobs of this token still run, and waits until they are gone.
STOP = _COMMON + '\nstop_jobs "$root/jobs/$token"\n'
