"""Learning when not to measure: the fit, where its frames come from, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from fetaledge.data.layouts.open import open_dataset
from fetaledge_runtimes.errors import InputError, OutputError, UsageError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.ps_fh import PS_FH
from fetaledge_runtimes.tasks.registry import task_named
from fetaledge_runtimes.view.check import FILE, LENGTH, ViewCheck


@pytest.fixture
def planes(tmp_path: Path) -> Path:
    """Four frames of two women, with a table of what each shows."""
    folder = tmp_path / "planes"
    (folder / "images").mkdir(parents=True)
    for number in range(4):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), np.full((60, 80), number, np.uint8))
    (folder / "planes.csv").write_text(
        "\ufefffilename, subject ,centre,plane\n0.png,a,X,brain\n1.png,a,X,femur\n\n2.png,b,Y,brain\n3.png,b,Y,thorax",
        encoding="utf-8",
    )
    return folder


def sides(frames: list[Any]) -> list[tuple[str, str, bool]]:
    return [(frame.source, frame.subject, frame.own) for frame in frames]


def test_a_table_says_which_planes_are_the_tasks_own(planes: Path) -> None:
    from fetaledge.training.view.sources import other_frames

    frames = other_frames(planes, HEAD)
    assert sides(frames) == [
        ("planes: brain", "a", True), ("planes: femur", "a", False),
        ("planes: brain", "b", True), ("planes: thorax", "b", False),
    ]  # fmt: skip
    assert [int(frame.read()[0, 0]) for frame in frames] == [0, 1, 2, 3]
    assert not any(frame.own for frame in other_frames(planes, PS_FH))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("filename,subject\n0.png,a\n", "lacks the column 'plane'"),
        ("filename,subject,plane\n0.png,,brain\n", "line 2 lacks a value"),
        ("filename,subject,plane\n9.png,a,brain\n", r"9\.png does not exist, though planes\.csv names it"),
        ("", "lacks the column 'filename'"),
        (b"\xff\xfe\x00", "cannot be read as a table"),
    ],
)
def test_a_table_that_cannot_be_used(text: str | bytes, complaint: str, planes: Path) -> None:
    from fetaledge.training.view.sources import other_frames

    (planes / "planes.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=complaint):
        other_frames(planes, HEAD)


def test_pictures_and_data_sets_are_other_views(planes: Path, phantoms: Path) -> None:
    from fetaledge.training.view.sources import other_frames

    pictures = other_frames(planes / "images", HEAD)
    assert sides(pictures) == [("images", str(number), False) for number in range(4)]
    assert pictures[3].read()[0, 0] == 3
    others = other_frames(phantoms, PS_FH)
    assert len(others) == 20 and {frame.source for frame in others} == {phantoms.name}
    assert not any(frame.own for frame in others) and others[0].read().dtype == np.uint8
    for folder, complaint in ((planes / "none", "does not exist"), (planes, "has no masks/ folder")):
        (planes / "planes.csv").unlink(missing_ok=True)
        with pytest.raises(InputError, match=complaint):
            other_frames(folder, HEAD)


def test_own_frames_are_counted_by_side(phantoms: Path) -> None:
    from fetaledge.training.view.sources import own_frames

    dataset = open_dataset(phantoms)
    held = {dataset.items[0].name}
    frames = own_frames(dataset, held)
    assert [frame.source.rpartition(": ")[2] for frame in frames] == ["validation"] + ["training"] * 19
    assert all(frame.own for frame in frames)
    np.testing.assert_array_equal(frames[2].read(), dataset[2].frame.pixels)


def test_drawn_frames_are_the_same_for_a_seed() -> None:
    from fetaledge.training.view.sources import drawn_frames

    first, again, other = (drawn_frames(seed, 10) for seed in (1, 1, 2))
    for one, two, three in zip(first, again, other, strict=True):
        assert one.read().dtype == np.uint8 and min(one.read().shape) >= 200 and not one.own
        np.testing.assert_array_equal(one.read(), two.read())
        assert one.read().shape != three.read().shape or (one.read() != three.read()).any()


def test_phantoms_count_as_the_tasks_own() -> None:
    from fetaledge.training.view.sources import phantom_frames

    for task in (HEAD, PS_FH):
        frames = phantom_frames(task, 3, 2)
        assert all(frame.own for frame in frames) and len({frame.subject for frame in frames}) == 2
        assert (frames[0].read() != frames[1].read()).any()


def test_a_mirror_image_without_a_structure_is_said_to_be_empty() -> None:
    """It must not be learnt from: its row would be that of the frame itself, called mirrored."""
    from fetaledge.training.view.described import FLIPPED, DescribedFrames
    from fetaledge.training.view.sources import ViewFrame

    disc = cv2.circle(np.full((64, 64), 20, np.uint8), (18, 32), 12, 200, -1)

    def left_half_alone(pixels: Image) -> np.ndarray:
        logits = np.where(pixels > 100, 5.0, -5.0).astype(np.float32)
        logits[:, 32:] = -5.0
        return logits[None]

    read: Any = DescribedFrames(left_half_alone, (64, 64), 0, True)  # type: ignore[arg-type]
    found = read(ViewFrame("s", "a", False, lambda: disc), 0)
    assert not found.flipped
    np.testing.assert_array_equal(found.pictures[FLIPPED], found.pictures[0])
    both = DescribedFrames(lambda pixels: left_half_alone(pixels) * 0 + 1, (64, 64), 0, True)  # type: ignore[arg-type]
    assert both(ViewFrame("s", "a", False, lambda: disc), 0).flipped  # type: ignore[union-attr]


def blank() -> Image:
    return np.zeros((64, 64), np.uint8)


def test_no_subject_stands_in_two_folds() -> None:
    from fetaledge.training.view.sources import ViewFrame, subjects_in_folds

    frames = [ViewFrame("s", f"subject {number % 37}", True, blank) for number in range(400)]
    folds = subjects_in_folds(frames, 5, 0)
    assert set(folds) == {0, 1, 2, 3, 4}
    assert all(len(set(folds[number::37])) == 1 for number in range(37))
    np.testing.assert_array_equal(folds, subjects_in_folds(frames, 5, 0))


def threshold_network(levels: tuple[float, ...]) -> Any:
    """Logits from grey levels alone: one structure above each level."""
    import torch
    from torch import nn

    network = nn.Conv2d(1, max(len(levels) + 1, 1) if len(levels) > 1 else 1, 1)
    with torch.no_grad():
        if len(levels) == 1:
            network.weight.fill_(0.1)
            network.bias.fill_(-0.1 * levels[0])
        else:
            network.weight.copy_(torch.arange(len(levels) + 1.0).reshape(-1, 1, 1, 1) * 0.1)
            network.bias.copy_(torch.tensor([-0.1 * sum(levels[:number]) for number in range(len(levels) + 1)]))
    return network.eval()


@pytest.fixture
def train_view(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Training with few drawn frames and phantoms, for speed."""
    from fetaledge.training.view import train
    from fetaledge.training.view.sources import drawn_frames, phantom_frames

    monkeypatch.setattr(train, "drawn_frames", partial(drawn_frames, count=20))
    monkeypatch.setattr(train, "phantom_frames", partial(phantom_frames, count=4))
    return train.train_view


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], Any]:
    """A run's folder with a network of one layer: what is bright is a structure."""

    def make(task: str) -> Any:
        folder = tmp_path / f"run {task}"
        folder.mkdir()
        return SimpleNamespace(
            folder=folder, name=folder.name, task=task_named(task), size=(64, 64), scale=1.0, offset=0.0,
            seen=lambda: {"split": {"validation": []}},
            network=lambda: threshold_network((60.0,) if task == "head" else (50.0, 90.0)),
        )  # fmt: skip

    return make


