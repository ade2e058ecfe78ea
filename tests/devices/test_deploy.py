"""Deploying to a folder of this machine, through the same shell scripts as to a device; what goes wrong on the way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest
from msgspec.structs import replace as with_changes

from fetaledge_devices.deploy import Deployment, deploy, engine_choice, known_targets, remove
from fetaledge_devices.deploy.address_book import KnownTarget, remember
from fetaledge_devices.facts.model import Facts, Platform
from fetaledge_devices.targets import open_target
from fetaledge_devices.targets.base import Completed, ConnectionLost
from fetaledge_devices.targets.remote import RemoteTarget
from fetaledge_devices.wheels.pins import package_of
from fetaledge_runtimes.bundle import Bundle, StoredFile
from fetaledge_runtimes.errors import BundleError, GateFailed, TargetError, UsageError
from fetaledge_runtimes.files import sha256
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.records import to_json
from fetaledge_runtimes.selftest import GOLDEN, write_golden
from fetaledge_runtimes.tasks.registry import task_named

pytestmark = pytest.mark.integration
NAMES = ("onnx-fp32", "onnx-int8")

# A package's stand-in on the device: it hands over to the one of this machine.
BORROWED = f"""
import importlib, sys
sys.path.remove(__path__[0].rpartition("/")[0])
sys.path.append({str(Path(cv2.__file__).parents[1])!r})
del sys.modules[__name__]
importlib.import_module(__name__)
"""
MODULES = {"opencv-python-headless": "cv2", "pillow": "PIL"}
CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGILL)\n"
KILLED = """
import os, signal, sys
if "onnx-int8" in sys.argv and os.path.exists({!r}):
    os.kill(os.getpid(), signal.SIGKILL)
"""


class Folder(RemoteTarget):
    """A folder of this machine, reached by a shell; ``changes`` to what it says of itself, ``trouble`` in copying."""

    def __init__(self, home: Path) -> None:
        super().__init__("ssh://folder")
        self.home = home
        self.changes: dict[str, Any] = {}
        self.trouble: Callable[[Path], None] = lambda place: None
        self.sent: list[str] = []
        (home / "bin" / "other").mkdir(parents=True)
        (home / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
        (home / "bin" / "other" / "python3").write_text("#!/bin/sh\nexit 9\n")
        (home / "bin" / "other" / "python3").chmod(0o755)

    @property
    def root(self) -> str:
        return str(self.home / "own folder")

    @classmethod
    def at(cls, address: str) -> Folder:
        return cls(Path(address))

    def connect(self) -> None:
        self.reached = True

    def shell_command(self, line: str) -> list[str]:
        return ["env", f"PATH={self.home / 'bin'}:/usr/bin:/bin", "sh", "-c", line]

    def upload(self, folder: Path, timeout_s: float) -> Completed:
        self.sent += [path.name for path in folder.rglob("*") if path.is_file()]
        done = subprocess.run(["cp", "-r", f"{folder}/.", self.root], capture_output=True, text=True, check=False)
        self.trouble(Path(self.root))
        return Completed(done.returncode, done.stdout, done.stderr)

    def download(self, place: str, folder: Path, timeout_s: float) -> Completed:
        done = subprocess.run(["cp", "-r", f"{place}/.", str(folder)], capture_output=True, text=True, check=False)
        return Completed(done.returncode, done.stdout, done.stderr)

    def failure(self, text: str) -> TargetError:
        return ConnectionLost(f"{self.name} dropped out: {text}")

    def facts(self) -> Facts:
        facts = super().facts()
        return replace(facts, platform=replace(facts.platform, **self.changes))

    @property
    def current(self) -> Path:
        return Path(self.root) / "current"

    def works(self) -> list[str]:
        """The variants that the deployment in use gives the golden masks with, asked as its user would.

        Another Python comes first in the user's PATH.
        """
        words = [str(self.current / "run"), "verify", str(self.current / "bundle"), "--json"]
        environment = {"PATH": f"{self.home / 'bin' / 'other'}:/usr/bin:/bin"}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        return [each["variant"] for each in json.loads(done.stdout)["variants"] if each["result"] == "ok"]


@pytest.fixture
def device(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "a device's home")


@pytest.fixture(autouse=True)
def brought(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Wheels that are as good as empty; by package, the code of their module, which a test may change."""
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path / "cache"))
    modules = dict.fromkeys(("numpy", "cv2", "msgspec", "PIL", "onnxruntime"), BORROWED)

    def resolve(platform: Platform, requirements: Sequence[str]) -> tuple[Path, ...]:
        wheels = []
        for text in requirements:
            package, version = package_of(text), text.partition("==")[2]
            module = MODULES.get(package, package)
            wheel = tmp_path / f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
            with zipfile.ZipFile(wheel, "w") as archive:
                archive.writestr(zipfile.ZipInfo(f"{module}/__init__.py"), modules[module])
            wheels.append(wheel)
        return tuple(wheels)

    monkeypatch.setattr(engine_choice, "resolve", resolve)
    return modules


