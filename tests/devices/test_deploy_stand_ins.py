"""Deploying to the stand-ins: a real sshd and adbd, real 64-bit Arm wheels, an emulated Cortex-A72 and A76."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace as with_changes

from fetaledge_devices.deploy import deploy, remove
from fetaledge_devices.targets import open_target
from fetaledge_devices.targets.remote import RemoteTarget
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.errors import GateFailed, TargetError
from tests.devices.test_deploy import change_name, tested_bundle  # noqa: F401
from tests.stand_ins.phone import Phone
from tests.stand_ins.pi import Pi

pytestmark = pytest.mark.integration


@pytest.fixture
def bundle(tested_bundle: Path, tmp_path: Path) -> Path:  # noqa: F811
    """One variant and its golden frames."""
    folder = tmp_path / "bundle"
    shutil.copytree(tested_bundle, folder)
    manifest = Bundle.open(folder).manifest
    (variant,) = (variant for variant in manifest.variants if variant.name == "onnx-fp32")
    with_changes(manifest, variants=(with_changes(variant, engine_version="1.31.1"),)).write(folder)
    return folder


@pytest.fixture(scope="module")
def opened_pi4(pi4: Pi) -> Iterator[RemoteTarget]:
    with opened(pi4.address) as target:
        yield target
        remove(target)


@pytest.fixture
def on_pi4(opened_pi4: RemoteTarget) -> RemoteTarget:
    """What one test unpacked there serves the next; none leaves a deployment in use."""
    opened_pi4.shell(f"rm -rf {opened_pi4.root}/current {opened_pi4.root}/previous {opened_pi4.root}/releases")
    return opened_pi4


def opened(address: str) -> RemoteTarget:
    target = open_target(address)
    assert isinstance(target, RemoteTarget)
    return target


def files_sent(lines: list[str]) -> int:
    """Of what a deployment said on its way."""
    found = (re.match(r"sending (\d+) files", line) for line in lines)
    return sum(int(match.group(1)) for match in found if match)


def verified(target: RemoteTarget) -> str:
    """What the deployment in use says of itself, asked as its user would."""
    words = f"{target.root}/current/run verify {target.root}/current/bundle"
    return target.shell(words, 300).stdout


def test_a_pi_4_from_nothing_although_the_transfer_is_cut(
    on_pi4: RemoteTarget, pi4: Pi, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(on_pi4)
    assert list(pi4.home.iterdir()) == []
    store = pi4.home / ".fetaledge" / "store"

    def cut() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if store.is_dir() and len(list(store.iterdir())) >= 2:
                pi4.cut()
                return
            time.sleep(0.01)

    cutter = threading.Thread(target=cut)
    cutter.start()
    before: list[str] = []
    with pytest.raises(TargetError):
        deploy(bundle, on_pi4, progress=before.append)
    cutter.join()
    assert not (store.parent / "current").exists()
    assert sum(path.stat().st_size for path in store.iterdir()) > 0

    after: list[str] = []
    with opened(pi4.address) as later:
        found = deploy(bundle, later, progress=after.append)
        assert (found.variants, found.versions) == (("onnx-fp32",), {"onnxruntime": "1.31.1"})
        assert later.emulated and files_sent(after) < files_sent(before)  # what had arrived is not sent again
        assert verified(later) == "onnx-fp32  ONNX Runtime  ok\n"
    assert [entry.name for entry in pi4.home.iterdir()] == [".fetaledge"]

    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # no network any more
    again = deploy(bundle, on_pi4)
    assert (again.sent_mb, again.tested, again.place) == (0.0, False, found.place)


def test_onnxruntime_1_21_0_on_a_pi_4_is_a_sentence(on_pi4: RemoteTarget, bundle: Path) -> None:
    sentence = r"onnxruntime 1\.21\.0 ended with an illegal instruction; known: .*issues 23957"
    with pytest.raises(GateFailed, match=sentence):
        deploy(bundle, on_pi4, engines=["onnxruntime==1.21.0"])
    assert on_pi4.shell(f"[ -e {on_pi4.root}/current ]").returncode == 1


def test_a_version_that_is_known_to_fail_is_not_even_tried(on_pi4: RemoteTarget, bundle: Path) -> None:
    manifest = Bundle.open(bundle).manifest
    (variant,) = manifest.variants
    with_changes(manifest, variants=(with_changes(variant, engine_version="1.21.0"),)).write(bundle)
    found = deploy(bundle, on_pi4)
    assert found.variants == ("onnx-fp32",) and found.versions == {"onnxruntime": "1.22.0"}
    assert any("23957" in note for note in found.notes["onnx-fp32"])


def test_onnxruntime_1_21_0_runs_on_a_pi_5(pi5: Pi, bundle: Path) -> None:
    with opened(pi5.address) as target:
        found = deploy(bundle, target, engines=["onnxruntime==1.21.0"])
        assert found.variants == ("onnx-fp32",) and found.versions == {"onnxruntime": "1.21.0"}
        remove(target)


def test_what_goes_wrong_leaves_the_deployment_in_use(on_pi4: RemoteTarget, pi4: Pi, bundle: Path) -> None:
    first = deploy(bundle, on_pi4)
    change_name(bundle, "another")
    meminfo = pi4.folder / "meminfo"
    normal = meminfo.read_text(encoding="utf-8")

    pi4.fill(20)
    with pytest.raises(TargetError, match=r"has \d+ MB of free space and about \d+ MB are needed"):
        deploy(bundle, on_pi4, engines=["onnxruntime==1.22.0"])
    pi4.fill(None)

    meminfo.write_text(normal.replace("MemAvailable: ", "MemAvailable: 6 kB\nWas: "), encoding="utf-8")
    with pytest.raises(TargetError, match=r"it needs about \d+ MB of memory and the device has 0 MB available"):
        deploy(bundle, on_pi4)
    meminfo.write_text(normal, encoding="utf-8")

    pi4.read_only(True)
    with pytest.raises(TargetError, match="read-only|cannot be written|[Rr]ead.only"):
        deploy(bundle, on_pi4)
    pi4.read_only(False)

    assert verified(on_pi4) == "onnx-fp32  ONNX Runtime  ok\n"
    link = on_pi4.shell(f"readlink -f {on_pi4.root}/current").stdout.strip()
    assert f"{link}/bundle" == first.place


def test_a_phone_without_python(phone: Phone, bundle: Path) -> None:
    with opened(phone.address) as target:
        found = deploy(bundle, target)
        assert found.native and found.variants == ("onnx-fp32",) and set(found.versions) == {"onnxruntime"}
        again = deploy(bundle, target)
        assert (again.sent_mb, again.tested, again.place) == (0.0, False, found.place)
        current = target.shell(f"cat {target.root}/current").stdout.strip()
        assert f"{target.root}/{current}/bundle" == found.place
        inside = target.shell(f"ls {target.root}/{current}").stdout.split()
        assert inside == ["bundle", "key", "needs", "release.json", "runner"]
        assert [entry.name for entry in phone.home.iterdir()] == ["fetaledge"]
        assert remove(target) and list(phone.home.iterdir()) == []
