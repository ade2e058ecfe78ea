"""A network of segmentation_models_pytorch that was trained elsewhere, to a run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from msgspec.structs import replace
from torch import nn

from fetaledge.models.checkpoint import Tensors, read_checkpoint, without_prefix
from fetaledge.models.tensors import check_fit
from fetaledge.models.unet import OWN_ARGUMENTS, Architecture, ArchitectureName, logits_of
from fetaledge.runs.import_intensity import ImportIntensity
from fetaledge.runs.imported_run import ImportedFile, ImportedRun, ImportedRunDocument
from fetaledge.runs.network_file import write_weights
from fetaledge.runs.run import DOCUMENT, WEIGHTS, Intensity
from fetaledge_export.device_model import first_convolution
from fetaledge_export.multiply_adds import multiply_adds
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.files import atomic_folder, read_json, refuse_existing, sha256
from fetaledge_runtimes.records import write_document
from fetaledge_runtimes.tasks.registry import task_named, tasks
from fetaledge_runtimes.tasks.task import Task

CONFIG = "config.json"
SAVED = ("model.safetensors", "pytorch_model.bin")
"""The weights in a folder that ``save_pretrained`` wrote, of today and of early versions."""
HINT = "say how it was made: --architecture, --encoder and, where it had others than the usual, --argument NAME=VALUE"
CLASSIFIER = "classification_head."


@dataclass(frozen=True)
class NetworkFile:
    """A network as it was found.

    Attributes:
        path: the file of its weights.
        config: what ``config.json`` beside it says; empty without one.
    """

    path: Path
    config: Mapping[str, Any]

    @classmethod
    def find(cls, source: Path) -> NetworkFile:
        """A file of weights, or a folder that segmentation_models_pytorch's ``save_pretrained`` wrote.

        Raises:
            InputError: there is no such file or folder.
        """
        if not source.exists():
            raise InputError(f"{source} does not exist", "pass a file of weights, or a folder of save_pretrained")
        if source.is_file():
            return cls(source, {})
        if (source / DOCUMENT).is_file():
            raise InputError(f"{source} is a run already", "export it: fetaledge export")
        weights = [source / name for name in SAVED if (source / name).is_file()]
        if not weights or not (source / CONFIG).is_file():
            raise InputError(
                f"{source} holds no {CONFIG} with {' or '.join(SAVED)}",
                "pass a file of weights, or a folder that save_pretrained of segmentation_models_pytorch wrote",
            )
        config = read_json(source / CONFIG, "network")
        if not isinstance(config, dict) or not isinstance(config.get("encoder_name"), str):
            raise InputError(
                f"{source / CONFIG} names no encoder_name", "pass a network of segmentation_models_pytorch"
            )
        return cls(weights[0], config)

    def architecture(self, name: str | None, encoder: str | None, arguments: Mapping[str, Any]) -> Architecture:
        """What the user and ``config.json`` say of it; inputs, outputs and widths are found from the weights later.

        Raises:
            UsageError: they contradict each other, there is no such architecture, or nobody names the encoder.
        """
        stated = self.config.get("_model_class")
        given = {key: value for key, value in self.config.items() if key not in OWN_ARGUMENTS and key[0] != "_"}
        chosen = _architecture_name(name or stated or "unet")
        for flag, ours, theirs in (
            ("--architecture", chosen, _architecture_name(stated) if stated else None),
            ("--encoder", encoder, self.config.get("encoder_name")),
        ):
            if ours and theirs and ours != theirs:
                raise UsageError(f"{self.path.parent / CONFIG} says {theirs}, not {ours}", f"leave {flag} out")
        encoder = encoder or self.config.get("encoder_name")
        if encoder is None:
            raise UsageError(f"{self.path} does not say which encoder it has", "name it: --encoder resnet34")
        return Architecture(name=chosen, encoder=encoder, decoder_channels=(), arguments={**given, **arguments})


def import_network(
    source: Path,
    out: Path,
    *,
    architecture: str | None = None,
    encoder: str | None = None,
    arguments: Sequence[str] = (),
    task: str | None = None,
    size: str = "256",
    intensity: ImportIntensity = ImportIntensity(),
    force: bool = False,
) -> ImportedRun:
    """Write a run of a network's weights. Nothing is fetched, and no code of the file's runs.

    Args:
        source: a checkpoint (:func:`fetaledge.models.checkpoint.read_checkpoint`), or a folder that
            segmentation_models_pytorch's ``save_pretrained`` wrote.
        out: the run's folder.
        architecture: the name of a class of segmentation_models_pytorch; None: as ``config.json`` says, else ``unet``.
        encoder: the name of its encoder; None: as ``config.json`` says.
        arguments: other arguments of the class that differ from the usual, ``NAME=VALUE``.
        task: what its outputs are; None: the one that has as many classes.
        size: side of the square input in pixels, or ``HEIGHTxWIDTH``.
        intensity: the range of its input.
        force: replace an earlier run.

    Raises:
        UsageError: the options name no network, or contradict it.
        InputError: the file cannot be read, or its tensors do not fit.
        OutputError: ``out`` exists, or cannot be written.
    """
    refuse_existing(out, force, DOCUMENT)
    height, width = _size(size)
    found = NetworkFile.find(source)
    wanted = found.architecture(architecture, encoder, dict(_argument(text) for text in arguments))
    held = read_checkpoint(found.path)
    wanted, tensors, left_out = _fitted(wanted, held, found.path)
    outputs = wanted.classes
    chosen = _task(task, outputs, found.path)
    scale, offset, mean, std = intensity.of(wanted.channels)
    wanted = replace(wanted, classes=logits_of(chosen), mean=mean, std=std)
    network = wanted.build()
    if outputs > wanted.classes:
        _take_difference(tensors, _head(network))
    check_fit(network.state_dict(), tensors, found.path, _words(wanted), HINT)
    network.load_state_dict(tensors)
    network.eval()
    document = ImportedRunDocument(
        task=chosen.name,
        classes=chosen.classes,
        size=(height, width),
        intensity=Intensity(scale=scale, offset=offset),
        multiply_adds=_multiply_adds(network, wanted.channels, (height, width)),
        architecture=wanted,
        imported=ImportedFile(
            file=source.resolve().name, sha256=sha256(found.path), outputs=outputs, left_out=left_out
        ),
    )
    with atomic_folder(out, force=force, marker=DOCUMENT) as folder:
        write_weights(folder / WEIGHTS, network)
        write_document(folder / DOCUMENT, document)
    return ImportedRun(out, document)


def _architecture_name(given: str) -> ArchitectureName:
    """``DeepLabV3+`` as ``deeplabv3plus``."""
    plain = "".join(letter for letter in given.lower().replace("+", "plus") if letter.isalnum())
    for name in get_args(ArchitectureName):
        if name == plain:
            known: ArchitectureName = name
            return known
    raise UsageError(
        f"there is no architecture {given!r}",
        f"choose from {', '.join(name for name in get_args(ArchitectureName) if name.isalnum())}",
    )


def _argument(text: str) -> tuple[str, Any]:
    """``NAME=VALUE``: the value as JSON, a list without its brackets, or a word."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--argument {text} is no NAME=VALUE", "write it like --argument decoder_channels=128,64,32")
    for candidate in (value, f"[{value}]"):
        try:
            return name.strip(), json.loads(candidate)
        except ValueError:
            continue
    return name.strip(), value