@pytest.fixture(scope="module")
def tested_bundle(bundle_folder: Path, heads: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two variants, with golden frames."""
    folder = tmp_path_factory.mktemp("tested") / "bundle"
    shutil.copytree(bundle_folder, folder)
    bundle = Bundle.open(folder)
    frames = [heads[index].frame for index in range(2)]
    masks = {name: [Predictor(bundle, name)(frame) for frame in frames] for name in NAMES}
    write_golden(folder / GOLDEN, task_named(bundle.manifest.task), frames, masks)
    variants = tuple(variant for variant in bundle.manifest.variants if variant.name in NAMES)
    with_changes(bundle.manifest, variants=variants, others=(StoredFile.of(folder / GOLDEN),)).write(folder)
    return folder


@pytest.fixture
def bundle(tested_bundle: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(tested_bundle, tmp_path / "bundle")
    return tmp_path / "bundle"


def change_name(folder: Path, name: str) -> None:
    """Another bundle: the same files under another name."""
    manifest = Bundle.open(folder).manifest
    with_changes(manifest, name=name).write(folder)


def swap_golden(folder: Path) -> None:
    """Let the golden masks of onnx-int8 be those of onnx-fp32."""
    import numpy as np

    with np.load(folder / GOLDEN) as golden:
        arrays = {name: golden[name] for name in golden.files}
    for name in [name for name in arrays if name.startswith("onnx-int8/")]:
        arrays[name] = arrays[name.replace("int8", "fp32")]
    np.savez(folder / GOLDEN, **arrays)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["others"] = [to_json(StoredFile.of(folder / GOLDEN))]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_bundle_is_brought_tested_and_put_to_use(device: Folder, bundle: Path) -> None:
    lines: list[str] = []
    found = deploy(bundle, device, progress=lines.append)
    assert found.variants == NAMES and found.refused == {} and found.tested and found.current
    assert Path(found.place).samefile(device.current / "bundle")
    assert Bundle.open(found.place).manifest.name == "bright"
    assert device.works() == list(NAMES)
    done = device.run([*found.worker, "verify", found.place, "--variant", "onnx-int8"], 60)
    assert (done.returncode, done.stdout) == (0, "onnx-int8  ONNX Runtime  ok\n")
    device.remove()
    assert found.sent_mb > 0 and any("self-test 2 of 2: onnx-int8" in line for line in lines)
    assert sorted(entry.name for entry in device.home.iterdir()) == ["bin", "own folder"]
    left = sorted(entry.name for entry in Path(device.root).iterdir())
    assert left == ["current", "jobs", "releases", "site", "store"]
    assert not any((Path(device.root) / "jobs").iterdir())
    (note,) = known_targets()
    assert (note.address, note.variants) == (device.name, NAMES)


def test_the_second_time_nothing_is_sent(device: Folder, bundle: Path) -> None:
    first = deploy(bundle, device)
    device.sent.clear()
    second = deploy(bundle, device)
    assert (device.sent, second.sent_mb, second.tested) == ([], 0.0, False)
    assert (second.place, second.variants) == (first.place, first.variants)
    assert deploy(bundle, device, again=True).tested and device.sent == []


def test_only_what_changed_is_sent(device: Folder, bundle: Path) -> None:
    deploy(bundle, device)
    device.sent.clear()
    swap_golden(bundle)
    found = deploy(bundle, device)
    assert device.sent == [sha256(bundle / GOLDEN)]
    assert found.variants == ("onnx-fp32",) and "Dice" in found.refused["onnx-int8"]
    device.sent.clear()
    (reason,) = found.refused.values()
    assert deploy(bundle, device).refused == {"onnx-int8": f"{reason} (tested earlier)"} and device.sent == []


def test_what_was_killed_once_is_tried_again(
    device: Folder, bundle: Path, brought: dict[str, str], tmp_path: Path
) -> None:
    full = tmp_path / "memory is full"
    full.touch()
    brought["onnxruntime"] = KILLED.format(str(full)) + BORROWED
    found = deploy(bundle, device)
    assert found.variants == ("onnx-fp32",) and "memory runs out" in found.refused["onnx-int8"]
    full.unlink()
    later = deploy(bundle, device)
    assert (later.variants, later.refused, later.tested) == (NAMES, {}, True)
    assert not deploy(bundle, device).tested


def test_a_package_that_was_damaged_there_is_brought_again(device: Folder, bundle: Path) -> None:
    one = NAMES[:1]
    deploy(bundle, device, variants=one)
    (package,) = (Path(device.root) / "site").glob("onnxruntime-*")
    (package / "onnxruntime" / "__init__.py").write_text("raise ImportError('rotten')")
    device.sent.clear()
    change_name(bundle, "another")
    lines: list[str] = []
    found = deploy(bundle, device, variants=one, progress=lines.append)
    assert found.variants == one and len(device.sent) == 1
    assert f"damaged there, and brought again: {package.name}" in lines

    (unread,) = (Path(device.root) / "site").glob("fetaledge_runtimes-*/*.dist-info/METADATA")
    unread.unlink()
    assert deploy(bundle, device, variants=one, again=True).variants == one and len(device.sent) == 2
    assert unread.is_file()
    assert device.works() == list(one)


def test_what_was_damaged_there_is_brought_again(device: Folder, bundle: Path) -> None:
    deploy(bundle, device)
    device.sent.clear()
    model = sha256(bundle / "onnx-fp32.onnx")
    (Path(device.root) / "store" / model).write_bytes(b"rotten")
    found = deploy(bundle, device)
    assert device.sent == [model] and found.tested and device.works() == list(NAMES)


def test_a_failed_self_test_leaves_the_earlier_deployment_in_use(device: Folder, bundle: Path) -> None:
    first = deploy(bundle, device)
    (Path(first.place).parent.parent / "interrupted.partial").mkdir()
    swap_golden(bundle)
    with pytest.raises(GateFailed, match=r"onnx-int8 failed its self-test on ssh://folder: .*Dice 0\.") as failed:
        deploy(bundle, device, variants=["onnx-fp32", "onnx-int8"])
    assert failed.value.exit_code == 1
    assert device.current.resolve() == Path(first.place).parent
    assert device.works() == list(NAMES)
    assert [entry.name for entry in device.current.resolve().parent.iterdir()] == [Path(first.place).parent.name]


def test_where_nothing_passes_there_is_nothing(device: Folder, bundle: Path) -> None:
    swap_golden(bundle)
    with pytest.raises(GateFailed, match="onnx-int8 failed its self-test on"):
        deploy(bundle, device, variants=["onnx-int8"])
    assert not device.current.exists()
    measured = deploy(bundle, device, variants=["onnx-int8"], strict=False)
    assert (measured.variants, measured.place, measured.current) == ((), "", False)
    assert "Dice" in measured.refused["onnx-int8"]


def test_measuring_does_not_change_what_a_device_uses(device: Folder, bundle: Path) -> None:
    first = deploy(bundle, device)
    change_name(bundle, "other")
    measured = deploy(bundle, device, strict=False)
    assert not measured.current and measured.place != first.place
    assert Bundle.open(measured.place).manifest.name == "other"
    assert Bundle.open(device.current / "bundle").manifest.name == "bright"
    assert deploy(bundle, device).place == measured.place  # and now it is used
    assert Bundle.open(device.current / "bundle").manifest.name == "other"


def test_the_current_and_the_previous_deployment_are_kept(device: Folder, bundle: Path) -> None:
    places = []
    for name in ("one", "two", "three"):
        change_name(bundle, name)
        places.append(Path(deploy(bundle, device).place).parent)
    assert sorted(places[0].parent.iterdir()) == sorted(places[1:])
    manifest = Bundle.open(bundle).manifest
    with_changes(manifest, variants=manifest.variants[:1], name="four").write(bundle)
    deploy(bundle, device)
    with_changes(manifest, variants=manifest.variants[:1], name="five").write(bundle)
    deploy(bundle, device)
    stored = {entry.name for entry in (Path(device.root) / "store").iterdir()}
    assert stored == {sha256(bundle / "onnx-fp32.onnx"), sha256(bundle / GOLDEN)}


def test_a_transfer_that_is_cut_leaves_the_earlier_deployment_and_is_gone_on_with(
    device: Folder, bundle: Path, brought: dict[str, str]
) -> None:
    first = deploy(bundle, device)
    swap_golden(bundle)
    brought["onnxruntime"] += "# another wheel, so that there is something more to send\n"

    def cut(root: Path) -> None:
        arrived = sorted((root / "store").iterdir(), key=lambda path: path.stat().st_mtime)[-1]
        arrived.write_bytes(arrived.read_bytes()[:10])
        raise ConnectionLost("cut")

    device.trouble = cut
    with pytest.raises(TargetError, match="cut"):
        deploy(bundle, device)
    assert device.works() == list(NAMES) and device.current.resolve() == Path(first.place).parent
    sent = list(device.sent)
    device.trouble = lambda root: None
    device.sent.clear()
    assert deploy(bundle, device).variants == ("onnx-fp32",)
    assert 0 < len(device.sent) < len(sent)  # what had arrived whole was not sent again


def test_what_arrives_altered_is_sent_once_more(device: Folder, bundle: Path) -> None:
    model = sha256(bundle / "onnx-fp32.onnx")
    times: list[int] = []

    def alter(root: Path) -> None:
        times.append(1)
        if len(times) == 1:
            (root / "store" / model).write_bytes(b"altered")

    device.trouble = alter
    assert deploy(bundle, device).variants == NAMES
    assert device.sent.count(model) == 2


def test_what_always_arrives_altered_is_refused(device: Folder, bundle: Path) -> None:
    model = sha256(bundle / "onnx-fp32.onnx")
    device.trouble = lambda root: (root / "store" / model).write_bytes(b"altered") and None  # type: ignore[func-returns-value]
    with pytest.raises(TargetError, match="onnx-fp32.onnx arrived altered on ssh://folder, twice"):
        deploy(bundle, device)
    assert not device.current.exists()


def test_an_illegal_instruction_is_a_sentence_with_the_known_fault(
    device: Folder, bundle: Path, brought: dict[str, str]
) -> None:
    brought["onnxruntime"] = CRASH
    with pytest.raises(GateFailed, match=r"onnxruntime .* ended with an illegal instruction; it was built for another"):
        deploy(bundle, device)
    device.changes = {"machine": "aarch64", "cpu_parts": ("cortex-a72",)}
    with pytest.raises(GateFailed, match=r"known: onnxruntime 1\.21\.0 ends with an illegal .*23957"):
        deploy(bundle, device, engines=["onnxruntime==1.21.0"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"free_mb": 1}, r"has 1 MB of free space and about \d+ MB are needed"),
        ({"available_mb": 40}, r"it needs about \d+ MB of memory and the device has 40 MB available"),
        ({"machine": "armv7l"}, "32-bit system"),
        ({"machine": "riscv64"}, "riscv64"),
        ({"libc": "musl"}, "musl"),
        ({"python": None}, "no python3"),
    ],
)
def test_a_device_that_cannot_is_refused_before_anything_is_sent(
    device: Folder, bundle: Path, changes: dict[str, Any], sentence: str
) -> None:
    device.changes = changes
    with pytest.raises(TargetError, match=sentence) as refused:
        deploy(bundle, device)
    assert refused.value.exit_code == 4 and device.sent == []


def test_another_fetaledge_on_the_device_is_not_disturbed(device: Folder, bundle: Path, tmp_path: Path) -> None:
    other = Folder(tmp_path / "x")
    other.home = device.home
    remember(KnownTarget(address=device.name))
    with other.session(), pytest.raises(TargetError, match="for another fetaledge"):
        deploy(bundle, device)
    with other.session(), pytest.raises(TargetError, match="for another fetaledge"):
        remove(device)
    assert len(known_targets()) == 1 and deploy(bundle, device).variants == NAMES


def test_removing_deletes_the_folder_and_nothing_else(device: Folder, bundle: Path) -> None:
    (device.home / "mine").write_text("kept")
    deploy(bundle, device)
    assert remove(device) and not Path(device.root).exists() and known_targets() == []
    assert sorted(entry.name for entry in device.home.iterdir()) == ["bin", "mine"]
    assert not remove(device)


def test_a_bundle_or_a_name_that_is_none(device: Folder, bundle: Path) -> None:
    with pytest.raises(UsageError, match="no variant 'onnx-fp99'"):
        deploy(bundle, device, variants=["onnx-fp99"])
    (bundle / "onnx-fp32.onnx").write_bytes(b"")
    with pytest.raises(BundleError):
        deploy(bundle, device)
    assert not Path(device.root).exists()


def test_this_machine_needs_no_copy(bundle: Path) -> None:
    found: Deployment = deploy(bundle, open_target("local"))
    assert found.place == str(bundle) and found.variants == NAMES and not found.native
    assert set(found.versions) == {"onnxruntime"} and found.sent_mb == 0
    assert not remove(open_target("local")) and bundle.is_dir()
