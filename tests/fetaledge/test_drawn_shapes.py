"""Annotation files of COCO, LabelMe and CVAT: polygons to labels, names to structures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fetaledge.data.check import check_dataset
from fetaledge.data.dataset import Dataset
from fetaledge.data.layouts import open as opening
from fetaledge.data.layouts import registry
from fetaledge.data.layouts.coco import Coco
from fetaledge.data.layouts.cvat import Cvat
from fetaledge.data.layouts.hc18 import Hc18
from fetaledge.data.layouts.images_and_masks import ImagesAndMasks
from fetaledge.data.layouts.labelme import LabelMe
from fetaledge.data.layouts.psfhs import Psfhs
from fetaledge.data.layouts.shapes import fill_polygon, label_of
from fetaledge_runtimes.ellipse import Ellipse, from_mask
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.ps_fh import PS_FH

SHAPE = (256, 300)
HEAD_ELLIPSE, SYMPHYSIS = Ellipse(170, 150, 70, 55, 60), Ellipse(62, 70, 30, 12, 30)
HEAD_MASK, SYMPHYSIS_MASK = HEAD_ELLIPSE.rasterise(SHAPE), SYMPHYSIS.rasterise(SHAPE)
LABELS: Image = (HEAD_MASK * 2 + SYMPHYSIS_MASK).astype(np.uint8)
Marks = dict[str, Ellipse]
BOTH: Marks = {"Fetal_Head": HEAD_ELLIPSE, "pubic symphysis": SYMPHYSIS}
Write = Callable[[Path, Marks], None]


def points(ellipse: Ellipse) -> list[list[float]]:
    """As tools write them: from the frame's upper left corner, where the first pixel's centre is (0.5, 0.5)."""
    found: list[list[float]] = np.round(ellipse.points(200) + 0.5, 2).tolist()
    return found


def frame(folder: Path, name: str = "images/a.png") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full(SHAPE, 90, np.uint8))


def coco(segmentations: dict[str, Any], name: str = "a.png") -> dict[str, Any]:
    return {
        "info": {"description": "ours"},
        "images": [{"id": 7, "file_name": name, "height": SHAPE[0], "width": SHAPE[1], "license": 1}],
        "categories": [{"id": place, "name": name, "supercategory": ""} for place, name in enumerate(segmentations)],
        "annotations": [
            {"id": place, "image_id": 7, "category_id": place, "segmentation": drawn, "iscrowd": 0}
            for place, drawn in enumerate(segmentations.values())
        ],
    }  # fmt: skip


def write_coco(folder: Path, marks: Marks) -> None:
    frame(folder)
    drawn = {name: [np.ravel(points(ellipse)).tolist()] for name, ellipse in marks.items()}
    (folder / "annotations").mkdir()
    (folder / "annotations/instances_default.json").write_text(json.dumps(coco(drawn)))


def write_labelme(folder: Path, marks: Marks) -> None:
    frame(folder)
    shapes = [
        {"label": name, "points": points(ellipse), "group_id": None, "shape_type": "polygon", "flags": {}}
        for name, ellipse in marks.items()
    ]
    content = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": "..\\images\\a.png", "imageData": None}
    (folder / "labels").mkdir()
    (folder / "labels/a.json").write_text(
        json.dumps({**content, "imageHeight": SHAPE[0], "imageWidth": SHAPE[1]}), encoding="utf-8"
    )


def cvat(shapes: str, name: str = "a.png") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta/>'
        f'<image id="0" name="{name}" width="{SHAPE[1]}" height="{SHAPE[0]}">{shapes}<tag/></image></annotations>'
    )


def write_cvat(folder: Path, marks: Marks) -> None:
    frame(folder)
    shapes = [
        f'<polygon label="{name}" points="{";".join(f"{x},{y}" for x, y in points(ellipse))}"/>'
        for name, ellipse in marks.items()
    ]
    (folder / "annotations.xml").write_text(cvat("".join(shapes)))


TOOLS: list[tuple[type[Dataset], Write]] = [(Coco, write_coco), (LabelMe, write_labelme), (Cvat, write_cvat)]


@pytest.fixture
def layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of ours, as their entry points register them."""
    ours = (Hc18, Psfhs, ImagesAndMasks, Coco, LabelMe, Cvat)
    monkeypatch.setattr(opening, "layouts", lambda: ours)
    monkeypatch.setattr(registry, "layouts", lambda: ours)


