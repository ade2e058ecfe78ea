"""What the frames of one file say together, and whether an age by dates fits."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.bundle import Bundle
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.frames.frame import Frame
from fetaledge_runtimes.predict_files import predict_files
from fetaledge_runtimes.predict_summary import summary_line, summary_of
from fetaledge_runtimes.predictor import Predictor
from fetaledge_runtimes.tasks.head import HEAD, MAX_AGE_SD, hc_for_age
from fetaledge_runtimes.tasks.ps_fh import PS_FH
from fetaledge_runtimes.tasks.registry import all_measures
from fetaledge_runtimes.tasks.task import Measured

MakeFrame = Callable[..., Frame]


def entries(*values: float | str, key: str = "hc_mm") -> list[dict[str, Any]]:
    """Entries with these values of a measure, or with another status."""
    none = {measure.key: None for measure in all_measures()}
    return [
        {"status": value, **none} if isinstance(value, str) else {"status": "ok", **none, key: value}
        for value in values
    ]


@pytest.mark.parametrize(
    ("values", "verdict", "median", "iqr"),
    [
        ((200.0,), None, 200.0, None),
        (("not-a-head",), None, None, None),
        ((), None, None, None),
        ((200.0, "no-head"), "ok", 200.0, None),
        ((200.0, 204.0, 202.0), "ok", 202.0, None),
        ((200.0, 320.0), "frames-disagree", 260.0, None),
        ((200.0, 320.0, 300.0), "frames-disagree", 300.0, None),
        ((200.0, 204.0, 202.0, 206.0), "ok", 203.0, 3.0),
        ((200.0, "not-a-head", "no-head"), "few-good-frames", None, None),
        ((200.0, 201.0, 202.0, 203.0, *["no-head"] * 5), "few-good-frames", None, 1.5),
        ((200.0, 201.0, 230.0, 231.0, "no-head"), "frames-disagree", 215.5, 29.5),
        (("unreadable", "no-head"), "few-good-frames", None, None),
    ],
)
def test_verdicts_of_files(
    values: tuple[float | str, ...], verdict: str | None, median: float | None, iqr: float | None
) -> None:
    found = summary_of("a.avi", entries(*values), HEAD)
    assert found["verdict"] == verdict and found["frames"] == len(values)
    assert found["hc_mm_median"] == median and found["hc_mm_iqr"] == (None if iqr is None else pytest.approx(iqr))
    assert found["n"] == sum(not isinstance(value, str) for value in values)
    assert found["aop_deg_median"] is None and found["aop_deg_iqr"] is None


def test_the_range_is_numpys() -> None:
    values = np.random.default_rng(0).normal(200, 5, 31)
    found = summary_of("a.avi", entries(*values.tolist()), HEAD)
    assert found["hc_mm_iqr"] == pytest.approx(np.subtract(*np.percentile(values, [75, 25])))
    assert found["hc_mm_median"] == pytest.approx(statistics.median(values.tolist()))


def test_each_task_has_its_own_spread() -> None:
    angles = entries(100.0, 101.0, 112.0, 113.0, key="aop_deg")
    assert summary_of("a.avi", angles, PS_FH)["verdict"] == "frames-disagree"
    assert summary_of("a.avi", angles, HEAD)["verdict"] == "ok"


def test_lines_of_cines() -> None:
    def line(*values: float | str) -> str | None:
        return summary_line(summary_of("a.avi", entries(*values), HEAD), HEAD)

    assert line(200.0) is None and line("no-head") is None
    assert line(200.0, "no-head", "no-head") == "a.avi  no median: 1 good frames of 3"
    assert line(200.0, 202.0) == "a.avi  median HC 201.0 mm of 2 good frames of 2"
    wide = line(200.0, 201.0, 230.0, 231.0)
    assert wide == (
        "a.avi  median HC 215.5 mm of 4 good frames of 4 (half of them within 29.5 mm); the frames disagree"
    )


def test_a_sweep_past_the_head_gives_no_median(
    bundle_folder: Path, bright_frame: MakeFrame, head: Ellipse, tmp_path: Path
) -> None:
    path = tmp_path / "sweep.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (800, 540))
    for ellipse in (head, None, None):
        writer.write(cv2.cvtColor(bright_frame(ellipse).pixels, cv2.COLOR_GRAY2BGR))
    writer.release()
    document = predict_files(Predictor(Bundle.open(bundle_folder)), [path], pixel_mm=0.15)
    (summary,) = document["summary"]
    assert summary["statuses"] == {"no-scan": 2, "ok": 1} and document["frames"][0]["hc_mm"] is not None
    assert (summary["verdict"], summary["hc_mm_median"], summary["n"]) == ("few-good-frames", None, 1)


def test_an_age_that_the_head_contradicts(bundle_folder: Path, frame_folder: Path, tmp_path: Path) -> None:
    predictor = Predictor(Bundle.open(bundle_folder))
    for weeks, status in ((23.0, "ok"), (14.0, "implausible-for-age"), (40.0, "implausible-for-age")):
        out = tmp_path / f"out-{weeks}"
        (entry,) = predict_files(predictor, [frame_folder / "a.png"], out, ga_weeks=weeks)["frames"]
        assert entry["status"] == status and entry["spacing_from"] == "pixels.csv"
        assert (entry["hc_mm"] is None) == (entry["hc_centile"] is None) == (status != "ok")
    (entry,) = predict_files(predictor, [frame_folder / "c.png"], ga_weeks=14)["frames"]
    assert entry["status"] == "no-scan"  # not good to begin with


@pytest.mark.parametrize("weeks", [14.0, 22.5, 40.0])
def test_six_deviations_are_the_limit(weeks: float) -> None:
    mean, sd = hc_for_age(weeks)
    for deviations, status in ((0, None), (-5.9, None), (5.9, None), (-6.1, "found"), (6.1, "found")):
        found = HEAD.contradicts_age(Measured("ok", {"hc_mm": mean + deviations * sd}), weeks)
        assert found == (status and "implausible-for-age")
    assert MAX_AGE_SD == 6 and HEAD.contradicts_age(Measured("ok", {"hc_mm": None}), weeks) is None
    assert PS_FH.contradicts_age(Measured("ok", {"aop_deg": 100.0}), weeks) is None


@pytest.mark.parametrize(
    ("hc_mm", "status"), [(39, "implausible-size"), (41, "ok"), (449, "ok"), (452, "implausible-size")]
)
def test_sizes_of_heads(hc_mm: float, status: str) -> None:
    ellipse = Ellipse(200, 150, 100, 80, 0)
    spacing = hc_mm / ellipse.circumference
    assert HEAD.measure(ellipse.rasterise((300, 400)), (spacing, spacing)).status == status
