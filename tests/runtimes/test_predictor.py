"""The whole way from a frame to measures, in every engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.engines.registry import open_engine
from fetaledge_runtimes.errors import BundleError, UsageError
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.postprocess import largest_components
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.scores.metrics import overlap
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.ps_fh import PS_FH, Progression, measure_progression

VARIANTS = ["onnx-fp32", "openvino-fp32", "tflite-fp32"]
VALUES = ("hc_mm", "bpd_mm", "ofd_mm", "ga_weeks_hadlock", "ga_weeks_intergrowth")
MakeFrame = Callable[..., Frame]


@pytest.mark.parametrize("variant", VARIANTS)
def test_measures_a_known_head(variant: str, bundle_folder: Path, bright_frame: MakeFrame, head: Ellipse) -> None:
    """The network's grid is 8.4 times coarser than the frame, and of another aspect; the head is found nevertheless."""
    frame = bright_frame(head, (0.15, 0.15))
    prediction = Predictor(Bundle.open(bundle_folder), variant)(frame)
    assert prediction.frame is frame
    assert prediction.status == "ok"
    assert prediction.mask.shape == (540, 800) and prediction.mask.dtype == np.uint8
    assert set(np.unique(prediction.mask)) == {0, 1}
    assert overlap(prediction.mask, head.rasterise((540, 800))).dice > 0.995
    ellipse = prediction.measured.construction
    assert isinstance(ellipse, Ellipse)
    assert ellipse.x == pytest.approx(head.x, abs=0.5)
    assert prediction.measures["hc_mm"] == pytest.approx(head.circumference * 0.15, rel=0.005)


def test_engines_agree(bundle_folder: Path, bright_frame: MakeFrame, head: Ellipse) -> None:
    bundle = Bundle.open(bundle_folder)
    masks = [Predictor(bundle, variant)(bright_frame(head)).mask for variant in VARIANTS]
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])


@pytest.mark.parametrize(
    "shape",
    [
        (540, 800),
        (64, 96),
        (48, 60),
        (700, 600),
        (901, 333),
    ],
)
def test_unequal_spacing_and_any_frame_size(
    shape: tuple[int, int], bundle_folder: Path, bright_frame: MakeFrame
) -> None:
    """The same head in mm on grids of any shape: what is measured is the head, not the grid."""
    pixel_mm = (90 / shape[0], 120 / shape[1])
    in_mm = Ellipse(60, 45, 40, 30, 25)
    frame = bright_frame(in_mm.scaled(1 / pixel_mm[1], 1 / pixel_mm[0]), pixel_mm, shape)
    prediction = Predictor(Bundle.open(bundle_folder))(frame)
    assert prediction.status == "ok"
    assert prediction.measures["hc_mm"] == pytest.approx(in_mm.circumference, rel=0.01)
    assert prediction.measures["bpd_mm"] == pytest.approx(60, rel=0.015)
    assert prediction.measures["ofd_mm"] == pytest.approx(80, rel=0.015)


def test_each_status_and_what_stands_with_it(bundle_folder: Path, bright_frame: MakeFrame, head: Ellipse) -> None:
    predictor = Predictor(Bundle.open(bundle_folder))
    blank = predictor(bright_frame(None))
    assert (blank.status, blank.measured.construction, blank.crop) == ("no-scan", None, None)
    empty = predictor(replace(bright_frame(None), pixels=np.tile(np.arange(80, dtype=np.uint8), (540, 10))))
    assert (empty.status, empty.measured.construction, int(empty.mask.sum())) == ("no-head", None, 0)
    assert set(empty.measures) == set(VALUES) and set(empty.measures.values()) == {None}
    unknown = predictor(bright_frame(head, None))
    assert unknown.status == "no-spacing" and unknown.measured.construction is not None
    assert set(unknown.measures) == set(VALUES) and set(unknown.measures.values()) == {None}
    cut = predictor(bright_frame(Ellipse(100, 270, 250, 190, 0)))
    assert cut.status == "head-touches-border" and cut.measures["hc_mm"] is not None
    tiny = predictor(bright_frame(head, (0.01, 0.01)))
    assert tiny.status == "implausible-size" and tiny.measures["hc_mm"] is not None
    thin = predictor(bright_frame(Ellipse(400, 270, 300, 90, 20)))
    assert thin.status == "not-elliptic"


