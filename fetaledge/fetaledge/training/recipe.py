"""The values that make a training run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from fetaledge.models.unet import DECODER_CHANNELS

INTENSITIES = {"unit": (1 / 255, 0.0), "symmetric": (1 / 127.5, -1.0)}


@dataclass(frozen=True)
class Recipe:
    """Everything that a run's result depends on besides its data.

    Attributes:
        strategy: a name of ``fetaledge.models.strategies``.
        encoder, encoder_weights, decoder_channels: see ``fetaledge.models.unet.Architecture.build``.
        intensity: ``unit`` (grey in 0–1, as published) or ``symmetric`` (-1 to 1).
        size: side of the square input, pixels; a multiple of 32.
        learning_rate: the peak of the one-cycle schedule.
        validation: the share of subjects held out.
        train_count: how many of the training frames are used; None for all.
        phantoms: how many synthetic frames are mixed into each epoch.
        frozen_batchnorm: whether the statistics of untrained batch norms stay as they are.
        precision: Lightning's word, ``32-true`` or ``bf16-mixed``.
        half: whether the weights are stored in fp16.
    """

    strategy: str = "decoder"
    encoder: str = "mobilenet_v2"
    encoder_weights: str = "imagenet"
    decoder_channels: tuple[int, ...] = DECODER_CHANNELS
    intensity: str = "unit"
    size: int = 256
    epochs: int = 12
    batch: int = 10
    learning_rate: float = 1e-3
    seed: int = 0
    validation: float = 0.2
    train_count: int | None = None
    phantoms: int = 0
    frozen_batchnorm: bool = True
    precision: str = "32-true"
    half: bool = False

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "decoder_channels": list(self.decoder_channels)}