@pytest.mark.parametrize(("layout", "write"), TOOLS)
def test_polygons_are_labels(layout: type[Dataset], write: Write, tmp_path: Path) -> None:
    write(tmp_path, BOTH)
    (tmp_path / "pixels.csv").write_text("filename,pixel_mm,subject\na.png,0.5,anna\n")
    dataset = layout(tmp_path)
    assert dataset.task is PS_FH and not dataset.problems
    assert "'Fetal_Head', 'pubic symphysis': taken as the task ps-fh" in (dataset.assumption or "")
    (labelled,) = dataset
    assert (labelled.name, labelled.subject, labelled.frame.pixel_mm) == ("a", "anna", (0.5, 0.5))
    assert np.count_nonzero(labelled.mask != LABELS) < 40
    for label, ellipse in ((1, SYMPHYSIS), (2, HEAD_ELLIPSE)):
        found = from_mask((labelled.mask == label).astype(np.uint8))
        assert found is not None
        assert (found.x, found.y) == pytest.approx((ellipse.x, ellipse.y), abs=0.05)
        assert found.circumference == pytest.approx(ellipse.circumference, rel=2e-3)


@pytest.mark.parametrize(("layout", "write"), TOOLS)
def test_a_head_alone_and_its_fingerprint(layout: type[Dataset], write: Write, tmp_path: Path) -> None:
    for folder, name, ellipse in (("one", "Skull", HEAD_ELLIPSE), ("other", "Skull", Ellipse(170, 150, 71, 55, 60))):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, {name: ellipse})
    one, other = layout(tmp_path / "one"), layout(tmp_path / "other")
    assert one.task is HEAD and check_dataset(one).usable == 1
    assert one.fingerprint() != other.fingerprint()
    assert one.fingerprint() == layout(tmp_path / "one").fingerprint()


@pytest.mark.parametrize(("layout", "write"), TOOLS)
def test_other_names_are_refused_and_listed(layout: type[Dataset], write: Write, tmp_path: Path) -> None:
    write(tmp_path, {"head": HEAD_ELLIPSE, "lesion": SYMPHYSIS})
    dataset = layout(tmp_path)
    with pytest.raises(InputError, match=r"mark 'head', 'lesion'; name them head, fetal head, skull"):
        _ = dataset.task
    with pytest.raises(InputError, match=r"marks 'lesion' in a\.png, and the task is head"):
        layout(tmp_path, task="head")[0]


@pytest.mark.parametrize(("layout", "write"), TOOLS)
def test_what_is_missing_is_named(layout: type[Dataset], write: Write, tmp_path: Path) -> None:
    write(tmp_path, {})
    assert "has no shape in a.png" in check_dataset(layout(tmp_path, task="ps-fh")).problems[0].message
    with pytest.raises(InputError, match="mark nothing"):
        _ = layout(tmp_path).task
    (tmp_path / "images/a.png").unlink()
    assert "is not here" in layout(tmp_path, task="head").problems[0].message


@pytest.mark.parametrize(("layout", "write"), TOOLS)
def test_the_folder_is_recognised(layout: type[Dataset], write: Write, tmp_path: Path, layouts: None) -> None:
    write(tmp_path, BOTH)
    assert type(opening.open_usable(tmp_path)) is layout
    (tmp_path / "masks").mkdir()
    with pytest.raises(UsageError, match=r"can be read as images/ and masks/ .* or as .*; choose one with --layout"):
        opening.open_dataset(tmp_path)
    cv2.imwrite(str(tmp_path / "masks/a.png"), LABELS)
    assert type(opening.open_dataset(tmp_path, layout="images-and-masks")) is ImagesAndMasks


def test_a_layout_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'yolo' is not among the installed layouts; choose from .*hc18"):
        opening.open_dataset(tmp_path, layout="yolo")


def test_run_lengths_and_parts_of_coco(tmp_path: Path) -> None:
    frame(tmp_path, "train/a.png")
    flat = HEAD_MASK.T.ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    left, right = (Ellipse(x, 70, 20, 12, 0) for x in (50, 66))
    drawn = {
        "FH": {"counts": counts, "size": list(SHAPE)},
        "PS": [np.ravel(points(part)).tolist() for part in (left, right)],
    }
    (tmp_path / "_annotations.coco.json").write_text(json.dumps(coco(drawn, "train/a.png")))
    (labelled,) = Coco(tmp_path)
    np.testing.assert_array_equal(labelled.mask == 2, HEAD_MASK > 0)
    assert np.count_nonzero((labelled.mask == 1) != (left.rasterise(SHAPE) | right.rasterise(SHAPE))) < 30


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        ([], "by a shape of the kind 'box'; draw its outline as a polygon"),
        ({"counts": "abc12", "size": [256, 300]}, "by a shape of the kind 'compressed run lengths'"),
        ({"counts": [5, 6], "size": [256, 300]}, "by run lengths of 11 pixels for 76800"),
        ([[1.0, 2.0, 3.0, 4.0]], "by a polygon of fewer than three points"),
        ([[1.0, 2.0, 1e300, 4.0, 5.0, -1e300]], "by a polygon that reaches far beyond the frame"),
    ],
)
def test_shapes_of_coco_that_mark_nothing(tmp_path: Path, drawn: Any, message: str) -> None:
    frame(tmp_path, "a.png")
    (tmp_path / "a.json").write_text(json.dumps(coco({"head": drawn})))
    with pytest.raises(InputError, match=message):
        Coco(tmp_path)[0]


