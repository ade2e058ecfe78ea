"""The layout of PSFHS, with real MetaImage files, and label maps in ``images/`` + ``masks/``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge.data.check import COLOURS, check_dataset, summary_lines, write_sheet
from fetaledge.data.layouts.open import open_dataset
from fetaledge.data.meta_image import read_meta_image
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.ps_fh import PS_FH

SHAPE = (256, 256)


def label_map(shift: float = 0) -> Image:
    """A symphysis to the upper left of a head, both whole."""
    mask = Ellipse(140 + shift, 150, 70, 50, 60).rasterise(SHAPE) * np.uint8(2)
    mask[Ellipse(62, 70, 28, 11, 150).rasterise(SHAPE) > 0] = 1
    return mask


def write(path: Path, values: np.ndarray, compressed: bool = True) -> None:
    import SimpleITK

    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(path), compressed)


def write_frame(folder: Path, stem: str, mask: np.ndarray, planes: bool = True) -> None:
    grey = (mask * 60 + 30).astype(np.uint8)
    write(folder / f"image_mha/{stem}.mha", np.stack([grey] * 3) if planes else grey)
    write(folder / f"label_mha/{stem}.mha", mask)


@pytest.fixture
def psfhs(tmp_path: Path) -> Path:
    folder = tmp_path / "psfhs"
    for index in range(4):
        write_frame(folder, f"{index + 1:05d}", label_map(index), planes=index % 2 == 0)
    return folder


def test_frames_and_labels(psfhs: Path) -> None:
    dataset = open_dataset(psfhs)
    assert dataset.task is dataset.only(["00001"]).task is PS_FH and len(dataset) == 4 and not dataset.synthetic
    assert [item.subject for item in dataset.items] == ["00001", "00002", "00003", "00004"]
    for index, labelled in enumerate(dataset):
        np.testing.assert_array_equal(labelled.mask, label_map(index))
        np.testing.assert_array_equal(labelled.frame.pixels, label_map(index) * 60 + 30)
        assert labelled.mask.dtype == labelled.frame.pixels.dtype == np.uint8
        assert labelled.stated == {} and labelled.frame.pixel_mm is None


def test_colour_planes_and_deeper_grey(psfhs: Path) -> None:
    planes = np.zeros((3, *SHAPE), np.uint8)
    planes[0], planes[1], planes[2] = 200, 100, 50
    write(psfhs / "image_mha/00001.mha", planes)
    write(psfhs / "image_mha/00002.mha", np.full(SHAPE, 65535, np.uint16))
    write(psfhs / "label_mha/00003.mha", label_map().astype(np.float32))
    dataset = open_dataset(psfhs)
    assert dataset[0].frame.pixels[0, 0] == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    assert dataset[1].frame.pixels.min() == 255
    assert set(np.unique(dataset[2].mask)) == {0, 1, 2}


def test_the_table_states_subjects_angles_and_spacing(psfhs: Path) -> None:
    before = open_dataset(psfhs).fingerprint()
    rows = ["filename,subject,aop_deg,hsd_px,pixel_mm,case", "00001.mha,anna,123.5,20,0.3,plain", "00002.mha,anna,,,,"]
    (psfhs / "truth.csv").write_text("\n".join(rows) + "\n")
    dataset = open_dataset(psfhs)
    assert [item.subject for item in dataset.items] == ["anna", "anna", "00003", "00004"]
    assert (dataset[0].stated, dataset[0].frame.pixel_mm) == ({"aop_deg": 123.5}, (0.3, 0.3))
    assert (dataset[1].stated, dataset[1].frame.pixel_mm) == ({}, None)
    assert dataset.fingerprint() != before
    (psfhs / "truth.csv").write_text("filename,aop_deg\n00001.mha,211\n")
    with pytest.raises(InputError, match="00001: aop_deg is 211, and an angle of progression lies below 210"):
        open_dataset(psfhs)


def test_frames_without_a_structure_are_data(psfhs: Path) -> None:
    """Sweeps labelled frame by frame hold frames without symphysis, without head, without either."""
    only_head, only_symphysis = label_map(), label_map()
    only_head[only_head == 1] = 0
    only_symphysis[only_symphysis == 2] = 0
    for stem, mask in (("00001", only_head), ("00002", only_symphysis), ("00003", np.zeros(SHAPE, np.uint8))):
        write_frame(psfhs, stem, mask)
    assert [set(np.unique(labelled.mask)) for labelled in open_dataset(psfhs)] == [{0, 2}, {0, 1}, {0}, {0, 1, 2}]


def _no_label(folder: Path) -> None:
    (folder / "label_mha/00002.mha").unlink()


def _no_image(folder: Path) -> None:
    (folder / "image_mha/00002.mha").unlink()


def _no_folder(folder: Path) -> None:
    (folder / "label_mha").rename(folder / "labels")


def _row_alone(folder: Path) -> None:
    (folder / "truth.csv").write_text("filename,subject\n00009.mha,x\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_label, "image_mha/00002.mha: has no mask label_mha/00002.mha; run: fetaledge data check"),
        (_no_image, "label_mha/00002.mha: has no image image_mha/00002.mha"),
        (_no_folder, "has no label_mha/ folder; expected image_mha/ and label_mha/ side by side"),
        (_row_alone, "truth.csv: 00009: has a row and no image"),
    ],
)
def test_broken_pairs(psfhs: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(psfhs)
    with pytest.raises(InputError, match=message):
        open_dataset(psfhs)


def cut(path: Path, compressed: bool) -> None:
    values = np.random.default_rng(0).integers(0, 255, (3, *SHAPE)).astype(np.uint8)
    write(path, values, compressed)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: write(f / "image_mha/00001.mha", np.zeros((4, *SHAPE), np.uint8)), "4×256×256, where 3×H×W or H×W"),
        (lambda f: write(f / "image_mha/00001.mha", np.zeros((8, 8), np.uint8)), "8x8, which is not an ultrasound"),
        (lambda f: write(f / "image_mha/00001.mha", np.zeros(SHAPE, np.float32)), "holds float32 values"),
        (lambda f: write(f / "image_mha/00001.mha", np.full(SHAPE, -1, np.int16)), "holds int16 values"),
        (lambda f: write(f / "label_mha/00001.mha", np.zeros((3, *SHAPE), np.uint8)), "3×256×256, where H×W was"),
        (
            lambda f: write(f / "label_mha/00001.mha", np.zeros((256, 200), np.uint8)),
            "is 200×256, and 00001.mha is 256",
        ),
        (
            lambda f: write(f / "label_mha/00001.mha", label_map() * np.uint8(2)),
            "holds the values 0, 2 and 4, where 0, 1 and 2 or 0, 7 and 8 were expected",
        ),
        (lambda f: write(f / "label_mha/00001.mha", np.full(SHAPE, -1, np.int8)), "holds the values -1 and 0, where"),
        (lambda f: write(f / "label_mha/00001.mha", label_map() * 0.5), "holds the values 0, 0.5 and 1, where"),
        (lambda f: cut(f / "image_mha/00001.mha", False), "00001.mha is no MetaImage, or is damaged or cut short"),
        (lambda f: cut(f / "image_mha/00001.mha", True), "00001.mha is no MetaImage, or is damaged or cut short"),
        (lambda f: (f / "image_mha/00001.mha").write_bytes(b""), "is empty"),
        (lambda f: (f / "label_mha/00001.mha").write_text("no image"), "00001.mha is no MetaImage"),
    ],
)
def test_broken_files(
    psfhs: Path, damage: Callable[[Path], None], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    damage(psfhs)
    with pytest.raises(InputError, match=message):
        open_dataset(psfhs)[0]
    assert not any(capfd.readouterr())


def test_reading_leaves_the_standard_streams_of_the_process_alone(psfhs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread's output must not vanish while a frame is read."""

    def redirected(*_: int) -> None:
        raise AssertionError("a file descriptor was redirected")

    with monkeypatch.context() as patch:
        patch.setattr(os, "dup2", redirected)
        assert open_dataset(psfhs)[0].mask.max() == 2


