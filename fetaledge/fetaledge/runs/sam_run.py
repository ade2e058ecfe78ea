"""A SAM run: a base, and what training changed of it, once a fold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetaledge.data.dataset import Dataset, Subset
from fetaledge.models.sam.network import SamShape
from fetaledge.runs.run import WEIGHTS, Run
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.files import sha256
from fetaledge_runtimes.tasks.registry import task_named

if TYPE_CHECKING:
    from torch import nn

    from fetaledge.models.sam.checkpoint import SamBase
    from fetaledge.models.sam.network import PromptlessSam

FOLD = "fold-{}"


@dataclass(frozen=True)
class SamRun(Run):
    """An opened SAM run.

    Attributes:
        fold: the one fold that is meant, from 1; None for all of them together.
        base: another place of the base than ``run.json`` names; None for that.
        any_base: whether a base of other weights than the run was trained on is let through.
    """

    fold: int | None = None
    base: str | None = None
    any_base: bool = False

    def check(self) -> None:
        document = self.document
        architecture = document["architecture"]
        SamShape.from_json(architecture["shape"])
        _ = architecture["tune"], int(architecture["rank"]), architecture["base"]["sha256"]
        _ = self.size, self.scale, self.offset, task_named(str(document["task"])), list(document["classes"])
        _ = document["data"]["fingerprint"], document["data"]["name"], document["data"]["synthetic"]
        _ = [list(fold[side]) for fold in document["folds"] for side in ("train", "validation")]
        _ = [document["recipe"][key] for key in ("seed", "flip", "restore")], dict(document["hashes"])
        _ = [float(fold["best"]["dice"]) for fold in document["folds"]]

    @property
    def folds(self) -> int:
        return len(self.document["folds"])

    @property
    def best_fold(self) -> int:
        """The fold of the best validation Dice, from 1."""
        scores = [fold["best"]["dice"] for fold in self.document["folds"]]
        return scores.index(max(scores)) + 1

    @property
    def nearest(self) -> bool:
        """Whether masks are brought to the frame's grid by the nearest pixel, as published."""
        return str(self.document["recipe"]["restore"]) == "nearest"

    def network(self) -> nn.Module:
        """The mean of all folds, and of the mirrored frame if the recipe says so; with ``fold``, that fold alone.

        Adapters are merged. In fp32 and evaluation mode.

        Raises:
            InputError: a file is missing, damaged or not finite, or the base is not the run's.
        """
        from fetaledge.models.ensemble import Ensemble

        base = self.read_base()
        if self.fold is not None:
            return self.fold_network(self.fold, base)
        networks = [self.fold_network(number, base) for number in range(1, self.folds + 1)]
        return Ensemble(networks, bool(self.document["recipe"]["flip"])).eval()

    def fold_network(self, number: int, base: SamBase | None = None) -> PromptlessSam:
        """The plain network of one fold, from 1; ``base`` saves reading it again."""
        folder, architecture = self.folder / FOLD.format(number), self.document["architecture"]
        return load_fold(
            folder,
            architecture["tune"],
            SamShape.from_json(architecture["shape"]),
            len(self.document["classes"]),
            int(architecture["rank"]),
            base or self.read_base(),
        )

    def read_base(self) -> SamBase | None:
        """The base; None where the run holds every weight itself.

        Raises:
            InputError: it is not where ``run.json`` says, or is not the one that the run was trained on.
        """
        from fetaledge.models.sam.checkpoint import RANDOM, SamBase

        architecture = self.document["architecture"]
        stated = architecture["base"]
        if architecture["tune"] == "all":
            return None
        if self.base is not None:
            source = self.base
        elif stated["name"].startswith(RANDOM):
            source = stated["name"]
        else:
            source = os.path.normpath(self.folder.resolve() / stated["path"])
            if not Path(source).exists():
                raise InputError(
                    f"the base {stated['name']} of {self.folder} is not at {source}", "say where it is with --base"
                )
        base = SamBase.read(source, int(stated.get("seed", 0)))
        if not self.any_base and base.sha256() != stated["sha256"]:
            raise InputError(
                f"{source} is not the base that {self.folder} was trained on: its weights' SHA-256 is "
                f"{base.sha256()[:12]}…, expected {stated['sha256'][:12]}…",
                "pass that base with --base, or --force to go on with this one",
            )
        return base

    def frames(self, dataset: Dataset, split: str | None) -> Dataset | Subset:
        """As :meth:`Run.frames`; all folds together have no validation side of their own where there are several."""
        own = dataset.fingerprint() == self.document["data"]["fingerprint"]
        if own and self.fold is None and self.folds > 1 and split != "all":
            raise InputError(
                f"the {self.folds} folds of {self.folder} together were trained on every frame of {dataset.folder}",
                "pass other frames, --fold N for one fold and its own validation frames, or --split all",
            )
        return super().frames(dataset, split)

    def source(self) -> dict[str, Any]:
        recipe = self.document["recipe"]
        numbers = [self.fold] if self.fold else range(1, self.folds + 1)
        return {
            "run": self.name if self.fold is None or self.folds == 1 else f"{self.name}, fold {self.fold}",
            "weights_sha256": " ".join(sha256(fold_weights(self.folder / FOLD.format(n))) for n in numbers),
            "architecture": self.document["architecture"],
            "strategy": recipe["tune"],
            **{key: self.document[key] for key in ("data", "split", "trained_on")},
        }


