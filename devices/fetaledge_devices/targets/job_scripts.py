"""Scripts for a device's shell: POSIX sh for dash, Android's mksh and busybox, with toybox's programs.

A script reaches its shell through standard input, so that no login shell ever reads more of it than a constant line.
Its values (``root``, ``token``, …) are set in front of it, each quoted once. ``mark`` is a word nobody else prints:
it separates what a login shell prints, and an exit code from a lost connection.
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


# Prints when a process began (clock ticks since boot), or an empty line. A process that reads its own file may be told
# something else by an emulator: called in $( ), another one reads it.
_STARTED = r"""
started() { stat=; read -r stat 2>/dev/null <"/proc/$1/stat"; set -- ${stat##*\) }; echo "${20}"; }
"""

# The lock is the folder root/lock with one file, whose name says it all: token.expires.boot; "expires" is the uptime in
# seconds. Renewing it and taking it over rename that file: of two who try, one finds it gone.
_COMMON = (
    _STARTED
    + r"""
boot=
read -r boot 2>/dev/null </proc/sys/kernel/random/boot_id
entry() {
    entry=
    for each in "$root/lock/$1"*; do entry=${each##*/}; done
    case $entry in '' | *'*') entry= expires=0; return 1 ;; esac
    expires=${entry#*.}
    since=${expires#*.}
    expires=${expires%%.*}
    case $expires in '' | *[!0-9]*) expires=0 ;; esac
}
mine() { entry "$token." || entry "$token."; }
now() { read -r now </proc/uptime; now=${now%%.*}; }
lease() {
    now
    next=$token.$((now + $1)).$boot
    [ "$entry" = "$next" ] || mv -f "$root/lock/$entry" "$root/lock/$next" 2>/dev/null
}
# keep SECONDS ENOUGH: is the lock ours? Where less than ENOUGH is left of it, it is ours for SECONDS then.
keep() {
    mine || return 1
    now
    [ "$since" = "$boot" ] && [ $((expires - now)) -ge "$2" ] || lease "$1" || mine
}
finish() { kill -9 "-$1" || kill -9 "$1"; } 2>/dev/null
stop_jobs() {
    for file in "$1"/*.pid; do
        pid= since= began=
        read -r pid since began 2>/dev/null <"$file" || continue
        there=$(started "$pid")
        if [ "$since" = "$boot" ] && { [ -z "$there" ] || [ "$there" = "$began" ]; }; then
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
)

# Prints "taken", or "held S" with the seconds until it expires. What others left under jobs, whose lock is void, goes.
# Whoever was stopped between making the folder and the file in it finds that it is not alone there, and steps back.
LOCK = (
    _COMMON
    + r"""
umask 077
mkdir -p "$root/jobs" || exit 1
alone() { set -- "$root/lock"/*; [ $# -eq 1 ]; }
tries=0
until keep "$seconds" "$seconds"; do
    tries=$((tries + 1))
    [ "$tries" -lt 9 ] || exit 1
    if mkdir "$root/lock" 2>/dev/null || { [ ! -d "$root/lock" ] && mkdir "$root/lock"; }; then
        now
        file=$root/lock/$token.$((now + seconds)).$boot
        echo "$token" >"$file" || { rm -f "$file"; rmdir "$root/lock"; exit 1; }
        alone || { rm -f "$file"; sleep 1; }
    elif [ ! -d "$root/lock" ]; then
        exit 1
    elif entry ""; then
        now
        left=$((expires - now))
        if [ "$since" = "$boot" ] && [ "$left" -gt 0 ]; then
            echo "held $left"
            exit 0
        fi
        lease "$seconds"
    elif [ "$tries" -lt 4 ]; then
        sleep 1
    else
        rmdir "$root/lock" 2>/dev/null
    fi
done
echo taken
for folder in "$root"/jobs/*; do
    [ -d "$folder" ] && [ "$folder" != "$root/jobs/$token" ] || continue
    stop_jobs "$folder"
    rm -rf "$folder"
done
"""
)

_KEEP = _COMMON + '\nkeep "$seconds" $((seconds * 7 / 8))\n'

UNLOCK = (
    _COMMON
    + r"""
while mine; do rm -f "$root/lock/$entry" || exit 1; done
rmdir "$root/lock" 2>/dev/null
exit 0
"""
)


# Says why the lock is not ours any more: somebody else took it over, or all of the folder is gone.
_LOST = 'if [ -d "$root/jobs" ]; then echo "$mark refused"; else echo "$mark vanished"; fi; exit 0'


def owned(values: str, script: str) -> str:
    """A script that does not run where the lock is lost, and renews it where it is not; it says so under ``mark``."""
    return f"{values}(\n{_KEEP}) >/dev/null 2>&1 || {{ echo; {_LOST}; }}\n{script}"


# "$@" is the command. Standard input stays open for as long as whoever asked for it is there: when it ends, so does the
# command; so it does after "limit" seconds. "setsid" gives each its own process group, where there is one that becomes
# its command (one of toybox's leaves it behind, and its exit code with it). adbd hangs up on its shell when a
# connection closes; the shell has to clean up first.
JOB = (
    _COMMON
    + "\necho\nkeep $((limit + 60)) $((limit + 60)) || { "
    + _LOST
    + "; }"
    + r"""
umask 077
mkdir -p "$root/jobs/$token" && cd "$root/jobs/$token" && echo >"$number.pid" || { echo "$mark failed"; exit 0; }
echo "$mark begin"
trap '' HUP
exec 3<&0 </dev/null
group=
setsid sh -c 'exit 3' 2>/dev/null
[ $? -eq 3 ] && group=setsid
step=$limit
[ -n "$group" ] || step=5
$group sh -c '
"""
    + _STARTED
    + r"""
    echo "$$ $1 $(started "$$")" >"$0"
    shift
    exec "$@"
' "$number.pid" "$boot" "$@" 3<&- &
job=$!
$group sh -c '
    left=$1
    while [ "$left" -gt 0 ]; do sleep "$3"; left=$((left - $3)); done
    kill -9 "-$2" || kill -9 "$2"
' sh "$limit" "$job" "$step" >/dev/null 2>&1 3<&- &
guard=$!
echo "$guard $boot $(started "$guard")" >"$number.guard.pid"
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
mine && lease "$seconds"
echo
echo "$mark end $code"
"""
)

# Kills what jobs of this token still run, and waits until they are gone.
STOP = _COMMON + '\nstop_jobs "$root/jobs/$token"\n'
