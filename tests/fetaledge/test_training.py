"""Training for real, on small frames: what is written, what resumes, what several processes share."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace as replace_fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec.structs import replace

from fetaledge.data.layouts.open import open_dataset
from fetaledge.phantoms.ps_fh import psfh_phantom, write_psfh_phantoms
from fetaledge.runs.unet_recipe import Recipe
from fetaledge_runtimes.errors import InputError, OutputError, UsageError
from tests.command import Command

if TYPE_CHECKING:
    import torch


@cache
def tiny() -> Recipe:
    return Recipe(
        strategy="all",
        encoder_weights="none",
        decoder_channels=(16, 8, 8, 4, 4),
        size=32,
        epochs=4,
        batch=4,
        learning_rate=3e-3,
    )


FLAGS = (
    *("--strategy", "all", "--encoder-weights", "none", "--decoder-channels", "16,8,8,4,4", "--size", "32"),
    *("--batch", "4", "--learning-rate", "3e-3", "--precision", "fp32"),
)


def command(phantoms: Path, out: Path, *flags: str) -> list[str]:
    start = [sys.executable, "-m", "fetaledge", "train", "unet", "--data", str(phantoms), "--out", str(out)]
    return [*start, *FLAGS, *flags]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_run_folder(small_run: Path) -> None:
    from fetaledge.runs.open import open_run

    document = json.loads((small_run / "run.json").read_text())
    assert document["schema"] == "fetaledge/run/1"
    assert document["data"]["synthetic"] is True
    assert not set(document["split"]["train"]) & set(document["split"]["validation"])
    rows = list(csv.DictReader((small_run / "log.csv").read_text().splitlines()))
    assert len(rows) == 12
    best = max(rows, key=lambda row: float(row["dice"]))
    assert document["best"]["epoch"] == int(best["epoch"])
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) / 2
    assert document["validation"]["dice"]["mean"] > 0.8
    assert (small_run / "curve.png").stat().st_size > 5000
    assert not (small_run / "resume.ckpt").exists()
    assert open_run(small_run).network().training is False


def test_augmented_pairs_depend_on_epoch_and_index_alone(phantoms: Path) -> None:
    import torch

    from fetaledge.training.unet.frames import PreparedFrames, TrainingFrames

    frames = PreparedFrames(open_dataset(phantoms).only(["000_HC", "001_HC"]), (64, 64))
    first, second = TrainingFrames(frames, seed=1), TrainingFrames(frames, seed=1)
    second[(3, 1)]
    for a, b in zip(first[(2, 0)], second[(2, 0)], strict=True):
        assert torch.equal(a, b)
        assert type(a) is torch.Tensor and a.shape[-3:] == (1, 64, 64)
    assert not torch.equal(first[(2, 0)][0], first[(1, 0)][0])
    assert not torch.equal(first[(2, 0)][0], TrainingFrames(frames, seed=2)[(2, 0)][0])


def test_image_and_mask_move_together(phantoms: Path) -> None:
    from fetaledge.training.unet.frames import PreparedFrames, TrainingFrames

    frames = PreparedFrames(open_dataset(phantoms).only(["000_HC"]), (64, 64))
    frames.images[:] = frames.masks[:, 0]
    image, labels = TrainingFrames(frames, seed=1)[(0, 0)]
    inside, outside = image[labels[0] > 0.99].mean(), image[labels[0] < 0.01].mean()
    assert inside - outside > 0.4


def test_a_screenshot_is_learnt_from_by_its_scan_alone(phantoms: Path) -> None:
    """As a device sees it: frame and mask are cut alike."""
    from fetaledge.training.unet.frames import PreparedFrames

    plain = open_dataset(phantoms)[0]
    height, width = plain.mask.shape

    def in_black(pixels: np.ndarray) -> np.ndarray:
        wide = np.zeros((2 * height, 2 * width), np.uint8)
        wide[height // 2 : height // 2 + height, width // 2 : width // 2 + width] = pixels
        return wide

    shot = replace_fields(
        plain, frame=replace_fields(plain.frame, pixels=in_black(plain.frame.pixels)), mask=in_black(plain.mask)
    )
    whole, cut = PreparedFrames([plain], (64, 64)), PreparedFrames([shot], (64, 64))
    area = np.count_nonzero(whole.masks > 127)
    assert 0.8 * area < np.count_nonzero(cut.masks > 127) < 1.1 * area
    grey = whole.images[0][whole.masks[0, 0] > 127].mean()
    assert abs(cut.images[0][cut.masks[0, 0] > 127].mean() - grey) < 5


def test_processes_share_out_each_epoch() -> None:
    import torch

    from fetaledge.training.epoch_sampler import EpochSampler

    class Ten(torch.utils.data.Dataset[int]):
        def __len__(self) -> int:
            return 10

    parts = [EpochSampler(Ten(), num_replicas=2, rank=rank, shuffle=True, seed=4) for rank in (0, 1)]
    for part in parts:
        part.set_epoch(7)
    keys = [key for part in parts for key in part]
    assert {epoch for epoch, _ in keys} == {7}
    assert sorted(index for _, index in keys) == list(range(10))


def test_labels_keep_the_share_of_each_border_pixel(phantoms: Path) -> None:
    from fetaledge.training.unet.frames import PreparedFrames

    dataset = open_dataset(phantoms)
    frames = PreparedFrames(dataset.only(["000_HC"]), (64, 64))
    full = float(dataset[0].mask.mean())
    assert frames.masks.mean() / 255 == pytest.approx(full, abs=1e-3)
    assert len(np.unique(frames.masks)) > 10


def test_each_structure_has_its_own_share_of_a_border_pixel() -> None:
    from fetaledge.training.unet.frames import PreparedFrames, TrainingFrames

    case = psfh_phantom(3).labelled
    frames = PreparedFrames([case], (96, 96), structures=2)
    assert frames.masks.shape == (1, 2, 96, 96)
    for label, plane in enumerate(frames.masks[0], 1):
        assert plane.mean() / 255 == pytest.approx(float((case.mask == label).mean()), abs=1e-3)
        assert len(np.unique(plane)) > 10
    assert TrainingFrames(frames, seed=1)[(0, 0)][1].shape == (1, 2, 96, 96)


@pytest.mark.parametrize("classes", [1, 3])
def test_validation_dice_and_loss_of_a_batch(classes: int) -> None:
    """Against Dice counted with sets and cross-entropy and Dice loss by their formulas."""

    import torch

    from fetaledge.training.unet.module import SegmentationModule

    structures = max(1, classes - 1)
    generator = torch.Generator().manual_seed(classes)
    maps = torch.randint(0, structures + 1, (2, 8, 8), generator=generator)
    shares = torch.stack([(maps == label).float() for label in range(1, structures + 1)], 1)
    logits = torch.randn(2, classes, 8, 8, generator=generator)
    module = SegmentationModule(
        torch.nn.Identity(), classes=classes, scale=1, offset=0, learning_rate=1, frozen_batchnorm=True, seed=0,
        soft_weight=None,
    )  # fmt: skip
    module.forward = lambda _: logits  # type: ignore[method-assign]
    said: dict[str, float] = {}
    module.log_dict = lambda values, **_: said.update(values)  # type: ignore[method-assign,assignment]
    module.validation_step((torch.zeros(2, 1, 8, 8), shares[:, None]), 0)

    both = torch.cat([torch.zeros_like(logits), logits], 1) if classes == 1 else logits
    chance = both.softmax(1)
    truth = torch.cat([1 - shares.sum(1, keepdim=True), shares], 1)
    entropy = -(truth * chance.log()).sum(1).mean()
    overlap = [
        2 * float((chance[n, k] * truth[n, k]).sum()) / float(chance[n, k].sum() + truth[n, k].sum())
        for n in range(2)
        for k in range(1, structures + 1)
    ]
    assert float(said["validation_loss"]) == pytest.approx(
        0.5 * float(entropy) + 0.5 * (1 - np.mean(overlap)), abs=1e-5
    )
    scores = []
    for n in range(2):
        for label in range(1, structures + 1):
            found = {tuple(place) for place in (both[n].argmax(0) == label).nonzero().tolist()}
            there = {tuple(place) for place in (maps[n] == label).nonzero().tolist()}
            scores.append(2 * len(found & there) / (len(found) + len(there)))
    assert float(said["dice"]) == pytest.approx(np.mean(scores), abs=1e-6)


def test_init_takes_network_size_and_split(small_run: Path, phantoms: Path, tmp_path: Path) -> None:
    import torch

    from fetaledge.runs.open import open_run
    from fetaledge.training.unet.train import train_unet

    init = open_run(small_run)
    recipe = Recipe(strategy="decoder", epochs=1, batch=4, seed=9, learning_rate=1e-4, half=True)
    assert recipe.size is None
    run = train_unet(open_dataset(phantoms), tmp_path / "second", recipe, init=init)
    assert run is not None
    assert run.size == (64, 64)
    assert run.document.split == init.document.split
    assert run.document.init.weights_sha256 == init.source()["weights_sha256"]
    assert run.document.init.validation["dice"] == init.document.validation["dice"]
    assert set(run.trained_on) == set(init.trained_on)
    before, after = weights(small_run), weights(tmp_path / "second")
    assert all(tensor.dtype == torch.float16 for tensor in after.values() if tensor.is_floating_point())
    encoder = [name for name in before if name.startswith("encoder.") and before[name].is_floating_point()]
    assert all(torch.equal(before[name].half(), after[name]) for name in encoder)
    assert any(not torch.equal(before[name].half(), after[name]) for name in before if name.startswith("decoder."))


def test_a_fold_holds_out_its_part_of_the_subjects(phantoms: Path, tmp_path: Path) -> None:
    from fetaledge.training.unet.train import train_unet

    dataset = open_dataset(phantoms)
    run = train_unet(dataset, tmp_path / "run", replace(tiny(), fold=(2, 4)))
    assert run is not None and run.document.recipe.fold == (2, 4)
    names = [item.name for item in dataset.items]
    count = len(names)
    assert list(run.split.validation) == names[count // 4 : count // 2]
    assert set(run.split.train) == set(names) - set(run.split.validation)


def test_a_fold_may_not_hold_out_what_the_first_weights_have_seen(
    small_run: Path, phantoms: Path, tmp_path: Path
) -> None:
    from fetaledge.runs.open import open_run
    from fetaledge.training.unet.train import train_unet

    with pytest.raises(UsageError, match="was trained on"):
        train_unet(open_dataset(phantoms), tmp_path / "run", replace(tiny(), fold=(1, 4)), init=open_run(small_run))


@pytest.mark.parametrize("fold", ["2", "0/4", "5/4", "1/1", "a/b", "1/4/2"])
def test_a_fold_that_is_none_is_refused(fold: str, phantoms: Path, tmp_path: Path, fetaledge: Command) -> None:
    done = fetaledge("train", "unet", "--data", phantoms, "--out", tmp_path / "run", "--fold", fold)
    assert done.returncode == 2 and f"--fold {fold}" in done.stderr.replace("'", "")


def test_moving_batchnorm_moves_a_frozen_encoder(small_run: Path, phantoms: Path, tmp_path: Path) -> None:
    import torch

    from fetaledge.runs.open import open_run
    from fetaledge.training.unet.train import train_unet

    recipe = Recipe(strategy="decoder", epochs=1, batch=4, frozen_batchnorm=False)
    train_unet(open_dataset(phantoms), tmp_path / "moving", recipe, init=open_run(small_run))
    before, after = weights(small_run), weights(tmp_path / "moving")
    name = next(name for name in before if name.startswith("encoder.") and name.endswith("running_mean"))
    weight = name.replace("running_mean", "weight")
    assert not torch.equal(before[name], after[name]) and torch.equal(before[weight], after[weight])


def test_few_shot(phantoms: Path, tmp_path: Path) -> None:
    from fetaledge.training.unet.train import train_unet

    recipe = replace(tiny(), epochs=1, train_count=5)
    run = train_unet(open_dataset(phantoms), tmp_path / "few", recipe)
    assert run is not None
    assert len(run.split.train) == 5
    assert len(run.split.validation) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 100}, "--size 100 is not a multiple of 32"),
        ({"epochs": 0}, "--epochs 0"),
        ({"batch": 0}, "--batch 0"),
        ({"train_count": 400}, "--train-count 400"),
        ({"strategy": "middle"}, "no strategy 'middle'"),
        ({"intensity": "bright"}, "no intensity 'bright'"),
        ({"phantoms": -5}, "--phantoms -5"),
        ({"seed": -1}, "--seed -1"),
        ({"learning_rate": -1.0}, "--learning-rate -1"),
        ({"validation": float("nan")}, "validation share of nan"),
        ({"encoder": "tu-typo"}, "has no encoder 'tu-typo'"),
        ({"soft_weight": 1.5}, "--soft-weight 1.5 is not between 0 and 1"),
        ({"soft_weight": float("nan")}, "--soft-weight nan is not between 0 and 1"),
        ({"soft_weight": 0.5}, "without a teacher"),
    ],
)
def test_values_that_make_no_sense(phantoms: Path, tmp_path: Path, change: dict[str, object], message: str) -> None:
    from fetaledge.training.unet.train import train_unet

    with pytest.raises(UsageError, match=message):
        train_unet(open_dataset(phantoms), tmp_path / "run", replace(tiny(), **change))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("given", [{"accelerator": "abacus"}, {"devices": 0}])
def test_hardware_that_is_not_there(phantoms: Path, tmp_path: Path, given: dict[str, object]) -> None:
    from fetaledge.training.trainer import TrainerHardware
    from fetaledge.training.unet.train import train_unet

    hardware = TrainerHardware(**given)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        train_unet(open_dataset(phantoms), tmp_path / "run", tiny(), hardware=hardware)
    assert not (tmp_path / "run").exists()


def test_random_strategies_take_no_init(small_run: Path, phantoms: Path, tmp_path: Path) -> None:
    from fetaledge.runs.open import open_run
    from fetaledge.training.unet.train import train_unet

    with pytest.raises(UsageError, match="leave --init out"):
        recipe = Recipe(strategy="decoder-random-encoder")
        train_unet(open_dataset(phantoms), tmp_path / "run", recipe, init=open_run(small_run))


def test_a_training_that_diverges_is_named(phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fetaledge.training.unet.module as module
    from fetaledge.training.unet.train import train_unet

    monkeypatch.setattr(module, "DiceCELoss", lambda **_: lambda logits, _: logits.sum() * float("nan"))
    with pytest.raises(InputError, match="diverged in epoch 1"):
        train_unet(open_dataset(phantoms), tmp_path / "run", tiny())
    assert not (tmp_path / "run/model.safetensors").exists()


def test_precision_words() -> None:
    from fetaledge.training.options import lightning_precision

    assert lightning_precision("fp32") == "32-true"
    assert lightning_precision("auto") in ("32-true", "bf16-mixed")
    with pytest.raises(UsageError, match="no precision 'int4'"):
        lightning_precision("int4")


def test_an_existing_folder_is_kept(small_run: Path, phantoms: Path, tmp_path: Path) -> None:
    from fetaledge.training.unet.train import train_unet

    before = (small_run / "run.json").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        train_unet(open_dataset(phantoms), small_run, tiny())
    assert (small_run / "run.json").read_bytes() == before
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/dear.txt").write_text("Dear")
    with pytest.raises(OutputError, match="not made by this command"):
        train_unet(open_dataset(phantoms), tmp_path / "letters", tiny(), force=True)
    with pytest.raises(InputError, match="nothing to resume"):
        train_unet(open_dataset(phantoms), tmp_path / "letters", tiny(), resume=True)
    with pytest.raises(InputError, match="is finished"):
        train_unet(open_dataset(phantoms), small_run, tiny(), resume=True)
    assert (tmp_path / "letters/dear.txt").read_text() == "Dear"


@pytest.mark.integration
def test_symphysis_and_head_from_a_run_that_knows_heads(small_run: Path, tmp_path: Path) -> None:
    """Three logits, a size of one's own, everything but the segmentation head taken."""

    from fetaledge.runs.open import open_run
    from fetaledge.training.unet.train import train_unet

    write_psfh_phantoms(tmp_path / "psfh", 20, seed=1)
    dataset, said = open_dataset(tmp_path / "psfh"), list[str]()
    recipe = Recipe(strategy="all", size=96, epochs=8, batch=4, learning_rate=3e-3, phantoms=12)
    init = open_run(small_run)
    train_unet(dataset, tmp_path / "run", recipe, init=init, progress=said.append)
    run = open_run(tmp_path / "run")
    assert "small is for the task 'head': segmentation_head.0.weight, segmentation_head.0.bias start from" in said[0]
    assert (run.task.name, run.size) == ("ps-fh", (96, 96))
    assert run.document.classes == ("background", "pubic-symphysis", "head")
    assert run.document.architecture == replace(init.document.architecture, classes=3)
    rows = list(csv.DictReader((tmp_path / "run/log.csv").read_text().splitlines()))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) / 2
    assert run.document.validation["structures"]["fh"]["dice"]["mean"] > 0.7
    assert not set(run.split.train) & set(run.split.validation)


