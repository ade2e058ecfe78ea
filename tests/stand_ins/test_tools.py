"""What the tests need on this machine, with nothing installed, registered or unpacked."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fetaledge_devices.cache import folder
from tests.stand_ins import fixtures, roots, tools


def refuse() -> None:
    raise tools.Unavailable("not here")


@pytest.mark.parametrize(
    ("missing", "lists", "expected"),
    [
        ((), ["x_main_binary-amd64_Packages.lz4"], []),
        ((), ["lock"], ["update"]),
        (("toybox", "unshare", "setpriv"), ["x_Packages"], ["update", "install toybox util-linux"]),
    ],
)
def test_what_is_missing_is_fetched_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], lists: list[str], expected: list[str]
) -> None:
    asked: list[str] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        if command[0] == "apt-get":
            asked.append(" ".join(word for word in command[4:] if not word.startswith("-")))
        return subprocess.CompletedProcess(command, 0, "", "")

    for name in lists:
        (tmp_path / name).touch()
    monkeypatch.setattr(tools, "LISTS", tmp_path)
    monkeypatch.setattr(tools, "SERVICES", tmp_path / "policy")
    monkeypatch.setattr(tools, "register", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None if name in missing else name)
    monkeypatch.setattr(subprocess, "run", run)
    tools.require_tools()
    assert asked == expected


@pytest.mark.parametrize(("ci", "outcome"), [("", "Skipped"), ("true", "Failed")])
def test_a_program_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: str) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    monkeypatch.setattr(fixtures, "require_tools", refuse)
    with pytest.raises(BaseException, match=r"adb is not installed \(Debian's package adb\)") as raised:
        fixtures.program("adb")
    assert raised.type.__name__ == outcome


def test_a_program_is_looked_for_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: set[str] = set()
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"/bin/{name}" if name in installed else None)
    monkeypatch.setattr(fixtures, "require_tools", lambda: installed.update(tools.PACKAGES))
    assert fixtures.program("qemu-aarch64") == "/bin/qemu-aarch64"
    with pytest.raises(KeyError):  # a test may need only what is installed on a fresh machine
        fixtures.program("perl")


def test_workers_that_begin_together_make_the_roots_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def make(root: Path, _: object) -> None:
        time.sleep(0.02)
        root.mkdir(parents=True)
        made.append(root.name)

    monkeypatch.setattr(roots, "FOLDER", tmp_path)
    monkeypatch.setattr(roots, "require_tools", lambda: None)
    monkeypatch.setattr(roots, "build_pi", make)
    monkeypatch.setattr(roots, "build_phone", make)
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: roots.build(), range(2))
    assert first == second and sorted(made) == sorted(path.name for path in first.iterdir())


def test_devices_of_tests_are_not_noted_for_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    own = folder("targets").resolve()
    assert own.is_relative_to(tmp_path_factory.getbasetemp().resolve())
    assert not folder("wheels").resolve().is_relative_to(own.parent)
