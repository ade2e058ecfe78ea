"""Targets behind ssh: how it fails, and what stands between this machine and a device's shell."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fetaledge_devices.targets import open_target, ssh
from fetaledge_devices.targets.base import Completed, ConnectionLost
from fetaledge_devices.targets.error_messages import SSH, explain
from fetaledge_devices.targets.ssh import SshTarget
from fetaledge_runtimes.errors import OutputError, TargetError
from tests.stand_ins.pi import Pi

# Runs what ssh would run there in a home folder here; the words in front of it are written down.
FAKE_SSH = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done >>"$0.words"
while [ "$1" != -- ]; do shift; done
shift 2
HOME={home}
cd "$HOME"
export HOME
{noise}
exec sh -c "$*"
"""
EVIL = "a b;$(touch x)'q\"\\ *?[é]"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make a program that stands for ssh; returns the home folder of the device that is none."""

    def make(home: str = "home", noise: str = "", script: str = FAKE_SSH) -> Path:
        place = tmp_path / home
        place.mkdir()
        program = tmp_path / "ssh program"
        program.write_text(script.format(home=shlex.quote(str(place)), noise=noise))
        program.chmod(0o755)
        monkeypatch.setenv("FETALEDGE_SSH", f"{shlex.quote(str(program))} -F 'a file'")
        return place

    return make


@contextmanager
def opened(address: str) -> Iterator[SshTarget]:
    """A target that leaves nothing behind on this machine."""
    with open_target(address) as target:
        assert isinstance(target, SshTarget)
        yield target
        private = target.private
    assert private is not None and not private.exists()
    assert not [line for line in processes() if str(private) in line]


@pytest.mark.parametrize(
    ("said", "sentence", "hint"),
    [
        (
            "ssh: Could not resolve hostname no-pi: Name or service not known",
            "the host of ssh://pi@x is unknown",
            "~/.ssh/config",
        ),
        (
            "pi@x: Permission denied (publickey).",
            "ssh://pi@x refuses every key",
            "ssh-copy-id pi@x",
        ),
        (
            "Received disconnect from x port 22:2: Too many authentication failures",
            "ssh://pi@x refuses every key",
            "ssh-copy-id",
        ),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key for [x]:2222 has changed and you have "
            "requested strict checking.\nHost key verification failed.",
            "another host key than the one this computer knows",
            "ssh-keygen -R [x]:2222",
        ),
        (
            "No ED25519 host key is known for x and you have requested strict checking.\nHost key verification failed.",
            "the host key of ssh://pi@x is not known",
            "ssh pi@x",
        ),
        ("ssh: connect to host x port 22: Connection refused", "refuses the connection", "ssh server"),
        ("ssh: connect to host x port 22: Connection timed out", "does not answer", "network"),
        ("ssh: connect to host x port 22: No route to host", "no way to", "network"),
        ("Connection closed by 10.0.0.2 port 22", "closed the connection", "network"),
        ("Timeout, server x not responding.", "closed the connection", "network"),
        ("client_loop: send disconnect: Broken pipe", "closed the connection", "network"),
        ("kex_exchange_identification: read: Connection reset by peer", "closed the connection", "network"),
        ("/u/.ssh/config: line 3: Bad configuration option: foo", "line 3: Bad configuration option: foo", ""),
    ],
)
def test_what_ssh_says_becomes_one_sentence(said: str, sentence: str, hint: str) -> None:
    known = explain(SSH, said, name="ssh://pi@x", where="pi@x")
    assert known is not None
    assert sentence in known[0] and "\n" not in known[0] and hint in known[1]


def test_other_messages_are_not_explained() -> None:
    assert explain(SSH, "/home/pi/x: Permission denied\n", name="x", where="x") is None


def test_no_ssh_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETALEDGE_SSH", "/nowhere/ssh")
    with pytest.raises(TargetError, match="/nowhere/ssh cannot be started: No such file") as raised:
        open_target("ssh://pi@x").facts()
    assert raised.value.exit_code == 4


def test_an_ssh_that_fails_leaves_nothing(fake: Callable[..., Path]) -> None:
    fake(script="#!/bin/sh\necho 'odd words {home}{noise}' >&2\nexit 255\n")
    with opened("ssh://pi@x") as target, pytest.raises(TargetError, match="cannot be reached: odd words"):
        target.run(["true"], 1)


def test_folders_of_processes_that_were_killed_are_swept(
    fake: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(script="#!/bin/sh\n# {home}{noise}\nexit 255\n")
    base = Path(tempfile.mkdtemp())
    monkeypatch.setattr(tempfile, "tempdir", str(base))
    for name, days in (("fetaledge-ssh-old", 8), ("fetaledge-ssh-new", 1), ("other", 8)):
        (base / name).mkdir()
        os.utime(base / name, (0, time.time() - days * 86400))
    with open_target("ssh://pi@x") as target, pytest.raises(TargetError):
        target.facts()
    assert sorted(path.name for path in base.iterdir()) == ["fetaledge-ssh-new", "other"]
    shutil.rmtree(base)


@pytest.mark.integration
def test_what_a_login_shell_prints_is_ignored(fake: Callable[..., Path]) -> None:
    fake(noise="echo Welcome; echo -n more")
    with opened("ssh://pi@x") as target:
        assert target.shell("echo out").stdout == "out\n"
        assert target.run(["echo", "out"], 10).stdout == "out\n"


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("rsync") is None, reason="no rsync on this machine")
def test_odd_letters_in_each_place_stay_letters(fake: Callable[..., Path], tmp_path: Path) -> None:
    home = fake(EVIL)
    with opened(f"ssh://{EVIL}@{EVIL}:2222") as target:
        assert target.root == f"{home}/.fetaledge"
        (tmp_path / "sent").mkdir()
        (tmp_path / "sent" / EVIL).write_text(EVIL)
        place = target.send(tmp_path / "sent")
        assert target.run(["cat", f"{place}/{EVIL}"], 10).stdout == EVIL
        target.fetch(place, tmp_path / EVIL / EVIL)
        assert (tmp_path / EVIL / EVIL / EVIL).read_text() == EVIL
    words = (tmp_path / "ssh program.words").read_text().split("\n")
    assert words.count(EVIL) >= 4 and words[words.index("-l") + 1] == EVIL and words[words.index("-p") + 1] == "2222"
    assert words[words.index("--") + 1] == EVIL and words[:2] == ["-F", "a file"]
    assert not list(tmp_path.rglob("x"))


@pytest.mark.integration
def test_a_device_without_sha256sum_is_told_so(fake: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    for name in ("sh", "cat"):
        (tmp_path / "few" / name).symlink_to(str(shutil.which(name)))
    fake(noise=f"PATH='{tmp_path}/few'; export PATH")
    with opened("ssh://pi@x") as target:
        for verb in (lambda: target.hashes(["x"]), lambda: target.fetch("/", tmp_path / "fetched")):
            with pytest.raises(TargetError, match="ssh://pi@x has no program sha256sum"):
                verb()


@pytest.mark.integration
def test_the_lock_is_renewed_while_nothing_else_happens(
    fake: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = fake()
    threads = threading.active_count()
    monkeypatch.setattr("fetaledge_devices.targets.lease.LEASE_S", 4)
    monkeypatch.setattr("fetaledge_devices.targets.lease.RENEW_S", 2)
    with opened("ssh://pi@x") as target, opened("ssh://pi@x") as other:
        with target.session():
            target.pause(7)
            with pytest.raises(TargetError, match="another fetaledge"), other.session():
                pass
            assert target.run(["true"], 10).returncode == 0
        assert threading.active_count() == threads
        assert not (home / ".fetaledge" / "lock").exists()


@pytest.mark.integration
def test_a_lock_whose_taking_was_cut_off_is_let_go(fake: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    home = fake()
    with opened("ssh://pi@x") as target:
        run = target.processes.run

        def lose(*arguments: Any, **options: Any) -> Completed:
            monkeypatch.setattr(target.processes, "run", run)
            run(*arguments, **options)
            assert (home / ".fetaledge" / "lock").exists()
            raise ConnectionLost("cut off")

        monkeypatch.setattr(target.processes, "run", lose)
        with pytest.raises(ConnectionLost, match="cut off"), target.session():
            pass
        assert not (home / ".fetaledge" / "lock").exists()


@pytest.mark.integration
def test_a_folder_that_vanishes_there_is_called_that(fake: Callable[..., Path]) -> None:
    home = fake()
    with opened("ssh://pi@x") as target, target.session():
        shutil.rmtree(home / ".fetaledge")
        for verb in (lambda: target.run(["true"], 10), lambda: target.shell("true")):
            with pytest.raises(TargetError, match=r"\.fetaledge on ssh://pi@x has vanished since"):
                verb()
    assert not (home / ".fetaledge").exists()


@pytest.mark.integration
def test_a_large_folder_is_given_the_time_that_it_takes(
    fake: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = fake()
    (home / "logits").write_bytes(b"x" * 10_000_000)
    limits = []

    def download(place: str, folder: Path, timeout_s: float) -> Completed:
        limits.append(timeout_s)
        shutil.copytree(place, folder, dirs_exist_ok=True)
        return Completed(0, "", "")

    with opened("ssh://pi@x") as target:
        monkeypatch.setattr(target, "download", download)
        target.fetch(str(home), tmp_path / "fetched")
    assert limits[0] > 660 + 10_000_000 / 50_000 - 1


@pytest.mark.parametrize(
    "said",
    [
        'rsync: [receiver] write failed on "/here/x": No space left on device (28)',
        'scp: local write "/here/x": No space left on device',
        "adb: error: cannot write '/here/x': No space left on device",
        'rsync: [receiver] close failed on "/here/x": Disk quota exceeded (122)',
    ],
)
def test_a_full_disk_of_this_machine_is_not_the_devices(
    fake: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    home = fake()
    (home / "x").write_text("x")
    with opened("ssh://pi@x") as target:
        monkeypatch.setattr(target, "download", lambda *_: Completed(11, "", said))
        with pytest.raises(OutputError) as full:
            target.fetch(str(home), tmp_path / "fetched")
    assert full.value.exit_code == 3
    assert full.value.message == f"no space is left in {tmp_path / 'fetched'} on this machine"


def test_what_has_no_room_here_is_not_copied(
    fake: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = fake()
    (home / "x").write_bytes(bytes(3_000_000))
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=False)
    if mounted.returncode != 0:
        pytest.skip("only root may mount a small disk")
    try:
        with opened("ssh://pi@x") as target:
            monkeypatch.setattr(target, "download", lambda *_: pytest.fail("it was copied"))
            with pytest.raises(OutputError, match=rf"no space is left in {small}.*: 3 MB are needed and 1 MB are free"):
                target.fetch(str(home), small / "fetched")
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_no_room_for_what_is_sent_is_said_of_this_machine(
    fake: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = fake()
    (home / "x").write_text("x")
    with opened("ssh://pi@x") as target:
        target.connect()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no such folder"))
        with pytest.raises(OutputError, match="cannot make a temporary folder on this machine: .*no such folder"):
            target.send(home)


@pytest.mark.integration
def test_a_hash_that_stays_wrong_is_an_error(fake: Callable[..., Path], tmp_path: Path) -> None:
    home = fake()
    (tmp_path / "bin").mkdir()
    liar = tmp_path / "bin" / "sha256sum"
    liar.write_text(f'#!/bin/sh\nshift $(($# - 1))\necho {"0" * 64} " $1"\n')
    liar.chmod(0o755)
    (home / "x").write_text("x")
    fake_program = tmp_path / "ssh program"
    fake_program.write_text(
        fake_program.read_text().replace("export HOME", f"PATH='{tmp_path}/bin':$PATH; export PATH HOME")
    )
    with open_target("ssh://pi@x") as target, pytest.raises(TargetError, match="x is on ssh://pi@x with other bytes"):
        target.send(home)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("fault", "sentence", "hint"),
    [
        ("key-refused", "refuses every key", "ssh-copy-id pi@pi4-key-refused"),
        ("key-changed", "shows another host key", "ssh-keygen -R "),
        ("key-unknown", "is not known to this computer", "ssh pi@pi4-key-unknown"),
        ("refused", "refuses the connection", "ssh server"),
        ("silent", "does not answer", "network"),
        ("unresolved", "is unknown", "config"),
    ],
)
def test_a_device_that_cannot_be_reached(
    pi4: Pi, fault: str, sentence: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ssh.OPTIONS, "ConnectTimeout", "3")
    with opened(pi4.faults[fault]) as target:
        started = time.monotonic()
        with pytest.raises(TargetError, match=sentence) as raised:
            target.facts()
        assert raised.value.exit_code == 4 and not isinstance(raised.value, ConnectionLost)
        assert hint in raised.value.hint and pi4.faults[fault] in raised.value.message
        assert time.monotonic() - started < 40


@pytest.mark.integration
@pytest.mark.parametrize("side", ["here", "there"])
def test_scp_where_one_side_has_no_rsync(pi4: Pi, tmp_path: Path, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = pi4.root / "usr/bin/rsync"
    kept = there.read_bytes()
    if side == "there":
        there.unlink()
    else:
        (tmp_path / "bin").mkdir()
        for name in ("ssh", "scp", "nsenter", "sh"):
            (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    try:
        sent = tmp_path / "sent"
        (sent / EVIL / "empty").mkdir(parents=True)
        (sent / EVIL / EVIL).write_text(EVIL)
        (sent / "program").write_text("#!/bin/sh\necho out\n")
        (sent / "program").chmod(0o755)
        with opened(pi4.address) as target:
            place = target.send(sent)
            assert target.send(sent) != place
            assert target.run([f"{place}/program"], 60).stdout == "out\n"
            target.fetch(place, tmp_path / "fetched")
            target.remove()
    finally:
        if side == "there":
            there.write_bytes(kept)
            there.chmod(0o755)
    monkeypatch.undo()
    assert subprocess.run(["diff", "-r", sent, tmp_path / "fetched"], check=False).returncode == 0


@pytest.mark.integration
def test_one_connection_serves_all_and_ends_with_the_target(pi4: Pi) -> None:
    with opened(pi4.address) as target:
        for _ in range(3):
            target.shell("true")
        there = target.shell("echo $SSH_CONNECTION").stdout
        assert target.shell("echo $SSH_CONNECTION").stdout == there
        assert target.private is not None and target.private.stat().st_mode & 0o77 == 0
    target.close()


@pytest.mark.integration
def test_a_dead_connection_is_noticed_before_the_time_limit(pi4: Pi) -> None:
    with opened(pi4.address) as target:
        target.alive_s = 1
        with target.session():
            threading.Timer(1, pi4.stall).start()
            started = time.monotonic()
            try:
                with pytest.raises(ConnectionLost, match="closed the connection|dropped out"):
                    target.run(["sleep", "301"], 300)
                assert time.monotonic() - started < 30
            finally:
                pi4.resume()
            assert target.wait(60)
            assert target.run(["echo", "on"], 60).stdout == "on\n"


@pytest.mark.integration
def test_no_connection_outlives_a_process_that_was_killed(pi4: Pi) -> None:
    script = (
        "import sys, time\nfrom fetaledge_devices.targets import open_target\n"
        "target = open_target(sys.argv[1])\nprint(target.root, target.private, flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, pi4.address], stdout=subprocess.PIPE)
    assert process.stdout is not None
    private = process.stdout.readline().decode().split()[1]
    assert [line for line in processes() if private in line]
    process.kill()
    process.communicate()
    for _ in range(100):
        if not [line for line in processes() if private in line]:
            return
        time.sleep(0.1)
    raise AssertionError(processes())


def processes() -> list[str]:
    """The command lines on this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_text(errors="replace").replace("\0", " "))
    return found