@pytest.fixture
def stripes(tmp_path: Path) -> Path:
    """Bright shapes that are no heads, of eight subjects."""
    folder = tmp_path / "stripes"
    folder.mkdir()
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 40, (120, 160), np.uint8)
        pixels[:, 20 + 4 * number : 60 + 6 * number] = 150
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    return folder


@pytest.mark.parametrize("task", ["head", "ps-fh"])
def test_a_check_is_written_with_its_record(
    task: str,
    train_view: Callable[..., Any],
    run: Callable[[str], Any],
    stripes: Path,
    phantoms: Path,
    psfh_phantoms: Path,
) -> None:
    given = run(task)
    dataset = open_dataset(phantoms if task == "head" else psfh_phantoms)
    record = train_view(given, dataset, [stripes], withheld=0.1, threads=1)
    check = ViewCheck.read(given.folder / FILE)
    expected = ("not-a-head", "unsure") if task == "head" else ("not-this-view", "mirrored", "unsure")
    assert check.statuses == expected
    document = json.loads((given.folder / "view.json").read_text(encoding="utf-8"))
    assert document["schema"] == "fetaledge/view/1" and document["task"] == task and document["withheld"] == 0.1
    counted = {source.source: source for source in record.sources}
    assert counted["stripes"].frames == 8 and not counted["stripes"].own and counted["drawn"].frames == 20
    assert all(0 <= s.passed <= s.segmented <= s.frames for s in record.sources)
    assert (record.mirrored_found is None) == (record.mirrored_wrongly is None) == (task == "head")
    assert record.corrupted[0].kind == "clean" and record.corrupted[0].wrong == 0
    if task == "ps-fh":  # which way round is told by the upright picture alone
        mirrored = check.weights[1]
        assert not mirrored[:LENGTH].any() and mirrored[LENGTH:].any()
    with pytest.raises(OutputError, match=r"view\.npz exists already"):
        train_view(given, dataset, [stripes], threads=1)