@pytest.mark.parametrize(
    "kind", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float32", "float64"]
)
@pytest.mark.parametrize("compressed", [True, False])
def test_every_number_type_of_a_metaimage(tmp_path: Path, kind: str, compressed: bool) -> None:
    values = (np.random.default_rng(0).random((3, 40, 50)) * 100).astype(kind)
    write(tmp_path / "a.mha", values, compressed)
    read = read_meta_image(tmp_path / "a.mha", lambda header: None)
    assert read.dtype == values.dtype
    np.testing.assert_array_equal(read, values)


def test_a_metaimage_in_the_other_byte_order_with_its_values_in_a_file_beside_it(tmp_path: Path) -> None:
    import SimpleITK

    values = np.arange(2000, dtype=np.uint16).reshape(40, 50)
    header = "ObjectType = Image\nNDims = 2\nBinaryDataByteOrderMSB = True\nDimSize = 50 40\nElementType = MET_USHORT\n"
    (tmp_path / "a.mha").write_text(f"{header}ElementDataFile = a.raw\n")
    (tmp_path / "a.raw").write_bytes(values.astype(">u2").tobytes())
    np.testing.assert_array_equal(read_meta_image(tmp_path / "a.mha", lambda header: None), values)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "a.mha"))), values)


def test_label_maps_as_pictures(tmp_path: Path) -> None:
    for stem in "ab":
        for part, values in (("images", label_map() * 60), ("masks", label_map())):
            (tmp_path / part).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / part / f"{stem}.png"), values)
    cv2.imwrite(str(tmp_path / "masks/a.png"), (label_map() == 1).astype(np.uint8))
    dataset = open_dataset(tmp_path)
    assert dataset.task is PS_FH and set(np.unique(dataset[0].mask)) == {0, 1}
    np.testing.assert_array_equal(dataset[1].mask, label_map())
    (tmp_path / "pixels.csv").write_text("filename,pixel_mm\na.png,0.3\nb.png,0.3\n")
    assert open_dataset(tmp_path)[1].stated == {}

    cv2.imwrite(str(tmp_path / "masks/a.png"), (label_map() == 2).astype(np.uint8) * 255)
    dataset = open_dataset(tmp_path)
    assert dataset.task is HEAD and dataset[0].mask.max() == 1
    with pytest.raises(
        InputError, match=r"b\.png holds the label 2 of symphysis and head, and its data set is of the task head"
    ):
        dataset[1]
    cv2.imwrite(str(tmp_path / "masks/a.png"), label_map())
    cv2.imwrite(str(tmp_path / "masks/b.png"), label_map() + np.uint8(1))
    with pytest.raises(InputError, match=r"b\.png holds the values 0, 1, 2 and 3"):
        open_dataset(tmp_path)[1]