def open_sam_run(folder: Path, document: dict[str, Any], fold: int | None, base: str | None, force: bool) -> SamRun:
    """A SAM run of this ``run.json``, with the split of its fold, or of all of them.

    Raises:
        UsageError: there is no such fold.
    """
    folds = document["folds"]
    if fold is not None and not 1 <= fold <= len(folds):
        raise UsageError(f"{folder} has no fold {fold}", f"choose from 1 to {len(folds)}")
    chosen = folds if fold is None else [folds[fold - 1]]
    train = sorted({name for one in chosen for name in one["train"]})
    validation = list(chosen[0]["validation"]) if len(chosen) == 1 else []
    hashes = document["hashes"]
    view = {
        **document,
        "split": {"train": train, "validation": validation},
        "trained_on": sorted(hashes[name] for name in train),
    }
    return SamRun(folder, view, fold, base, force)


def fold_weights(folder: Path) -> Path:
    """The file of a fold's trained tensors."""
    from fetaledge.models.sam import lora

    adapter = folder / lora.WEIGHTS
    return adapter if adapter.is_file() else folder / WEIGHTS


def save_fold(network: Any, folder: Path, tune: str) -> None:
    """Write what a fold changed of its base: adapters in peft's format, or the trained tensors alone."""
    import torch
    from safetensors.torch import save

    from fetaledge.models.sam.lora import save_adapters
    from fetaledge_runtimes.files import atomic_path

    if tune == "lora":
        save_adapters(network, folder)
        return
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    tensors = {
        name: tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in network.state_dict().items()
        if tune == "all" or name in trained
    }
    with atomic_path(folder / WEIGHTS) as partial:
        partial.write_bytes(save(tensors))


def load_fold(folder: Path, tune: str, shape: SamShape, classes: int, rank: int, base: SamBase | None) -> PromptlessSam:
    """The plain network of a fold that :func:`save_fold` wrote."""
    from fetaledge.models.sam.lora import SAVED, load_adapters, merge_adapters
    from fetaledge.models.sam.network import PromptlessSam
    from fetaledge.models.tensors import check_fit, read_tensors

    if base is None:
        network = PromptlessSam(shape, classes)
    else:
        if base.shape.resized(shape.size) != shape:
            raise InputError(f"{base.name} is a SAM of another shape than the run's", "pass the run's own base")
        network = base.network(classes, shape.size)
    if tune == "lora":
        return merge_adapters(load_adapters(network, folder, rank))
    path = folder / WEIGHTS
    tensors = read_tensors(path)
    parameters = {name for name, _ in network.named_parameters()}
    expected = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if tune == "all" or (name in parameters and name.startswith(SAVED))
    }
    check_fit(expected, tensors, path, "SAM")
    network.load_state_dict({**network.state_dict(), **tensors})
    return network.requires_grad_(False).eval()


def describe_base(base: SamBase, source: str, out: Path, seed: int) -> dict[str, Any]:
    """What ``run.json`` says of the base: name, place as seen from the run, and hash."""
    from fetaledge.models.sam.checkpoint import RANDOM

    facts: dict[str, Any] = {"name": base.name, "sha256": base.sha256()}
    if source.startswith(RANDOM):
        return {**facts, "seed": seed}
    return {**facts, "path": os.path.relpath(Path(source).resolve(), out.resolve())}
