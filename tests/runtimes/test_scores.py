"""Case scores, the evaluation record and the paired comparison."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Frame, LabelledFrame
from fetaledge_runtimes.scores.case import CaseScore, score_case
from fetaledge_runtimes.scores.change import paired_change
from fetaledge_runtimes.scores.metrics import overlap, surface_distances
from fetaledge_runtimes.scores.record import dice_pooled, evaluation_record
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.ps_fh import PS_FH, measure_progression

SHAPE = (120, 160)
TRUTH = Ellipse(80, 60, 45, 34, 20)
SPACING = (1.5, 1.0)


def case(
    name: str = "010_HC",
    truth: Ellipse | None = TRUTH,
    pixel_mm: tuple[float, float] | None = SPACING,
    hc_mm: float | None = None,
    subject: str = "010",
) -> LabelledFrame:
    mask = np.zeros(SHAPE, np.uint8) if truth is None else truth.rasterise(SHAPE)
    stated = {} if hc_mm is None else {"hc_mm": hc_mm}
    return LabelledFrame(Frame(mask * 100, pixel_mm, f"{name}.png"), mask, name, subject, stated=stated)


def score(name: str, subject: str, predicted: Ellipse | None = TRUTH, hc_mm: float | None = None) -> CaseScore:
    mask = np.zeros(SHAPE, np.uint8) if predicted is None else predicted.rasterise(SHAPE)
    return score_case(case(name, subject=subject, hc_mm=hc_mm), mask, HEAD)


def record(scores: list[CaseScore], synthetic: bool = False) -> dict:  # type: ignore[type-arg]
    return evaluation_record(scores, task=HEAD, variant="v", engine="e", data="d", synthetic=synthetic)


def test_a_perfect_mask() -> None:
    given = score("a", "s")
    assert (given.dice, given.iou, given.pixel_accuracy, given.hd95_px, given.hd95_mm, given.assd_mm) == (
        1,
        1,
        1,
        0,
        0,
        0,
    )
    assert given.status == "ok" and not given.failed
    assert given.measures["hc_mm"].error == 0
    assert given.measures["hc_mm"].value == pytest.approx(TRUTH.scaled(1.0, 1.5).circumference, rel=0.002)


def test_the_tables_circumference_goes_before_the_masks() -> None:
    given = score("a", "s", hc_mm=300.0).measures["hc_mm"]
    assert given.true == 300.0
    assert given.error is not None and given.value is not None
    assert given.error == pytest.approx(given.value - 300)


def test_a_shift_of_four_pixels_in_both_units() -> None:
    given = score("a", "s", Ellipse(84, 60, 45, 34, 20))
    assert given.hd95_px == pytest.approx(4, abs=0.3)
    assert given.hd95_mm == pytest.approx(4, abs=0.3)  # along the columns, 1.0 mm each
    down = score("a", "s", Ellipse(80, 64, 45, 34, 20))
    assert down.hd95_mm == pytest.approx(6, abs=0.6)  # along the rows, 1.5 mm each


@pytest.mark.parametrize("spacing", [(0.3, 0.3), (0.3, 0.2)])
def test_distances_in_mm_are_those_of_the_spacing(spacing: tuple[float, float]) -> None:
    mask = Ellipse(84, 57, 40, 36, 50).rasterise(SHAPE)
    given = score_case(case(pixel_mm=spacing), mask, HEAD)
    distances = surface_distances(mask, TRUTH.rasterise(SHAPE), spacing)
    assert given.hd95_mm == pytest.approx(distances.hd95, rel=1e-12)
    assert given.assd_mm == pytest.approx(distances.assd, rel=1e-12)


def test_without_spacing_there_are_no_millimetres() -> None:
    given = score_case(case(pixel_mm=None), TRUTH.rasterise(SHAPE), HEAD)
    assert given.status == "no-spacing"
    hc = given.measures["hc_mm"]
    assert (given.hd95_mm, given.assd_mm, hc.value, hc.true, hc.error) == (None,) * 5


def test_what_counts_as_a_failure() -> None:
    empty = np.zeros(SHAPE, np.uint8)
    assert score("a", "s", None).failed
    assert score_case(case(truth=None), TRUTH.rasterise(SHAPE), HEAD).failed
    assert score("a", "s", Ellipse(120, 90, 25, 20, 0)).failed
    nothing = score_case(case(truth=None), empty, HEAD)
    assert not nothing.failed and nothing.dice == 1 and nothing.measures["hc_mm"].true is None


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="the mask of 010_HC has 60x80 pixels where its frame has 120x160"):
        score_case(case(), np.zeros((60, 80), np.uint8), HEAD)


def test_hc_does_not_wait_for_a_good_status() -> None:
    given = score("a", "s", Ellipse(80, 60, 45, 10, 0))
    assert given.status == "not-elliptic" and given.measures["hc_mm"].value is not None


def test_record_by_hand() -> None:
    scores = [
        score("a", "1"),
        score("b", "1", Ellipse(84, 60, 45, 34, 20)),
        score("c", "2", None),
    ]
    document = record(scores)
    dice = [s.dice for s in scores]
    assert document["schema"] == "fetaledge/evaluation/1"
    assert (document["cases"], document["subjects"], document["failures"], document["failed"]) == (3, 2, 1, ["c"])
    assert document["dice"]["n"] == 3
    assert document["dice"]["mean"] == pytest.approx(np.mean(dice))
    assert document["dice"]["median"] == pytest.approx(np.median(dice))
    assert document["dice"]["min"] == 0
    assert document["hc_mm"]["n"] == 2
    errors = [s.measures["hc_mm"].error for s in scores if s.measures["hc_mm"].error is not None]
    assert document["hc_mm"]["mae"] == pytest.approx(np.mean(np.abs(errors)))
    assert document["hc_mm"]["bias"] == pytest.approx(np.mean(errors))
    assert document["statuses"] == {"no-head": 1, "ok": 2}
    assert [entry["name"] for entry in document["per_case"]] == ["a", "b", "c"]
    assert document["per_case"][2]["hc_mm"] is None
    assert "note" not in document


def test_record_is_json_without_nan() -> None:
    scores = [score_case(case(name, pixel_mm=None, subject=name), TRUTH.rasterise(SHAPE), HEAD) for name in "ab"]
    document = record(scores, synthetic=True)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    nothing = {"n": 0, "mae": None, "bias": None, "p95": None, "max": None, "ci95": None, "missed": 0, "unfounded": 0}
    assert document["hc_mm"] == nothing
    assert document["hd95_mm"]["n"] == 0 and document["hd95_px"]["n"] == 2
    assert "nothing about clinical accuracy" in document["note"]


def test_no_scores_are_refused() -> None:
    with pytest.raises(InputError, match="d gave no case"):
        record([])


def test_pooled_dice_by_hand() -> None:
    """Ten cases together, then the rest; a large head weighs more than a small one within its batch."""
    small, large = Ellipse(80, 60, 20, 15, 0), TRUTH
    pairs = [(large, large)] * 9 + [(small, None)] + [(small, small), (large, None)]
    scores = []
    for number, (true, predicted) in enumerate(pairs):
        mask = np.zeros(SHAPE, np.uint8) if predicted is None else predicted.rasterise(SHAPE)
        scores.append(score_case(case(str(number), true), mask, HEAD))
    area_small, area_large = int(small.rasterise(SHAPE).sum()), int(large.rasterise(SHAPE).sum())
    first = 18 * area_large / (18 * area_large + area_small)
    second = 2 * area_small / (2 * area_small + area_large)
    assert dice_pooled(scores) == pytest.approx((first + second) / 2, rel=1e-12)
    assert record(scores)["dice_pooled10_batches"] == 2


def with_dice(name: str, subject: str, dice: float) -> CaseScore:
    return replace(score(name, subject), dice=dice)


def test_interval_resamples_subjects() -> None:
    """Many frames of few subjects: the interval is as wide as the subjects allow, not as narrow as the frames would."""
    few = [with_dice(f"{s}-{i}", str(s), 0.8 + 0.05 * s) for s in range(4) for i in range(25)]
    many = [with_dice(f"{s}-{i}", f"{s}-{i}", 0.8 + 0.05 * s) for s in range(4) for i in range(25)]
    low, high = record(few)["dice"]["ci95"]
    narrow_low, narrow_high = record(many)["dice"]["ci95"]
    assert low < narrow_low < 0.875 < narrow_high < high
    assert high - low > 3 * (narrow_high - narrow_low)
    assert record(few)["dice"]["ci95"] == [low, high]
    standard_error = np.std([0.8, 0.85, 0.9, 0.95]) / np.sqrt(4)
    assert high - low == pytest.approx(2 * 1.96 * standard_error, rel=0.15)


def test_one_subject_has_no_interval() -> None:
    assert record([with_dice("a", "1", 0.9), with_dice("b", "1", 0.8)])["dice"]["ci95"] is None


def with_values(score: CaseScore, **values: float | None) -> CaseScore:
    """A score whose measures have other values."""
    measures = {key: replace(score.measures[key], value=value) for key, value in values.items()}
    return replace(score, measures={**score.measures, **measures})


def changed(name: str, hc_mm: float | None, dice: float = 0.97, failed: bool = False) -> CaseScore:
    return with_values(replace(score(name, name), dice=dice, failed=failed), hc_mm=hc_mm)


def test_paired_change_by_hand() -> None:
    reference = [changed("a", 200.0), changed("b", 210.0), changed("c", 220.0), changed("d", None, 0.0, True)]
    variant = [
        changed("d", 10.0, 0.0, True),
        changed("b", 209.0, 0.96),
        changed("a", 200.5),
        changed("c", None, 0.1, True),
    ]
    change = paired_change(reference, variant)
    hc = change.measures["hc_mm"]
    assert change.n == 4 and hc.n == 2
    assert change.dice_drop == pytest.approx((0.97 * 3 - 0.97 - 0.96 - 0.1) / 4)
    assert hc.bias == pytest.approx(-0.25)
    assert hc.abs_mean == pytest.approx(0.75)
    assert hc.p95 == pytest.approx(0.975)
    assert hc.max == pytest.approx(1.0)
    assert change.new_failures == ("c",)


def test_paired_change_without_any_circumference() -> None:
    hc = paired_change([changed("a", None)], [changed("a", None)]).measures["hc_mm"]
    assert hc.n == 0
    assert (hc.bias, hc.abs_mean, hc.p95, hc.max) == (None,) * 4


@pytest.mark.parametrize("names", [("a",), ("a", "c"), ("a", "b", "b"), ("a", "b", "c"), ()])
def test_paired_change_wants_the_same_cases(names: tuple[str, ...]) -> None:
    reference = [changed("a", 1.0), changed("b", 1.0)]
    with pytest.raises(ValueError, match="same cases"):
        paired_change(reference, [changed(name, 1.0) for name in names])


PS = Ellipse(70, 60, 30, 11, 0)
FH = Ellipse(125, 150, 66, 54, 25)


def labels(symphysis: Ellipse | None = PS, head: Ellipse | None = FH) -> np.ndarray:
    mask = np.zeros((256, 256), np.uint8)
    for label, ellipse in ((2, head), (1, symphysis)):
        if ellipse is not None:
            mask[ellipse.rasterise(mask.shape) > 0] = label
    return mask


def psfh(name: str, mask: np.ndarray, truth: np.ndarray | None = None, aop_deg: float | None = None) -> CaseScore:
    true = labels() if truth is None else truth
    frame = Frame(true * 100, (0.5, 0.5), f"{name}.png")
    stated = {} if aop_deg is None else {"aop_deg": aop_deg}
    return score_case(LabelledFrame(frame, true, name, name, stated=stated), mask, PS_FH)


def test_two_structures_and_their_means() -> None:
    moved = labels(replace(PS, x=74), FH)
    given = psfh("a", moved)
    ps, fh = given.structures["ps"], given.structures["fh"]
    by_hand = overlap((moved == 1).astype(np.uint8), (labels() == 1).astype(np.uint8))
    assert (ps.dice, ps.iou) == (by_hand.dice, by_hand.iou) and ps.dice < 0.95
    assert (fh.dice, fh.iou, fh.hd95_px, fh.assd_px) == (1, 1, 0, 0)
    assert ps.hd95_px == pytest.approx(4, abs=1) and 0 < ps.assd_px < 4
    assert given.dice == pytest.approx((ps.dice + 1) / 2) and given.hd95_px == pytest.approx(ps.hd95_px / 2)
    assert given.iou == pytest.approx((ps.iou + 1) / 2)
    assert given.hd95_mm == pytest.approx(given.hd95_px / 2) and given.assd_mm == pytest.approx(ps.assd_px / 4)
    assert list(given.measures) == ["aop_deg"] and not given.failed
    assert given.counts.true == (labels() > 0).sum()
    assert given.status == given.true_status == "ok"
    assert given.measures["aop_deg"].error == pytest.approx(
        measure_progression(moved).aop_deg - measure_progression(labels()).aop_deg  # type: ignore[operator]
    )


def test_the_stated_angle_goes_before_the_masks() -> None:
    given = psfh("a", labels(), aop_deg=120.0).measures["aop_deg"]
    assert given.value is not None
    assert given.true == 120.0 and given.error == pytest.approx(given.value - 120)


def test_a_missed_structure_is_a_failure() -> None:
    missed = psfh("a", labels(None))
    assert missed.failed and missed.structures["ps"].failed and not missed.structures["fh"].failed
    assert missed.structures["ps"].dice == 0 and missed.structures["ps"].hd95_px == pytest.approx(256 * np.sqrt(2))
    aop = missed.measures["aop_deg"]
    assert (missed.status, aop.value, aop.error) == ("missing-ps", None, None)
    assert aop.true is not None
    neither = psfh("b", labels(None), labels(None))
    assert not neither.failed and neither.structures["ps"].dice == 1
    assert neither.measures["aop_deg"].true is None


def test_the_record_of_an_angle() -> None:
    cut = np.roll(labels(), -40, axis=1)
    truth = measure_progression(labels()).aop_deg
    assert truth is not None
    scores = [
        psfh("a", labels(), aop_deg=truth - 1),
        psfh("b", labels(), aop_deg=truth + 3),
        psfh("missed", labels(None)),
        psfh("rightly none", cut, cut, aop_deg=truth),
        psfh("unfounded", labels(), cut),
    ]
    given = evaluation_record(scores, task=PS_FH, variant="v", engine="e", data="d", synthetic=True)
    aop = given["aop_deg"]
    assert (aop["n"], aop["missed"], aop["unfounded"]) == (2, 1, 1)
    assert (aop["mae"], aop["bias"], aop["max"]) == (pytest.approx(2), pytest.approx(-1), pytest.approx(3))
    assert aop["p95"] == pytest.approx(2.9) and len(aop["ci95"]) == 2
    assert given["structures"]["ps"]["dice"]["n"] == 5 and given["structures"]["ps"]["failures"] == 2
    assert set(given["structures"]["fh"]) == {"dice", "iou", "hd95_px", "assd_px", "failures"}
    assert given["hc_mm"] is None and given["statuses"] == {"missing-ps": 1, "ok": 3, "ps-truncated": 1}
    first = given["per_case"][0]
    assert first["aop_error_deg"] == pytest.approx(1) and first["status"] == first["true_status"] == "ok"
    assert first["structures"]["fh"]["dice"] == 1
    json.dumps(given, allow_nan=False)


def test_the_record_of_heads_has_no_angle() -> None:
    given = record([score("a", "s")])
    assert given["aop_deg"] is None and given["structures"] == {}
    assert not [key for key in given["per_case"][0] if key.startswith("aop")]


def test_paired_change_of_angles() -> None:
    one = psfh("a", labels())
    reference, variant = (
        [with_values(replace(one, name=name), aop_deg=value) for name, value in zip("abcd", values, strict=True)]
        for values in ((100, 110, 120, None), (101, 107, None, 90))
    )
    change = paired_change(reference, variant)
    aop = change.measures["aop_deg"]
    assert (aop.n, aop.bias, aop.abs_mean, aop.max) == (2, -1, 2, 3)
    assert aop.p95 == pytest.approx(2.9)
    assert change.new_failures == ("c",) and list(change.measures) == ["aop_deg"]
    assert list(paired_change([changed("a", 1.0)], [changed("a", 1.0)]).measures) == ["hc_mm"]
