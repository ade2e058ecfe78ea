"""The values that make a SAM run: the defaults are those of Elbatel et al. (PS-FH-AOP 2023).

This file loads no torch: the command's help reads it.
"""

from __future__ import annotations

from enum import StrEnum

from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.records import Part


class Tune(StrEnum):
    """The part that is trained: adapters, prompt encoder and mask decoder; the last two; or the whole SAM."""

    LORA = "lora"
    DECODER = "decoder"
    ALL = "all"


class Restore(StrEnum):
    """How masks come to the frame's grid: classes by the nearest pixel (as published), or logits interpolated."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"


class SamRecipe(Part, kw_only=True, frozen=True):
    """Everything that a SAM run's result depends on besides its base and its data.

    Attributes:
        tune: the part that is trained: ``lora`` (adapters, prompt encoder, mask decoder), ``decoder`` (the last two)
            or ``all``.
        rank: rank of the adapters; ``lora`` alone uses it.
        size: side of the square input, pixels.
        folds: cross-validation, in contiguous parts of the subjects; 1 holds out ``validation`` of them, by ``seed``.
        validation: share of the subjects held out where there is one fold.
        epochs: passes over the training frames.
        batch: frames in a step.
        learning_rate: AdamW's peak, after ``warmup`` iterations (at most a quarter of all); then
            (1 - part done)^``decay_power`` of it.
        dice_weight: weight of Dice in the loss; the rest is cross-entropy. Both are taken at a quarter of the size.
        flip: whether a frame's mirror image is averaged in when the run predicts.
        restore: ``nearest`` (classes at ``size``, then the nearest pixel, as published) or ``bilinear`` (the logits).
        train_count: how many of the training frames are used; None for all.
        weight_decay: AdamW's.
        seed: of the split of one fold, the adapters' first weights, the order of the frames and their augmentation.
        checkpointing: whether activations are computed twice to save memory.
        precision: Lightning's word, ``32-true`` or ``bf16-mixed``.
    """

    tune: Tune = Tune.LORA
    rank: int = 4
    size: int = 512
    folds: int = 5
    validation: float = 0.2
    epochs: int = 400
    batch: int = 16
    learning_rate: float = 1e-3
    warmup: int = 500
    decay_power: float = 7.0
    weight_decay: float = 0.1
    dice_weight: float = 0.8
    flip: bool = True
    restore: Restore = Restore.NEAREST
    train_count: int | None = None
    seed: int = 0
    checkpointing: bool = False
    precision: str = "32-true"

    def check(self) -> None:
        """Raise :class:`UsageError` where a value makes no sense."""
        for value, flag, known in ((self.tune, "--tune", Tune), (self.restore, "--restore", Restore)):
            if value not in tuple(known):
                raise UsageError(f"there is no {flag} {value!r}", f"choose from {', '.join(known)}")
        for number, flag, least in (
            (self.rank, "--rank", 1),
            (self.folds, "--folds", 1),
            (self.epochs, "--epochs", 1),
            (self.batch, "--batch", 1),
            (self.warmup, "--warmup", 0),
            (self.seed, "--seed", 0),
        ):
            if number < least:
                raise UsageError(f"{flag} {number} is below {least}", f"give a whole number of {least} or more")
        if not 0 < self.learning_rate < 10:
            raise UsageError(
                f"--learning-rate {self.learning_rate} is not between 0 and 10", "1e-3 is the published one"
            )
        if not (self.decay_power >= 0 and self.weight_decay >= 0):
            raise UsageError("--decay-power and --weight-decay cannot be negative", "7 and 0.1 are the published ones")
        if not 0 <= self.dice_weight <= 1:
            raise UsageError(f"--dice-weight {self.dice_weight} is not between 0 and 1", "0.8 is the published one")

    def rate(self, step: int, steps: int) -> float:
        """The share of the peak learning rate at ``step`` of ``steps``."""
        warmup = min(self.warmup, steps // 4)
        if step < warmup:
            return (step + 1) / warmup
        return float((1 - (step - warmup) / max(steps - warmup, 1)) ** self.decay_power)
