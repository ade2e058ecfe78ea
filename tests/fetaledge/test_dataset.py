"""Readers by layout, splits by subject, and everything that can be wrong with a folder."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from fetaledge.cli.app import app
from fetaledge.data.check import DataCheck, check_dataset, summary_lines, write_sheet
from fetaledge.data.dataset import Item
from fetaledge.data.layouts.open import open_dataset
from fetaledge.data.split import choose_frames, draw_frames, seen_subjects, split_by_subject
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.frames.read import read_frames
from fetaledge_runtimes.records import from_json, to_json
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
    assert dataset[0].stated == {} and dataset[0].subject == "a"
    (tmp_path / "pixels.csv").write_text("filename,row_mm,column_mm,subject\na.jpg,0.2,0.1,mary\nb.jpg,0.2,0.2,mary\n")
    dataset = open_dataset(tmp_path)
    assert [item.subject for item in dataset.items] == ["mary", "mary"]
    assert dataset[0].frame.pixel_mm == (0.2, 0.1)
    measured = dataset.task.measure(dataset[1].mask, dataset[1].frame.pixel_mm)
    assert measured.values["hc_mm"] == pytest.approx(ellipse.circumference * 0.2, abs=0.05)
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
    assert {problem.file for problem in report.problems} == {"003_HC.png", "005_HC.png", "007_HC.png"}
    assert report.usable == 17
    assert report.hc_mm.n == report.pixel_mm.n == sum(report.sizes.values()) == 17
    assert report.without_spacing == 0
    assert any("17 usable synthetic frames" in line for line in summary_lines(report))
    write_sheet(dataset, report, tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None and sheet.std() > 10


def items(*subjects: str) -> list[Item]:
    return [Item(f"{s}_{n}", s, Path(), Path(), None) for n, s in enumerate(subjects)]


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
    dataset.leave_out([dataset.items[0].name])  # its subject is known all the same
    subjects = seen_subjects(dataset, known)
    assert subjects == {item.subject for item in dataset.scanned[:10]}
    train, validation = split_by_subject(dataset.items, 0.5, 0, subjects)
    assert {item.name for item in dataset.items[:9]} <= set(train)
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


@pytest.mark.parametrize(
    "table",
    [
        "filename, pixel_mm\na.png, 0.2 \n",
        "filename,pixel_mm\na.png,\n",
        "filename,pixel_mm\na.png,0.2\na.png,0.2\n",
        "filename,pixel_mm\na.png,0.2\na.png,0.3\n",
        "filename,pixel_mm\na.bmp,0.2\n",
        "filename,spacing\na.png,0.2\n",
    ],
)
def test_training_and_prediction_read_one_table_alike(tmp_path: Path, table: str) -> None:
    """The same frame and table, as labelled data and as frames to predict: the same spacing, or both refuse it."""
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        cv2.imwrite(str(tmp_path / part / "a.png"), Ellipse(120, 90, 60, 45, 20).rasterise((200, 240)) * 255)
    for folder in (tmp_path, tmp_path / "images"):
        (folder / "pixels.csv").write_text(table)

    def spacing(read: Callable[[], object]) -> object:
        try:
            return read()
        except InputError:
            return "refused"

    assert spacing(lambda: open_dataset(tmp_path)[0].frame.pixel_mm) == spacing(
        lambda: next(read_frames(tmp_path / "images")).pixel_mm
    )


def write_pairs(folder: Path, mask: np.ndarray, image: np.ndarray | None = None) -> None:
    for part, values in (("images", np.full(mask.shape, 90, np.uint8) if image is None else image), ("masks", mask)):
        (folder / part).mkdir(exist_ok=True)
        cv2.imwrite(str(folder / part / "a.png"), values)


def test_the_task_is_chosen_or_said_to_be_assumed(tmp_path: Path) -> None:
    """A symphysis alone, marked 1, looks like a head: the sentence says what was taken, and --task says otherwise."""
    mask = Ellipse(120, 90, 30, 12, 20).rasterise((200, 240))
    write_pairs(tmp_path, mask)
    said: list[str] = []
    dataset = open_dataset(tmp_path, progress=said.append)
    assert dataset.task.name == "head"
    assert said == [f"{tmp_path}: masks/ holds the values 0 and 1: taken as the task head (--task chooses another)"]
    chosen = open_dataset(tmp_path, task="ps-fh", progress=said.append)
    assert chosen.task.name == chosen.only(["a"]).task.name == "ps-fh" and chosen.assumption is None and len(said) == 1
    np.testing.assert_array_equal(chosen[0].mask, mask)
    write_pairs(tmp_path, mask * 2)
    assert "the values 0 and 2: taken as the task ps-fh" in (open_dataset(tmp_path).assumption or "")
    with pytest.raises(InputError, match="holds the label 2 of symphysis and head"):
        open_dataset(tmp_path, task="head")[0]
    with pytest.raises(UsageError, match="no task 'heart'"):
        open_dataset(tmp_path, task="heart")


def test_a_layout_of_one_task_takes_no_other(phantoms: Path) -> None:
    assert open_dataset(phantoms, task="head").assumption is None
    with pytest.raises(UsageError, match="labelled for the task head, not ps-fh"):
        open_dataset(phantoms, task="ps-fh")


def test_attribution_belongs_to_the_layout_and_to_files_beside_the_data(copy: Path) -> None:
    assert open_dataset(copy).attribution is None  # phantoms
    (copy / "phantom.json").unlink()
    dataset = open_dataset(copy)
    assert dataset.name == "data" and "Zenodo 1327317" in (dataset.attribution or "")
    assert dataset.licence == "CC BY 4.0"
    (copy / "LICENSE").write_text("\n# Of one hospital, not for others\nmore\n")
    dataset = open_dataset(copy)
    assert (dataset.attribution, dataset.licence) == (None, "Of one hospital, not for others")
    (copy / "dataset.json").write_text('{"name": "Ours", "attribution": "We 2026", "licence": "CC0", "x": {"1": 2}}')
    facts = open_dataset(copy).facts()
    assert [facts[key] for key in ("name", "attribution", "licence")] == ["Ours", "We 2026", "CC0"]
    (copy / "dataset.json").write_text('{"schema": "fetaledge/dataset/1", "licence": 4}')
    with pytest.raises(InputError, match=r"dataset\.json has an unusable value in licence"):
        open_dataset(copy)
    (copy / "dataset.json").write_text('{"schema": "fetaledge/dataset/1", "license": "CC0"}')
    with pytest.raises(InputError, match=r"dataset\.json has an unknown key license"):
        open_dataset(copy)


def test_every_file_is_read_once_for_fingerprint_and_hashes(phantoms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_dataset(phantoms)
    read: list[Path] = []
    original = Path.read_bytes

    def counted(path: Path) -> bytes:
        read.append(path)
        return original(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    fingerprint = dataset.fingerprint()
    hashes = [item.content_hash() for item in dataset.items]
    assert dataset.fingerprint() == fingerprint == dataset.facts()["fingerprint"]
    assert len(read) == len(set(read)) == 2 * len(dataset)
    assert len(set(hashes)) == len(hashes)
    assert hashes == [item.content_hash() for item in open_dataset(phantoms).items]


def test_one_bit_depth_for_all_images(tmp_path: Path) -> None:
    image = np.full((200, 240), 500, np.uint16)
    mask = Ellipse(120, 90, 60, 45, 20).rasterise((200, 240)) * 255
    image[0] = 900
    write_pairs(tmp_path, mask, image)
    assert open_dataset(tmp_path)[0].frame.bits == 10
    image[0] = 4000
    cv2.imwrite(str(tmp_path / "images/b.png"), image)
    cv2.imwrite(str(tmp_path / "masks/b.png"), mask)
    frames = [labelled.frame for labelled in open_dataset(tmp_path)]
    assert [(int(frame.pixels[9, 9]), frame.bits) for frame in frames] == [(31, 12), (31, 12)]


def test_the_document_of_a_check(phantoms: Path) -> None:
    """What earlier versions wrote lacks three keys, and is still read."""
    report = check_dataset(open_dataset(phantoms))
    plain = to_json(report)
    assert plain["schema"] == "fetaledge/data/1" and from_json(plain, DataCheck, "check") == report
    earlier = {key: plain[key] for key in plain if key not in ("assumption", "attribution", "licence", "bits")}
    assert from_json(earlier, DataCheck, "check").usable == 20
    with pytest.raises(InputError, match=r"check has an unknown key problems\[0\]\.line"):
        from_json(plain | {"problems": [{"file": "a", "message": "b", "line": 1}]}, DataCheck, "check")


def test_the_commands_say_what_they_assumed(tmp_path: Path) -> None:
    write_pairs(tmp_path, Ellipse(120, 90, 60, 45, 20).rasterise((200, 240)))
    command = ["data", "check", str(tmp_path), "--json"]
    assumed = CliRunner().invoke(app, command)
    assert assumed.exit_code == 0 and "taken as the task head" in assumed.stderr
    chosen = CliRunner().invoke(app, [*command, "--task", "ps-fh"])
    assert chosen.stderr == "" and json.loads(chosen.stdout)["structures"] == {"pubic-symphysis": 1, "head": 0}
    for name in (["train", "unet"], ["train", "sam"], ["evaluate"], ["export"], ["benchmark"], ["data", "heatmap"]):
        assert "--task" in CliRunner().invoke(app, [*name, "--help"]).stdout


def test_a_model_card_cites_what_the_run_kept(copy: Path) -> None:
    from fetaledge.workflows.export import source_text

    assert source_text(open_dataset(copy).facts()) == "synthetic frames made by fetaledge"
    (copy / "phantom.json").unlink()
    hc18 = "HC18 (van den Heuvel et al. 2018, Zenodo 1327317), licence: CC BY 4.0"
    assert source_text(open_dataset(copy).facts()) == hc18  # whatever its folder is called
    assert source_text({"name": "HC18", "synthetic": False}) == hc18  # a run of an earlier version
    nothing = {"name": "hc18-like", "synthetic": False, "attribution": None, "licence": None}
    assert source_text(nothing) == "hc18-like, of whose source and licence nothing was stated"
