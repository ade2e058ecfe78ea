"""Adapters on q and v: their count, their formats, and that merging them changes nothing."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fetaledge_runtimes.errors import InputError, UsageError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from fetaledge.models.sam.network import PromptlessSam


@pytest.fixture(autouse=True, scope="module")
def torchvision() -> None:
    """Importable, for what peft and transformers import."""
    import fetaledge.training  # noqa: F401


@cache
def tiny_shape() -> Any:
    from fetaledge.models.sam.network import SHAPES

    return SHAPES["tiny"]


@cache
def _network() -> PromptlessSam:
    from fetaledge.models.sam.network import random_sam

    return random_sam(tiny_shape(), 3, seed=1).eval()


def network() -> PromptlessSam:
    return deepcopy(_network())


def picture(size: int = 64) -> torch.Tensor:
    import torch

    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(5))


def logits(model: Any, image: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.no_grad():
        found: torch.Tensor = model.eval()(image)
    return found


def trained(rank: int = 4) -> Any:
    """The tiny network after something like training: every trained number moved."""

    import torch

    from fetaledge.models.sam.lora import add_adapters

    adapted = add_adapters(network(), rank, seed=3)
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return adapted.eval()


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def samed_tensors(adapted: Any) -> dict[str, torch.Tensor]:
    """What SAMed would have saved of these adapters: matrices counted over q and v of each block in turn."""
    tensors, number = {}, 0
    for layer in adapted.get_base_model().vision_encoder.layers:
        for part in (layer.attn.qkv.q_proj, layer.attn.qkv.v_proj):
            tensors[f"w_a_{number:03d}"] = part.lora_A["default"].weight.detach().clone()
            tensors[f"w_b_{number:03d}"] = part.lora_B["default"].weight.detach().clone()
            number += 1
    return tensors


def samed_forward(base: PromptlessSam, tensors: dict[str, torch.Tensor]) -> PromptlessSam:
    """SAMed's own way, unmerged and on the fused projection: W_b W_a x is added to q, the first third, and to v."""

    from torch import nn

    class WithLora(nn.Module):
        def __init__(self, qkv: nn.Linear, block: int) -> None:
            super().__init__()
            self.qkv, self.block = qkv, block

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = self.qkv(x).clone()
            q, v = (f"{2 * self.block:03d}", f"{2 * self.block + 1:03d}")
            width = x.shape[-1]
            out[..., :width] += x @ tensors[f"w_a_{q}"].T @ tensors[f"w_b_{q}"].T
            out[..., -width:] += x @ tensors[f"w_a_{v}"].T @ tensors[f"w_b_{v}"].T
            return out

    for block, layer in enumerate(base.vision_encoder.layers):
        layer.attn.qkv = WithLora(layer.attn.qkv, block)
    return base


def test_split_and_fused_again() -> None:
    import torch
    from torch import nn

    from fetaledge.models.sam.lora import SplitQkv

    fused = nn.Linear(12, 36)
    split = SplitQkv(fused)
    tokens = torch.randn(2, 5, 12)
    torch.testing.assert_close(split(tokens), fused(tokens))
    again = split.fused()
    assert torch.equal(again.weight, fused.weight) and torch.equal(again.bias, fused.bias)
    bare = nn.Linear(12, 36, bias=False)
    assert torch.equal(SplitQkv(bare).fused().weight, bare.weight) and SplitQkv(bare).fused().bias is None


def test_adapters_start_as_the_same_function() -> None:
    import torch

    from fetaledge.models.sam.lora import add_adapters

    before = logits(network(), picture())
    torch.testing.assert_close(logits(add_adapters(network(), 4, seed=0), picture()), before, atol=1e-6, rtol=1e-5)
    a, b = (samed_tensors(add_adapters(network(), 4, seed)) for seed in (0, 1))
    assert not torch.equal(a["w_a_000"], b["w_a_000"]) and not a["w_b_000"].any()


def trained_in_encoder(adapted: nn.Module) -> int:
    return sum(p.numel() for name, p in adapted.named_parameters() if p.requires_grad and "vision_encoder" in name)


