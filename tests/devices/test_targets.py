"""What every target does: this machine, and the stand-ins behind SSH and adb."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fetaledge_devices.targets import open_target
from fetaledge_devices.targets.base import Cancelled, Completed, ConnectionLost
from fetaledge_devices.targets.remote import RemoteTarget
from fetaledge_devices.targets.transfer import hash_commands, read_hashes
from fetaledge_runtimes.errors import TargetError, UsageError
from tests.stand_ins.device import StandIn

SLEEPER = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
EVIL = "a b;$(touch x)'q\"\\ *?[é]"
HOST = """
import sys
from fetaledge_devices.targets import open_target

with open_target(sys.argv[1]) as target, target.session():
    target.shell("echo")
    print("ready", flush=True)
    target.run(["sh", "-c", "sleep 301 & sleep 302"], float(sys.argv[2]))
"""


def test_the_five_verbs_on_this_machine(tmp_path: Path) -> None:
    target = open_target("local")
    assert target.facts().cores >= 1 and not target.emulated
    sent = tmp_path / "sent"
    sent.mkdir()
    place = target.send(sent)
    write = "import sys; open(sys.argv[1], 'w').write('x'); print('out'); print('err', file=sys.stderr); sys.exit(3)"
    completed = target.run([sys.executable, "-c", write, f"{place}/written"], 60)
    assert (completed.returncode, completed.stdout, completed.stderr) == (3, "out\n", "err\n")
    fetched = tmp_path / "fetched"
    target.fetch(place, fetched)
    assert (fetched / "written").read_text() == "x"
    target.remove()
    assert sent.is_dir()


@pytest.mark.integration
def test_a_command_that_hangs_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(TimeoutError, match="did not finish within 2 s"):
        open_target("local").run([sys.executable, "-c", SLEEPER, str(note)], 2)
    assert not alive(int(note.read_text()))


@pytest.mark.integration
def test_a_command_here_is_cancelled_from_another_thread(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    target = open_target("local")
    threading.Timer(0.5, target.cancel).start()
    with pytest.raises(Cancelled):
        target.run([sys.executable, "-c", SLEEPER, str(note)], 60)
    assert not note.exists() or not alive(int(note.read_text()))
    for verb in (lambda: target.run(["true"], 60), target.conditions, lambda: target.send(tmp_path)):
        with pytest.raises(Cancelled):
            verb()


@pytest.mark.integration
def test_a_pause_ends_when_it_is_cancelled() -> None:
    target = open_target("local")
    target.pause(0.01)
    threading.Timer(0.2, target.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        target.pause(60)
    assert time.monotonic() - started < 10


@pytest.mark.integration
def test_what_a_command_here_started_is_killed_with_it(tmp_path: Path) -> None:
    """It would keep the pipes open."""
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        open_target("local").run(["sh", "-c", f"sleep 60 & echo $! >'{tmp_path}/pid'"], 1)
    assert time.monotonic() - started < 10
    assert not alive(int((tmp_path / "pid").read_text()))


def test_a_command_that_does_not_exist() -> None:
    with pytest.raises(TargetError, match="no-such-program"):
        open_target("local").run(["/no-such-program"], 5)


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(UsageError, match="gopher://x"):
        open_target("gopher://x")


def test_hashes_of_names_of_every_kind(tmp_path: Path) -> None:
    names = [EVIL, "-n", "sub dir/\\n", *(f"{number:0200}" for number in range(300))]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    script = hash_commands([*names, "missing"])
    assert max(len(line) for line in script.splitlines()) < 65536
    said = subprocess.run(["sh"], input=script, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert read_hashes(said) == {name: hashlib.sha256(name.encode()).hexdigest() for name in names}


@pytest.fixture(params=["pi4", "phone"])
def device(request: pytest.FixtureRequest) -> StandIn:
    stand_in: StandIn = request.getfixturevalue(request.param)
    return stand_in


@pytest.fixture
def target(device: StandIn) -> Iterator[RemoteTarget]:
    with opened(device) as target:
        target.shell(f"rm -rf '{target.root}'")
        yield target
    assert until(lambda: not device.processes(), 30), device.processes()


def opened(device: StandIn) -> RemoteTarget:
    target = open_target(device.address)
    assert isinstance(target, RemoteTarget)
    return target


def until(true: Callable[[], bool], seconds: float) -> bool:
    for _ in range(round(seconds * 20)):
        if true():
            return True
        time.sleep(0.05)
    return true()


def jobs(device: StandIn) -> list[str]:
    return [line for line in device.processes() if "sleep" in line]


@pytest.mark.integration
def test_the_five_verbs_there(target: RemoteTarget, device: StandIn, tmp_path: Path) -> None:
    before = set(device.home.iterdir())
    facts = target.facts()
    assert facts.cores >= 1 and facts.emulated and target.emulated
    assert target.conditions().boot_id == facts.conditions.boot_id
    sent = tmp_path / f"sent {EVIL}"
    (sent / "sub" / EVIL).mkdir(parents=True)
    (sent / "empty").mkdir()
    (sent / "sub" / EVIL / EVIL).write_bytes(os.urandom(100_000))
    (sent / "program").write_text("#!/bin/sh\necho \"$1\" >'new file'\necho out\necho err >&2\nexit 255\n")
    (sent / "program").chmod(0o755)
    with target.session():
        place = target.send(sent)
        assert place.startswith(f"{target.root}/jobs/")
        answer = target.run(["sh", "-c", 'cd "$1" && exec ./program "$2"', "sh", place, EVIL], 60)
        assert answer == Completed(255, "out\n", "err\n")
        target.fetch(place, tmp_path / "fetched")
        assert (tmp_path / "fetched" / "new file").read_text() == f"{EVIL}\n"
        (tmp_path / "fetched" / "new file").unlink()
        assert subprocess.run(["diff", "-r", sent, tmp_path / "fetched"], check=False).returncode == 0
        target.remove()
        assert not list((device.home / Path(target.root).name / "jobs").iterdir())
    assert {path.name for path in set(device.home.iterdir()) - before} == {Path(target.root).name}
    assert (device.home / Path(target.root).name).stat().st_mode & 0o77 == 0


@pytest.mark.integration
def test_exit_codes_signals_and_words(target: RemoteTarget) -> None:
    with target.session():
        assert target.run(["sh", "-c", "kill -9 $$"], 60) == Completed(-9, "", "")
        assert target.run(["sh", "-c", "exit 7"], 60).returncode == 7
        assert target.run(["no-such-program"], 60).returncode == 127
        assert target.run(["echo", EVIL, "", "-n"], 60).stdout == f"{EVIL}  -n\n"
        assert target.run(["sh", "-c", "printf 'no newline'"], 60).stdout == "no newline"
        assert target.run(["sh", "-c", "cat; echo end"], 60).stdout == "end\n"
    assert target.shell("echo out; echo err >&2; exit 255") == Completed(255, "out\n", "err\n")


@pytest.mark.integration
def test_a_time_limit_leaves_nothing_running(target: RemoteTarget, device: StandIn) -> None:
    with target.session():
        with pytest.raises(TimeoutError, match="did not finish within 1 s"):
            target.run(["sh", "-c", "sleep 301 & sleep 302"], 1)
        assert not jobs(device)
        assert target.run(["echo", "well"], 60).stdout == "well\n"


@pytest.mark.integration
def test_cancelled_from_another_thread(target: RemoteTarget, device: StandIn, tmp_path: Path) -> None:
    (tmp_path / "frame").write_text("x")
    with target.session():
        target.send(tmp_path)
        threading.Timer(1, target.cancel).start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            target.run(["sh", "-c", "sleep 301 & sleep 302"], 60)
        assert time.monotonic() - started < 30
        assert not jobs(device)
        for verb in (lambda: target.run(["true"], 60), lambda: target.pause(60), target.conditions):
            with pytest.raises(Cancelled):
                verb()
        target.remove()
    folder = device.home / Path(target.root).name
    assert [path.name for path in folder.iterdir()] == ["jobs"] and not list((folder / "jobs").iterdir())


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_runs_there_when_the_process_here_is_gone(
    target: RemoteTarget, device: StandIn, number: signal.Signals
) -> None:
    process = start_host(device, 300)
    assert until(lambda: len(jobs(device)) > 2, 20)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert until(lambda: not jobs(device), 5), jobs(device)
    lock = device.home / Path(target.root).name / "lock"
    if number is signal.SIGINT:
        assert not lock.exists()
    else:
        assert until(lambda: left(lock) <= 60, 5)
    shutil.rmtree(lock, ignore_errors=True)


@pytest.mark.integration
@pytest.mark.parametrize("device", ["pi4"], indirect=True)
def test_nothing_outlives_its_time_limit_where_both_the_network_and_the_host_are_gone(device: StandIn) -> None:
    process = start_host(device, 2)
    try:
        assert until(lambda: len(jobs(device)) > 2, 20)
        device.stall()
        process.kill()
        process.communicate()
        assert until(lambda: not jobs(device), 25), jobs(device)
    finally:
        device.resume()
    with opened(device) as target:
        assert target.wait(60)
        target.shell(f"rm -rf '{target.root}'")


@pytest.mark.integration
@pytest.mark.parametrize("device", ["phone"], indirect=True)
def test_a_second_benchmark_is_refused(target: RemoteTarget, device: StandIn) -> None:
    with opened(device) as other, target.session():
        with pytest.raises(TargetError, match=r"is measuring for another fetaledge, until \d\d:\d\d") as raised:
            other.run(["true"], 60)
        assert raised.value.exit_code == 4 and not isinstance(raised.value, ConnectionLost)
        with target.session():
            assert target.run(["true"], 60).returncode == 0
        with pytest.raises(TargetError, match="another fetaledge"), other.session():
            pass
    with opened(device) as other, other.session():
        assert other.run(["true"], 60).returncode == 0


@pytest.mark.integration
def test_a_lock_that_is_void_is_taken_over_with_what_lay_there(target: RemoteTarget, device: StandIn) -> None:
    folder = device.home / Path(target.root).name
    with target.session():
        pass
    script = f"cd '{target.root}' && mkdir -p lock jobs/someone/1 && echo frame >jobs/someone/1/frame"
    target.checked(f"{script} && read -r boot </proc/sys/kernel/random/boot_id && echo >lock/someone.1.$boot")
    with target.session():
        assert target.run(["true"], 60).returncode == 0
        assert [path.name for path in (folder / "jobs").iterdir()] == [target.token]
    assert not (folder / "lock").exists()


@pytest.mark.integration
@pytest.mark.parametrize("device", ["pi4"], indirect=True)
def test_a_lock_that_was_lost_stops_the_loser(target: RemoteTarget, device: StandIn, tmp_path: Path) -> None:
    lock = device.home / Path(target.root).name / "lock"
    (tmp_path / "x").write_text("x")
    with target.session():
        next(lock.iterdir()).rename(lock / "someone.99999999.x")
        verbs: list[Callable[[], object]] = [
            lambda: target.run(["true"], 60),
            lambda: target.checked(f"touch '{target.root}/x'"),
            lambda: target.push({"x": tmp_path / "x"}),
        ]
        for verb in verbs:
            with pytest.raises(TargetError, match="another fetaledge has taken over"):
                verb()
    assert [path.name for path in lock.iterdir()] == ["someone.99999999.x"] and not (lock.parent / "x").exists()


@pytest.mark.integration
def test_no_space_left(target: RemoteTarget, device: StandIn, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(os.urandom(4_000_000))
    with target.session():
        device.fill(2)
        try:
            with pytest.raises(TargetError, match="no space is left on") as raised:
                target.push({"store/model": tmp_path / "model"})
            assert raised.value.exit_code == 4
        finally:
            device.fill(None)
        target.push({"store/model": tmp_path / "model"})
        assert target.hashes(["store/model"]) == {"store/model": digest(tmp_path / "model")}


@pytest.mark.integration
@pytest.mark.parametrize("device", ["phone"], indirect=True)
def test_nothing_at_all_fits(target: RemoteTarget, device: StandIn, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    target.push({"x": tmp_path / "x"})
    device.fill(0)
    try:
        with pytest.raises(TargetError, match="no space is left on"):
            target.run(["true"], 60)
    finally:
        device.fill(None)
    assert target.run(["true"], 60).returncode == 0


@pytest.mark.integration
def test_a_storage_that_can_only_be_read(target: RemoteTarget, device: StandIn, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    device.read_only(True)
    try:
        for verb in (lambda: target.run(["true"], 60), lambda: target.push({"x": tmp_path / "x"})):
            with pytest.raises(TargetError, match="is on a read-only file system"):
                verb()
    finally:
        device.read_only(False)


@pytest.mark.integration
@pytest.mark.parametrize("device", ["pi4"], indirect=True)
def test_no_permission_to_write(target: RemoteTarget, device: StandIn, tmp_path: Path) -> None:
    folder = device.home / Path(target.root).name
    (tmp_path / "x").write_text("x")
    folder.mkdir(mode=0o755)
    try:
        for verb in (lambda: target.run(["true"], 60), lambda: target.push({"x": tmp_path / "x"})):
            with pytest.raises(TargetError, match="this user may not write in"):
                verb()
    finally:
        folder.rmdir()


@pytest.mark.integration
def test_a_connection_cut_in_the_middle_of_a_transfer(target: RemoteTarget, device: StandIn, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(os.urandom(50_000_000))
    (tmp_path / "small").write_bytes(os.urandom(1000))
    files = {"store/a": tmp_path / "small", "store/b": tmp_path / "model"}
    with target.session():
        stop = threading.Event()
        thread = threading.Thread(target=act_when_it_grows, args=(device, target, stop, device.cut))
        thread.start()
        try:
            with pytest.raises(ConnectionLost, match=re.escape(device.address)) as raised:
                target.push(files)
        finally:
            stop.set()
            thread.join()
        assert raised.value.exit_code == 4
        assert target.wait(60)
        assert target.hashes(list(files)).get("store/b") != digest(tmp_path / "model")
        target.push(files)
        assert target.hashes(list(files)) == {name: digest(path) for name, path in files.items()}
        target.shell(f"rm -r '{target.root}/store'")


@pytest.mark.integration
def test_a_transfer_is_cancelled(target: RemoteTarget, device: StandIn, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(os.urandom(50_000_000))
    stop = threading.Event()
    thread = threading.Thread(target=act_when_it_grows, args=(device, target, stop, target.cancel))
    with target.session():
        thread.start()
        try:
            with pytest.raises(Cancelled):
                target.push({f"jobs/{target.token}/model": tmp_path / "model"})
        finally:
            stop.set()
            thread.join()
        target.remove()
    assert until(lambda: [line for line in device.processes() if "rsync" in line] == [], 10)
    assert not list((device.home / Path(target.root).name / "jobs").iterdir())


@pytest.mark.integration
def test_half_a_file_of_the_same_age_is_repaired(target: RemoteTarget, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"x" * 100_000)
    target.push({"a b/model": tmp_path / "model"})
    for damage in ("head -c 5 /dev/zero | dd of=model bs=1 conv=notrunc", "head -c 50000 m >model"):
        script = f"cd '{target.root}/a b' && cp -p model m && {{ {damage}; }} 2>/dev/null && touch -r m model && rm m"
        target.checked(script)
        right = {"a b/model": digest(tmp_path / "model")}
        assert target.hashes(["a b/model", "missing"]) != right
        target.push({"a b/model": tmp_path / "model"})
        assert target.hashes(["a b/model", "missing"]) == right


@pytest.mark.integration
def test_a_connection_cut_in_the_middle_of_a_command(target: RemoteTarget, device: StandIn) -> None:
    with target.session():
        threading.Timer(1, device.cut).start()
        with pytest.raises(ConnectionLost) as raised:
            target.run(["sh", "-c", "echo partial; sleep 301"], 60)
        assert raised.value.exit_code == 4 and device.address in raised.value.message
        assert target.wait(60)
        assert not jobs(device)
        assert target.run(["echo", "on"], 60).stdout == "on\n"


@pytest.mark.integration
def test_a_device_that_reboots(target: RemoteTarget, device: StandIn) -> None:
    with target.session():
        before = target.conditions().boot_id
        threading.Timer(1, device.reboot, [1]).start()
        with pytest.raises(ConnectionLost):
            target.run(["sh", "-c", "sleep 301"], 60)
        assert target.wait(90)
        device.wait_until_up()
        assert target.run(["echo", "on"], 60).stdout == "on\n"
        assert target.conditions().boot_id != before


def start_host(device: StandIn, limit_s: float) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOST, device.address, str(limit_s)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def act_when_it_grows(device: StandIn, target: RemoteTarget, stop: threading.Event, act: Callable[[], object]) -> None:
    """Do something when part of the largest file has come."""
    folder = device.home / Path(target.root).name
    while not stop.is_set():
        if max((path.stat().st_size for path in there(folder)), default=0) > 5_000_000:
            act()
            return
        time.sleep(0.005)


def there(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.rglob("*") if path.is_file()]
    except OSError:
        return []


def left(lock: Path) -> float:
    """Seconds until a lock expires."""
    return int(next(lock.iterdir()).name.split(".")[1]) - float(Path("/proc/uptime").read_text().split()[0])


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def alive(pid: int) -> bool:
    """Whether a process still runs after a second; one that nobody has asked for its exit code yet is dead."""

    def dead() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
        except OSError:
            return True

    return not until(dead, 1)