def test_labels_alone_suffice_where_images_are_optional(psfhs: Path) -> None:
    (psfhs / "image_mha/00002.mha").unlink()
    assert len(open_dataset(psfhs, images_optional=True)) == 4
    for path in (psfhs / "image_mha").iterdir():
        path.unlink()
    (psfhs / "image_mha").rmdir()
    dataset = open_dataset(psfhs, images_optional=True)
    np.testing.assert_array_equal(dataset[3].mask, label_map(3))
    assert dataset[3].frame.pixels.shape == SHAPE and not dataset[3].frame.pixels.any()
    with pytest.raises(InputError, match="has no image_mha/ folder"):
        open_dataset(psfhs)


def test_check_counts_structures_and_statuses(psfhs: Path, tmp_path: Path) -> None:
    only_head = label_map()
    only_head[only_head == 1] = 0
    write_frame(psfhs, "00002", only_head)
    only_symphysis = label_map()
    only_symphysis[only_symphysis == 2] = 0
    write_frame(psfhs, "00003", only_symphysis)
    write(psfhs / "label_mha/00004.mha", label_map() + np.uint8(3))
    report = check_dataset(open_dataset(psfhs))
    assert (report.task, report.usable, report.sizes) == ("ps-fh", 3, {"256×256": 3})
    assert report.structures == {"pubic-symphysis": 2, "head": 2}
    assert report.statuses == {"ok": 1, "missing-ps": 1, "missing-fh": 1} and report.aop_deg.n == 1
    assert [problem.file for problem in report.problems] == ["00004.mha"]
    lines = summary_lines(report)
    assert "frames with: pubic-symphysis 2, head 2" in lines and not any("no millimetres" in line for line in lines)

    measured = report.aop_deg.median
    (psfhs / "truth.csv").write_text(f"filename,aop_deg\n00001.mha,{measured + 9}\n00002.mha,{measured + 9}\n")
    report = check_dataset(open_dataset(psfhs))
    assert [problem.file for problem in report.problems] == ["00001.mha", "00004.mha"]
    assert f"measures an AoP of {measured:.1f} degrees" in report.problems[0].message
    assert report.aop_deg.max == pytest.approx(measured + 9)

    write_sheet(open_dataset(psfhs), report, tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    for colour in COLOURS[:2]:
        assert (np.abs(sheet.astype(int) - colour).max(axis=2) < 30).any()
