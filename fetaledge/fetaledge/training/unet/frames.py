"""Frames at the network's size, held in memory, and their augmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset as TorchDataset

from fetaledge.training.unet.artefacts import spoil
from fetaledge_runtimes.frames.frame import Image, LabelledFrame
from fetaledge_runtimes.frames.scan import cut_scan
from fetaledge_runtimes.preprocess import resize

Soft = npt.NDArray[np.float16]


class PreparedFrames:
    """Frames and their targets, resized once; of a screenshot its scan alone, as a device sees it.

    A label's border pixels hold the share of their area inside each structure, so that the network's zero level falls
    on the border itself rather than on the nearest pixel.

    Attributes:
        images: ``uint8 (N, H, W)``, the labelled frames first.
        masks: ``uint8 (L, K, H, W)`` of 0–255 of the L labelled frames: the share of each of the K structures.
        soft: ``float16 (N, K, H, W)`` of 0–1, the teachers' answer to every frame; None without teachers.
    """

    def __init__(
        self,
        frames: Iterable[LabelledFrame],
        size: tuple[int, int],
        structures: int = 1,
        teachers: Callable[[Image], Soft] | None = None,
        unlabelled: Iterable[Image] = (),
    ) -> None:
        """Read and resize ``frames``, then ``unlabelled``, asking the teachers about each.

        Args:
            frames: with labels of 0 (background) to ``structures``.
            size: (height, width) of the network's input.
            structures: K.
            teachers: from a frame ``uint8 (H, W)`` to ``float16 (K, *size)``.
            unlabelled: frames ``uint8 (H, W)`` for the teachers' answers alone.
        """
        images, masks, soft = [], [], []

        def add(pixels: Image) -> None:
            images.append(resize(pixels, size))
            if teachers is not None:
                soft.append(teachers(pixels))

        for labelled in frames:
            pixels, mask = cut_scan(labelled.frame.pixels, labelled.mask)
            add(pixels)
            planes = [(mask == label) * np.uint8(255) for label in range(1, structures + 1)]
            masks.append([cv2.resize(plane, (size[1], size[0]), interpolation=cv2.INTER_AREA) for plane in planes])
        for frame in unlabelled:
            add(*cut_scan(frame))
        self.images: Image = np.stack(images)
        self.masks: Image = np.array(masks)
        self.soft: Soft | None = np.stack(soft) if soft else None

    def __len__(self) -> int:
        return len(self.images)

    def image(self, index: int) -> torch.Tensor:
        """``float32 (1, H, W)`` in 0–1."""
        return torch.from_numpy(self.images[index])[None].float() / 255

    def labels(self, index: int) -> torch.Tensor:
        """``float32 (T, K, H, W)`` in 0–1: the label, then the teachers' answer if there is one.

        Where there is no label, the answer takes its place and is the whole loss.
        """
        soft = [] if self.soft is None else [torch.from_numpy(self.soft[index]).float()]
        labelled = index < len(self.masks)
        return torch.stack([torch.from_numpy(self.masks[index]).float() / 255 if labelled else soft[0], *soft])


def augmentation(size: tuple[int, int]) -> Any:
    """MONAI's transforms for a dictionary of ``image`` and ``mask`` ``float32 (C, H, W)`` in 0–1, of ``size`` (H, W).

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
    """Augmented pairs for (epoch, index): the same pair for the same epoch and seed, in any order and process.

    A resumed run therefore sees the frames that the unbroken one would have seen.
    """

    def __init__(self, frames: PreparedFrames, seed: int, artefacts: float = 0.0) -> None:
        """Augment ``frames``; the share ``artefacts`` of them carries an artefact of
        :mod:`fetaledge.training.unet.artefacts` as well, in the frame alone.
        """
        self.frames = frames
        self.seed = seed
        self.artefacts = artefacts
        self.transform = augmentation(frames.images.shape[1:])

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Image ``float32 (1, H, W)`` and labels ``float32 (T, K, H, W)`` in 0–1, as of :class:`PreparedFrames`."""
        epoch, index = key
        seed = np.random.SeedSequence((self.seed, epoch, index)).generate_state(1)[0]
        self.transform.set_random_state(seed=int(seed))
        labels = self.frames.labels(index)
        changed = self.transform({"image": self.frames.image(index), "mask": labels.flatten(0, 1)})
        image, moved = (changed[name].as_tensor().clamp(0, 1) for name in ("image", "mask"))
        rng = np.random.default_rng(seed)
        if rng.random() < self.artefacts:
            shown = (moved[: labels.shape[1]].numpy() > 0.5).astype(np.uint8)
            image = torch.from_numpy(spoil((image[0].numpy() * 255).round().astype(np.uint8), shown, rng))[None] / 255
        return image, moved.unflatten(0, labels.shape[:2])


class ValidationFrames(TorchDataset[tuple[torch.Tensor, torch.Tensor]]):
    """Pairs without augmentation."""

    def __init__(self, frames: PreparedFrames) -> None:
        self.frames = frames

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """As :class:`TrainingFrames`."""
        return self.frames.image(index), self.frames.labels(index)
