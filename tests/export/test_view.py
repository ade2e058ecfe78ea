"""A run's view check goes into its bundle, and the model card says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.errors import BundleError
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.selftest import check_golden
from fetaledge_runtimes.view.check import FILE
from tests.view_checks import check_that_says

ONE = {"formats": ["onnx"], "precisions": ("fp32",)}


def test_a_bundle_holds_the_runs_check(export, golden, tmp_path: Path) -> None:
    check_that_says({"not-a-head": -1, "unsure": 1}).write(tmp_path / "run.npz")
    folder = export(tmp_path / "bundle", view=tmp_path / "run.npz", **ONE).result.folder
    bundle = Bundle.open(folder)
    assert bundle.manifest.view == FILE and FILE in {stored.file for stored in bundle.manifest.others}
    predictor = Predictor(bundle)
    assert predictor.view is not None and predictor.view.statuses == ("not-a-head", "unsure")
    assert {predictor(frame).status for frame in golden} == {"not-a-head"}
    assert check_golden(bundle, "onnx-fp32") == []  # masks and measures are the same
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert "A view check (`view.npz`)" in card and "the status `not-a-head` or `unsure`." in card


def test_a_bundle_without_a_check_says_so(export, tmp_path: Path) -> None:
    folder = export(tmp_path / "bundle", **ONE).result.folder
    assert Bundle.open(folder).manifest.view is None and not (folder / FILE).exists()
    assert "- The bundle holds no view check: it measures whatever" in (folder / "card.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [None, b"", b"hello"])
def test_a_check_that_cannot_be_used_stops_the_export_at_once(content: bytes | None, export, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "run.npz").write_bytes(content)
    with pytest.raises(BundleError, match=r"run\.npz is (missing|damaged, or no view check); copy the file again"):
        export(tmp_path / "bundle", view=tmp_path / "run.npz", progress=pytest.fail, **ONE)
    assert not (tmp_path / "bundle").exists()
