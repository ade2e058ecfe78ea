"""The challenge's score against SimpleITK's own filters and against its published table."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from fetaledge.cli.app import app
from fetaledge.data.layouts.open import open_dataset
from fetaledge.runs.challenge_scores import PARTS, ChallengeRecord, ChallengeScores, challenge_record, challenge_scores
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.errors import FetalEdgeError, InputError, UsageError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.records import from_json, to_json

SHAPE = (256, 256)


def label_map(rng: np.random.Generator) -> Image:
    """A symphysis and a head, now and then with a stray speck or cut by the frame's edge."""
    mask = Ellipse(150, 150, 80, 60, rng.uniform(0, 180)).rasterise(SHAPE) * np.uint8(2)
    mask = np.roll(mask, rng.integers(-60, 90, 2), (0, 1))
    x, y = rng.uniform(40, 90, 2)
    mask[Ellipse(x, y, 28, 11, rng.uniform(0, 60)).rasterise(SHAPE) > 0] = 1
    if rng.random() < 0.3:
        row, column = rng.integers(0, 250, 2)
        mask[row : row + 3, column : column + 5] = rng.integers(1, 3)
    return mask


def sitk_distances(predicted: Image, truth: Image) -> tuple[float, float]:
    """Hausdorff distance and pooled surface distance by SimpleITK's filters alone."""

    import SimpleITK

    images = [SimpleITK.GetImageFromArray(mask) for mask in (predicted, truth)]
    hausdorff = SimpleITK.HausdorffDistanceImageFilter()
    hausdorff.Execute(*images)
    away = [
        np.abs(SimpleITK.GetArrayFromImage(SimpleITK.SignedMaurerDistanceMap(image, False, False, True)))
        for image in images
    ]
    pooled = [away[1][away[0] == 0], away[0][away[1] == 0]]
    return hausdorff.GetHausdorffDistance(), float(np.concatenate(pooled).mean(dtype=np.float64))


def parts(mask: Image) -> dict[str, Image]:
    return {part: np.isin(mask, labels).astype(np.uint8) for part, labels in PARTS.items()}


def test_distances_are_those_of_simpleitk() -> None:
    rng = np.random.default_rng(7)
    pairs = [(label_map(rng), label_map(rng)) for _ in range(5)]
    pairs += [tuple((rng.random((2, *SHAPE)) < share).astype(np.uint8) * 2) for share in (0.001, 0.3, 0.97)]
    checked = 0
    for predicted, truth in pairs:
        scores = challenge_scores(predicted, truth)
        true_parts = parts(truth)
        for part, mask in parts(predicted).items():
            if mask.any() and true_parts[part].any():
                expected = sitk_distances(mask, true_parts[part])
                assert (scores.hd_px[part], scores.asd_px[part]) == pytest.approx(expected, abs=1e-4)
                checked += 1
    assert checked == 5 * 3 + 3 * 2


def test_dice_is_smoothed_by_one_pixel() -> None:
    predicted, truth = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    predicted[10:20, 10:20], truth[10:20, 15:25] = 1, 1
    predicted[100:120, 100:120] = truth[100:120, 100:120] = 2
    dice = challenge_scores(predicted, truth).dice
    assert dice == pytest.approx({"ps": 101 / 201, "fh": 1, "all": (2 * 450 + 1) / (500 + 500 + 1)})


def test_nothing_predicted_and_nothing_there() -> None:
    mask = label_map(np.random.default_rng(0))
    head = np.where(mask == 2, mask, 0).astype(np.uint8)
    scores = challenge_scores(head, mask)
    assert (scores.dice["ps"], scores.hd_px["ps"], scores.asd_px["ps"], scores.aop_deg) == (0, 100, 100, 0)
    assert scores.dice["fh"] == 1 and scores.hd_px["fh"] == scores.asd_px["fh"] == 0
    assert scores.aop_error_deg == scores.aop_true_deg > 0
    scores = challenge_scores(mask, head)
    assert scores.hd_px["ps"] == scores.asd_px["ps"] == 100 and scores.dice["ps"] < 0.01
    scores = challenge_scores(np.ones(SHAPE, np.uint8), mask)
    assert scores.hd_px["ps"] == scores.asd_px["ps"] == 100


def test_other_sizes_are_resampled_to_the_grid() -> None:
    rng = np.random.default_rng(3)
    small = [label_map(rng) for _ in range(2)]
    large = [cv2.resize(mask, (512, 768), interpolation=cv2.INTER_NEAREST) for mask in small]
    native, resampled = challenge_scores(small[0], small[1]), challenge_scores(large[0], large[1])
    assert resampled.resized and not native.resized
    assert (resampled.dice, resampled.hd_px, resampled.aop_deg) == (native.dice, native.hd_px, native.aop_deg)
    assert challenge_record({"a": native, "b": resampled}).resized == 1


def test_the_published_table() -> None:
    """The one row that states every column; it is printed to three places, its score cut rather than rounded."""
    scores = ChallengeScores(
        dict(zip(PARTS, (0.931, 0.858, 0.924), strict=True)),
        dict(zip(PARTS, (12.504, 7.745, 13.291), strict=True)),
        dict(zip(PARTS, (3.874, 2.537, 3.499), strict=True)),
        aop_deg=100 - 6.484,
        aop_true_deg=100,
        resized=False,
    )
    record = challenge_record({"all frames": scores})
    assert record.score == pytest.approx(0.939, abs=0.001)
    assert record.aop_error_deg == pytest.approx(6.484) and record.dice.ps == 0.858