def test_two_files_of_coco(tmp_path: Path) -> None:
    for name in ("train", "val"):
        (tmp_path / f"{name}.json").write_text(json.dumps(coco({})))
    with pytest.raises(InputError, match=r"holds train\.json and val\.json, where one COCO file was expected"):
        Coco(tmp_path)


def test_other_json_files_are_no_annotations(tmp_path: Path) -> None:
    for name, text in (("dataset.json", '{"name": "x"}'), ("b.json", "[1, 2"), ("c.json", "[" * 100_000)):
        (tmp_path / name).write_text(text)
    assert not Coco.recognises(tmp_path) and not LabelMe.recognises(tmp_path)


def test_other_kinds_of_shape_of_labelme(tmp_path: Path) -> None:
    frame(tmp_path, "a.png")
    shape = {"label": "head", "points": [[10, 10], [99, 99]], "shape_type": "circle"}
    (tmp_path / "a.json").write_text(json.dumps({"shapes": [shape], "imagePath": "a.png"}))
    (tmp_path / "b.json").write_text("{}")
    dataset = LabelMe(tmp_path)
    assert [problem.file for problem in dataset.problems] == ["b.json"]
    with pytest.raises(InputError, match=r"a\.json marks 'head' in a\.png by a shape of the kind 'circle'"):
        dataset[0]


def test_ellipses_and_brush_masks_of_cvat(tmp_path: Path) -> None:
    frame(tmp_path)
    rows, columns = np.flatnonzero(SYMPHYSIS_MASK.any(1)), np.flatnonzero(SYMPHYSIS_MASK.any(0))
    box = SYMPHYSIS_MASK[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    flat = np.concatenate([[0], box.ravel()])
    counts = np.diff([1, *(np.flatnonzero(np.diff(flat)) + 1), flat.size]).tolist()
    shapes = (
        '<ellipse label="head" cx="170.5" cy="150.5" rx="55" ry="70" rotation="-30"/>'
        f'<mask label="symphysis" rle="{", ".join(map(str, counts))}" left="{columns[0]}" top="{rows[0]}" '
        f'width="{box.shape[1]}" height="{box.shape[0]}"/>'
    )
    (tmp_path / "annotations.xml").write_text(cvat(shapes))
    np.testing.assert_array_equal(Cvat(tmp_path)[0].mask, LABELS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            cvat("").replace("<image", "<track id='0'></track><image"),
            'holds tracks of a video; export it as "CVAT for im',
        ),
        (cvat("").replace("</annotations>", ""), "is no XML that can be read"),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + cvat("&b;").partition("?>")[2], "is no XML that can be read"),
        (cvat('<polygon label="head" points="1,x;2,3"/>'), r"image 'a\.png' has a missing or unusable could not"),
        (cvat('<polygon points="1,2"/>'), r"image 'a\.png' has a missing or unusable 'label'"),
    ],
)
def test_files_of_cvat_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    frame(tmp_path)
    (tmp_path / "annotations.xml").write_text(text)
    assert Cvat.recognises(tmp_path)
    with pytest.raises(InputError, match=message):
        Cvat(tmp_path)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        *((name, 2) for name in ("head", "Fetal_Head", "FetalHead", "foetal head 2", "skull", "FH", "hc", "Head size")),
        *((name, 1) for name in ("symphysis", "Pubic-Symphysis", "PubicSymphysis", "PS", "SP", "symphysis pubis")),
        *((name, None) for name in ("femoral head", "no head", "not symphysis")),
        *((name, None) for name in ("abdomen", "forehead", "head and symphysis", "", "1", "background", "pubis")),
    ],
)  # fmt: skip
def test_names(name: str, label: int | None) -> None:
    assert label_of(name, PS_FH) == label
    assert label_of(name, HEAD) == (1 if label == 2 else None)


def test_a_polygon_holds_the_pixels_whose_centres_lie_inside() -> None:
    square = np.array([(1.5, 1.5), (4.5, 1.5), (4.5, 3.5), (1.5, 3.5)])
    expected = np.zeros((6, 8), np.uint8)
    expected[2:4, 2:5] = 1
    np.testing.assert_array_equal(fill_polygon(square, (6, 8)), expected)
    np.testing.assert_array_equal(fill_polygon(square[::-1] - (3, 0), (6, 8))[2:4], [[1, 1, 0, 0, 0, 0, 0, 0]] * 2)
    many = Ellipse(150, 120, 80, 50, 25)
    np.testing.assert_array_equal(fill_polygon(many.points(20_000), SHAPE), many.rasterise(SHAPE))
