"""Processes that read and augment frames: how many there are, and that none of them changes a bit of the result."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from fetaledge.data.layouts.open import open_dataset
from fetaledge.runs.unet_recipe import Recipe
from fetaledge_runtimes.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch.utils.data import Dataset

TINY = Recipe(
    strategy="all", encoder_weights="none", decoder_channels=(16, 8, 8, 4, 4), size=32, epochs=2, batch=4,
    learning_rate=3e-3,
)  # fmt: skip


def test_the_accelerator_chooses_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    from fetaledge.training.trainer import TrainerHardware, worker_count

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)), raising=False)
    assert worker_count(TrainerHardware(), "cpu") == 0
    assert worker_count(TrainerHardware(), "cuda") == 8
    assert worker_count(TrainerHardware(devices=4), "cuda") == 3
    assert worker_count(TrainerHardware(devices=16), "cuda") == 1
    assert worker_count(TrainerHardware(workers=5), "cpu") == 5
    assert worker_count(TrainerHardware(workers=0), "cuda") == 0


@pytest.mark.parametrize("kind", ["unet", "sam"])
def test_batches_are_the_same_with_and_without_workers(kind: str, phantoms: Path) -> None:
    import torch
    from torch.utils.data import DataLoader

    from fetaledge.training.epoch_sampler import EpochSampler
    from fetaledge.training.sam.frames import AugmentedMaps, LabelMaps
    from fetaledge.training.unet.frames import PreparedFrames, TrainingFrames

    part = open_dataset(phantoms).only([f"{number:03d}_HC" for number in range(10)])
    frames: Dataset[tuple[torch.Tensor, torch.Tensor]]
    if kind == "unet":
        frames = TrainingFrames(PreparedFrames(part, (64, 64)), seed=3)
    else:
        frames = AugmentedMaps(LabelMaps.read(part, 64), seed=3)

    def batches(workers: int) -> list[list[torch.Tensor]]:
        sampler = EpochSampler(frames, 1, 0, shuffle=True, seed=3)
        loader = DataLoader(frames, batch_size=4, sampler=sampler, num_workers=workers, persistent_workers=workers > 0)
        found = []
        for epoch in (0, 1):
            sampler.set_epoch(epoch)
            found += list(loader)
        return found

    alone, shared = batches(0), batches(2)
    assert len(alone) == len(shared) == 6
    for one, other in zip(alone, shared, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(alone[0][0], alone[3][0])


@pytest.mark.integration
def test_training_is_the_same_with_and_without_workers(phantoms: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from fetaledge.training.trainer import TrainerHardware
    from fetaledge.training.unet.train import train_unet

    torch.set_num_threads(1)
    for name, workers in (("none", 0), ("two", 2)):
        train_unet(open_dataset(phantoms), tmp_path / name, TINY, hardware=TrainerHardware("cpu", workers=workers))
    none, two = (load_file(tmp_path / name / "model.safetensors") for name in ("none", "two"))
    assert none.keys() == two.keys()
    assert all(torch.equal(none[name], two[name]) for name in none)


def test_fewer_than_none(phantoms: Path, tmp_path: Path) -> None:
    from fetaledge.training.trainer import TrainerHardware
    from fetaledge.training.unet.train import train_unet

    with pytest.raises(UsageError, match="--workers -1 is below 0"):
        train_unet(
            open_dataset(phantoms), tmp_path / "run", replace(TINY, epochs=1), hardware=TrainerHardware(workers=-1)
        )
    assert not (tmp_path / "run").exists()
