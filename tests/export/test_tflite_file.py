from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fetaledge_export.formats import tflite_file
from fetaledge_runtimes.engines.registry import open_engine


@pytest.mark.integration
def test_dead_channels_keep_their_constant_in_int8(tmp_path: Path) -> None:
    import torch

    from fetaledge_export.device_model import DeviceModel
    from fetaledge_export.formats.to_tflite import TFLITE
    from tests.export.networks import DeadChannels

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


@pytest.mark.integration
def test_a_graph_with_transposes_is_refused(tmp_path: Path) -> None:
    from fetaledge_export.device_model import DeviceModel
    from fetaledge_export.formats.format import ConversionError
    from fetaledge_export.formats.to_tflite import TFLITE
    from tests.export.networks import Transposed

    with pytest.raises(ConversionError, match="TRANSPOSE"):
        TFLITE.convert(DeviceModel(Transposed(), 1.0, 0.0), (16, 16), tmp_path, transformer=False)
    assert list(tmp_path.iterdir()) == []
