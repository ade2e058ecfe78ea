"""What a bundle makes of validation frames that were spoilt on purpose: a record for the documentation.

    python tests/fetaledge/corruption_table.py BUNDLE DATA RECORD.json COMMAND

Each frame is spoilt in every way of ``fetaledge.data.corruptions`` and in three that change its shape, and goes the
whole way that ``fetaledge predict`` goes. A measure is wrong where it is further from the label's than ``WRONG``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from fetaledge.data.corruptions import CORRUPTIONS
from fetaledge.data.layouts.open import open_dataset
from fetaledge.data.split import choose_frames
from fetaledge_runtimes import Bundle, Predictor
from fetaledge_runtimes.ellipse import Ellipse, from_mask
from fetaledge_runtimes.files import write_json
from fetaledge_runtimes.frames.frame import Image, LabelledFrame
from fetaledge_runtimes.postprocess import largest_component

Change = Callable[[Image, Ellipse, np.random.Generator], Image]
WRONG: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "hc_mm": ("5 %", lambda value, true: abs(value / true - 1) > 0.05),
    "aop_deg": ("10°", lambda value, true: abs(value - true) > 10),
}
FAR: dict[str, tuple[str, float]] = {"hc_mm": ("10 mm", 10), "aop_deg": ("20°", 20)}
NARROWER = "a fifth narrower"


def cropped(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
    """A sixth of the structure is cut off with the frame's left edge."""
    reach = 2 * float(np.sqrt(ellipse.covariance()[0, 0]))
    return np.ascontiguousarray(pixels[:, max(0, int(ellipse.x - 2 / 3 * reach)) :])


def narrowed(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
    """A wrong aspect: a fifth narrower, the spacing as before."""
    size = (round(pixels.shape[1] * 0.8), pixels.shape[0])
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def turned(pixels: Image, ellipse: Ellipse, rng: np.random.Generator) -> Image:
    """The woman lies on her side."""
    return np.ascontiguousarray(np.rot90(pixels))


CHANGES: dict[str, Change] = {
    "clean": lambda pixels, ellipse, rng: pixels,
    **CORRUPTIONS,
    "a sixth cut off": cropped,
    NARROWER: narrowed,
    "turned by 90°": turned,
}


@dataclass(frozen=True)
class Seen:
    """One frame: whether it was measured, whether the measure is (or would be) wrong or far off, and its quality."""

    measured: bool
    wrong: bool
    far: bool
    quality: float | None


def see(predictor: Predictor, frames: Sequence[LabelledFrame], change: Change, seed: int) -> Iterator[Seen]:
    """Spoil each frame and predict it."""
    measure = predictor.task.measure_of_tables
    wrong, far = WRONG[measure.key][1], FAR[measure.key][1]
    for number, labelled in enumerate(frames):
        true = predictor.task.measure(labelled.mask, labelled.frame.pixel_mm)
        expected = true.values.get(measure.key)
        largest = max(predictor.task.labels, key=lambda label: np.count_nonzero(labelled.mask == label))
        ellipse = from_mask(largest_component((labelled.mask == largest).astype(np.uint8)))
        if expected is None or ellipse is None:
            continue
        pixels = change(labelled.frame.pixels, ellipse, np.random.default_rng((seed, number)))
        prediction = predictor(replace(labelled.frame, pixels=pixels))
        value = prediction.measures.get(measure.key)
        measured = prediction.status == "ok" and value is not None
        off = value is None or wrong(value, expected)
        yield Seen(measured, off, value is None or abs(value - expected) > far, prediction.quality)


def area_under_curve(seen: Sequence[Seen]) -> float:
    """The chance that of a wrong and a right measure the wrong one has the lower quality; ties count one half."""
    bad = np.array([one.quality for one in seen if one.quality is not None and one.wrong])
    good = np.array([one.quality for one in seen if one.quality is not None and not one.wrong])
    lower = bad[:, None] < good
    return float((lower + 0.5 * (bad[:, None] == good)).mean())


def record(bundle: Bundle, data: Path, command: str) -> dict[str, object]:
    """The result table."""
    predictor = Predictor(bundle)
    frames = list(choose_frames(open_dataset(data, task=predictor.task.name), None, bundle.manifest.source))
    limit, far = (table[predictor.task.measure_of_tables.key][0] for table in (WRONG, FAR))
    rows, told, clean = [], [], []
    for seed, (kind, change) in enumerate(CHANGES.items()):
        seen = list(see(predictor, frames, change, seed))
        measured = [one for one in seen if one.measured]
        rows.append({
            "kind": kind,
            "frames": len(seen),
            "measured": len(measured),
            "withheld_right": sum(not one.measured and not one.wrong for one in seen),
            "wrong": sum(one.wrong for one in seen),
            "wrong_and_ok": sum(one.wrong for one in measured),
            "far_and_ok": sum(one.far for one in measured),
        })  # fmt: skip
        told += seen if kind != NARROWER else []
        clean += seen if kind == "clean" else []
        print(rows[-1], file=sys.stderr)
    total = {key: sum(int(row[key]) for row in rows[1:]) for key in rows[0] if key != "kind"}
    rows.append({"kind": "all spoilt frames", **total})
    return {
        "schema": "fetaledge/result-table/1",
        "title": f"Spoilt validation frames of the task {predictor.task.name}, {predictor.variant_name}",
        "origin": {
            "transcribed": False,
            "source": f"{len(frames)} validation frames of {data.resolve().name}, whole way of fetaledge predict",
            "commands": [command],
        },
        "columns": [
            {"key": "kind", "title": "spoilt by"},
            {"key": "frames", "title": "frames"},
            {"key": "measured", "title": "measured (`ok`)"},
            {"key": "withheld_right", "title": f"withheld, though within {limit}"},
            {"key": "wrong", "title": f"off by more than {limit}, or nothing found"},
            {"key": "wrong_and_ok", "title": f"off by more than {limit} and `ok`"},
            {"key": "far_and_ok", "title": f"off by more than {far} and `ok`"},
        ],
        "rows": rows,
        "notes": [
            f"`quality` orders errors of more than {limit}: its area under the curve is {area_under_curve(told):.3f} "
            f"over all frames but those that are {NARROWER}, {area_under_curve(clean):.3f} over the clean ones."
        ],
    }  # fmt: skip


if __name__ == "__main__":
    write_json(Path(sys.argv[3]), record(Bundle.open(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[4]))
