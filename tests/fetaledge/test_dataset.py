"""Readers by layout, splits by subject, and everything that can be wrong with a folder."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge.data.check import check_dataset, summary_lines, write_sheet
from fetaledge.data.dataset import Item
from fetaledge.data.layouts.open import open_dataset
from fetaledge.data.split import choose_frames, draw_frames, split_by_subject
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.tasks.head import measure_head

TABLE = "training_set_pixel_size_and_HC.csv"


@pytest.fixture
def copy(phantoms: Path, tmp_path: Path) -> Path:
    """A folder of HC18's layout that a test may break."""
    folder = tmp_path / "data"
    shutil.copytree(phantoms, folder)
    return folder


def edit_table(folder: Path, edit: Callable[[list[list[str]]], None]) -> None:
    path = folder / TABLE
    rows = list(csv.reader(path.read_text().splitlines()))
    edit(rows)
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")


def test_hc18_real(hc18: Path) -> None:
    dataset = open_dataset(hc18)
    assert len(dataset) == 799
    assert not dataset.synthetic
    subjects = {item.name: item.subject for item in dataset.items}
    assert subjects["014_HC"] == subjects["014_2HC"] == "014"


def test_hc18_open_outlines_have_labels(hc18: Path) -> None:
    """Three of the four outlines that a fill finds nothing in (628_2HC is not in this part of the set)."""
    dataset = open_dataset(hc18)
    for labelled in dataset.only(["186_HC", "346_HC", "787_HC"]):
        measures = measure_head(labelled.mask, labelled.frame.pixel_mm or (1, 1))
        assert measures is not None
        assert measures.hc_mm == pytest.approx(labelled.stated["hc_mm"], abs=0.5)


def test_phantoms_are_known_as_synthetic(phantoms: Path) -> None:
    dataset = open_dataset(phantoms)
    assert dataset.synthetic and dataset[0].synthetic
    assert [item.name for item in dataset.items] == sorted(item.name for item in dataset.items)


def test_images_and_masks(tmp_path: Path) -> None:
    ellipse = Ellipse(120, 90, 60, 45, 20)
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for stem in ("a", "b"):
        cv2.imwrite(str(tmp_path / "images" / f"{stem}.jpg"), np.full((200, 240), 90, np.uint8))
        cv2.imwrite(str(tmp_path / "masks" / f"{stem}.png"), ellipse.rasterise((200, 240)) * 255)
    dataset = open_dataset(tmp_path)
    assert "hc_mm" not in dataset[0].stated and dataset[0].subject == "a"
    (tmp_path / "pixels.csv").write_text("filename,row_mm,column_mm,subject\na.jpg,0.2,0.1,mary\nb.jpg,0.2,0.2,mary\n")
    dataset = open_dataset(tmp_path)
    assert [item.subject for item in dataset.items] == ["mary", "mary"]
    assert dataset[0].frame.pixel_mm == (0.2, 0.1)
    assert dataset[1].stated["hc_mm"] == pytest.approx(ellipse.circumference * 0.2, abs=0.05)
    (tmp_path / "pixels.csv").write_text("filename,pixel_mm\na.jpg,zero\n")
    with pytest.raises(InputError, match="'zero', not a number"):
        open_dataset(tmp_path)


def test_no_folder_and_no_layout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no layout known here"):
        open_dataset(tmp_path)


def _without_image(folder: Path) -> None:
    (folder / "training_set/003_HC.png").unlink()


def _without_label(folder: Path) -> None:
    (folder / "training_set/003_HC_Annotation.png").unlink()


def _orphan_label(folder: Path) -> None:
    shutil.copy(folder / "training_set/003_HC_Annotation.png", folder / "training_set/777_HC_Annotation.png")


def _row_missing(folder: Path) -> None:
    edit_table(folder, lambda rows: rows.pop(4))


def _bad_number(folder: Path) -> None:
    edit_table(folder, lambda rows: rows[4].__setitem__(1, "wide"))


def _zero_spacing(folder: Path) -> None:
    edit_table(folder, lambda rows: rows[4].__setitem__(1, "0"))