def _size(text: str) -> tuple[int, int]:
    height, times, width = text.lower().partition("x")
    sides = (height, width if times else height)
    if not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise UsageError(f"--size {text} is no number of pixels", "such as 256, or 224x320 for height and width")
    return int(sides[0]), int(sides[1])


def _fitted(wanted: Architecture, held: Tensors, path: Path) -> tuple[Architecture, Tensors, tuple[str, ...]]:
    """The architecture with the tensors' inputs, outputs and widths; the tensors in fp32; names of those left out.

    Raises:
        InputError: the tensors are no such network's.
    """
    if wanted.name in ("unet", "unetplusplus"):
        wanted = _with_found_arguments(wanted, held)
    usual = wanted.build()
    head, first = f"{_head(usual)}.weight", f"{_first(usual)}.weight"
    tensors, left_out = without_prefix(held, head, path)
    classifier = tuple(name for name in tensors if name.startswith(CLASSIFIER))
    own = {name: tensor for name, tensor in tensors.items() if name not in classifier}
    found = {name: own[name].shape for name in (head, first) if name in own and own[name].ndim == 4}
    if len(found) < 2:
        check_fit(usual.state_dict(), own, path, _words(wanted), HINT)
    channels = found[first][1]
    if channels not in (1, 3):
        raise InputError(f"{path} takes {channels} channels", "import a network of one grey channel, or of three")
    fp32 = {name: tensor.to(torch.float32) if tensor.is_floating_point() else tensor for name, tensor in own.items()}
    return replace(wanted, channels=channels, classes=found[head][0]), fp32, left_out + classifier


