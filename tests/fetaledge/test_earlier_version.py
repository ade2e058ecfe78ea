"""What version 0.1 wrote is opened, verified, exported, evaluated and predicted with, and gives what it gave then."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command import Command
from tests.made import Made

pytestmark = pytest.mark.integration
EARLIER = Path(__file__).resolve().parents[1] / "records" / "v0.1"
CHANGING = {"latency_ms", "engine_version", "seconds", "engine"}  # another machine's time, another release's name
RENAMED = {"aop_status": "status", "aop_true_status": "true_status"}


def earlier(name: str) -> Any:
    return json.loads((EARLIER / name).read_text(encoding="utf-8"))


def missing(old: Any, new: Any, place: str = "", values: bool = True) -> list[str]:
    """What the earlier document holds and the new one lacks, or gives another value; new keys are welcome.

    A key that held null, as the measures of the other task did, may be gone.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        names = {key: key if key in new or old[key] is None else RENAMED.get(key, key) for key in old}
        lost = [f"{place}.{key} is gone" for key in old if names[key] not in new and old[key] is not None]
        kept = [key for key in old if names[key] in new and key not in CHANGING]
        return lost + [found for key in kept for found in missing(old[key], new[names[key]], f"{place}.{key}", values)]
    if isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            return [f"{place} holds {len(new)} instead of {len(old)}"] if values else []
        pairs = enumerate(zip(old, new, strict=True))
        return [found for n, (was, now) in pairs for found in missing(was, now, f"{place}[{n}]", values)]
    if not values:
        return []
    if isinstance(old, float) and isinstance(new, (int, float)):
        return [] if math.isclose(old, new, rel_tol=1e-3, abs_tol=1e-3) else [f"{place}: {new} instead of {old}"]
    return [] if old == new else [f"{place}: {new!r} instead of {old!r}"]


@pytest.fixture(scope="session")
def frames(made: Made) -> Path:
    """The phantoms that the U-Net was trained on: ``fetaledge data phantom heads --task head --count 24 --seed 3``."""
    from fetaledge.phantoms.head import write_head_phantoms

    return made("heads", lambda folder: write_head_phantoms(folder, 24, seed=3))


@pytest.fixture(scope="session")
def sam_frames(made: Made) -> Path:
    """``fetaledge data phantom psfh --task ps-fh --count 20 --seed 3``."""
    from fetaledge.phantoms.ps_fh import write_psfh_phantoms

    return made("psfh", lambda folder: write_psfh_phantoms(folder, 20, seed=3))


@pytest.fixture
def sam_run(tmp_path: Path) -> Path:
    """The earlier run, with adapters of the stored names and shapes and made-up values; theirs would be 32 MB."""
    from safetensors.numpy import save_file

    folder = tmp_path / "sam-run"
    shutil.copytree(EARLIER / "sam-run", folder)
    shapes = json.loads((folder / "tensors.json").read_text(encoding="utf-8"))
    (folder / "tensors.json").unlink()
    for fold in (1, 2):
        rng = np.random.default_rng(fold)
        tensors = {name: rng.normal(0, 0.02, shape).astype(np.float32) for name, shape in shapes.items()}
        save_file(tensors, folder / f"fold-{fold}/adapter_model.safetensors")
    return folder


def document(command: Command, *arguments: object) -> Any:
    done = command(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_data_is_checked_as_then(frames: Path, fetaledge: Command) -> None:
    assert missing(earlier("check.json"), document(fetaledge, "data", "check", frames)) == []


def test_the_bundle_verifies(fetaledge: Command) -> None:
    assert missing(earlier("verify.json"), document(fetaledge, "verify", EARLIER / "unet-bundle")) == []


def test_the_bundle_is_inspected(fetaledge: Command) -> None:
    assert missing(earlier("inspect.json"), document(fetaledge, "inspect", EARLIER / "unet-bundle")) == []


def test_the_bundle_is_evaluated(frames: Path, fetaledge: Command) -> None:
    words = ("evaluate", EARLIER / "unet-bundle", "--data", frames, "--variant", "onnx-int8")
    assert missing(earlier("evaluation-bundle.json"), document(fetaledge, *words)) == []


def test_the_bundle_predicts(frames: Path, tmp_path: Path, fetaledge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few").mkdir()
    for name in ("002_HC.png", "003_HC.png"):
        shutil.copy(frames / "training_set" / name, tmp_path / "few")
    words = ("predict", EARLIER / "unet-bundle", "few", "--out", "out", "--pixel-mm", 0.2)
    assert missing(earlier("prediction.json"), document(fetaledge, *words)) == []


def test_the_run_is_evaluated(frames: Path, fetaledge: Command) -> None:
    words = ("evaluate", EARLIER / "unet-run", "--data", frames)
    assert missing(earlier("evaluation.json"), document(fetaledge, *words)) == []


def test_the_run_is_exported(frames: Path, tmp_path: Path, fetaledge: Command) -> None:
    words = ("export", EARLIER / "unet-run", "--data", frames, "--format", "onnx", "--out", tmp_path / "bundle")
    done = fetaledge(*words)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "bundle/manifest.json").read_text(encoding="utf-8"))
    old = earlier("unet-bundle/manifest.json")
    assert [variant["name"] for variant in manifest["variants"]] == ["onnx-fp32"]
    # the same weights, split and calibration frames
    assert missing(old["source"], manifest["source"]) == [] and manifest["task"] == "head"


def test_the_sam_run_is_evaluated(sam_run: Path, sam_frames: Path, fetaledge: Command) -> None:
    words = ("evaluate", sam_run, "--data", sam_frames, "--split", "all", "--challenge")
    old = earlier("challenge.json")
    del old["statuses"]  # keyed by what was found
    assert missing(old, document(fetaledge, *words), values=False) == []


def test_what_is_compared_is_compared() -> None:
    old = {"a": 1.0, "b": [{"c": "x"}], "latency_ms": 3}
    assert missing(old, {"a": 1.0000001, "b": [{"c": "x", "new": 1}], "latency_ms": 9}) == []
    assert missing(old, {"a": 1.1, "b": [{"d": "x"}], "latency_ms": 9}) == [
        ".a: 1.1 instead of 1.0", ".b[0].c is gone"
    ]  # fmt: skip
