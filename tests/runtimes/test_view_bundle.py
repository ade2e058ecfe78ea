"""A bundle's view check: what it withholds, and what becomes of one that is missing or damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import BundleError
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.selftest import GOLDEN, check_golden, golden_frames, write_golden
from fetaledge_runtimes.view.check import FILE
from tests.view_checks import check_that_says, with_check

MakeFrame = Callable[..., Frame]


def test_a_bundles_check_withholds_a_frame(bundle_copy: Path, bright_frame: MakeFrame, head: Ellipse) -> None:
    plain = Predictor(Bundle.open(bundle_copy))
    assert plain.view is None and plain.view_remark is not None and plain(bright_frame(head)).quality is None
    with_check(bundle_copy, check_that_says({"not-a-head": -0.5}))
    predictor = Predictor(Bundle.open(bundle_copy))
    assert predictor.view_remark is None
    for spacing in ((0.15, 0.15), None):
        prediction = predictor(bright_frame(head, spacing))
        assert prediction.status == "not-a-head" and prediction.quality is not None and prediction.quality < 0.5
    blank = predictor(bright_frame(None))
    assert (blank.status, blank.quality) == ("no-scan", None)
    assert check_golden(Bundle.open(bundle_copy), "onnx-fp32") == []


def test_a_check_that_passes_changes_nothing(bundle_copy: Path, bright_frame: MakeFrame, head: Ellipse) -> None:
    with_check(bundle_copy, check_that_says({"not-a-head": 0.5}))
    predictor = Predictor(Bundle.open(bundle_copy))
    for frame, status in ((bright_frame(head), "ok"), (bright_frame(head, None), "no-spacing")):
        prediction = predictor(frame)
        assert prediction.status == status and prediction.quality is not None and prediction.quality > 0.5


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"view": "eye.npz"}, "unusable value in view: 'eye.npz' is none of the bundle's other files"),
        ({"view": "../view.npz"}, "unusable value in view"),
        ({"view": 5}, "unusable value in view"),
        ({"view": "golden.npz"}, "golden.npz is damaged, or no view check"),
    ],
)
def test_a_manifest_that_names_no_check(bundle_copy: Path, change: dict[str, Any], complaint: str) -> None:
    path = bundle_copy / "manifest.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, **change}), encoding="utf-8")
    with pytest.raises(BundleError, match=complaint):
        Predictor(Bundle.open(bundle_copy))


def test_a_check_that_was_lost_or_altered(bundle_copy: Path) -> None:
    path = with_check(bundle_copy, check_that_says({"not-a-head": 0.5})) / FILE
    content = path.read_bytes()
    for altered, complaint in ((content[:-9], "bytes where the manifest says"), (content[::-1], "SHA-256 differs")):
        path.write_bytes(altered)
        with pytest.raises(BundleError, match=complaint):
            Bundle.open(bundle_copy)
    path.unlink()
    with pytest.raises(BundleError, match=r"view\.npz is missing"):
        Bundle.open(bundle_copy)


def test_a_bundle_without_the_key_is_opened(bundle_copy: Path) -> None:
    path = bundle_copy / "manifest.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["view"]
    path.write_text(json.dumps(document), encoding="utf-8")
    assert Predictor(Bundle.open(bundle_copy)).view is None


def test_a_check_that_judges_otherwise_here_fails_the_self_test(bundle_copy: Path) -> None:
    with_check(bundle_copy, check_that_says({"not-a-head": 0.5}))
    bundle = Bundle.open(bundle_copy)
    frames, predictor = golden_frames(bundle, "onnx-fp32"), Predictor(bundle, "onnx-fp32")
    given = {"onnx-fp32": [predictor(frame) for frame in frames]}
    write_golden(bundle.folder / GOLDEN, predictor.task, frames, given)
    with_check(bundle_copy, check_that_says({"not-a-head": 0.5}))
    assert check_golden(Bundle.open(bundle_copy), "onnx-fp32") == []
    with_check(bundle_copy, check_that_says({"not-a-head": -0.5}))
    differences = check_golden(Bundle.open(bundle_copy), "onnx-fp32")
    assert differences and all("quality 0.12 where the golden value is 0.88" in said for said in differences)