def _with_found_arguments(wanted: Architecture, held: Tensors) -> Architecture:
    """The decoder's widths and attention, where nobody stated them, as the names and shapes of a U-Net tell them."""
    arguments = dict(wanted.arguments)
    if any(".attention1.attention.cSE." in name for name in held):
        arguments.setdefault("decoder_attention_type", "scse")
    widths = {
        int(found[1]): tensor.shape[0]
        for name, tensor in held.items()
        if (found := re.search(r"(?:^|\.)decoder\.blocks\.(\d+)\.conv1\.0\.weight$", name)) and tensor.ndim == 4
    }
    if widths and "decoder_channels" not in arguments:
        arguments["decoder_channels"] = [widths[number] for number in sorted(widths)]
        arguments.setdefault("encoder_depth", len(widths))
    return replace(wanted, arguments=arguments)


def _head(network: nn.Module) -> str:
    """The name of the last convolution."""
    parts = network.get_submodule("segmentation_head").named_modules(prefix="segmentation_head")
    names: list[str] = [name for name, part in parts if isinstance(part, nn.Conv2d)]
    return names[-1]


def _first(network: nn.Module) -> str:
    """The name of the convolution that reads the frame."""
    convolution = first_convolution(network)
    names: dict[nn.Module, str] = {part: name for name, part in network.named_modules()}
    return names[convolution]


def _task(name: str | None, outputs: int, path: Path) -> Task:
    """The task of the outputs, one for each class or one logit.

    Raises:
        UsageError: the task has another number of classes.
        InputError: no task, or more than one, has that many.
    """
    fitting = [task for task in tasks() if outputs in {len(task.classes), logits_of(task)}]
    if name is not None:
        task = task_named(name)
        if task not in fitting:
            counts = " or ".join(str(count) for count in sorted({logits_of(task), len(task.classes)}))
            raise UsageError(
                f"{path} has {outputs} outputs, and the task {name} takes {counts}", f"it has {', '.join(task.classes)}"
            )
        return task
    if len(fitting) != 1:
        raise InputError(
            f"{path} has {outputs} outputs, which {'no task has' if not fitting else 'several tasks have'}",
            "name its task with --task" if fitting else "one logit, one for each class of a task, or two are read",
        )
    return fitting[0]


def _take_difference(tensors: Tensors, head: str) -> None:
    """Two outputs to one logit: what the second, the structure, has over the first, the background.

    The last convolution is linear, and so is the upsampling behind it, so that this is exact.
    """
    for name in (f"{head}.weight", f"{head}.bias"):
        if name in tensors:
            tensors[name] = tensors[name][1:] - tensors[name][:1]


def _words(wanted: Architecture) -> str:
    return f"{wanted.name} of {wanted.encoder}"


def _multiply_adds(network: nn.Module, channels: int, size: tuple[int, int]) -> int:
    try:
        return multiply_adds(network, torch.zeros(1, channels, *size))
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"--size {size[0]}x{size[1]} does not suit the network: {reason}", "give that of its training, such as 256"
        ) from error
