from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fetaledge_export.device_model import DeviceModel
from fetaledge_export.formats import tflite_file
from fetaledge_export.formats.format import ConversionError
from fetaledge_export.formats.to_tflite import TFLITE
from fetaledge_runtimes.engines.registry import open_engine


class DeadChannels(nn.Module):
    """Half of the first convolution's channels are constants, as in ImageNet's MobileNetV2."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)
        with torch.no_grad():
            self.first.weight[4:] *= 1e-13
            self.first.bias[4:] = 0.7
            self.second.weight[:, 4:] = self.second.weight[:, 4:].abs()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.second(torch.relu(self.first(x)))
        return result


def test_dead_channels_keep_their_constant_in_int8(tmp_path: Path) -> None:
    model = DeviceModel(DeadChannels(), 1 / 127.5, -1.0)
    frames = [np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8) for seed in range(8)]
    base = TFLITE.convert(model, (32, 32), tmp_path, transformer=False)
    assert tflite_file.lift_dead_channels(tflite_file.read(base)) == 4
    (path,) = TFLITE.write(base, tmp_path / "int8.tflite", "int8", frames, {}, transformer=False)
    with torch.no_grad():
        expected = model(torch.from_numpy(frames[0])[None, None])[0].numpy()
    given = open_engine("tflite", path, 1)(frames[0])
    assert np.abs(given - expected).max() < 0.05 * np.ptp(expected)


def test_metadata_is_added_and_found_again(exported, tmp_path: Path) -> None:
    model = tflite_file.read(exported.result.folder / "tflite-fp32.tflite")
    before = tflite_file.operations(model)
    tflite_file.set_metadata(model, "note", b"\x00any bytes\xff")
    tflite_file.write(model, tmp_path / "noted.tflite")
    again = tflite_file.read(tmp_path / "noted.tflite")
    assert tflite_file.get_metadata(again, "note") == b"\x00any bytes\xff"
    assert tflite_file.get_metadata(again, "other") is None
    assert tflite_file.operations(again) == before
    open_engine("tflite", tmp_path / "noted.tflite", 1)


class Transposed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.first(x).transpose(2, 3)[:, :1]


def test_a_graph_with_transposes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="TRANSPOSE"):
        TFLITE.convert(DeviceModel(Transposed(), 1.0, 0.0), (16, 16), tmp_path, transformer=False)
    assert list(tmp_path.iterdir()) == []
