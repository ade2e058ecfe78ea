"""Frames at the network's size, held in memory, and their augmentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import DistributedSampler

from fetaledge_runtimes.frame import Image, LabelledFrame
from fetaledge_runtimes.preprocess import resize


class PreparedFrames:
    """Frames and labels resized once: ``images`` ``uint8 (N, H, W)``, ``masks`` ``uint8 (N, H, W)`` of 0–255.

    A label's border pixels hold the share of their area inside the head, so that the network's zero level falls on the
    border itself rather than on the nearest pixel.
    """

    def __init__(self, frames: Iterable[LabelledFrame], size: tuple[int, int]) -> None:
        images, masks = [], []
        for labelled in frames:
            images.append(resize(labelled.frame.pixels, size))
            masks.append(cv2.resize(labelled.mask * np.uint8(255), (size[1], size[0]), interpolation=cv2.INTER_AREA))
        self.images: Image = np.stack(images)
        self.masks: Image = np.stack(masks)

    def __len__(self) -> int:
        return len(self.images)


def augmentation(size: tuple[int, int]) -> Any:
    """MONAI's transforms for a dictionary of ``image`` and ``mask`` ``float32 (1, H, W)`` in 0–1, of ``size`` (H, W).

    Rotation ±25° and flips (0.5 and 0.1) as published; with them scale ±20 %, shift ±10 %, gamma 0.6–1.6, gain, noise
    and smoothing, since probes and settings differ more than the published set shows.
    """
    from monai.transforms import (
        Compose,
        RandAdjustContrastd,
        RandAffined,
        RandFlipd,
        RandGaussianNoised,
        RandGaussianSmoothd,
        RandScaleIntensityd,
    )

    keys = ("image", "mask")
    return Compose(
        [
            RandAffined(
                keys,
                prob=1.0,
                rotate_range=np.deg2rad(25),
                scale_range=(0.2, 0.2),
                translate_range=(0.1 * size[0], 0.1 * size[1]),
                mode="bilinear",
                padding_mode="zeros",
            ),
            RandFlipd(keys, prob=0.5, spatial_axis=1),
            RandFlipd(keys, prob=0.1, spatial_axis=0),
            RandAdjustContrastd("image", prob=0.7, gamma=(0.6, 1.6)),
            RandScaleIntensityd("image", factors=0.25, prob=0.5),
            RandGaussianNoised("image", prob=0.3, std=0.04),
            RandGaussianSmoothd("image", prob=0.15, sigma_x=(0.4, 1.0), sigma_y=(0.4, 1.0)),
        ]
    )


class TrainingFrames(TorchDataset[tuple[torch.Tensor, torch.Tensor]]):
    """Augmented pairs for (epoch, index): the same pair for the same epoch and seed, whatever was drawn before.

    A killed run therefore goes on with the frames that the unbroken one would have seen.
    """

    def __init__(self, frames: PreparedFrames, seed: int) -> None:
        self.frames = frames
        self.seed = seed
        self.transform = augmentation(frames.images.shape[1:])

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Image and mask ``float32 (1, H, W)`` in 0–1."""
        epoch, index = key
        seed = np.random.SeedSequence((self.seed, epoch, index)).generate_state(1)[0]
        self.transform.set_random_state(seed=int(seed))
        pair = {
            "image": torch.from_numpy(self.frames.images[index])[None].float() / 255,
            "mask": torch.from_numpy(self.frames.masks[index])[None].float() / 255,
        }
        changed = self.transform(pair)
        return changed["image"].as_tensor().clamp(0, 1), changed["mask"].as_tensor().clamp(0, 1)


class ValidationFrames(TorchDataset[tuple[torch.Tensor, torch.Tensor]]):
    """Pairs as they are."""

    def __init__(self, frames: PreparedFrames) -> None:
        self.frames = frames

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Image and mask ``float32 (1, H, W)`` in 0–1."""
        image, mask = self.frames.images[index], self.frames.masks[index]
        return torch.from_numpy(image)[None].float() / 255, torch.from_numpy(mask)[None].float() / 255


class EpochSampler(DistributedSampler[Any]):
    """A seeded shuffle, shared out among processes, that yields (epoch, index)."""

    def __iter__(self) -> Iterator[Any]:
        return ((self.epoch, index) for index in super().__iter__())