def test_what_is_trained() -> None:
    from fetaledge.models.sam.lora import add_adapters

    adapted = add_adapters(network(), 4, seed=0)
    assert trained_in_encoder(adapted) == 2 * 2 * 2 * 4 * 64  # blocks × (q, v) × (A, B) × rank × width
    names = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    encoder = {name for name in names if "vision_encoder" in name}
    assert len(encoder) == 8 and all(".q_proj.lora_" in name or ".v_proj.lora_" in name for name in encoder)
    rest = {name.split("modules_to_save.default.")[1] for name in names - encoder}
    plain = network()
    whole = {name for part in (plain.prompt_encoder, plain.mask_decoder) for name, _ in part.named_parameters()}
    assert rest == whole
    assert "shared_embedding.positional_embedding" not in rest  # a buffer in the published network


@pytest.mark.parametrize(
    ("name", "count"),
    [("vit_b", 147_456), pytest.param("vit_l", 393_216, marks=pytest.mark.integration), ("vit_h", 655_360)],
)
def test_published_counts_and_stored_size(name: str, count: int) -> None:
    """ViT-B's count is SAMed's; a stored fold of ViT-H takes at most 21 MB, as in Elbatel et al."""

    import torch
    from peft import get_peft_model_state_dict

    from fetaledge.models.sam.lora import add_adapters
    from fetaledge.models.sam.network import SHAPES, PromptlessSam

    with torch.device("meta"):
        adapted = add_adapters(PromptlessSam(SHAPES[name]), 4, seed=0)
    assert trained_in_encoder(adapted) == count
    stored = sum(4 * tensor.numel() for tensor in get_peft_model_state_dict(adapted).values())
    assert stored < 21e6
    if name == "vit_h":
        assert stored > 17e6