def test_the_score_is_of_the_means() -> None:
    truth = label_map(np.random.default_rng(1))
    perfect, nothing = challenge_scores(truth, truth), challenge_scores(np.zeros_like(truth), truth)
    assert challenge_record({"a": perfect}).score == 1
    record = challenge_record({"a": perfect, "b": nothing})
    assert record.score == pytest.approx(0.5 * 1 + 0.5 * 0.5 * (1 - nothing.aop_true_deg / 180))
    assert record.without_aop == 1 and record.cases == 2
    assert [case.hd_px.all for case in record.per_case] == [0, 100]


def test_the_table_of_an_earlier_version_is_read() -> None:
    old = json.loads((Path(__file__).parent / "old_runs/challenge.json").read_text(encoding="utf-8"))
    record = from_json(old, ChallengeRecord, "challenge.json")
    assert (record.cases, record.without_aop, record.grid) == (20, 20, (256, 256))
    assert json.loads(json.dumps(to_json(record))) == old


def write_mha(path: Path, mask: Image) -> None:
    import SimpleITK

    path.parent.mkdir(exist_ok=True)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(mask), str(path))


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Labels of PSFHS without their images: a plain frame, and one without a symphysis."""
    folder = tmp_path / "data"
    folder.mkdir()
    plain = Ellipse(140, 150, 70, 50, 60).rasterise(SHAPE) * np.uint8(2)
    write_mha(folder / "label_mha/00002.mha", plain)
    plain[Ellipse(62, 70, 28, 11, 150).rasterise(SHAPE) > 0] = 1
    write_mha(folder / "label_mha/00001.mha", plain)
    return folder


@pytest.fixture
def masks(labels: Path, tmp_path: Path) -> Path:
    """What another system found: the first as PNG, moved by 3 pixels; the second as it is, as ``.mha``."""
    folder = tmp_path / "found"
    folder.mkdir()
    first, second = open_dataset(labels, images_optional=True)
    cv2.imwrite(str(folder / "00001.png"), np.roll(first.mask, 3, axis=1))
    write_mha(folder / "00002.mha", second.mask)
    return folder


def run(*arguments: object) -> tuple[str, BaseException | None]:
    done = CliRunner().invoke(app, [*map(str, arguments)])
    return done.stdout, done.exception


def test_masks_of_another_system(labels: Path, masks: Path) -> None:
    out, error = run("evaluate", "--masks", masks, "--data", labels, "--challenge", "--json")
    assert error is None
    record = json.loads(out)
    assert record["task"] == "ps-fh" and record["structures"]["ps"]["dice"]["max"] == 1 and record["aop_deg"]["n"] == 1
    first, second = record["challenge"]["per_case"]
    assert (first["name"], first["hd_px"]) == ("00001", {"fh": 3, "ps": 3, "all": 3})
    assert (second["dice"]["ps"], second["hd_px"]["ps"], second["aop_error_deg"]) == (0, 100, 0)
    assert first["aop_error_deg"] == pytest.approx(0, abs=0.01) and first["aop_deg"] > 60

    out, error = run("evaluate", "--masks", masks, "--data", labels, "--challenge")
    assert error is None and "Dice PS" in out and "AoP MAE deg" in out and "score" in out
    assert f"{record['challenge']['score']:.4f}" in out
    out, error = run("evaluate", "--masks", masks, "--data", labels)
    assert error is None and "score" not in out


def test_masks_that_do_not_pair(labels: Path, masks: Path) -> None:
    from fetaledge.runs.evaluate import evaluate_masks

    frames = open_dataset(labels, images_optional=True)
    (masks / "00003.png").write_bytes((masks / "00001.png").read_bytes())
    with pytest.raises(InputError, match=r"00003\.png belongs to no frame"):
        evaluate_masks(masks, frames)
    (masks / "00003.png").rename(masks / "00002.png")
    with pytest.raises(InputError, match=r"00002\.png has the same stem as 00002\.mha"):
        evaluate_masks(masks, frames)
    (masks / "00002.png").unlink()
    (masks / "00002.mha").unlink()
    with pytest.raises(InputError, match=r"found has no mask 00002\.png or 00002\.mha"):
        evaluate_masks(masks, frames)
    for mask, message in (
        (np.full(SHAPE, 3, np.uint8), "holds the values 0 and 3"),
        (np.zeros((256, 255)), "is 255×256"),
    ):
        write_mha(masks / "00002.mha", mask.astype(np.uint8))
        with pytest.raises(InputError, match=message):
            evaluate_masks(masks, frames)


def test_what_cannot_be_scored_as_the_challenge_does(labels: Path, masks: Path, phantoms: Path, tmp_path: Path) -> None:
    def refused(*arguments: object) -> FetalEdgeError:
        error = run("evaluate", *arguments)[1]
        assert isinstance(error, FetalEdgeError)
        return error

    error = refused("--masks", masks, "--data", phantoms, "--challenge")
    assert isinstance(error, UsageError) and "labelled for the task head" in str(error)
    error = refused(tmp_path, "--data", labels, "--challenge")
    assert isinstance(error, InputError) and "has no image_mha/ folder" in str(error)
    assert "no model" in str(refused("--masks", masks, "--data", labels, "--fold", 1))


def test_a_model_of_another_task(small_run: Path, labels: Path) -> None:
    for path in sorted((labels / "label_mha").iterdir()):
        write_mha(labels / "image_mha" / path.name, np.zeros(SHAPE, np.uint8))
    error = run("evaluate", small_run, "--data", labels)[1]
    assert isinstance(error, UsageError) and "is a model of the task head" in str(error)
