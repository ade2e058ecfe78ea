"""What a release on a device holds of a bundle."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fetaledge_devices.deploy.release import Release
from fetaledge_runtimes.bundle import MANIFEST, Bundle
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.view.check import FILE
from tests.view_checks import check_that_says, with_check


def release_of(bundle: Bundle) -> Release:
    choice: Any = SimpleNamespace(variants=bundle.manifest.variants, wheels=())
    platform: Any = SimpleNamespace(machine="aarch64", cpu_parts=(), python_path=None)
    return Release(bundle, choice, None, platform, {}, {})


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_a_part_of_a_bundle_is_a_bundle(checked: bool, whole: bool, bundle_folder: Path, tmp_path: Path) -> None:
    """The self-test's part keeps the view check that its manifest names."""
    source = Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))
    if checked:
        with_check(source, check_that_says({"not-a-head": 1}))
    release = release_of(Bundle.open(source))
    part = release.for_use(["onnx-fp32"]) if whole else release.for_test("onnx-fp32")
    there = tmp_path / "there"
    there.mkdir()
    contents = {stored.sha256: source / stored.file for stored in Bundle.open(source).files()}
    for name, sha256 in part.links.items():
        shutil.copy(contents[sha256], there / name)
    (there / MANIFEST).write_text(part.texts[MANIFEST], encoding="utf-8")
    bundle = Bundle.open(there)
    assert [variant.name for variant in bundle.manifest.variants] == ["onnx-fp32"]
    assert (bundle.manifest.view, (there / FILE).is_file()) == (FILE if checked else None, checked)
    assert (Predictor(bundle).view is not None) == checked
    assert set(part.links.values()) <= set(release.files(["onnx-fp32"]))
