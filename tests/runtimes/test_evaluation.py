"""Case scores, the evaluation record and the paired comparison."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.evaluation import CaseScore, dice_pooled, evaluation_record, paired_change, score_case
from fetaledge_runtimes.frame import Frame, LabelledFrame
from fetaledge_runtimes.metrics import surface_distances

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
    return LabelledFrame(Frame(mask * 100, pixel_mm, f"{name}.png"), mask, name, subject, hc_mm)


def score(name: str, subject: str, predicted: Ellipse | None = TRUTH, hc_mm: float | None = None) -> CaseScore:
    mask = np.zeros(SHAPE, np.uint8) if predicted is None else predicted.rasterise(SHAPE)
    return score_case(case(name, subject=subject, hc_mm=hc_mm), mask)


def record(scores: list[CaseScore], synthetic: bool = False) -> dict:  # type: ignore[type-arg]
    return evaluation_record(scores, task="head", variant="v", engine="e", data="d", synthetic=synthetic)


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
    assert given.hc_error_mm == 0
    assert given.hc_mm == pytest.approx(TRUTH.scaled(1.0, 1.5).circumference, rel=0.002)


def test_the_tables_circumference_goes_before_the_masks() -> None:
    given = score("a", "s", hc_mm=300.0)
    assert given.hc_true_mm == 300.0
    assert given.hc_error_mm is not None and given.hc_mm is not None
    assert given.hc_error_mm == pytest.approx(given.hc_mm - 300)


def test_a_shift_of_four_pixels_in_both_units() -> None:
    given = score("a", "s", Ellipse(84, 60, 45, 34, 20))
    assert given.hd95_px == pytest.approx(4, abs=0.3)
    assert given.hd95_mm == pytest.approx(4, abs=0.3)  # along the columns, 1.0 mm each
    down = score("a", "s", Ellipse(80, 64, 45, 34, 20))
    assert down.hd95_mm == pytest.approx(6, abs=0.6)  # along the rows, 1.5 mm each


@pytest.mark.parametrize("spacing", [(0.3, 0.3), (0.3, 0.2)])
def test_distances_in_mm_are_those_of_the_spacing(spacing: tuple[float, float]) -> None:
    mask = Ellipse(84, 57, 40, 36, 50).rasterise(SHAPE)
    given = score_case(case(pixel_mm=spacing), mask)
    distances = surface_distances(mask, TRUTH.rasterise(SHAPE), spacing)
    assert given.hd95_mm == pytest.approx(distances.hd95, rel=1e-12)
    assert given.assd_mm == pytest.approx(distances.assd, rel=1e-12)


def test_without_spacing_there_are_no_millimetres() -> None:
    given = score_case(case(pixel_mm=None), TRUTH.rasterise(SHAPE))
    assert given.status == "no-spacing"
    assert (given.hd95_mm, given.assd_mm, given.hc_mm, given.hc_true_mm, given.hc_error_mm) == (None,) * 5


def test_what_counts_as_a_failure() -> None:
    empty = np.zeros(SHAPE, np.uint8)
    assert score("a", "s", None).failed
    assert score_case(case(truth=None), TRUTH.rasterise(SHAPE)).failed
    assert score("a", "s", Ellipse(120, 90, 25, 20, 0)).failed
    nothing = score_case(case(truth=None), empty)
    assert not nothing.failed and nothing.dice == 1 and nothing.hc_true_mm is None


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="the mask of 010_HC has 60x80 pixels where its frame has 120x160"):
        score_case(case(), np.zeros((60, 80), np.uint8))


def test_hc_does_not_wait_for_a_good_status() -> None:
    given = score("a", "s", Ellipse(80, 60, 45, 10, 0))
    assert given.status == "not-elliptic" and given.hc_mm is not None


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
    errors = [s.hc_error_mm for s in scores if s.hc_error_mm is not None]
    assert document["hc_mm"]["mae"] == pytest.approx(np.mean(np.abs(errors)))
    assert document["hc_mm"]["bias"] == pytest.approx(np.mean(errors))
    assert document["statuses"] == {"no-head": 1, "ok": 2}
    assert [entry["name"] for entry in document["per_case"]] == ["a", "b", "c"]
    assert document["per_case"][2]["hc_mm"] is None
    assert "note" not in document


def test_record_is_json_without_nan() -> None:
    scores = [score_case(case(name, pixel_mm=None, subject=name), TRUTH.rasterise(SHAPE)) for name in "ab"]
    document = record(scores, synthetic=True)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["hc_mm"] == {"n": 0, "mae": None, "bias": None, "p95": None, "max": None, "ci95": None}
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
        scores.append(score_case(case(str(number), true), mask))
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


def changed(name: str, hc_mm: float | None, dice: float = 0.97, failed: bool = False) -> CaseScore:
    return replace(score(name, name), hc_mm=hc_mm, dice=dice, failed=failed)


def test_paired_change_by_hand() -> None:
    reference = [changed("a", 200.0), changed("b", 210.0), changed("c", 220.0), changed("d", None, 0.0, True)]
    variant = [
        changed("d", 10.0, 0.0, True),
        changed("b", 209.0, 0.96),
        changed("a", 200.5),
        changed("c", None, 0.1, True),
    ]
    change = paired_change(reference, variant)
    assert change.n == 4 and change.hc_n == 2
    assert change.dice_drop == pytest.approx((0.97 * 3 - 0.97 - 0.96 - 0.1) / 4)
    assert change.hc_bias_mm == pytest.approx(-0.25)
    assert change.hc_abs_mean_mm == pytest.approx(0.75)
    assert change.hc_p95_mm == pytest.approx(0.975)
    assert change.hc_max_mm == pytest.approx(1.0)
    assert change.new_failures == ("c",)


def test_paired_change_without_any_circumference() -> None:
    change = paired_change([changed("a", None)], [changed("a", None)])
    assert change.hc_n == 0
    assert (change.hc_bias_mm, change.hc_abs_mean_mm, change.hc_p95_mm, change.hc_max_mm) == (None,) * 4


@pytest.mark.parametrize("names", [("a",), ("a", "c"), ("a", "b", "b"), ("a", "b", "c"), ()])
def test_paired_change_wants_the_same_cases(names: tuple[str, ...]) -> None:
    reference = [changed("a", 1.0), changed("b", 1.0)]
    with pytest.raises(ValueError, match="same cases"):
        paired_change(reference, [changed(name, 1.0) for name in names])
