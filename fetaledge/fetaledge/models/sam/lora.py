"""Low-rank adapters (LoRA, Hu et al. 2021) on q and v of every block of SAM's image encoder, as in SAMed."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from fetaledge.models.checkpoint import read_checkpoint, without_prefix
from fetaledge.models.sam.names import published_name
from fetaledge.models.sam.network import PromptlessSam
from fetaledge.models.tensors import check_fit, read_tensors
from fetaledge.models.torchvision_stub import make_torchvision_importable
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.files import atomic_path, read_json, write_json

CONFIG, WEIGHTS, OLD_WEIGHTS = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
TARGETS = r"vision_encoder\.layers\.\d+\.attn\.qkv\.(q_proj|v_proj)"
SAVED = ("prompt_encoder", "mask_decoder")
PLAIN_STARTS = ("gaussian", "orthogonal", "eva", None)
"""First values of adapters, as peft names them, that leave the base as it is."""
_SAMED = re.compile(r"^w_([ab])_(\d+)$")


class SplitQkv(nn.Module):
    """The fused q, k, v projection as three layers; the same function, with places for adapters."""

    def __init__(self, fused: nn.Linear) -> None:
        super().__init__()
        width = fused.in_features
        has_bias = fused.bias is not None
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width, bias=has_bias) for _ in range(3))
        with torch.no_grad():
            for part, layer in enumerate((self.q_proj, self.k_proj, self.v_proj)):
                rows = slice(part * width, (part + 1) * width)
                layer.weight.copy_(fused.weight[rows])
                if has_bias:
                    layer.bias.copy_(fused.bias[rows])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.q_proj(tokens), self.k_proj(tokens), self.v_proj(tokens)], dim=-1)

    def fused(self) -> nn.Linear:
        """The three layers as one again."""
        layers = (self.q_proj, self.k_proj, self.v_proj)
        width = self.q_proj.in_features
        has_bias = self.q_proj.bias is not None
        fused = nn.Linear(width, 3 * width, bias=has_bias)
        with torch.no_grad():
            fused.weight.copy_(torch.cat([layer.weight for layer in layers]))
            if has_bias:
                fused.bias.copy_(torch.cat([layer.bias for layer in layers]))
        return fused


def add_adapters(network: PromptlessSam, rank: int, seed: int) -> Any:
    """The network with adapters of ``rank`` in it (peft's ``PeftModel``): they, the prompt encoder and the mask decoder
    are trained, the image encoder is frozen. It starts as the same function; the network passed in is changed.

    Raises:
        UsageError: a rank that is below 1 or above the encoder's width.
    """
    if not 1 <= rank <= network.shape.width:
        raise UsageError(
            f"--rank {rank} is not between 1 and the encoder's width of {network.shape.width}", "4 is the published one"
        )
    from peft import LoraConfig, get_peft_model

    for layer in network.vision_encoder.layers:
        layer.attn.qkv = SplitQkv(layer.attn.qkv)
    config = LoraConfig(
        r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules=TARGETS, modules_to_save=list(SAVED), bias="none"
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        return get_peft_model(network, config)  # type: ignore[arg-type]


def save_adapters(adapted: Any, folder: Path) -> None:
    """Write the trained tensors in peft's format: ``adapter_config.json`` and ``adapter_model.safetensors``."""
    from peft import get_peft_model_state_dict

    tensors = {
        name: tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in get_peft_model_state_dict(adapted).items()
    }
    config = adapted.peft_config["default"].to_dict()
    config["inference_mode"] = True
    plain = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    write_json(folder / CONFIG, {key: getattr(value, "value", value) for key, value in plain.items()})
    with atomic_path(folder / WEIGHTS) as partial:
        partial.write_bytes(save(tensors))


def load_adapters(network: PromptlessSam, folder: Path, rank: int) -> Any:
    """The network with the adapters of ``folder`` in it; the network passed in is changed.

    Raises:
        InputError: the files are missing or damaged, of another rank, or do not fit this network.
    """
    path = folder / WEIGHTS
    if not (folder / CONFIG).is_file():
        raise InputError(
            f"{folder} holds no {CONFIG}, so it is not an adapter",
            "pass a fold's folder that fetaledge train sam wrote",
        )
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        stated, alpha = int(config["r"]), float(config["lora_alpha"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG} states no rank ({type(error).__name__})", "copy it again") from error
    if stated != rank or alpha != rank:
        raise InputError(
            f"{folder} holds an adapter of rank {stated} and alpha {alpha:g} where both are expected to be {rank}",
            "pass its own run",
        )
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    tensors = read_tensors(path)
    adapted = add_adapters(network, rank, seed=0)
    expected = get_peft_model_state_dict(adapted)
    check_fit(expected, tensors, path, "base's adapter", "pass the base it was trained on")
    set_peft_model_state_dict(adapted, tensors)
    return adapted


def is_adapter_folder(folder: Path) -> bool:
    """Whether a folder is an adapter in peft's format."""
    return (folder / CONFIG).is_file()


def load_foreign_adapter(network: PromptlessSam, folder: Path, config: Any) -> Any:
    """The network with a LoRA in it that peft trained on transformers' ``SamModel``; the network passed in is changed.

    peft itself reads and applies it: which layers it adapts, ranks, scales and variants are as its own code says.

    Args:
        network: the SAM that it adapts.
        folder: that ``save_pretrained`` wrote, with ``adapter_model.safetensors`` or ``.bin``.
        config: of :func:`read_foreign_config`.

    Raises:
        InputError: the weights are missing, damaged, or do not fit this network.
    """
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    path = next((path for path in (folder / WEIGHTS, folder / OLD_WEIGHTS) if path.is_file()), folder / WEIGHTS)
    tensors = read_checkpoint(path)
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapted = get_peft_model(network, config)
    except Exception as error:  # peft's refusals share no parent
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{folder} does not fit this base: {reason}", "pass the base it was trained on") from error
    check_fit(get_peft_model_state_dict(adapted), tensors, path, "base's adapter", "pass the base it was trained on")
    set_peft_model_state_dict(adapted, tensors)
    return adapted


def read_foreign_config(folder: Path) -> Any:
    """peft's configuration of a LoRA, of ``adapter_config.json``.

    Raises:
        InputError: it cannot be read, is of another kind of adapter, was trained on a base that was changed before, or
            is a fold's of a run.
    """
    make_torchvision_importable()
    from peft import LoraConfig

    stated = read_json(folder / CONFIG, "adapter")
    if not isinstance(stated, dict) or stated.get("peft_type") != "LORA":
        kind = stated.get("peft_type") if isinstance(stated, dict) else None
        raise InputError(
            f"{folder / CONFIG} is of the kind {kind}, and LORA alone is merged", "merge it with peft itself"
        )
    if stated.get("target_modules") == TARGETS:
        raise InputError(f"{folder} is not a run but a fold of one", "pass the run's folder, and --fold")
    start = stated.get("init_lora_weights", True)
    if not (isinstance(start, bool) or start in PLAIN_STARTS):
        raise InputError(
            f"{folder / CONFIG} says init_lora_weights {start}, which changes the base before the training",
            "convert it with peft's save_pretrained(path_initial_model_for_weight_conversion=…), or merge it with peft",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config: Any = LoraConfig.from_pretrained(str(folder))
    except Exception as error:  # a value that its class does not take
        raise InputError(
            f"{folder / CONFIG} cannot be read by peft ({type(error).__name__})", "copy it again"
        ) from error
    config.init_lora_weights = True  # the values are loaded
    return config


def merge_adapters(adapted: Any) -> PromptlessSam:
    """The plain network, its adapters added to the weights; q, k and v fused again where they were split.

    Raises:
        InputError: a merged weight is not finite.
    """
    with torch.no_grad():
        network: PromptlessSam = adapted.merge_and_unload()
        for layer in network.vision_encoder.layers:
            if isinstance(layer.attn.qkv, SplitQkv):
                layer.attn.qkv = layer.attn.qkv.fused()
    for name, tensor in network.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"the merged {name} holds a value that is not finite", "train again, or use another fold")
    return network.requires_grad_(False).eval()


def read_samed(path: Path) -> dict[str, torch.Tensor]:
    """A LoRA file of SAMed: ``w_a_000`` (r, d) and ``w_b_000`` (d, r) …, q and v of each block in turn, and the tensors
    of prompt encoder and mask decoder, if it holds them. ``.safetensors``, or a ``.pth`` of tensors.

    Raises:
        InputError: it is not such a file; a whole SAM and peft's format are named as such.
    """
    tensors, _ = without_prefix(read_checkpoint(path), "w_a_000", path)
    first = tensors.get("w_a_000")
    if first is None or first.ndim != 2:
        if any(name.startswith("image_encoder.") for name in tensors):
            raise InputError(f"{path} is a whole SAM, not an adapter", "pass it with --base")
        if any("lora_" in name for name in tensors):
            raise InputError(
                f"{path} is an adapter in peft's format", "pass the folder that holds it and its adapter_config.json"
            )
        raise InputError(f"{path} is not a LoRA file of SAMed: it holds no matrix w_a_000", "pass one that SAMed wrote")
    return tensors


def load_samed(adapted: Any, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Put SAMed's LoRA, read by :func:`read_samed`, into adapters of the same rank.

    Raises:
        InputError: another rank, number of blocks or width, mask outputs of another number of classes, or tensors
            that are neither LoRA nor SAM's.
    """
    places = list(_adapter_layers(adapted))
    given = {name for name in tensors if _SAMED.match(name)}
    expected = {f"w_{letter}_{number:03d}" for number in range(len(places)) for letter in "ab"}
    if given != expected:
        raise InputError(
            f"{path} holds {len(given)} LoRA matrices where this base has {len(expected)} (q and v of every block)",
            "pass an adapter of the same SAM",
        )
    with torch.no_grad():
        for number, layer in enumerate(places):
            for letter, part in (("a", layer.lora_A), ("b", layer.lora_B)):
                name = f"w_{letter}_{number:03d}"
                weight = part["default"].weight
                if tensors[name].shape != weight.shape:
                    raise InputError(
                        f"{path} has {name} of {tuple(tensors[name].shape)} where {tuple(weight.shape)} is expected",
                        "give its rank with --rank, and the base that it was trained on",
                    )
                weight.copy_(tensors[name])
        plain = adapted.get_base_model()
        unknown = set(tensors) - given
        for part_name in SAVED:
            module = getattr(plain, part_name).modules_to_save["default"]
            for name, parameter in module.state_dict().items():
                published = published_name(f"{part_name}.{name}")
                if published not in tensors:
                    continue
                unknown.remove(published)
                if tensors[published].shape != parameter.shape:
                    raise InputError(
                        f"{path} has {published} of {tuple(tensors[published].shape)} "
                        f"where SAM has {tuple(parameter.shape)}",
                        "it was made for another number of classes; pass the file of LoRA matrices alone",
                    )
                parameter.copy_(tensors[published])
    if unknown:
        raise InputError(
            f"{path} holds {min(unknown)}, which is neither LoRA nor a tensor of SAM's prompt encoder or mask decoder",
            "pass a file that SAMed wrote",
        )


def samed_rank(tensors: dict[str, torch.Tensor]) -> int:
    """The rank of SAMed's LoRA, read by :func:`read_samed`."""
    return int(tensors["w_a_000"].shape[0])


def _adapter_layers(adapted: Any) -> Iterator[Any]:
    """The adapted layers: q and v of each block in turn."""
    for layer in adapted.get_base_model().vision_encoder.layers:
        yield layer.attn.qkv.q_proj
        yield layer.attn.qkv.v_proj
