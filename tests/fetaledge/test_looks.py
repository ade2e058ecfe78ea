"""Looks: frames of one scanner stand together, whatever they show."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge.data.layouts.open import open_dataset
from fetaledge.data.looks import group_by_look, split_by_look
from fetaledge_runtimes.errors import UsageError


def write_frames(folder: Path, shapes: str) -> Path:
    """Frames of wide, narrow and marked scanners (w, n, m), a letter a frame, each with a head somewhere."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for number, shape in enumerate(shapes):
        rng = np.random.default_rng(number)
        scan = np.zeros((128, 160), np.uint8)
        half = {"w": 55, "n": 22, "m": 22}[shape]
        cv2.ellipse(scan, (80, -20), (140, 140), 90, -half, half, 1, -1)
        pixels = scan * rng.integers(30, 90, scan.shape, np.uint8)
        if shape == "m":
            pixels[10:110, 4:10] = 200
        mask = np.zeros_like(scan)
        middle = (80 + int(rng.integers(-10, 10)), 60 + int(rng.integers(-10, 10)))
        cv2.ellipse(mask, middle, (24, 18), float(rng.uniform(0, 180)), 0, 360, 255, -1)
        pixels[mask > 0] = 110
        cv2.imwrite(str(folder / f"images/{number:02}.png"), pixels)
        cv2.imwrite(str(folder / f"masks/{number:02}.png"), mask)
    return folder


def test_frames_are_grouped_by_their_scanner(tmp_path: Path) -> None:
    shapes = "wwnwmwnwwnmwnwmw"
    dataset = open_dataset(write_frames(tmp_path / "data", shapes))
    look_of = group_by_look(dataset, 3)
    rank = {"w": 0, "n": 1, "m": 2}
    assert [look_of[item.name] for item in dataset.items] == [rank[shape] for shape in shapes]
    assert group_by_look(dataset, 3) == look_of
    train, held_out = split_by_look(dataset.items, look_of, 1)
    assert [int(name) for name in held_out] == [place for place, shape in enumerate(shapes) if shape == "n"]
    assert sorted([*train, *held_out]) == [item.name for item in dataset.items]


def test_frames_of_a_subject_share_a_look(phantoms: Path) -> None:
    dataset = open_dataset(phantoms)
    look_of = group_by_look(dataset, 2)
    for subject in {item.subject for item in dataset.items}:
        assert len({look_of[item.name] for item in dataset.items if item.subject == subject}) == 1


@pytest.mark.parametrize("looks", [1, 0, 500])
def test_more_looks_than_subjects_are_refused(looks: int, phantoms: Path) -> None:
    with pytest.raises(UsageError, match=f"{looks} looks of"):
        group_by_look(open_dataset(phantoms), looks)


@pytest.mark.integration
def test_a_training_holds_out_a_look(tmp_path: Path) -> None:
    from fetaledge.runs.unet_recipe import FoldBy, Recipe
    from fetaledge.training.unet.train import train_unet

    dataset = open_dataset(write_frames(tmp_path / "data", "wwnwnwww"))
    recipe = Recipe(encoder_weights="none", decoder_channels=(16, 8, 8, 4, 4), size=32, epochs=1, batch=2,
                    fold=(2, 2), fold_by=FoldBy.LOOK)  # fmt: skip
    run = train_unet(dataset, tmp_path / "run", recipe)
    assert run is not None and run.split.validation == ("02", "04")
