"""The angle of progression of real label maps beside the challenge's, and how steady each fit of the symphysis is.

    python tests/fetaledge/angle_comparison.py PSFHS FOLDER

Writes ``FOLDER/angle-fits.json``, the record of the results page, and ``FOLDER/angles.png``: every frame whose angle
differs by more than 5 degrees from the challenge's, with both constructions. The sheet shows patients' frames: keep it.

The symphysis is fitted in four ways, the head by its second moments. A fit is steady if the angle stays where it was
when the symphysis is eroded and dilated by a pixel (the range of the three angles), and when the pixels of its border
are drawn again by the toss of a coin (the change).
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from fetaledge.data.contact_sheet import contact_sheet
from fetaledge.data.layouts.open import open_dataset
from fetaledge_runtimes.ellipse import Ellipse, from_mask
from fetaledge_runtimes.files import atomic_path
from fetaledge_runtimes.frames.frame import Image, LabelledFrame
from fetaledge_runtimes.postprocess import largest_component
from fetaledge_runtimes.tasks.challenge_angle import challenge_aop, challenge_ellipse, challenge_points
from fetaledge_runtimes.tasks.labels import FH, PS
from fetaledge_runtimes.tasks.ps_fh import construct, measure_progression

MOST_DEG = 5.0
SPREAD = "{:.2f}°, {:.1f}°, {:.1f}°"
ZOOM, COLUMNS, TILE = 3, 4, (560, 560)
OURS, CHALLENGES, SYMPHYSIS, HEAD = (90, 255, 90), (70, 70, 255), (0, 220, 255), (214, 196, 64)  # BGR
CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))

Fit = Callable[[Image], Ellipse | None]


def contour(mask: Image) -> np.ndarray:
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(max(found, key=len))


def from_box(box: tuple[Sequence[float], Sequence[float], float]) -> Ellipse:
    """OpenCV's rotated box, whose ellipse runs through the centres of the border's pixels: half a pixel larger."""
    (x, y), (width, height), angle = box
    if width < height:
        width, height, angle = height, width, angle + 90
    return Ellipse(x, y, width / 2 + 0.5, height / 2 + 0.5, angle % 180)


SOURCE = "PSFHS (Chen et al., Sci Data 2024 11:436, Zenodo 10969427, CC BY 4.0)"

FITS: Mapping[str, Fit] = {
    "second moments": from_mask,
    "least squares on the contour (`fitEllipse`)": lambda mask: from_box(cv2.fitEllipse(contour(mask))),
    "direct least squares (`fitEllipseDirect`)": lambda mask: from_box(cv2.fitEllipseDirect(contour(mask))),
    "the challenge's: `fitEllipse` on a thinned contour": challenge_ellipse,
}


def angle(symphysis: Ellipse | None, head: Ellipse) -> float:
    """Degrees; NaN without a symphysis."""
    return math.nan if symphysis is None else construct(symphysis, head)[1]


def redrawn(mask: Image, rng: np.random.Generator) -> Image:
    """The mask whose border, a pixel to either side, is drawn again at random."""
    edge = (cv2.dilate(mask, CROSS) > 0) & (cv2.erode(mask, CROSS) == 0)
    noisy = np.where(edge, rng.random(mask.shape) < 0.5, mask).astype(np.uint8)
    return largest_component(noisy)


def steadiness(fit: Fit, symphysis: Image, head: Ellipse) -> tuple[float, float]:
    """Range of the angle over erosion and dilation, and its change where the border is drawn again."""
    usual = angle(fit(symphysis), head)
    eroded, dilated = largest_component(cv2.erode(symphysis, CROSS).astype(np.uint8)), cv2.dilate(symphysis, CROSS)
    angles = [usual, angle(fit(eroded), head), angle(fit(np.asarray(dilated, np.uint8)), head)]
    return max(angles) - min(angles), abs(angle(fit(redrawn(symphysis, np.random.default_rng(0))), head) - usual)


def spread(values: Sequence[float], digits: int = 2) -> list[float]:
    """Mean, 95th percentile and maximum."""
    known = np.array(values)
    assert np.isfinite(known).all()
    return [round(float(value), digits) for value in (known.mean(), np.percentile(known, 95), known.max())]


def compare(masks: Mapping[str, Image]) -> dict[str, object]:
    """The record: a row a fit."""
    parts = {name: [largest_component((mask == label).astype(np.uint8)) for label in (PS, FH)]
             for name, mask in masks.items()}  # fmt: skip
    heads = {name: from_mask(head) for name, (_, head) in parts.items()}
    truth = {name: challenge_aop(mask) for name, mask in masks.items()}
    rows = []
    for fit_name, fit in FITS.items():
        differences, moved, noisy = [], [], []
        for name, (symphysis, _) in parts.items():
            head = heads[name]
            assert head is not None
            differences.append(abs(angle(fit(symphysis), head) - truth[name]))
            by_size, by_chance = steadiness(fit, symphysis, head)
            moved.append(by_size)
            noisy.append(by_chance)
        rows.append({
            "fit": fit_name,
            "median": round(float(np.median(differences)), 2),
            "tail": spread(differences)[1:],
            "over": int(np.sum(np.array(differences) > MOST_DEG)),
            "moved": spread(moved),
            "noisy": spread(noisy),
        })  # fmt: skip
    found = {name: measure_progression(mask) for name, mask in masks.items()}
    statuses = Counter(one.status for one in found.values())
    angles = {name: one.aop_deg for name, one in found.items() if one.aop_deg is not None}
    known = np.array(list(angles.values()))
    low, middle, high = np.percentile(known, (1, 50, 99))
    apart = {name: truth[name] - value for name, value in angles.items() if abs(truth[name] - value) > MOST_DEG}
    crowning = [name for name in apart if angles[name] > 180]
    larger = sum(value > 0 for name, value in apart.items() if name not in crowning)
    return {
        "schema": "fetaledge/result-table/1",
        "title": "The angle of progression on real label maps, by the fit of the symphysis",
        "origin": {
            "transcribed": False,
            "source": f"{len(masks)} label maps of {SOURCE}",
            "commands": ["make angle-comparison"],
        },
        "columns": [
            {"key": "fit", "title": "fit of the symphysis"},
            {"key": "median", "title": "difference to the challenge's angle: median", "show": "{:.2f}°"},
            {"key": "tail", "title": "p95, most", "show": "{:.1f}°, {:.1f}°"},
            {"key": "over", "title": f"maps over {MOST_DEG:g}°"},
            {"key": "moved", "title": "eroded and dilated by a pixel: mean, p95, most", "show": SPREAD},
            {"key": "noisy", "title": "border drawn again: mean, p95, most", "show": SPREAD},
        ],
        "rows": rows,
        "notes": [
            f"With second moments {statuses['ok']} of the {len(masks)} maps have an angle, from {known.min():.0f}° to "
            f"{known.max():.0f}°: 1 % below {low:.0f}°, half below {middle:.1f}°, 99 % below {high:.0f}°, "
            f"{np.sum(known > 180)} above 180°. Of the {len(apart)} that differ by more than {MOST_DEG:g}° the head "
            f"crowns in {len(crowning)}; of the others the challenge's angle is larger in {larger}, smaller in "
            f"{len(apart) - len(crowning) - larger}."
        ],
    }  # fmt: skip


def text(record: Mapping[str, object]) -> str:
    """The record as JSON, a column and a row a line."""

    def value(found: object) -> str:
        if not isinstance(found, list):
            return json.dumps(found, indent=1, ensure_ascii=False).replace("\n", "\n ")
        return "[\n" + ",\n".join("  " + json.dumps(one, ensure_ascii=False) for one in found) + "\n ]"

    return "{\n" + ",\n".join(f' "{key}": {value(found)}' for key, found in record.items()) + "\n}\n"


def drawn(frame: LabelledFrame) -> tuple[float, Image, str] | None:
    """How far the two angles of a frame are apart, both constructions over it, and a caption; None if they agree."""
    mask, found, others = frame.mask, measure_progression(frame.mask), challenge_points(frame.mask)
    theirs = challenge_aop(mask)
    if found.aop_deg is None or others is None or abs(found.aop_deg - theirs) <= MOST_DEG:
        return None
    canvas = cv2.cvtColor(cv2.resize(frame.frame.pixels, None, fx=ZOOM, fy=ZOOM), cv2.COLOR_GRAY2BGR)
    for label, colour in ((PS, SYMPHYSIS), (FH, HEAD)):
        large = cv2.resize((mask == label).astype(np.uint8), None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_NEAREST)
        cv2.drawContours(canvas, [contour(np.asarray(large, np.uint8))], -1, colour, 1)
    for (start, corner, end), colour in ((others, CHALLENGES), ((found.superior, found.inferior, found.tangent), OURS)):
        beyond = np.array(corner) + 1.3 * np.subtract(end, corner)
        line = np.rint((np.array([start, corner, beyond]) + 0.5) * ZOOM * 16).astype(np.int32)
        cv2.polylines(canvas, [line], False, colour, 1, cv2.LINE_AA, 4)
    caption = f"{frame.name}  ours {found.aop_deg:.0f} (green), the challenge's {theirs:.0f} (red)"
    return abs(found.aop_deg - theirs), np.asarray(canvas, np.uint8), caption


def main() -> None:
    """Compare, print the rows, write the record and the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    frames = list(open_dataset(given.data))
    record = compare({frame.name: frame.mask for frame in frames})
    with atomic_path(given.folder / "angle-fits.json") as partial:
        partial.write_text(text(record), encoding="utf-8")
    apart = sorted((one for frame in frames if (one := drawn(frame))), key=lambda one: -one[0])
    sheet = contact_sheet([one[1] for one in apart], COLUMNS, TILE, [one[2] for one in apart])
    cv2.imwrite(str(given.folder / "angles.png"), sheet)
    for row in record["rows"]:  # type: ignore[attr-defined]
        print(row)
    print(*record["notes"], f"{len(apart)} of them on {given.folder / 'angles.png'}")  # type: ignore[misc]


if __name__ == "__main__":
    main()