def test_frames_that_look_alike_stand_in_one_fold(
    train_view: Callable[..., Any],
    run: Callable[[str], Any],
    stripes: Path,
    phantoms: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fetaledge.data.looks import group_by_look
    from fetaledge.runs.unet_recipe import FoldBy
    from fetaledge.training.view import train

    folds: list[np.ndarray] = []
    fit_unsure = train.fit_unsure

    def noted(seen: Any, described: Any, judged: Any, fold_of: Any, withheld: float) -> Any:
        folds.append(np.array([fold for fold, own in zip(fold_of, judged, strict=True) if own]))
        return fit_unsure(seen, described, judged, fold_of, withheld)

    monkeypatch.setattr(train, "fit_unsure", noted)
    dataset = open_dataset(phantoms)
    record = train_view(run("head"), dataset, [stripes], withheld=0.1, threads=1, folds_by=FoldBy.LOOK)
    assert record.folds_by == "look"
    looks = group_by_look(dataset, train.LOOKS)
    assert folds[0].tolist() == [looks[item.name] for item in dataset.items]


@pytest.mark.integration
def test_the_same_seed_gives_the_same_check(
    train_view: Callable[..., Any], run: Callable[[str], Any], stripes: Path, phantoms: Path
) -> None:
    given = run("head")
    found = []
    for _ in range(2):
        train_view(given, open_dataset(phantoms), [stripes], withheld=0.1, threads=1, force=True)
        found.append(ViewCheck.read(given.folder / FILE))
    np.testing.assert_array_equal(found[0].weights, found[1].weights)
    np.testing.assert_array_equal(found[0].offsets, found[1].offsets)


def test_what_is_refused(
    train_view: Callable[..., Any],
    run: Callable[[str], Any],
    stripes: Path,
    phantoms: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, dataset = run("head"), open_dataset(phantoms)
    with pytest.raises(InputError, match="no frame of another view was given; name a folder of them with --others"):
        train_view(given, dataset, [])
    for share in (0.0, -1.0, 0.5, float("nan")):
        with pytest.raises(UsageError, match="is no share between 0 and one half"):
            train_view(given, dataset, [stripes], withheld=share)
    with pytest.raises(UsageError, match="0 threads were asked for"):
        train_view(given, dataset, [stripes], threads=0)
    given.network = lambda: threshold_network((1e6,))
    with pytest.raises(InputError, match="something was segmented in 0 frames of the model's own view"):
        train_view(given, dataset, [stripes], threads=1)
    monkeypatch.setattr(type(given.task), "other_view", None)
    with pytest.raises(UsageError, match="the task head has no status for frames of other views"):
        train_view(given, dataset, [stripes])
    assert not (given.folder / FILE).exists() and not (given.folder / "view.json").exists()