def test_saved_adapters_are_peft_s(tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file

    from fetaledge.models.sam.lora import WEIGHTS, SplitQkv, load_adapters, save_adapters

    adapted = trained()
    expected = logits(adapted, picture())
    save_adapters(adapted, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    split = network()
    for layer in split.vision_encoder.layers:
        layer.attn.qkv = SplitQkv(layer.attn.qkv)
    theirs = PeftModel.from_pretrained(split, tmp_path)  # type: ignore[arg-type]
    torch.testing.assert_close(logits(theirs, picture()), expected, atol=0, rtol=0)
    ours = load_adapters(network(), tmp_path, rank=4)
    torch.testing.assert_close(logits(ours, picture()), expected, atol=0, rtol=0)
    assert relative(logits(network(), picture()), expected) > 0.05
    names = set(load_file(tmp_path / WEIGHTS))
    assert not any("qkv" in name and "lora_" not in name for name in names)
    assert not any("original_module" in name for name in names)


def test_merged_against_unmerged() -> None:
    import torch

    from fetaledge.models.sam.lora import merge_adapters
    from fetaledge.models.sam.network import PromptlessSam

    adapted = trained()
    expected = logits(adapted, picture())
    k_before = network().vision_encoder.layers[0].attn.qkv.weight[64:128]
    merged = merge_adapters(adapted)
    assert isinstance(merged, PromptlessSam)
    assert relative(logits(merged, picture()), expected) < 1e-5
    assert torch.equal(merged.vision_encoder.layers[0].attn.qkv.weight[64:128], k_before)
    assert merged.state_dict().keys() == network().state_dict().keys()
    assert not any(parameter.requires_grad for parameter in merged.parameters())


def test_untrained_adapters_merge_to_exactly_the_base() -> None:
    import torch

    from fetaledge.models.sam.checkpoint import published_tensors
    from fetaledge.models.sam.lora import add_adapters, merge_adapters

    merged = published_tensors(merge_adapters(add_adapters(network(), 4, seed=0)))
    assert all(torch.equal(tensor, merged[name]) for name, tensor in published_tensors(network()).items())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_merge_refuses_what_is_not_finite(value: float) -> None:
    import torch

    from fetaledge.models.sam.lora import merge_adapters

    adapted = trained()
    with torch.no_grad():
        adapted.get_base_model().vision_encoder.layers[1].attn.qkv.v_proj.lora_B["default"].weight[0, 0] = value
    with pytest.raises(InputError, match="layers.1.attn.qkv.weight holds a value that is not finite"):
        merge_adapters(adapted)


@pytest.mark.parametrize("rank", [0, -1, 65])
def test_rank(rank: int) -> None:
    from fetaledge.models.sam.lora import add_adapters

    with pytest.raises(UsageError, match=f"--rank {rank} is not between 1 and the encoder's width of 64"):
        add_adapters(network(), rank, seed=0)


@pytest.mark.integration
def test_damaged_or_foreign_adapters(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from fetaledge.models.sam.lora import WEIGHTS, load_adapters, save_adapters
    from fetaledge.models.sam.network import SHAPES, random_sam

    def refused(said: str, model: PromptlessSam | None = None, rank: int = 4) -> None:
        with pytest.raises(InputError, match=said):
            load_adapters(model or network(), tmp_path, rank)

    refused("holds no adapter_config.json")
    save_adapters(trained(), tmp_path)
    refused("rank 4 and alpha 4 where both are expected to be 8", rank=8)
    refused("lacks .*layers.2.*lora_A.weight.* and 13 more", random_sam(SHAPES["small"], 3, 0))
    config, path = tmp_path / "adapter_config.json", tmp_path / WEIGHTS
    written, tensors = config.read_text(), load_file(path)
    config.write_text(json.dumps({**json.loads(written), "lora_alpha": 16}))
    refused("alpha 16")
    for text in ("{}", "[]", "{"):
        config.write_text(text)
        refused("states no rank")
    config.write_text(written)
    first = next(name for name in tensors if "lora_B" in name)
    save_file({name: tensor for name, tensor in tensors.items() if name != first}, path)
    refused("not a checkpoint of this base's adapter")
    save_file({**tensors, first.replace("layers.0", "layers.2"): tensors[first].clone()}, path)
    refused("holds .*layers.2.* does not have")
    save_file({**tensors, first: tensors[first] * torch.nan}, path)
    refused("not finite")
    path.write_bytes(path.read_bytes()[:1000])
    refused("not a whole safetensors file")
    path.unlink()
    refused("does not exist")


def test_samed_file_as_samed_runs_it(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from fetaledge.models.sam.checkpoint import SamBase, published_tensors
    from fetaledge.workflows.merge_sam import merge_samed

    tensors = samed_tensors(trained(rank=3))
    for ending, write in ((".safetensors", save_file), (".pth", torch.save)):
        path = tmp_path / f"lora{ending}"
        write(tensors, path)  # type: ignore[operator]
        base = SamBase("tiny", published_tensors(network()), tiny_shape())
        merged = merge_samed(path, base, size=None)
        expected = logits(samed_forward(network(), tensors), picture())
        assert relative(logits(merged, picture()), expected) < 1e-5
        assert relative(logits(network(), picture()), expected) > 0.05
    swapped = {**tensors}
    for letter in "ab":
        swapped[f"w_{letter}_000"], swapped[f"w_{letter}_001"] = tensors[f"w_{letter}_001"], tensors[f"w_{letter}_000"]
    other = logits(samed_forward(network(), swapped), picture())
    assert relative(other, expected) > 0.01  # so the comparison above tells q from v


def test_samed_file_with_prompt_encoder_and_mask_decoder(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from fetaledge.models.sam.checkpoint import published_tensors
    from fetaledge.models.sam.lora import add_adapters, load_samed, merge_adapters, read_samed

    adapted = trained()
    expected = logits(adapted, picture())
    merged = published_tensors(merge_adapters(trained()))
    rest = {name: tensor for name, tensor in merged.items() if not name.startswith("image_encoder.")}
    path = tmp_path / "lora.safetensors"
    save_file({**samed_tensors(adapted), **rest}, path)
    again = add_adapters(network(), 4, seed=0)
    load_samed(again, read_samed(path), path)
    torch.testing.assert_close(logits(again, picture()), expected, atol=0, rtol=0)
    save_file({**samed_tensors(adapted), **rest, "mask_decoder.mask_tokens.weight": torch.zeros(9, 256)}, path)
    with pytest.raises(InputError, match="made for another number of classes"):
        load_samed(again, read_samed(path), path)


def test_samed_files_that_do_not_fit(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from fetaledge.models.sam.checkpoint import published_tensors
    from fetaledge.models.sam.lora import WEIGHTS, load_samed, read_samed, save_adapters

    path = tmp_path / "lora.safetensors"
    adapted = trained()
    tensors = samed_tensors(adapted)

    def refused(said: str, changed: dict[str, torch.Tensor]) -> None:
        save_file({name: tensor.contiguous() for name, tensor in changed.items()}, path)
        with pytest.raises(InputError, match=said):
            load_samed(adapted, read_samed(path), path)

    refused("give its rank with --rank", samed_tensors(trained(rank=2)))
    refused("holds 7 LoRA matrices where this base has 8", {k: v for k, v in tensors.items() if k != "w_b_003"})
    refused("holds 9 LoRA", {**tensors, "w_a_004": tensors["w_a_000"].clone()})
    refused(r"w_a_000 of \(64, 4\) where \(4, 64\)", {**tensors, "w_a_000": tensors["w_a_000"].T})
    refused(r"w_b_002 of \(4, 64\)", {**tensors, "w_b_002": tensors["w_b_002"].T})
    refused("is a whole SAM, not an adapter; pass it with --base", published_tensors(network()))
    refused("holds no matrix w_a_000", {"weight": torch.zeros(1)})
    refused("holds no matrix w_a_000", {name: tensor for name, tensor in tensors.items() if name != "w_a_000"})
    refused("holds no matrix w_a_000", {**tensors, "w_a_000": torch.zeros(64)})
    refused("not finite in w_b_001", {**tensors, "w_b_001": tensors["w_b_001"] * torch.inf})
    save_adapters(adapted, tmp_path)
    with pytest.raises(InputError, match="adapter in peft's format"):
        read_samed(tmp_path / WEIGHTS)
    with pytest.raises(InputError, match="is a folder"):
        read_samed(tmp_path)


@pytest.mark.integration
def test_real_samed_file_on_vit_b(samed_lora: Path) -> None:
    import torch

    from fetaledge.models.sam.checkpoint import SamBase, published_tensors
    from fetaledge.models.sam.lora import read_samed, samed_rank
    from fetaledge.workflows.merge_sam import merge_samed

    tensors = read_samed(samed_lora)
    assert samed_rank(tensors) == 4 and len(tensors) == 48
    assert all(tensor.shape == ((4, 768) if name[2] == "a" else (768, 4)) for name, tensor in tensors.items())
    base = SamBase.read("random:vit_b", seed=1)
    image = picture(256)[:1]
    merged = merge_samed(samed_lora, base, size=256)
    expected = {name: tensor.clone() for name, tensor in published_tensors(base.network(3, 256)).items()}
    for block in range(12):
        weight = expected[f"image_encoder.blocks.{block}.attn.qkv.weight"]
        for place, number in ((0, 2 * block), (2, 2 * block + 1)):  # q is the first third, v the last
            weight[768 * place : 768 * (place + 1)] += tensors[f"w_b_{number:03d}"] @ tensors[f"w_a_{number:03d}"]
    found = published_tensors(merged)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-6, rtol=1e-6)
    unmerged = samed_forward(base.network(3, 256), tensors)
    with torch.no_grad():
        embedding = unmerged.encode(image)
        assert relative(merged.encode(image), embedding) < 1e-5
        assert relative(base.network(3, 256).encode(image), embedding) > 1e-3


@pytest.mark.integration
def test_real_samed_file_on_another_base(samed_lora: Path) -> None:
    from fetaledge.models.sam.checkpoint import SamBase, published_tensors
    from fetaledge.workflows.merge_sam import merge_samed

    with pytest.raises(InputError, match="holds 48 LoRA matrices where this base has 8"):
        merge_samed(samed_lora, SamBase("tiny", published_tensors(network()), tiny_shape()), None)


def test_samed_file_with_a_foreign_tensor(tmp_path: Path) -> None:
    import torch

    from fetaledge.models.sam.checkpoint import SamBase
    from fetaledge.models.sam.lora import add_adapters, load_samed

    base = SamBase.read("random:tiny", 0)
    tensors = {
        f"w_{letter}_{number:03d}": torch.zeros(shape)
        for number in range(4)
        for letter, shape in (("a", (4, 64)), ("b", (64, 4)))
    }
    load_samed(add_adapters(base.network(3), 4, 0), tensors, tmp_path)
    with pytest.raises(InputError, match="holds rubbish"):
        load_samed(add_adapters(base.network(3), 4, 0), {**tensors, "rubbish": torch.zeros(1)}, tmp_path)
