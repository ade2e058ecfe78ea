"""Teachers and their students: what a teacher says of a frame, what a student learns of it, what its run keeps."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from fetaledge.data.layouts.open import open_dataset
from fetaledge.phantoms.ps_fh import psfh_phantom, write_psfh_phantoms
from fetaledge.runs.unet_recipe import Recipe
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.preprocess import resize

if TYPE_CHECKING:
    import torch


@cache
def cpu() -> torch.device:
    import torch

    return torch.device("cpu")


@cache
def student() -> Recipe:
    return Recipe(
        strategy="all",
        encoder_weights="none",
        decoder_channels=(16, 8, 8, 4, 4),
        size=32,
        epochs=2,
        batch=4,
        learning_rate=3e-3,
    )


def teacher(classes: int, side: int, seed: int, scale: float = 1 / 255, offset: float = 0.0, stride: int = 1) -> Any:
    """What :class:`Teachers` needs of a run, around one convolution."""

    import torch
    from torch import nn

    torch.manual_seed(seed)
    network = nn.Conv2d(3, classes, 3, padding=1, stride=stride).eval()
    with torch.no_grad():
        network.weight *= 20
    return SimpleNamespace(network=lambda: network, size=(side, side), scale=scale, offset=offset)


def logits_of(run: Any, pixels: np.ndarray, side: int) -> np.ndarray:
    """Logits ``(C, side, side)``, brought there by OpenCV."""

    import torch

    small = resize(pixels, run.size).astype(np.float32) * run.scale + run.offset
    with torch.inference_mode():
        planes = run.network()(torch.from_numpy(np.stack([small] * 3))[None])[0].numpy()
    return np.stack([cv2.resize(plane, (side, side), interpolation=cv2.INTER_LINEAR) for plane in planes])


def test_one_logit_and_two_are_averaged_as_logits() -> None:
    from scipy.special import expit, softmax

    from fetaledge.training.unet.distillation import Teachers

    pixels = psfh_phantom(1).labelled.frame.pixels
    one = teacher(1, 64, seed=1, scale=1 / 127.5, offset=-1.0)
    two = teacher(2, 128, seed=2, stride=4)
    soft = Teachers([one, two], (96, 96), cpu())(pixels)
    assert soft.shape == (1, 96, 96) and soft.dtype == np.float16
    a, b = logits_of(one, pixels, 96)[0], logits_of(two, pixels, 96)
    np.testing.assert_allclose(soft[0], expit((a + b[1] - b[0]) / 2), atol=1e-3)
    np.testing.assert_allclose(Teachers([two], (96, 96), cpu())(pixels)[0], softmax(b, axis=0)[1], atol=1e-3)


def test_three_logits_are_a_softmax_of_their_mean() -> None:
    from scipy.special import softmax

    from fetaledge.training.unet.distillation import Teachers

    pixels = psfh_phantom(2).labelled.frame.pixels
    runs = [teacher(3, 64, seed=3), teacher(3, 96, seed=4)]
    soft = Teachers(runs, (64, 64), cpu())(pixels)
    mean = np.mean([logits_of(run, pixels, 64) for run in runs], axis=0)
    np.testing.assert_allclose(soft, softmax(mean, axis=0)[1:], atol=1e-3)
    assert soft.max() > 0.9 and soft.min() < 0.1


def test_loss_of_labelled_and_unlabelled_frames() -> None:
    """(1 − w)·hard + w·soft where there is a label, the soft loss alone where there is none."""

    import torch
    from torch import nn

    from fetaledge.training.unet.distillation import Teachers
    from fetaledge.training.unet.frames import PreparedFrames
    from fetaledge.training.unet.module import SegmentationModule

    cases = [psfh_phantom(seed).labelled for seed in (1, 2)]
    one = teacher(3, 64, seed=5)
    frames = PreparedFrames(cases[:1], (64, 64), 2, Teachers([one], (64, 64), cpu()), [cases[1].frame.pixels])
    assert (len(frames), len(frames.masks)) == (2, 1)
    batch = torch.stack([frames.image(0), frames.image(1)]), torch.stack([frames.labels(0), frames.labels(1)])
    logits = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def loss(soft_weight: float | None, rows: list[int], labels: torch.Tensor) -> float:
        module = SegmentationModule(
            nn.Identity(), classes=3, scale=1, offset=0, learning_rate=1, frozen_batchnorm=True, seed=0,
            soft_weight=soft_weight,
        )  # fmt: skip
        module.forward = lambda _: logits[rows]  # type: ignore[method-assign]
        module.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]
        return float(module.training_step((batch[0][rows], labels[rows]), 0))

    hard, soft = torch.from_numpy(frames.masks[:1]).float() / 255, torch.from_numpy(frames.soft).float()
    first, second = loss(None, [0], hard[:, None]), loss(None, [0], soft[:, None])
    alone = loss(None, [1], soft[:, None])
    assert abs(first - second) > 0.01
    for weight in (0.0, 0.3, 1.0):
        expected = ((1 - weight) * first + weight * second + alone) / 2
        assert loss(weight, [0, 1], batch[1]) == pytest.approx(expected, abs=1e-6)


def test_answer_moves_with_the_label() -> None:
    import torch

    from fetaledge.training.unet.frames import PreparedFrames, TrainingFrames

    case = psfh_phantom(4).labelled
    frames = PreparedFrames([case], (64, 64), 2, lambda _: np.zeros((2, 64, 64), np.float16))
    frames.soft = (frames.masks / 255).astype(np.float16)
    _, labels = TrainingFrames(frames, seed=3)[(1, 0)]
    assert labels.shape == (2, 2, 64, 64)
    torch.testing.assert_close(labels[0], labels[1], atol=1e-3, rtol=0)
    assert not torch.equal(labels[0], frames.labels(0)[0])


def test_unlabelled_frames_leave_out_what_is_known(phantoms: Path) -> None:
    from fetaledge.training.unet.distillation import Unlabelled

    dataset = open_dataset(phantoms)
    known = {item.content_hash() for item in dataset.items[:15]}
    frames = Unlabelled.open(phantoms, known)
    assert [file.stem for file in frames.hashes] == [item.name for item in dataset.items[15:]]
    assert np.array_equal(next(iter(frames)), dataset[15].frame.pixels)
    facts = frames.facts()
    assert (facts.name, facts.files, facts.left_out) == ("phantoms", 5, 15)
    with pytest.raises(InputError, match="every frame of .* is labelled or held out"):
        Unlabelled.open(phantoms, {item.content_hash() for item in dataset.items})


def test_layouts_of_unlabelled_frames(phantoms: Path, tmp_path: Path) -> None:
    """A plain folder, ``images/`` without masks, and PSFHS without labels or with useless ones."""

    from fetaledge.training.unet.distillation import Unlabelled

    picture = phantoms / "training_set/000_HC.png"
    for folder in ("plain", "own/images"):
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(picture, tmp_path / folder)
    for folder in ("plain", "own"):
        (pixels,) = Unlabelled.open(tmp_path / folder, ())
        assert np.array_equal(pixels, open_dataset(phantoms)[0].frame.pixels)
    write_psfh_phantoms(tmp_path / "psfh", 2, seed=1)
    expected = [case.frame.pixels for case in open_dataset(tmp_path / "psfh")]
    shutil.rmtree(tmp_path / "psfh/label_mha")
    for pixels, other in zip(Unlabelled.open(tmp_path / "psfh", ()), expected, strict=True):
        assert np.array_equal(pixels, other)
    for path in (tmp_path / "psfh/image_mha").iterdir():
        path.unlink()
    (tmp_path / "empty").mkdir()
    for folder, message in (("psfh", "holds no .mha file"), ("empty", "holds no picture"), ("none", "does not exist")):
        with pytest.raises(InputError, match=message):
            Unlabelled.open(tmp_path / folder, ())


def test_a_teacher_that_has_seen_validation_frames_is_told(small_run: Path, phantoms: Path) -> None:
    from fetaledge.runs.open import open_run
    from fetaledge.training.unet.distillation import teacher_facts

    run = open_run(small_run)
    dataset = open_dataset(phantoms)
    held_out = {item.content_hash() for item in dataset.only(run.split.validation).items}
    (fact,) = teacher_facts([run], held_out)
    assert (fact.run, fact.weights_sha256) == ("small", run.source()["weights_sha256"])
    assert fact.trained_on_validation == 0
    assert teacher_facts([run], set(run.trained_on))[0].trained_on_validation == 16


def test_refused(small_run: Path, phantoms: Path, tmp_path: Path) -> None:
    from fetaledge.runs.open import open_run
    from fetaledge.runs.sam_run import SamRun
    from fetaledge.runs.unet_run import UnetRun
    from fetaledge.training.unet.train import train_unet

    dataset, run = open_dataset(phantoms), open_run(small_run)
    other = UnetRun(small_run, replace(run.document, task="ps-fh"))
    with pytest.raises(UsageError, match="is for the task 'ps-fh', and the data are for 'head'"):
        train_unet(dataset, tmp_path / "run", student(), teachers=[run, other])
    with pytest.raises(UsageError, match="--unlabelled .* was given without a teacher"):
        train_unet(dataset, tmp_path / "run", student(), unlabelled=phantoms)
    with pytest.raises(UsageError, match="--soft-weight -0.1 is not between 0 and 1"):
        train_unet(dataset, tmp_path / "run", replace(student(), soft_weight=-0.1), teachers=[run])
    sam = SamRun(small_run, None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is a SAM, and a U-Net starts from a U-Net"):
        train_unet(dataset, tmp_path / "run", student(), init=sam)
    assert not (tmp_path / "run").exists()


@pytest.mark.integration
def test_student_learns_heads_without_their_labels(small_run: Path, phantoms: Path, tmp_path: Path) -> None:
    """Four labelled frames and twelve that the teacher alone knows, by the teacher alone."""

    from fetaledge.runs.open import open_run
    from fetaledge.training.unet.train import train_unet

    recipe = replace(student(), decoder_channels=(32, 16, 16, 8, 8), size=64, epochs=20, train_count=4, soft_weight=1.0)
    run = train_unet(
        open_dataset(phantoms), tmp_path / "run", recipe, teachers=[open_run(small_run)], unlabelled=phantoms
    )
    assert run is not None
    document = run.document
    assert document.unlabelled.frames == 12 and document.unlabelled.left_out == 8
    assert document.teachers[0].trained_on_validation == 0
    assert len(document.split.train) == 4 and len(document.trained_on) == 16
    held_out = open_dataset(phantoms).only(document.split.validation)
    assert not {item.content_hash() for item in held_out.items} & set(document.trained_on)
    assert document.validation["dice"]["mean"] > 0.7


@pytest.mark.integration
def test_resume_refuses_other_teachers(small_run: Path, phantoms: Path, tmp_path: Path) -> None:
    from fetaledge.runs.open import open_run
    from fetaledge.training.unet.train import train_unet

    dataset, run = open_dataset(phantoms), open_run(small_run)
    straight = train_unet(dataset, tmp_path / "straight", student(), teachers=[run])
    assert straight is not None

    def stop(line: str) -> None:
        if line.startswith("epoch 1/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_unet(dataset, tmp_path / "run", student(), teachers=[run], progress=stop)
    before = json.loads((tmp_path / "run/run.json").read_text())
    assert before["recipe"]["soft_weight"] == 0.5
    more = tmp_path / "more.png"
    cv2.imwrite(str(more), psfh_phantom(1).labelled.frame.pixels)
    with pytest.raises(UsageError, match="another teachers"):
        train_unet(dataset, tmp_path / "run", student(), teachers=[run, run], resume=True)
    with pytest.raises(UsageError, match="another unlabelled"):
        train_unet(dataset, tmp_path / "run", student(), teachers=[run], unlabelled=more, resume=True)
    resumed = train_unet(dataset, tmp_path / "run", student(), teachers=[run], resume=True)
    assert resumed is not None
    assert resumed.document.best.dice == pytest.approx(straight.document.best.dice, abs=2e-3)
