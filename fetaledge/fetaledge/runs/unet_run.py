"""A U-Net's run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fetaledge.models.unet import Architecture
from fetaledge.runs.network_file import read_network
from fetaledge.runs.run import WEIGHTS, Epoch, Split, TrainedRun, TrainedRunDocument
from fetaledge.runs.unet_recipe import Recipe
from fetaledge_runtimes.files import sha256
from fetaledge_runtimes.records import Part, to_json


class Origin(Part, kw_only=True, frozen=True):
    """The run that another one started from.

    ``imported``: it was imported, and then has no recipe, or it started from an imported network itself: nobody knows
    which frames it has seen.
    """

    run: str
    strategy: str | None
    weights_sha256: str
    recipe: Recipe | None
    validation: dict[str, Any]
    imported: bool = False


class Teacher(Part, kw_only=True, frozen=True):
    """A run whose answers a student learnt; it may have seen some of the student's validation frames.

    ``trained_on_validation`` counts these; None where nobody knows them, of an imported network.
    """

    run: str
    weights_sha256: str
    trained_on_validation: int | None


class UnlabelledFrames(Part, kw_only=True, frozen=True):
    """A folder of frames that were learnt from the teachers' answers alone.

    ``left_out`` counts the files that were not used because their frames are labelled or held out, ``frames`` the
    frames in the used files; it is missing while training runs.
    """

    name: str
    files: int
    left_out: int
    fingerprint: str
    frames: int | None = None


class UnetRunDocument(TrainedRunDocument, kw_only=True, frozen=True):
    """``run.json`` of a U-Net; keys that early versions lacked have defaults."""

    architecture: Architecture
    recipe: Recipe
    init: Origin | None = None
    teachers: tuple[Teacher, ...] = ()
    unlabelled: UnlabelledFrames | None = None
    split: Split
    trained_on: tuple[str, ...]
    best: Epoch | None = None
    epochs_run: int | None = None

    def fixed(self) -> dict[str, Any]:
        """As :meth:`TrainedRunDocument.fixed`."""
        names = ("recipe", "split", "architecture", "teachers", "unlabelled")
        return {**super().fixed(), **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True)
class UnetRun(TrainedRun):
    """An opened run of a U-Net."""

    folder: Path
    document: UnetRunDocument

    @property
    def seed(self) -> int:
        return self.document.recipe.seed

    @property
    def split(self) -> Split:
        return self.document.split

    @property
    def trained_on(self) -> tuple[str, ...]:
        return self.document.trained_on

    def network(self) -> nn.Module:
        """As :meth:`Run.network`."""
        return read_network(self.folder, self.document.architecture)

    def seen(self) -> Mapping[str, Any]:
        """As :meth:`Run.seen`; ``imported`` says that the run started from a network that may have seen any frame."""
        init = self.document.init
        return {**super().seen(), **({"imported": init.run} if init is not None and init.imported else {})}

    def source(self) -> dict[str, Any]:
        """As :meth:`Run.source`."""
        return {
            "run": self.name,
            "weights_sha256": sha256(self.folder / WEIGHTS),
            "architecture": to_json(self.document.architecture),
            "strategy": str(self.document.recipe.strategy),
            **self.seen(),
        }
