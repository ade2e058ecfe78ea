"""Deploying where the cache, an earlier release or a wish is in the way; several devices at once."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fetaledge_devices.deploy import check_engines, deploy, known_targets, remove
from fetaledge_devices.deploy.address_book import KnownTarget, remember
from fetaledge_devices.deploy.device_store import Store
from fetaledge_devices.deploy.engine_choice import EngineChoice
from fetaledge_devices.deploy.known_faults import FAULTS
from fetaledge_devices.deploy.release import Release
from fetaledge_devices.deploy.self_test import Refusal, probe
from fetaledge_devices.facts.model import Platform
from fetaledge_devices.native_runner import build
from fetaledge_devices.native_runner.build import Runner, build_runner
from fetaledge_devices.targets import open_target
from fetaledge_devices.targets.base import Completed, ConnectionLost
from fetaledge_devices.wheels import resolve
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.errors import GateFailed, OutputError, TargetError, UsageError
from tests.devices.test_deploy import NAMES, Folder, brought, bundle, device, tested_bundle  # noqa: F401
from tests.devices.test_native_runner_build import builds, own_cache  # noqa: F401

PI4 = Platform("linux", "aarch64", "glibc 2.36", (3, 11), ("cortex-a72",), 3978, 2983, 1500, True)
PHONE = {"system": "android", "machine": "aarch64", "python": None, "cpu_parts": ("cortex-a53", "cortex-a73")}


class CrashingRunner(Runner):
    """One that ends as a library for newer cores does."""

    def command(self, place: str) -> tuple[str, ...]:
        return (f"{place}/runner",)


def side_by_side(call: Callable[[], object]) -> list[object]:
    """What two calls at the same time give."""
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(call())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.integration
def test_a_cache_that_cannot_be_written_does_not_undo_a_deployment(
    device: Folder,  # noqa: F811
    bundle: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    (tmp_path / "cache").mkdir()
    targets = tmp_path / "cache" / "targets"
    targets.write_text("not a folder")
    lines: list[str] = []
    found = deploy(bundle, device, progress=lines.append)
    assert found.current and device.works() == list(NAMES)
    assert lines[-1].startswith("deployed, but `fetaledge devices` will not list it: cannot make the cache folder")
    targets.unlink()
    assert deploy(bundle, device).place == found.place and len(known_targets()) == 1

    note = next(targets.iterdir())
    note.unlink()
    note.mkdir()
    with pytest.raises(OutputError, match=r"cannot delete .*; delete it: the target is gone"):
        remove(device)
    assert not Path(device.root).exists()


@pytest.mark.integration
def test_an_illegal_instruction_on_a_phone_is_a_sentence_with_the_known_fault(
    device: Folder,  # noqa: F811
    bundle: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = tmp_path / "runner"
    program.write_text("#!/bin/sh\nkill -ILL $$\n")
    monkeypatch.setattr(
        build, "build_runner", lambda *_: CrashingRunner({"runner": program}, {"onnxruntime": "1.21.0"})
    )
    device.changes = PHONE
    with pytest.raises(
        GateFailed, match=r"onnxruntime 1\.21\.0 ended with an illegal instruction; known: onnxruntime 1\.21\.0 .*23957"
    ):
        deploy(bundle, device, variants=["onnx-fp32"], engines=["onnxruntime==1.21.0"])


@pytest.mark.integration
def test_a_phone_that_runs_nothing_of_it_needs_no_runner(
    device: Folder,  # noqa: F811
    bundle_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(build, "build_runner", lambda *_: pytest.fail("it was built"))
    device.changes = PHONE
    with pytest.raises(TargetError, match="openvino-fp32 cannot run on .*: the native runner has no openvino"):
        deploy(bundle_folder, device, variants=["openvino-fp32"])


@pytest.mark.integration
@pytest.mark.parametrize("damage", ["missing", "unreadable"])
def test_a_release_without_its_results_does_not_block_the_next(
    device: Folder,  # noqa: F811
    bundle: Path,  # noqa: F811
    damage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = deploy(bundle, device)
    results = device.current / "release.json"
    results.unlink() if damage == "missing" else results.write_text("{")
    second = deploy(bundle, device)
    assert second.tested and second.place != first.place and device.works() == list(NAMES)
    assert not deploy(bundle, device).tested

    said = Store.script

    def lost(store: Store, text: str) -> str:
        if text.startswith("cat "):
            raise ConnectionLost("it dropped out")
        return said(store, text)

    monkeypatch.setattr(Store, "script", lost)
    with pytest.raises(ConnectionLost, match="dropped out"):
        deploy(bundle, device)


@pytest.mark.integration
def test_this_machine_is_not_given_another_engine(bundle: Path) -> None:  # noqa: F811
    with pytest.raises(UsageError, match=r"onnxruntime==1\.21\.0' was given for this machine, where what is installed"):
        deploy(bundle, open_target("local"), engines=["onnxruntime==1.21.0"])
    installed = metadata.version("onnxruntime")
    beside = deploy(bundle, open_target("local"), engines=["onnxruntime==1.21.0"], strict=False)
    sentence = f"runs in what is installed here, onnxruntime {installed}, not in onnxruntime==1.21.0"
    assert beside.notes == dict.fromkeys(NAMES, (sentence,))
    same = deploy(bundle, open_target("local"), engines=[f"onnxruntime=={installed}"], strict=False)
    assert same.notes == {}


@pytest.mark.parametrize("engine", ["onnxruntime", "torch==2.0", "onnxruntime==", ""])
def test_a_version_that_cannot_be_read_is_refused_before_a_device_is_asked(tmp_path: Path, engine: str) -> None:
    asked = Folder(tmp_path / "home")
    asked.connect = lambda: pytest.fail("it was asked")  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="write PACKAGE==VERSION"):
        deploy(tmp_path / "no bundle", asked, engines=[engine])
    with pytest.raises(UsageError, match="write PACKAGE==VERSION"):
        check_engines([engine], ["ssh://pi", "local"])


def test_a_version_is_for_devices() -> None:
    check_engines(["onnxruntime==1.22.0"], ["local", "ssh://pi@raspberrypi"])
    check_engines([], ["local"])
    with pytest.raises(UsageError, match="install that version here, or name a device"):
        check_engines(["onnxruntime==1.22.0"], ["local"])


def test_a_device_that_is_gone_is_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path))
    gone = Folder(tmp_path / "home")
    remember(KnownTarget(address=gone.name))
    monkeypatch.setattr(gone, "connect", lambda: None)
    monkeypatch.setattr(gone, "shell_command", lambda line: ["sh", "-c", "echo no route to it >&2; exit 255"])
    monkeypatch.setattr(gone, "failure", lambda text: TargetError(text.strip(), "is it on?"))
    with pytest.raises(TargetError) as refused:
        remove(gone)
    assert str(refused.value) == "no route to it; is it on?; it is forgotten here, and what lies there stays"
    assert known_targets() == []
    remember(KnownTarget(address=gone.name))
    gone.reached = True
    with pytest.raises(TargetError, match=r"is it on\?$"):
        remove(gone)
    assert len(known_targets()) == 1


def test_a_release_is_of_one_processor_and_one_python(bundle_folder: Path) -> None:
    bundle = Bundle.open(bundle_folder)  # noqa: F811
    choice = EngineChoice(bundle.manifest.variants, {}, (), {}, {})

    def contents(**changes: Any) -> Release:
        return Release.of(bundle, choice, None, replace(PI4, **changes))

    others = [{}, {"cpu_parts": ("cortex-a76",)}, {"machine": "x86_64"}, {"python_path": "/opt/a b/python3"}]
    assert len({contents(**changes).key() for changes in others}) == len(others)
    assert contents(available_mb=1, free_mb=2).key() == contents().key()
    assert "/opt/a b/python3" in contents(**others[-1]).worker("/root", "1")
    assert "python3" in contents().worker("/root", "1")


SIGKILL, SIGILL = -9, -4
DIFFERS, UNUSABLE, NOTHING = ({"variants": [{"result": r, "details": [r]}]} for r in ("differs", "unusable", "ok"))


@pytest.mark.parametrize(
    ("code", "document", "known", "lasting"),
    [
        (SIGKILL, None, True, False),
        (SIGILL, None, True, True),
        (SIGILL, None, False, False),
        (1, DIFFERS, False, True),
        (1, UNUSABLE, False, False),
        (1, UNUSABLE, True, True),
        (3, None, True, False),
        (0, NOTHING, True, None),
    ],
)
def test_what_may_pass_the_next_time(code: int, document: Any, known: bool, lasting: bool | None) -> None:
    said = "" if document is None else json.dumps(document)
    target: Any = SimpleNamespace(run=lambda command, limit_s: Completed(code, said, "error: no module"))
    variant: Any = SimpleNamespace(name="onnx-int8")
    refusal = probe(target, ["worker"], "/place", variant, "onnxruntime 1.21.0", FAULTS[:1] if known else ())
    assert (None if refusal is None else refusal.lasting) == lasting


def test_a_self_test_without_end_may_pass_the_next_time() -> None:
    def run(command: object, limit_s: float) -> Completed:
        raise TimeoutError("did not end within 1800 s")

    target: Any = SimpleNamespace(run=run)
    variant: Any = SimpleNamespace(name="onnx-int8")
    refusal = probe(target, [], "/place", variant, "", FAULTS[:1])
    assert refusal == Refusal("the self-test did not end within 1800 s", False)


def test_a_linux_whose_home_is_below_data_gets_links() -> None:
    given: list[str] = []

    def shell(script: str, limit_s: float) -> Completed:
        given.append(script)
        return Completed(1 if "false" in script else 0, "", "")

    target: Any = SimpleNamespace(name="ssh://board", root="/data/home/pi/.fetaledge", shell=shell)
    Store(target, android=False).switch("new", "old")
    Store(target, android=True).switch("new", "old")
    links, names = given
    assert "ln -sfn releases/new current.new && mv -fT current.new current" in links and "echo" not in links
    assert "echo releases/new >current.new && mv -f current.new current" in names and "ln " not in names
    with pytest.raises(TargetError, match=r"look at /data/home/pi/\.fetaledge there"):
        Store(target, android=False).script("false")


def test_two_phones_share_one_build(
    own_cache: Path,  # noqa: F811
    builds: list[list[str]],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def compile_runner(binary: Path) -> None:
        time.sleep(0.05)
        binary.write_bytes(b"runner")

    monkeypatch.setattr(build, "compile_runner", compile_runner)
    one, other = side_by_side(lambda: build_runner(["onnx"]))
    assert one == other and len(builds) == 1


def test_two_devices_share_one_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path))
    downloads: list[Sequence[str]] = []

    def pip(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        downloads.append(command)
        time.sleep(0.05)
        (Path(command[command.index("--dest") + 1]) / "some_engine-1.0-py3-none-any.whl").write_bytes(b"wheel")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    one, other = side_by_side(lambda: resolve.resolve(PI4, ["some-engine==1.0"]))
    assert one == other and len(downloads) == 1