@pytest.mark.integration
def test_killed_and_resumed_equals_unbroken(phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before its first epoch ends, and again later; all with one thread, since more give other last digits."""

    import torch

    from fetaledge.runs.open import open_run
    from fetaledge.training.unet.train import train_unet

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    unbroken = train_unet(open_dataset(phantoms), tmp_path / "unbroken", tiny())
    assert unbroken is not None
    broken = tmp_path / "broken"
    for flag, sign in (((), broken / "run.json"), (("--resume",), broken / "resume.ckpt")):
        process = subprocess.Popen(command(phantoms, broken, "--epochs", "4", *flag))
        while process.poll() is None and not sign.exists():
            time.sleep(0.02)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        with pytest.raises(InputError, match="is not finished"):
            open_run(broken)
    (broken / ".resume.left").write_bytes(b"half")
    subprocess.run(command(phantoms, broken, "--epochs", "4", "--resume"), check=True)
    resumed = open_run(broken)
    assert resumed.document.epochs_run == 4
    rows = [
        list(csv.DictReader((folder / "log.csv").read_text().splitlines()))
        for folder in (tmp_path / "unbroken", broken)
    ]
    for one, other in zip(*rows, strict=True):
        assert float(one["loss"]) == pytest.approx(float(other["loss"]), rel=1e-3)
        assert float(one["dice"]) == pytest.approx(float(other["dice"]), abs=2e-3)
    assert resumed.document.best.epoch == unbroken.document.best.epoch
    for name, tensor in weights(broken).items():
        assert torch.allclose(tensor.float(), weights(tmp_path / "unbroken")[name].float(), rtol=1e-3, atol=1e-4), name
    assert not [path for path in broken.iterdir() if path.name.startswith(".")]


@pytest.mark.integration
def test_resume_refuses_another_recipe(phantoms: Path, tmp_path: Path) -> None:
    from fetaledge.training.unet.train import train_unet

    process = subprocess.Popen(command(phantoms, tmp_path / "run", "--epochs", "50"))
    while process.poll() is None and not (tmp_path / "run/resume.ckpt").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    state = (tmp_path / "run/resume.ckpt").read_bytes()
    with pytest.raises(UsageError, match="another recipe"):
        train_unet(open_dataset(phantoms), tmp_path / "run", replace(tiny(), seed=5), resume=True)
    assert (tmp_path / "run/resume.ckpt").read_bytes() == state
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]


@pytest.mark.integration
def test_two_processes(phantoms: Path, tmp_path: Path) -> None:
    from fetaledge.runs.open import open_run

    flags = ("--epochs", "2", "--accelerator", "cpu", "--devices", "2")
    home = tmp_path / "home"
    home.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("XDG_") and k != "MPLCONFIGDIR"}
    environment = {**kept, "OMP_NUM_THREADS": "1", "HOME": str(home)}
    done = subprocess.run(
        command(phantoms, tmp_path / "run", *flags),
        check=False,
        env=environment,
        timeout=300,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert len(done.stdout.splitlines()) == 1
    run = open_run(tmp_path / "run")
    assert run.document.epochs_run == 2
    assert len(list(csv.DictReader((tmp_path / "run/log.csv").read_text().splitlines()))) == 2
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "curve.png",
        "log.csv",
        "model.safetensors",
        "run.json",
    ]
    assert not list(home.rglob("*")), "nothing is written under the home folder"