def test_latency_adds_up(bundle_folder: Path, bright_frame: MakeFrame, head: Ellipse) -> None:
    latency = Predictor(Bundle.open(bundle_folder))(bright_frame(head)).latency_ms
    assert set(latency) == {"preprocess", "kernel", "postprocess", "end_to_end"}
    assert all(value > 0 for value in latency.values())
    parts = latency["preprocess"] + latency["kernel"] + latency["postprocess"]
    assert latency["end_to_end"] == pytest.approx(parts, abs=1e-6)


def test_takes_the_first_variant_and_says_which(bundle_folder: Path) -> None:
    predictor = Predictor(Bundle.open(bundle_folder))
    assert predictor.variant_name == "onnx-fp32"
    assert (predictor.size, predictor.task, predictor.engine.name) == ((64, 96), HEAD, "ONNX Runtime")


def test_an_engine_without_a_bundle(
    bright_net: Any, bright_frame: MakeFrame, head: Ellipse, bundle_folder: Path
) -> None:
    alone = Predictor.from_engine(open_engine("tflite", bright_net.paths["tflite"], 1), (64, 96), HEAD)
    assert alone.variant_name == "LiteRT"
    frame = bright_frame(head)
    np.testing.assert_array_equal(alone(frame).mask, Predictor(Bundle.open(bundle_folder), "tflite-fp32")(frame).mask)
    assert alone.logits(frame).shape == (1, 64, 96)


def test_opencv_obeys_the_thread_count(bundle_folder: Path) -> None:
    before = cv2.getNumThreads()
    try:
        for threads in (2, 1):
            Predictor(Bundle.open(bundle_folder), threads=threads)
            assert cv2.getNumThreads() == threads
    finally:
        cv2.setNumThreads(before)


def test_refuses_no_threads_and_unknown_variants(bundle_folder: Path) -> None:
    bundle = Bundle.open(bundle_folder)
    with pytest.raises(UsageError, match="0 threads"):
        Predictor(bundle, threads=0)
    with pytest.raises(UsageError, match="no variant 'onnx-int4'"):
        Predictor(bundle, "onnx-int4")


def test_refuses_a_task_it_does_not_know(bundle_copy: Path) -> None:
    path = bundle_copy / "manifest.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, "task": "placenta"}), encoding="utf-8")
    with pytest.raises(BundleError, match="'placenta'"):
        Predictor(Bundle.open(bundle_copy))


def test_measures_a_known_angle(psfh_bundle: Path, psfh_frame: MakeFrame) -> None:
    predictor = Predictor(Bundle.open(psfh_bundle))
    frame = psfh_frame(Ellipse(70, 60, 30, 11, 0))
    prediction = predictor(frame)
    assert predictor.task is PS_FH and prediction.status == "ok"
    assert isinstance(prediction.measured.construction, Progression) and "hc_mm" not in prediction.measures
    assert set(np.unique(prediction.mask)) == {0, 1, 2}
    truth = measure_progression((frame.pixels > 80).astype(np.uint8) * 2 - (frame.pixels > 175), (0.5, 0.5))
    assert prediction.measures["aop_deg"] == pytest.approx(truth.aop_deg, abs=1)
    assert prediction.measures["hsd_mm"] == pytest.approx(truth.hsd_mm, abs=0.5)
    alone = predictor(psfh_frame(None))
    assert alone.status == "missing-ps" and alone.measures["aop_deg"] is None


def test_the_nearest_neighbour_at_the_networks_grid(psfh_bundle: Path, psfh_frame: MakeFrame) -> None:
    """The published way decides on 192 pixels and repeats the labels; the project's own keeps the border finer."""
    bundle, frame = Bundle.open(psfh_bundle), psfh_frame(Ellipse(70, 60, 30, 11, 0))
    engine = open_engine("onnx", bundle.model_path(bundle.variant()), 1)
    coarse = Predictor.from_engine(engine, (192, 192), PS_FH, nearest=True)
    logits = coarse.logits(frame)
    decided = largest_components(np.argmax(logits, axis=0).astype(np.uint8), 3)
    rows = np.minimum((np.arange(256) + 0.5) * 0.75, 191).astype(int)
    np.testing.assert_array_equal(coarse(frame).mask, decided[np.ix_(rows, rows)])
    fine = Predictor.from_engine(engine, (192, 192), PS_FH)(frame).mask
    truth = frame.pixels > 80
    assert overlap((fine > 0).astype(np.uint8), truth).dice > overlap((coarse(frame).mask > 0), truth).dice
