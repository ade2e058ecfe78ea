"""Deploying to Debian 13, with Python 3.13: other wheels than Debian 12's, of the same versions."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from fetaledge_devices.deploy import deploy, remove
from fetaledge_devices.targets.ssh import SshTarget
from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.predictor import Predictor
from tests.devices.test_deploy_stand_ins import opened
from tests.export.conftest import Export, calibration, export, golden, network, validation  # noqa: F401
from tests.stand_ins.pi import Pi

pytestmark = pytest.mark.integration
VARIANTS = ("tflite-int8", "onnx-fp32")


@pytest.fixture(scope="module")
def small(export: Export, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """Really quantised, and trained to find ellipses."""
    folder = tmp_path_factory.mktemp("bundles") / "small"
    export(folder, formats=("onnx", "tflite"), precisions=("fp32", "int8"))
    return folder


def test_a_pi_5_with_debian_13(pi5_trixie: Pi, small: Path, golden: list[Frame], tmp_path: Path) -> None:  # noqa: F811
    with opened(pi5_trixie.address) as target:
        assert isinstance(target, SshTarget)
        platform = target.facts().platform
        assert (platform.python, platform.libc) == ((3, 13), "glibc 2.41")
        found = deploy(small, target, variants=VARIANTS)
        assert set(found.variants) == set(VARIANTS) and found.refused == {} and found.tested
        assert set(found.versions) == {"ai-edge-litert", "onnxruntime"}

        assert cv2.imwrite(str(tmp_path / "frame.png"), golden[0].pixels)
        frame = f"{target.send(tmp_path)}/frame.png"
        words = [
            *found.worker,
            "predict",
            found.place,
            frame,
            "--variant",
            "tflite-int8",
            "--pixel-mm",
            "0.8",
            "--json",
        ]
        done = target.run(words, 300)
        assert done.returncode == 0, done.stderr
        (there,) = json.loads(done.stdout)["frames"]
        here = Predictor(Bundle.open(small), "tflite-int8")(golden[0])
        assert there["hc_mm"] == pytest.approx(here.measures["hc_mm"], abs=0.5)
        assert remove(target) and list(pi5_trixie.home.iterdir()) == []
