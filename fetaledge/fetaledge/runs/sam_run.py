"""A SAM run: a base, and the tensors that each fold trained."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import nn

from fetaledge.data.dataset import Dataset, Subset
from fetaledge.models.ensemble import Ensemble
from fetaledge.models.sam.checkpoint import RANDOM, SamBase
from fetaledge.models.sam.network import PromptlessSam, SamShape
from fetaledge.runs.run import Epoch, Split, TrainedRun, TrainedRunDocument
from fetaledge.runs.sam_fold import fold_weights, load_fold
from fetaledge.runs.sam_recipe import Restore, SamRecipe, Tune
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.files import sha256
from fetaledge_runtimes.records import Part, to_json

FOLD = "fold-{}"


class BaseFacts(Part, kw_only=True, frozen=True, omit_defaults=True):
    """The base that a run was trained on.

    ``sha256`` is :meth:`fetaledge.models.sam.checkpoint.SamBase.sha256`; ``path`` is seen from the run's folder. A
    ``random:NAME`` has a seed instead of a path.
    """

    name: str
    sha256: str
    path: str | None = None
    seed: int | None = None


class SamArchitecture(Part, kw_only=True, frozen=True):
    """The values that build the network again."""

    name: Literal["sam"] = "sam"
    shape: SamShape
    tune: Tune
    rank: int
    base: BaseFacts


class FoldResult(Part, kw_only=True, frozen=True):
    """``fold.json``: the best epoch of a finished fold, and how many there were."""

    best: Epoch
    epochs_run: int


class Fold(Part, kw_only=True, frozen=True):
    """The frames of a fold by name; the best epoch is missing while training runs."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    best: Epoch | None = None
    epochs_run: int | None = None


class SamRunDocument(TrainedRunDocument, kw_only=True, frozen=True):
    """``run.json`` of a SAM; ``hashes`` are the content hashes of the training frames by name."""

    architecture: SamArchitecture
    recipe: SamRecipe
    adapter: str | None = None
    hashes: dict[str, str]
    folds: tuple[Fold, ...]

    def fixed(self) -> dict[str, Any]:
        """As :meth:`TrainedRunDocument.fixed`."""
        names = ("recipe", "folds", "architecture", "adapter")
        return {**super().fixed(), **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True)
class SamRun(TrainedRun):
    """An opened SAM run.

    Attributes:
        fold: the fold in use, from 1; None for all of them together.
        base: another place of the base than ``run.json`` names; None for that.
        any_base: whether a base of other weights than the run was trained on is accepted.
    """

    folder: Path
    document: SamRunDocument
    fold: int | None = None
    base: str | None = None
    any_base: bool = False

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return len(self.document.folds)

    @property
    def best_fold(self) -> int:
        """The fold of the best validation Dice, from 1."""
        scores = [fold.best.dice if fold.best else 0.0 for fold in self.document.folds]
        return scores.index(max(scores)) + 1

    @property
    def seed(self) -> int:
        return self.document.recipe.seed

    @property
    def split(self) -> Split:
        """Of the fold; all folds together have no validation side of their own where there are several."""
        chosen = self.document.folds if self.fold is None else (self.document.folds[self.fold - 1],)
        train = tuple(sorted({name for fold in chosen for name in fold.train}))
        return Split(train=train, validation=chosen[0].validation if len(chosen) == 1 else ())

    @property
    def trained_on(self) -> tuple[str, ...]:
        return tuple(sorted(self.document.hashes[name] for name in self.split.train))

    @property
    def nearest(self) -> bool:
        """Whether masks are brought to the frame's grid by the nearest pixel, as published."""
        return self.document.recipe.restore == Restore.NEAREST

    def network(self) -> nn.Module:
        """The mean of all folds, and of the mirrored frame if the recipe says so; with ``fold``, that fold alone.

        Adapters are merged. In fp32 and evaluation mode.

        Raises:
            InputError: a file is missing, damaged or not finite, or the base is not the run's.
        """
        base = self.read_base()
        if self.fold is not None:
            return self.fold_network(self.fold, base)
        networks = [self.fold_network(number, base) for number in range(1, self.folds + 1)]
        return Ensemble(networks, self.document.recipe.flip).eval()

    def fold_network(self, number: int, base: SamBase | None = None) -> PromptlessSam:
        """The plain network of one fold, from 1; ``base`` saves reading it again."""
        architecture = self.document.architecture
        return load_fold(
            self.folder / FOLD.format(number),
            architecture.tune,
            architecture.shape,
            len(self.document.classes),
            architecture.rank,
            base or self.read_base(),
        )

    def read_base(self) -> SamBase | None:
        """The base; None where the run holds every weight itself.

        Raises:
            InputError: it is not where ``run.json`` says, or is not the one that the run was trained on.
        """
        stated = self.document.architecture.base
        if self.document.architecture.tune == Tune.ALL:
            return None
        if self.base is not None:
            source = self.base
        elif stated.name.startswith(RANDOM):
            source = stated.name
        else:
            source = os.path.normpath(self.folder.resolve() / (stated.path or stated.name))
            if not Path(source).exists():
                raise InputError(
                    f"the base {stated.name} of {self.folder} is not at {source}", "say where it is with --base"
                )
        base = SamBase.read(source, stated.seed or 0)
        if not self.any_base and base.sha256() != stated.sha256:
            raise InputError(
                f"{source} is not the base that {self.folder} was trained on: its weights' SHA-256 is "
                f"{base.sha256()[:12]}…, expected {stated.sha256[:12]}…",
                "pass that base with --base, or --force to go on with this one",
            )
        return base

    def frames(self, dataset: Dataset, split: str | None) -> Dataset | Subset:
        """As :meth:`Run.frames`; all folds together have no validation side of their own where there are several."""
        own = dataset.fingerprint() == self.document.data.fingerprint
        if own and self.fold is None and self.folds > 1 and split != "all":
            raise InputError(
                f"the {self.folds} folds of {self.folder} together were trained on every frame of {dataset.folder}",
                "pass other frames, --fold N for one fold and its own validation frames, or --split all",
            )
        return super().frames(dataset, split)

    def source(self) -> dict[str, Any]:
        """As :meth:`Run.source`."""
        numbers = [self.fold] if self.fold else range(1, self.folds + 1)
        return {
            "run": self.name if self.fold is None or self.folds == 1 else f"{self.name}, fold {self.fold}",
            "weights_sha256": " ".join(sha256(fold_weights(self.folder / FOLD.format(n))) for n in numbers),
            "architecture": to_json(self.document.architecture),
            "strategy": str(self.document.recipe.tune),
            **self.seen(),
        }


def describe_base(base: SamBase, source: str, out: Path, seed: int) -> BaseFacts:
    """The base for ``run.json``: ``source`` as the user gave it, ``out`` the run's folder, ``seed`` of a random one."""
    if source.startswith(RANDOM):
        return BaseFacts(name=base.name, sha256=base.sha256(), seed=seed)
    path = os.path.relpath(Path(source).resolve(), out.resolve())
    return BaseFacts(name=base.name, sha256=base.sha256(), path=path)
