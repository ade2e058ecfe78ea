"""Frames and label maps at SAM's size, and the published augmentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset

from fetaledge_runtimes.frames.frame import Image, LabelledFrame
from fetaledge_runtimes.frames.scan import cut_scan
from fetaledge_runtimes.preprocess import resize

Pair = tuple[torch.Tensor, torch.Tensor]


class LabelMaps:
    """Frames and labels resized once, and the rows in use.

    Attributes:
        images, labels: ``uint8 (N, S, S)``; ``labels`` is the class of each pixel.
        names: of the N frames.
        rows: the indices in use, in order.
    """

    def __init__(self, images: Image, labels: Image, names: Sequence[str], rows: Sequence[int]) -> None:
        self.images, self.labels, self.names, self.rows = images, labels, names, rows

    @classmethod
    def read(cls, frames: Iterable[LabelledFrame], size: int) -> LabelMaps:
        """Read frames and labels, the scan of each resized to ``(size, size)``."""
        images, labels, names = [], [], []
        for labelled in frames:
            pixels, mask = cut_scan(labelled.frame.pixels, labelled.mask)
            images.append(resize(pixels, (size, size)))
            labels.append(cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST))
            names.append(labelled.name)
        return cls(np.stack(images), np.stack(labels), names, range(len(names)))

    def only(self, names: Iterable[str]) -> LabelMaps:
        """The frames of these names; nothing is copied."""
        row = {name: place for place, name in enumerate(self.names)}
        return LabelMaps(self.images, self.labels, self.names, [row[name] for name in names])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Image, Image]:
        """Image and label ``uint8 (S, S)``."""
        row = self.rows[index]
        return self.images[row], self.labels[row]


def augmentation() -> Any:
    """MONAI's transforms for a dictionary of ``image`` and ``label``, ``float32 (1, S, S)``.

    As published: rotation ±15° (0.5), horizontal flip (0.5), zoom 0.9 to 1.1 (0.5), Gaussian smoothing (0.1), Gaussian
    noise of SD 0.1 (0.5), and one of an affine (0.8) or elastic (0.2) change. Values that the paper does not give:
    the affine change shifts by up to 12 pixels and shears by 0.1, the elastic one moves points 30 pixels apart by 1 to
    2 pixels, and either is made for half of the frames.
    """
    from monai.transforms import (
        Compose,
        OneOf,
        Rand2DElasticd,
        RandAffined,
        RandFlipd,
        RandGaussianNoised,
        RandGaussianSmoothd,
        RandRotated,
        RandZoomd,
    )

    keys, modes = ("image", "label"), ("bilinear", "nearest")
    return Compose(
        [
            RandRotated(keys, range_x=np.deg2rad(15), prob=0.5, mode=modes, padding_mode="zeros"),
            RandFlipd(keys, prob=0.5, spatial_axis=1),
            RandZoomd(keys, min_zoom=0.9, max_zoom=1.1, prob=0.5, mode=modes, padding_mode="constant"),
            RandGaussianSmoothd("image", prob=0.1),
            RandGaussianNoised("image", std=0.1, prob=0.5),
            OneOf(
                [
                    RandAffined(
                        keys,
                        prob=0.5,
                        shear_range=(0.1, 0.1),
                        translate_range=(12, 12),
                        mode=modes,
                        padding_mode="zeros",
                    ),
                    Rand2DElasticd(
                        keys,
                        prob=0.5,
                        spacing=(30, 30),
                        magnitude_range=(1, 2),
                        mode=modes,
                        padding_mode="zeros",
                    ),
                ],
                weights=(0.8, 0.2),
            ),
        ]
    )


class AugmentedMaps(TorchDataset[Pair]):
    """Augmented pairs for (epoch, index): the same pair for the same epoch and seed, in any order and process."""

    def __init__(self, maps: LabelMaps, seed: int) -> None:
        self.maps = maps
        self.seed = seed
        self.transform = augmentation()

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, key: tuple[int, int]) -> Pair:
        """Image ``float32 (1, S, S)`` in 0–1 and label ``int64 (S, S)``."""
        epoch, index = key
        seed = np.random.SeedSequence((self.seed, epoch, index)).generate_state(1)[0]
        self.transform.set_random_state(seed=int(seed))
        pixels, classes = self.maps[index]
        changed = self.transform(
            {"image": torch.from_numpy(pixels)[None].float() / 255, "label": torch.from_numpy(classes)[None].float()}
        )
        image, label = (changed[name].as_tensor() for name in ("image", "label"))
        return image.clamp(0, 1).contiguous(), label[0].round().long().contiguous()


class PlainMaps(TorchDataset[Pair]):
    """Pairs without augmentation."""

    def __init__(self, maps: LabelMaps) -> None:
        self.maps = maps

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, index: int) -> Pair:
        """Image ``float32 (1, S, S)`` in 0–1 and label ``int64 (S, S)``."""
        image, label = self.maps[index]
        return torch.from_numpy(image)[None].float() / 255, torch.from_numpy(label).long()