def _no_column(folder: Path) -> None:
    edit_table(folder, lambda rows: rows[0].__setitem__(1, "size"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without_image, "003_HC.png: has a row .* and no image"),
        (_without_label, "003_HC.png: has no annotation"),
        (_orphan_label, "777_HC_Annotation.png: has no image"),
        (_row_missing, "003_HC.png: has no row"),
        (_bad_number, "003_HC.png: .*'wide', not a number"),
        (_zero_spacing, "003_HC.png: .* must be above zero"),
        (_no_column, r"lacks the column 'pixel size\(mm\)'"),
    ],
)
def test_broken_folders(copy: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(copy)
    with pytest.raises(InputError, match=message):
        open_dataset(copy)


def test_sizes_that_differ_and_an_empty_label(copy: Path) -> None:
    label = copy / "training_set/003_HC_Annotation.png"
    outline = cv2.imread(str(label), cv2.IMREAD_GRAYSCALE)
    assert outline is not None
    cv2.imwrite(str(label), outline[:, 10:])
    with pytest.raises(InputError, match="790×540, and 003_HC.png is 800×540"):
        open_dataset(copy)[3]
    cv2.imwrite(str(label), np.zeros_like(outline))
    with pytest.raises(InputError, match="marks no pixel"):
        open_dataset(copy)[3]


def test_check_names_every_problem_and_goes_on(copy: Path, tmp_path: Path) -> None:
    _without_label(copy)
    (copy / "training_set/005_HC.png").write_text("not a picture")
    edit_table(copy, lambda rows: rows[8].__setitem__(2, str(float(rows[8][2]) + 30)))
    dataset = open_dataset(copy, strict=False)
    report = check_dataset(dataset)
    assert {problem["file"] for problem in report["problems"]} == {"003_HC.png", "005_HC.png", "007_HC.png"}
    assert report["usable"] == 17
    assert report["hc_mm"]["n"] == report["pixel_mm"]["n"] == sum(report["sizes"].values()) == 17
    assert report["without_spacing"] == 0
    assert any("17 usable synthetic frames" in line for line in summary_lines(report))
    write_sheet(dataset, report, tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None and sheet.std() > 10


def items(*subjects: str) -> list[Item]:
    return [Item(f"{s}_{n}", s, Path(), Path(), None, None) for n, s in enumerate(subjects)]


def test_split_keeps_subjects_together() -> None:
    frames = items(*"aabbccddeeffgghhiijj")
    train, validation = split_by_subject(frames, 0.2, seed=3)
    assert len(validation) == 4 and len(train) == 16
    assert not {name[0] for name in train} & {name[0] for name in validation}
    assert split_by_subject(frames, 0.2, seed=3) == (train, validation)
    assert split_by_subject(frames, 0.2, seed=4) != (train, validation)
    with pytest.raises(UsageError, match="leaves one side empty"):
        split_by_subject(items("a", "a"), 0.2, seed=0)


def test_smaller_draws_are_part_of_larger() -> None:
    frames = items(*"abcdefgh")
    assert set(draw_frames(frames, 3, 1)) < set(draw_frames(frames, 6, 1))
    with pytest.raises(UsageError, match="between 1 and 8"):
        draw_frames(frames, 9, 1)


def test_known_subjects_stay_on_the_training_side(phantoms: Path) -> None:
    dataset = open_dataset(phantoms)
    known = {item.content_hash() for item in dataset.items[:10]}
    train, validation = split_by_subject(dataset.items, 0.5, 0, known)
    assert {item.name for item in dataset.items[:10]} <= set(train)
    assert len(validation) == 5
    with pytest.raises(UsageError, match="leaves one side empty"):
        split_by_subject(dataset.items, float("nan"), 0)


def test_training_frames_are_never_scored_unasked(phantoms: Path, copy: Path) -> None:
    dataset = open_dataset(phantoms)
    names = [item.name for item in dataset.items]
    facts = {
        "data": {"fingerprint": dataset.fingerprint()},
        "split": {"train": names[4:], "validation": names[:4]},
        "trained_on": [item.content_hash() for item in dataset.items[4:]],
    }
    assert [item.name for item in choose_frames(dataset, None, facts).items] == names[:4]
    assert len(choose_frames(dataset, "all", facts)) == 20
    assert len(choose_frames(dataset, "train", facts)) == 16
    with pytest.raises(UsageError, match="no split"):
        choose_frames(dataset, "test", facts)

    edit_table(copy, lambda rows: rows.pop(1))
    for name in ("000_HC.png", "000_HC_Annotation.png"):
        (copy / "training_set" / name).unlink()
    other = open_dataset(copy)
    assert [item.name for item in choose_frames(other, None, facts).items] == names[1:4]
    with pytest.raises(UsageError, match="has no split"):
        choose_frames(other, "validation", facts)
    everything = {**facts, "trained_on": [item.content_hash() for item in dataset.items]}
    with pytest.raises(InputError, match="trained on every subject"):
        choose_frames(other, None, everything)
    assert len(choose_frames(other, None, {**facts, "trained_on": []})) == 19
    with pytest.raises(InputError, match="does not say which frames"):
        choose_frames(other, None, {"run": "somebody else's"})
    assert len(choose_frames(other, "all", {})) == 19


def test_the_fingerprint_covers_numbers_too(phantoms: Path, copy: Path) -> None:
    assert open_dataset(copy).fingerprint() == open_dataset(phantoms).fingerprint()
    edit_table(copy, lambda rows: rows[3].__setitem__(1, "0.2"))
    assert open_dataset(copy).fingerprint() != open_dataset(phantoms).fingerprint()
