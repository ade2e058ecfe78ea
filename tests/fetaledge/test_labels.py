"""Labels as people have them: each kind is understood, or refused with what it holds."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from fetaledge.data.check import check_dataset
from fetaledge.data.label_check import check_label
from fetaledge.data.layouts.open import open_dataset, open_usable
from fetaledge_runtimes.ellipse import Ellipse, from_mask
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.ps_fh import PS_FH
from tests.conftest import Call

SHAPE = (256, 300)
HEAD_ELLIPSE, SYMPHYSIS = Ellipse(170, 150, 70, 55, 60), Ellipse(62, 70, 30, 12, 30)
PIXEL_MM = 0.5
HC_MM = HEAD_ELLIPSE.circumference * PIXEL_MM
HEAD_MASK = HEAD_ELLIPSE.rasterise(SHAPE)
LABELS: Image = (HEAD_MASK * 2 + SYMPHYSIS.rasterise(SHAPE)).astype(np.uint8)
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def folder_of(folder: Path, *masks: np.ndarray | Pillow.Image, ending: str = "png", **options: object) -> Path:
    """``images/`` + ``masks/`` with these masks, as ``ending``, and a spacing."""
    for part in ("images", "masks"):
        (folder / part).mkdir()
    rows = ["filename,pixel_mm"]
    for place, mask in enumerate(masks):
        picture = mask if isinstance(mask, Pillow.Image) else Pillow.fromarray(np.asarray(mask, np.uint8))
        picture.save(folder / f"masks/{place}.{ending}", **options)
        Pillow.fromarray(np.full(picture.size[::-1], 90, np.uint8)).save(folder / f"images/{place}.png")
        rows.append(f"{place}.png,{PIXEL_MM}")
    (folder / "pixels.csv").write_text("\n".join(rows) + "\n")
    return folder


def values(ps: int, fh: int) -> Image:
    return np.choose(LABELS, (0, ps, fh)).astype(np.uint8)


def colours(ps: tuple[int, int, int], fh: tuple[int, int, int]) -> Image:
    """``(H, W, 3)`` RGB."""
    return np.array(((0, 0, 0), ps, fh), np.uint8)[LABELS]


def palette(indices: Image, *colours: tuple[int, int, int]) -> Pillow.Image:
    picture = Pillow.fromarray(indices, "P")
    picture.putpalette([channel for colour in colours for channel in colour])
    return picture


def outline(ellipse: Ellipse = HEAD_ELLIPSE, turn: int = 360, thickness: int = 2) -> Image:
    drawn = np.zeros(SHAPE, np.uint8)
    points = ellipse.points()[:turn]
    cv2.polylines(drawn, [np.rint(points * 16).astype(np.int32)], turn == 360, 255, thickness, shift=4)
    return drawn


def soft(ellipse: Ellipse = HEAD_ELLIPSE, width: float = 12.0, top: float = 255.0) -> Image:
    """Probabilities, as a network of a coarse grid gives them."""
    inside = ellipse.rasterise(SHAPE)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    return np.rint(top / (1 + np.exp(-distance / width * 4))).astype(np.uint8)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * np.count_nonzero((a > 0) & (b > 0)) / (np.count_nonzero(a) + np.count_nonzero(b)))


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(lambda: values(1, 2), id="1-2"),
        pytest.param(lambda: values(7, 8), id="7-8"),
        pytest.param(lambda: colours(RED, GREEN), id="red-green"),
        pytest.param(lambda: colours((180, 20, 20), (10, 200, 40)), id="reddish-greenish"),
        pytest.param(lambda: palette(LABELS, (0, 0, 0), BLUE, YELLOW), id="palette-indices"),
        pytest.param(lambda: palette(LABELS, (0, 0, 0), (128, 0, 0), (0, 128, 0)), id="palette-of-voc"),
        pytest.param(lambda: palette(values(7, 8), *[(0, 0, 0)] * 7, RED, GREEN), id="palette-7-8"),
        pytest.param(
            lambda: palette(np.choose(LABELS, (2, 0, 1)).astype(np.uint8), RED, GREEN, (0, 0, 0)), id="colours"
        ),
    ],
)  # fmt: skip
def test_two_structures_are_read(tmp_path: Path, mask: Callable[[], np.ndarray]) -> None:
    dataset = open_dataset(folder_of(tmp_path, mask()))
    assert dataset.task is PS_FH and "taken as the task ps-fh" in (dataset.assumption or "")
    np.testing.assert_array_equal(dataset[0].mask, LABELS)


def test_coloured_structures_after_jpeg(tmp_path: Path) -> None:
    dataset = open_dataset(folder_of(tmp_path, colours(RED, GREEN), ending="jpg", quality=90))
    assert dataset.task is PS_FH and "is drawn in green and red" in (dataset.assumption or "")
    for label in (1, 2):
        assert dice(dataset[0].mask == label, label == LABELS) > 0.96


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        pytest.param(lambda: values(128, 255), "holds the values 0, 128 and 255, which are no published", id="128-255"),
        pytest.param(lambda: values(3, 9), "holds the values 0, 3 and 9, which are no published labels", id="3-9"),
        pytest.param(lambda: colours(BLUE, YELLOW), "is drawn in yellow and blue, where red", id="blue-yellow"),
        pytest.param(lambda: colours(RED, (255, 255, 255)), "is drawn in white and red, where red", id="red-on-white"),
        pytest.param(lambda: colours((1, 0, 0), (0, 1, 0)), r"holds dark colours \(channels up to 1\)", id="dark"),
        pytest.param(
            lambda: palette(LABELS, (0, 0, 0), GREEN, RED), r"colours .red and green. and indices .* disagree", id="pal"
        ),
        pytest.param(
            lambda: cv2.resize(values(7, 8), (150, 128), interpolation=cv2.INTER_AREA), "values from 0 to 8", id="small"
        ),
    ],
)  # fmt: skip
def test_several_values_that_say_nothing_are_refused(
    tmp_path: Path, mask: Callable[[], np.ndarray], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        _ = open_dataset(folder_of(tmp_path, mask())).task


def test_several_levels_after_jpeg_are_no_blur(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which are no published labels"):
        _ = open_dataset(folder_of(tmp_path, values(128, 255), ending="jpg", quality=90)).task


def test_one_colour_alone_needs_a_task(tmp_path: Path) -> None:
    """Red and green stand for symphysis and head, and are what people draw a head in."""
    folder = folder_of(tmp_path, colours((0, 0, 0), GREEN), colours((0, 0, 0), GREEN))
    with pytest.raises(InputError, match="is drawn in green alone, which may stand for .*; pass --task head or --task"):
        _ = open_dataset(folder).task
    np.testing.assert_array_equal(open_dataset(folder, task="head")[0].mask, HEAD_MASK)
    np.testing.assert_array_equal(open_dataset(folder, task="ps-fh")[0].mask, HEAD_MASK * 2)


def test_frames_with_one_coloured_structure_follow_the_others(tmp_path: Path) -> None:
    masks = (colours(RED, (0, 0, 0)), colours((0, 0, 0), GREEN), np.zeros((*SHAPE, 3), np.uint8))
    dataset = open_dataset(folder_of(tmp_path, *masks))
    assert [set(np.unique(labelled.mask)) for labelled in dataset] == [{0, 1}, {0, 2}, {0}]


@pytest.mark.parametrize("colour", [BLUE, YELLOW, (255, 255, 255), (140, 140, 140)])
def test_a_head_in_any_one_colour(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    dataset = open_dataset(folder_of(tmp_path, colours((0, 0, 0), colour)))
    assert dataset.task is HEAD
    np.testing.assert_array_equal(dataset[0].mask, HEAD_MASK)


@pytest.mark.parametrize(
    ("mask", "ending"),
    [
        pytest.param(lambda: HEAD_MASK, "png", id="0-1"),
        pytest.param(lambda: HEAD_MASK * 255, "jpg", id="jpeg"),
        pytest.param(lambda: soft(), "png", id="soft"),
        pytest.param(lambda: cv2.GaussianBlur(HEAD_MASK * 200, (0, 0), 3), "png", id="blurred"),
        pytest.param(lambda: Pillow.fromarray(HEAD_MASK * 255).convert("1"), "png", id="1-bit"),
        pytest.param(lambda: Pillow.fromarray(HEAD_MASK * np.uint16(65535)), "png", id="16-bit"),
        pytest.param(lambda: palette(HEAD_MASK, (0, 0, 0), (255, 255, 255)), "png", id="palette"),
        pytest.param(lambda: palette(1 - HEAD_MASK, (255, 255, 255), (0, 0, 0)), "png", id="palette-white-first"),
        pytest.param(lambda: np.dstack([HEAD_MASK * 255] * 4), "png", id="transparent"),
    ],
)
def test_a_head_is_read_at_half_of_the_highest_level(
    tmp_path: Path, mask: Callable[[], np.ndarray], ending: str
) -> None:
    report = check_dataset(open_dataset(folder_of(tmp_path, mask(), ending=ending)))
    assert report.task == "head" and not report.problems
    assert report.hc_mm is not None and report.hc_mm.median == pytest.approx(HC_MM, abs=0.4)


@pytest.mark.parametrize(("turn", "thickness"), [(360, 1), (360, 2), (360, 7), (250, 2)])
def test_an_outline_is_filled_by_the_ellipse_fitted_to_it(tmp_path: Path, turn: int, thickness: int) -> None:
    dataset = open_dataset(folder_of(tmp_path, outline(turn=turn, thickness=thickness)))
    assert "holds outlines, to which ellipses are fitted" in (dataset.assumption or "")
    assert dice(dataset[0].mask, HEAD_MASK) > 0.99


def test_an_outline_that_a_resize_has_paled(tmp_path: Path) -> None:
    drawn = cv2.resize(outline(thickness=1), (100, 85), interpolation=cv2.INTER_AREA)
    assert np.unique(drawn).size > 8 and drawn.max() < 128
    (labelled,) = open_dataset(folder_of(tmp_path, drawn), task="head")
    ellipse = from_mask(labelled.mask)
    assert ellipse is not None
    assert ellipse.circumference * 3 == pytest.approx(HEAD_ELLIPSE.circumference, rel=0.01)


SPECK = HEAD_MASK.copy()
SPECK[10:14, 10:14] = 1
HOLE = HEAD_MASK.copy()
HOLE[130:170, 150:190] = 0
TWO = HEAD_MASK | Ellipse(60, 60, 30, 24, 0).rasterise(SHAPE)
BOX = np.zeros(SHAPE, np.uint8)
BOX[60:200, 80:250] = 1
ELBOW = np.zeros(SHAPE, np.uint8)
ELBOW[:200, 100:140] = ELBOW[160:200, 100:280] = 1
RING = HEAD_MASK - Ellipse(170, 150, 40, 32, 60).rasterise(SHAPE)
PIN = HEAD_MASK.copy()
PIN[150, 170] = 0


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (1 - HEAD_MASK, "marks the head on all four sides of the frame, as an inverted mask does"),
        (TWO, "marks several regions of the head: beside the largest there are 19% of its area"),
        (HOLE, "leaves 13% of the area inside the head's border empty"),
        (RING, "leaves 33% of the area inside the head's border empty"),
        (BOX, "marks no ellipse, as a head is one"),
        (ELBOW, "marks no part of an ellipse: 55% of its hull"),
        (Ellipse(150, 120, 12, 9, 0).rasterise(SHAPE), "measures an HC of 33 mm, and a head has 40 to 450 mm"),
    ],
)
def test_labels_that_cannot_be_right(tmp_path: Path, mask: Image, message: str) -> None:
    report = check_dataset(open_dataset(folder_of(tmp_path, mask * 255)))
    assert report.usable == 0 and len(report.problems) == 1
    assert message in report.problems[0].message


def test_specks_are_dropped_and_pinholes_filled(tmp_path: Path) -> None:
    for labelled in open_dataset(folder_of(tmp_path, SPECK * 255, PIN * 255)):
        np.testing.assert_array_equal(labelled.mask, HEAD_MASK)


def test_a_head_that_the_frame_cuts_is_data(tmp_path: Path) -> None:
    cut = Ellipse(290, 120, 70, 55, 30).rasterise(SHAPE)
    report = check_dataset(open_dataset(folder_of(tmp_path, cut * 255)))
    assert report.usable == 1 and report.statuses == {"head-touches-border": 1}


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.choose(LABELS, (0, 2, 1)), "are the two labels exchanged?"),
        (np.where((LABELS == 1) & (np.arange(300) % 40 > 20), 0, LABELS), "several regions of the pubic-symphysis"),
        (np.where(outline() > 0, 1, HEAD_MASK * 2), "is an outline of the pubic-symphysis"),
        (np.where(BOX > 0, 2, LABELS == 1), "marks no ellipse as the head"),
        (np.where(LABELS == 0, 1, LABELS), "marks the pubic-symphysis on all four sides"),
    ],
)  # fmt: skip
def test_two_structures_that_cannot_be_right(mask: np.ndarray, message: str) -> None:
    _, wrong = check_label(mask.astype(np.uint8), PS_FH, None, {})
    assert wrong is not None and message in wrong


def test_a_resize_that_makes_a_symphysis_around_the_head_is_refused(tmp_path: Path) -> None:
    blurred = cv2.resize(LABELS, (600, 512), interpolation=cv2.INTER_LINEAR)
    report = check_dataset(open_dataset(folder_of(tmp_path, blurred)))
    assert report.usable == 0 and "pubic-symphysis" in report.problems[0].message


def test_no_real_label_is_refused(hc18: Path, real_psfhs: Path) -> None:
    """Of all 799 and 646 none is; here every twentieth, so that the test takes seconds."""
    for folder in (hc18, real_psfhs):
        dataset = open_dataset(folder)
        for item in dataset.items[::20]:
            np.testing.assert_array_equal(dataset.load_mask(item), dataset.read_mask(item))


def test_filled_annotations_in_hc18s_layout(phantoms: Path, tmp_path: Path) -> None:
    outlined = open_dataset(phantoms)
    folder = tmp_path / "filled"
    (folder / "training_set").mkdir(parents=True)
    for name in ("phantom.json", "training_set_pixel_size_and_HC.csv"):
        rows = (phantoms / name).read_text().splitlines()
        (folder / name).write_text("\n".join(rows[:4] if name.endswith("csv") else rows) + "\n")
    for item in outlined.items[:3]:
        (folder / f"training_set/{item.image.name}").write_bytes(item.image.read_bytes())
        cv2.imwrite(str(folder / f"training_set/{item.label.name}"), outlined.load_mask(item) * 255)
    for filled, known in zip(open_dataset(folder), outlined, strict=False):
        np.testing.assert_array_equal(filled.mask, known.mask)


def test_refused_labels_are_left_out_and_told(tmp_path: Path, call: Call) -> None:
    good = HEAD_MASK * 255
    folder = folder_of(tmp_path, good, TWO * 255, good, (1 - HEAD_MASK) * 255, good, good, good, good)
    said: list[str] = []
    dataset = open_usable(folder, progress=said.append)
    assert [item.name for item in dataset.items] == ["0", "2", "4", "5", "6", "7"]
    assert f"2 of 8 labels of {folder} cannot be used: " in said[-1] and "1.png marks several regions" in said[-1]
    assert "3.png marks the head on all four sides" in said[-1] and said[-1].endswith("these frames are left out")
    assert dataset.fingerprint() == open_dataset(folder).fingerprint()
    assert [item.name for item in dataset.only(["1", "2"]).items] == ["2"]
    with pytest.raises(InputError, match="none of the 2 frames of .* has a usable label"):
        dataset.only(["1", "3"])
    code, out, err = call("evaluate", "--masks", folder / "masks", "--data", folder, "--json")
    assert code == 0 and json.loads(out)["cases"] == 6 and "2 of 8 labels" in err


@pytest.mark.integration
def test_a_refused_label_is_not_trained_on(phantoms: Path, tmp_path: Path, call: Call) -> None:
    folder = tmp_path / "data"
    shutil.copytree(phantoms, folder)
    bad = folder / "training_set/003_HC_Annotation.png"
    cv2.imwrite(str(bad), 255 - cv2.imread(str(bad), cv2.IMREAD_GRAYSCALE))
    tiny = ("--size", 32, "--epochs", 1, "--batch", 4, "--encoder-weights", "none", "--decoder-channels", "8,8,8,8,8")
    code, _, err = call("train", "unet", "--data", folder, "--out", tmp_path / "run", *tiny)
    assert code == 0 and "1 of 20 labels" in err and "003_HC_Annotation.png marks the head on all four sides" in err
    split = json.loads((tmp_path / "run/run.json").read_text())["split"]
    assert len(split["train"]) + len(split["validation"]) == 19 and "003_HC" not in split["train"] + split["validation"]
    code, out, err = call("evaluate", tmp_path / "run", "--data", folder, "--split", "all", "--json")
    assert code == 0 and json.loads(out)["cases"] == 19
    code, out, err = call("evaluate", tmp_path / "run", "--data", folder, "--json")
    assert code == 0 and json.loads(out)["cases"] == len(split["validation"])


def test_too_few_usable_labels_stop_the_command(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, TWO * 255, HEAD_MASK * 255, *[(1 - HEAD_MASK) * 255] * 4)
    with pytest.raises(
        InputError, match=r"5 of 6 labels of .* cannot be used: .* \(and 2 more\); run: fetaledge data check"
    ):
        open_usable(folder)


def test_masks_of_another_system_may_hold_probabilities(tmp_path: Path) -> None:
    from fetaledge.runs.evaluate import evaluate_masks

    folder = folder_of(tmp_path, HEAD_MASK * 255, HEAD_MASK * 255)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for place, mask in enumerate((soft(), soft(top=90))):
        cv2.imwrite(str(theirs / f"{place}.png"), mask)
    record = evaluate_masks(theirs, open_dataset(folder))
    first, second = record["per_case"]
    assert first["dice"] > 0.995 and abs(first["hc_error_mm"]) < 0.3
    assert second["dice"] == 0  # a probability below a half everywhere: nothing was found
    for place in range(2):
        cv2.imwrite(str(theirs / f"{place}.png"), outline())
    with pytest.raises(InputError, match=r"0\.png is an outline \(and 1 more\), not a filled mask"):
        evaluate_masks(theirs, open_dataset(folder))
    cv2.imwrite(str(theirs / "1.png"), values(7, 8))
    with pytest.raises(InputError, match=r"1\.png holds the values 0, 7 and 8, where one structure was expected"):
        evaluate_masks(theirs, open_dataset(folder))


def write_medical(path: Path, values: np.ndarray) -> None:
    import SimpleITK

    path.parent.mkdir(exist_ok=True)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(path))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha"])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_medical_image_files(tmp_path: Path, ending: str, kind: type) -> None:
    frame = np.full(SHAPE, 90, np.uint8)
    for stem, mask in (("a.1", LABELS), ("b", values(7, 8))):
        third = (1,) if ending == ".nii" else ()
        write_medical(tmp_path / f"images/{stem}{ending}", frame.reshape(*third, *SHAPE))
        write_medical(tmp_path / f"masks/{stem}{ending}", mask.astype(kind if ending != ".mha" else np.uint8))
    (tmp_path / "pixels.csv").write_text(f"filename,pixel_mm\na.1{ending},0.5\n")
    dataset = open_dataset(tmp_path)
    assert dataset.task is PS_FH and [item.name for item in dataset.items] == ["a.1", "b"]
    for labelled in dataset:
        np.testing.assert_array_equal(labelled.mask, LABELS)
        np.testing.assert_array_equal(labelled.frame.pixels, frame)
    assert [labelled.frame.pixel_mm for labelled in dataset] == [(0.5, 0.5), None]


def test_medical_image_files_that_cannot_be_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "masks/a.nii.gz"
    write_medical(tmp_path / "images/a.nii.gz", np.full(SHAPE, 90, np.uint8))
    write_medical(path, LABELS)
    whole = path.read_bytes()
    plain = tmp_path / "masks/plain.nii"
    write_medical(plain, LABELS)
    raw = plain.read_bytes()
    plain.unlink()
    for content in (
        whole[: len(whole) // 2],
        b"x" * 500,
        gzip.compress(raw[:-1000]),
        gzip.compress(raw[:100]),
        b"\x1f\x8b",
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.nii\.gz is no NIfTI file, or is damaged or cut short"):
            open_dataset(tmp_path, task="ps-fh")[0]
    write_medical(path, np.stack([LABELS] * 4))
    with pytest.raises(InputError, match="is 300×256×4, where one plane was expected"):
        open_dataset(tmp_path, task="ps-fh")[0]
    write_medical(path, LABELS * np.float32(0.5))
    with pytest.raises(InputError, match="holds float32 values, where grey levels"):
        open_dataset(tmp_path, task="ps-fh")[0]
    write_medical(path, LABELS)
    (tmp_path / "images/a.nii.gz").unlink()
    cv2.imwrite(str(tmp_path / "images/a.png"), np.full(SHAPE, 90, np.uint8))
    with pytest.raises(InputError, match="are not both NIfTI, so that rows may be columns"):
        open_dataset(tmp_path, task="ps-fh")[0]
    assert not any(capfd.readouterr())
