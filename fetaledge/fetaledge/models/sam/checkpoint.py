"""SAM checkpoints: reading and writing them, under the names of the published segment-anything package."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn import functional

from fetaledge.models.checkpoint import read_checkpoint, without_prefix
from fetaledge.models.sam.names import published_name
from fetaledge.models.sam.network import EMBEDDING, MASK_OUTPUTS, SHAPES, PromptlessSam, SamShape, random_sam
from fetaledge.models.tensors import refuse_not_finite
from fetaledge.models.torchvision_stub import make_torchvision_importable
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.files import atomic_path

Tensors = Mapping[str, torch.Tensor]
RANDOM = "random:"
ANCHOR = "image_encoder.pos_embed"


@dataclass(frozen=True, eq=False)
class SamBase:
    """A pretrained SAM under segment-anything's names.

    Attributes:
        name: of the file or folder, or ``random:NAME``.
        tensors: as they were read.
        shape: of the network they make.
    """

    name: str
    tensors: Tensors
    shape: SamShape

    @classmethod
    def read(cls, source: str | Path, seed: int = 0) -> SamBase:
        """A checkpoint: ``.pth``, ``.pt`` or ``.safetensors`` of segment-anything, a folder of transformers'
        ``SamModel``, or ``random:NAME`` (tiny, small, vit_b, vit_l, vit_h; seeded).

        Raises:
            UsageError: no such ``random:NAME``.
            InputError: not a checkpoint of a whole SAM; the message names the first tensor that is missing or unfit.
        """
        if str(source).startswith(RANDOM):
            name = str(source).removeprefix(RANDOM)
            if name not in SHAPES:
                raise UsageError(f"there is no base {source}", f"choose {RANDOM} and one of {', '.join(SHAPES)}")
            return cls(str(source), published_tensors(random_sam(SHAPES[name], MASK_OUTPUTS, seed)), SHAPES[name])
        path = Path(source)
        tensors = _read_folder(path) if path.is_dir() else without_prefix(read_checkpoint(path), ANCHOR, path)[0]
        shape = _shape_of(tensors, path)
        _check(tensors, shape, path)
        return cls(path.resolve().name, tensors, shape)

    def sha256(self) -> str:
        """Hex SHA-256 over names, shapes and fp32 values: the same for every file format that holds these weights."""
        digest = hashlib.sha256()
        for name in sorted(self.tensors):
            tensor = self.tensors[name].detach().to(torch.float32).contiguous()
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def network(self, classes: int, size: int | None = None) -> PromptlessSam:
        """The network for a square input of ``size`` pixels (None: the base's own), in evaluation mode.

        ``pos_embed`` is interpolated bilinearly to the new grid, and the ``rel_pos_h`` and ``rel_pos_w`` of the global
        blocks linearly; windows stay as they are.

        Raises:
            UsageError: ``size`` is no multiple of the patch.
        """
        shape = self.shape if size is None else self.shape.resized(size)
        with torch.random.fork_rng(devices=[]):
            network = PromptlessSam(shape, classes)
        load_published(network, resize_positions(self.tensors, self.shape, shape))
        return network.eval()


def load_published(network: PromptlessSam, tensors: Tensors) -> None:
    """Load tensors under segment-anything's names; they must fit."""
    network.load_state_dict({name: tensors[published_name(name)] for name in network.state_dict()})


def published_tensors(network: PromptlessSam) -> dict[str, torch.Tensor]:
    """The network's tensors, in fp32 on the CPU, under segment-anything's names."""
    return {
        published_name(name): tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in network.state_dict().items()
    }


def check_ending(path: Path) -> None:
    """Raise :class:`UsageError` for a file name that :func:`write_published` does not write."""
    if path.suffix not in (".pth", ".pt", ".safetensors"):
        raise UsageError(f"{path} ends in neither .pth nor .safetensors", "segment-anything reads .pth")


def write_published(path: Path, network: PromptlessSam) -> None:
    """Write a plain SAM: ``.pth`` or ``.pt`` (segment-anything reads it) or ``.safetensors``, atomically.

    Raises:
        UsageError: another ending.
        InputError: a value is not finite.
    """
    check_ending(path)
    tensors = published_tensors(network)
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{name} holds a value that is not finite", "the training diverged; use another run")
    with atomic_path(path) as partial:
        if path.suffix == ".safetensors":
            save_file(tensors, partial)
        else:
            with partial.open("wb") as stream:  # a file's name would become a part of its content
                torch.save(tensors, stream)


def resize_positions(tensors: Tensors, old: SamShape, new: SamShape) -> Tensors:
    """The tensors of ``old`` for the input of ``new``: ``pos_embed`` and the global blocks' ``rel_pos`` resized."""
    if old.grid == new.grid:
        return tensors
    changed = dict(tensors)
    place = tensors["image_encoder.pos_embed"].to(torch.float32).permute(0, 3, 1, 2)
    place = functional.interpolate(place, size=(new.grid, new.grid), mode="bilinear", align_corners=False)
    changed["image_encoder.pos_embed"] = place.permute(0, 2, 3, 1).contiguous()
    for block in old.global_blocks:
        for axis in "hw":
            name = f"image_encoder.blocks.{block}.attn.rel_pos_{axis}"
            line = tensors[name].to(torch.float32).T[None]
            line = functional.interpolate(line, size=2 * new.grid - 1, mode="linear", align_corners=False)
            changed[name] = line[0].T.contiguous()
    return changed


def _read_folder(path: Path) -> dict[str, torch.Tensor]:
    """A folder of transformers' SamModel, its tensors renamed."""
    if (path / "adapter_config.json").is_file():
        raise InputError(f"{path} is a LoRA adapter, not a SAM", "pass the SAM that it was trained on")
    if not (path / "config.json").is_file():
        raise InputError(
            f"{path} holds no config.json", "pass a folder that transformers' SamModel.save_pretrained wrote"
        )
    make_torchvision_importable()
    from transformers import SamModel
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        loaded: Any = SamModel.from_pretrained(
            path, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{path} cannot be read as a SamModel: {reason}", "it must hold config.json and model.safetensors"
        ) from error
    model, info = loaded
    if info["missing_keys"]:
        raise InputError(
            f"{path} lacks {min(info['missing_keys'])}, so it is not a whole SamModel", "download it again"
        )
    tensors = {
        published_name(name): tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith("shared_image_embedding.")
    }
    refuse_not_finite(tensors, path, "use another checkpoint")
    return tensors


def _shape_of(tensors: Tensors, path: Path) -> SamShape:
    """The shape, inferred from the tensors.

    Raises:
        InputError: they are not a SAM's; adapters are named as such.
    """
    if any("lora_" in name or re.match(r"w_[ab]_\d+$", name) for name in tensors):
        raise InputError(f"{path} is a LoRA adapter, not a SAM", "pass the SAM that it was trained on")
    needed = {
        "image_encoder.pos_embed": 4,
        "image_encoder.patch_embed.proj.weight": 4,
        "image_encoder.blocks.0.attn.rel_pos_h": 2,
        "image_encoder.blocks.0.mlp.lin1.weight": 2,
    }
    for name, dimensions in needed.items():
        if name not in tensors:
            raise InputError(
                f"{path} is not a SAM checkpoint: it lacks {name}",
                "pass segment-anything's sam_vit_b, sam_vit_l or sam_vit_h, or a folder of transformers' SamModel",
            )
        if tensors[name].ndim != dimensions:
            raise InputError(f"{path} has {name} of shape {tuple(tensors[name].shape)}", "it is not a SAM's")
    _, rows, columns, width = tensors["image_encoder.pos_embed"].shape
    head = tensors["image_encoder.blocks.0.attn.rel_pos_h"].shape[1]
    if not head or width % head:
        raise InputError(f"{path} has a width of {width} and heads of {head}", "it is not a SAM's")
    if rows != columns:
        raise InputError(
            f"{path} was made for {rows}×{columns} patches, which cannot be resized to a square input",
            "use a base of square images",
        )
    patch = tensors["image_encoder.patch_embed.proj.weight"].shape[-1]
    blocks = [int(match[1]) for name in tensors if (match := re.match(r"image_encoder\.blocks\.(\d+)\.", name))]
    depth = max(blocks) + 1
    lengths = [_length(tensors, block) for block in range(depth)]
    whole = 2 * rows - 1
    windows = {length for length in lengths if length not in (whole, None)}
    if len(windows) > 1:
        raise InputError(f"{path} has windows of several sizes", "pass a checkpoint of segment-anything")
    window = (windows.pop() + 1) // 2 if windows else rows
    global_blocks = tuple(block for block, length in enumerate(lengths) if length == whole)
    for (
        known
    ) in SHAPES.values():  # where a window is as large as the image, the tensors of both kinds of block look alike
        if window == rows == known.window and (width, depth, width // head) == (known.width, known.depth, known.heads):
            global_blocks = known.global_blocks
    return SamShape(
        width=width,
        depth=depth,
        heads=width // head,
        mlp=tensors["image_encoder.blocks.0.mlp.lin1.weight"].shape[0],
        global_blocks=global_blocks,
        window=window,
        patch=patch,
        size=rows * patch,
    )


def _length(tensors: Tensors, block: int) -> int | None:
    tensor = tensors.get(f"image_encoder.blocks.{block}.attn.rel_pos_h")
    return None if tensor is None else tensor.shape[0]


def _check(tensors: Tensors, shape: SamShape, path: Path) -> None:
    with torch.device("meta"):
        expected = PromptlessSam(shape).state_dict()
    for name, tensor in expected.items():
        published = published_name(name)
        if published not in tensors:
            raise InputError(f"{path} lacks {published}, so it is not a whole SAM", "download it again")
        if tensors[published].shape != tensor.shape:
            raise InputError(
                f"{path} has {published} of {tuple(tensors[published].shape)} where a SAM has {tuple(tensor.shape)}",
                f"a SAM with {MASK_OUTPUTS} mask outputs and an embedding of {EMBEDDING} is expected",
            )
