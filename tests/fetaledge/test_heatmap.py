"""The class-frequency maps, as numbers and as a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from fetaledge.cli.app import app
from fetaledge.data.heatmap import class_frequencies
from fetaledge.data.layouts.open import open_dataset
from fetaledge_runtimes.errors import OutputError


def write(folder: Path, stem: str, mask: np.ndarray) -> None:
    for part, values in (("images", mask * 50), ("masks", mask)):
        (folder / part).mkdir(exist_ok=True)
        cv2.imwrite(str(folder / part / f"{stem}.png"), values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two frames of different sizes: a head to the right in both, a symphysis to the upper left in one."""
    large, small = np.zeros((256, 512), np.uint8), np.zeros((128, 256), np.uint8)
    large[:, 256:] = small[:, 192:] = 2
    large[:128, :128] = 1
    write(tmp_path, "a", large)
    write(tmp_path, "b", small)
    return tmp_path


def test_shares(folder: Path) -> None:
    found = class_frequencies(open_dataset(folder))
    assert found.frames == 2 and found.present == {"pubic-symphysis": 1, "head": 2} and found.aspect == 0.5
    head, symphysis = np.zeros((256, 256)), np.zeros((256, 256))
    head[:, 128:192], head[:, 192:], symphysis[:128, :64] = 0.5, 1, 0.5
    np.testing.assert_allclose(found.maps["pubic-symphysis"], symphysis, atol=1e-6)
    np.testing.assert_allclose(found.maps["head"], head, atol=1e-6)


@pytest.mark.integration
def test_the_picture(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "heat.map"  # a PNG, whatever its name
    named = tmp_path / "scans $a_$"  # no formula: the name is the picture's title
    named.mkdir()
    for part in ("images", "masks"):
        (folder / part).rename(named / part)
    command = ["data", "heatmap", str(named), "--out", str(out)]
    assert CliRunner().invoke(app, command).exit_code == 0
    picture = cv2.imread(str(out))
    assert picture is not None and picture.shape[1] > 2 * picture.shape[0] and picture.std() > 50
    assert isinstance(CliRunner().invoke(app, command).exception, OutputError)
    assert CliRunner().invoke(app, [*command, "--force"]).exit_code == 0


def test_heads(phantoms: Path) -> None:
    found = class_frequencies(open_dataset(phantoms).only(["000_HC", "001_HC"]))
    assert list(found.maps) == ["head"] and found.frames == found.present["head"] == 2 and found.synthetic
    assert set(np.unique(found.maps["head"].round(3))) >= {0, 0.5, 1}
