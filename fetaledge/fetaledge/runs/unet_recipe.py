"""The values that make a U-Net's training run. This file loads no torch: the command's help reads it."""

from __future__ import annotations

from enum import StrEnum

from fetaledge.models.decoder_channels import DECODER_CHANNELS
from fetaledge.models.strategies import StrategyName
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.records import Part

SIZE = 256
AS_IMPORTED = "as imported"
"""The intensity of a recipe that started from an imported network: ``run.json`` holds its scale and offset."""


class IntensityScale(StrEnum):
    """The range that grey values are brought to: 0 to 1 (as published), or -1 to 1."""

    UNIT = "unit"
    SYMMETRIC = "symmetric"

    @property
    def scale_and_offset(self) -> tuple[float, float]:
        """The network sees ``grey (0–255) * scale + offset``."""
        return (1 / 255, 0.0) if self is IntensityScale.UNIT else (1 / 127.5, -1.0)


class FoldBy(StrEnum):
    """What stays together in a fold: the frames of a subject, or all that look alike."""

    SUBJECT = "subject"
    LOOK = "look"


class Recipe(Part, kw_only=True, frozen=True):
    """Everything that a run's result depends on besides its data.

    Attributes:
        strategy: which part of the network is trained, of :mod:`fetaledge.models.strategies`.
        encoder, encoder_weights, decoder_channels: see ``fetaledge.models.unet.Architecture.build``.
        intensity: ``unit`` (grey in 0–1, as published), ``symmetric`` (-1 to 1), or :data:`AS_IMPORTED`.
        size: side of the square input, pixels, a multiple of 32; None for that of the run started from, else 256.
        epochs: passes over the training frames.
        batch: frames in a step.
        learning_rate: the peak of the one-cycle schedule.
        seed: of the split, the first weights, the order of the frames and their augmentation.
        validation: the share of subjects held out, where ``fold`` is None.
        fold: (K, N): the Kth of N parts of the subjects is held out, in the data's order.
        fold_by: ``subject``, or ``look``: then the parts are looks, of :mod:`fetaledge.data.looks`.
        train_count: how many of the training frames are used; None for all.
        phantoms: how many synthetic frames of the data's task are mixed into each epoch.
        artefacts: the share (0–1) of the training frames that carry a shadow, marks, a dark side or another artefact.
        frozen_batchnorm: whether the statistics of a frozen encoder's batch norms stay as they are.
        precision: Lightning's word, ``32-true`` or ``bf16-mixed``.
        half: whether the weights are stored in fp16.
        soft_weight: the share (0–1) of the teachers' answer in the loss of a labelled frame, the label having the rest;
            None without teachers.
    """

    strategy: str = StrategyName.DECODER
    encoder: str = "mobilenet_v2"
    encoder_weights: str = "imagenet"
    decoder_channels: tuple[int, ...] = DECODER_CHANNELS
    intensity: str = IntensityScale.UNIT
    size: int | None = None
    epochs: int = 12
    batch: int = 10
    learning_rate: float = 1e-3
    seed: int = 0
    validation: float = 0.2
    fold: tuple[int, int] | None = None
    fold_by: str = FoldBy.SUBJECT
    train_count: int | None = None
    phantoms: int = 0
    artefacts: float = 0.0
    frozen_batchnorm: bool = True
    precision: str = "32-true"
    half: bool = False
    soft_weight: float | None = None

    def check(self) -> None:
        """Raises UsageError for a value that makes no sense."""
        if self.size is not None and (self.size < 32 or self.size % 32):
            raise UsageError(
                f"--size {self.size} is not a multiple of 32", "the encoder halves the frame five times: try 256"
            )
        for value, flag, least in (
            (self.epochs, "--epochs", 1),
            (self.batch, "--batch", 1),
            (self.phantoms, "--phantoms", 0),
            (self.seed, "--seed", 0),
        ):
            if value < least:
                raise UsageError(f"{flag} {value} is below {least}", f"give a whole number of {least} or more")
        if self.fold is not None and not 1 <= self.fold[0] <= self.fold[1] >= 2:
            raise UsageError(
                f"--fold {self.fold[0]}/{self.fold[1]} is no part of a whole", "1/5 to 5/5 are the parts of five"
            )
        if not 0 < self.learning_rate < 10:
            raise UsageError(f"--learning-rate {self.learning_rate} is not between 0 and 10", "1e-3 is the default")
        if self.intensity not in tuple(IntensityScale):
            raise UsageError(f"there is no intensity {self.intensity!r}", f"choose from {', '.join(IntensityScale)}")
        if not 0 <= self.artefacts <= 1:
            raise UsageError(f"--artefacts {self.artefacts} is not between 0 and 1", "it is a share of the frames")
        if self.soft_weight is not None and not 0 <= self.soft_weight <= 1:
            raise UsageError(
                f"--soft-weight {self.soft_weight} is not between 0 and 1",
                "0 trusts the labels alone, 1 the teachers alone",
            )
