"""Logits of a native runner become the mask of the whole frame, wherever the scan lies in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fetaledge_benchmarks.mask_agreement import read_mask
from fetaledge_devices.native_runner.exchange import read_logits, write_prepared
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Frame, LabelledFrame
from fetaledge_runtimes.frames.scan import find_scan
from fetaledge_runtimes.predictor import interpret
from fetaledge_runtimes.tasks.head import HEAD


def test_a_screenshots_mask_lies_where_its_scan_does(tmp_path: Path) -> None:
    pixels = np.full((540, 900), 30, np.uint8)
    pixels[150:406, 260:516] = np.random.default_rng(0).integers(10, 40, (256, 256), np.uint8)
    truth = Ellipse(388, 278, 90, 70, 0).rasterise(pixels.shape)
    pixels[truth > 0] = 180
    frame = Frame(pixels, (0.3, 0.3), "screen.png")
    write_prepared([("screen", frame)], (64, 96), tmp_path)
    grey = np.frombuffer((tmp_path / "screen.raw").read_bytes(), np.uint8).reshape(1, 64, 96)
    (tmp_path / "screen.logits").write_bytes((grey.astype("<f4") - 100).tobytes())
    mask = read_mask(tmp_path, LabelledFrame(frame, truth, "screen", "s"), (1, 64, 96))
    assert mask.shape == pixels.shape and (mask != truth).sum() < 0.02 * truth.sum()
    logits = read_logits(tmp_path / "screen.logits", (1, 64, 96))
    np.testing.assert_array_equal(interpret(frame, logits, HEAD, crop=find_scan(pixels)).mask, mask)
