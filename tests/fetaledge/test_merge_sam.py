"""``fetaledge merge``: adapters into a plain SAM that the published package opens."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fetaledge_runtimes.errors import InputError, OutputError, UsageError
from tests.command import Command

if TYPE_CHECKING:
    import torch

Published = Callable[..., Any]
PLAIN: dict[str, Any] = {"fold": None, "base": None, "size": None, "force": False}


def image(size: int = 64) -> torch.Tensor:
    import torch

    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(5))


def embedding(network: Any) -> torch.Tensor:
    import torch

    with torch.no_grad():
        found: torch.Tensor = network(image())
    return found


@pytest.fixture(scope="module")
def samed_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA file of SAMed for the tiny base."""

    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for number in range(4):
        tensors[f"w_a_{number:03d}"] = torch.randn(3, 64, generator=generator)
        tensors[f"w_b_{number:03d}"] = torch.randn(64, 3, generator=generator)
    path = tmp_path_factory.mktemp("samed") / "lora.safetensors"
    save_file(tensors, path)
    return path


@pytest.mark.integration
def test_the_published_package_opens_a_merged_run(
    sam_run: Path, published_sam: Published, tmp_path: Path, fetaledge: Command
) -> None:
    import torch

    from fetaledge.models.sam.checkpoint import SamBase
    from fetaledge.models.sam.network import SHAPES
    from fetaledge.runs.open import open_run

    out = tmp_path / "merged.pth"
    done = fetaledge("merge", sam_run, "--out", out, "--fold", 2)
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"wrote {out}: fold 2 of {sam_run}, merged\n"
    theirs = published_sam(SHAPES["tiny"])
    theirs.load_state_dict(torch.load(out, weights_only=True), strict=True)
    ours: Any = open_run(sam_run, fold=2).network()
    expected = embedding(ours.encode)
    torch.testing.assert_close(embedding(theirs.image_encoder), expected, atol=1e-5, rtol=1e-5)
    base: Any = open_run(sam_run, fold=2)
    before = embedding(base.read_base().network(3).encode)
    assert (before - expected).abs().max() > 1e-3
    done = fetaledge("merge", sam_run, "--out", out)
    assert done.returncode == 3 and "exists already" in done.stderr and done.stderr.count("\n") == 1
    again = SamBase.read(out).network(3)
    torch.testing.assert_close(embedding(again), embedding(ours), atol=1e-5, rtol=1e-5)


@pytest.mark.integration
def test_best_fold_as_safetensors(sam_run: Path, tmp_path: Path) -> None:
    import torch

    from fetaledge.models.sam.checkpoint import SamBase
    from fetaledge.runs.open import open_run
    from fetaledge.workflows.merge_sam import merge

    run: Any = open_run(sam_run)
    scores = [fold.best.dice for fold in run.document.folds]
    assert scores[run.best_fold - 1] == max(scores)
    out = tmp_path / "merged.safetensors"
    assert merge(sam_run, out, **PLAIN) == f"fold {run.best_fold} of {sam_run}"
    expected = embedding(open_run(sam_run, fold=run.best_fold).network())
    torch.testing.assert_close(embedding(SamBase.read(out).network(3)), expected, atol=1e-5, rtol=1e-5)
    before = out.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        merge(sam_run, out, **{**PLAIN, "fold": 1})
    assert out.read_bytes() == before
    merge(sam_run, out, **{**PLAIN, "fold": 3 - run.best_fold, "force": True})
    assert out.read_bytes() != before


@pytest.mark.integration
def test_runs_that_cannot_be_merged(sam_run: Path, small_run: Path, sam_base: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from fetaledge.models.sam.checkpoint import SamBase
    from fetaledge.workflows.merge_sam import merge

    out = tmp_path / "merged.pth"

    def refused(error: type[Exception], said: str, source: Path = sam_run, **changed: Any) -> None:
        with pytest.raises(error, match=said) as caught:
            merge(source, out, **{**PLAIN, **changed})
        assert "\n" not in str(caught.value) and not list(tmp_path.glob("*merged*"))

    refused(UsageError, "has no fold 3", fold=3)
    refused(UsageError, "has no fold 0", fold=0)
    refused(UsageError, "has its own size", size=64)
    refused(InputError, "is a U-Net's run", small_run)
    refused(InputError, "is not a run", sam_run / "fold-1")
    other = tmp_path / "other.pth"
    torch.save(dict(SamBase.read("random:tiny", seed=8).tensors), other)
    refused(InputError, "is not the base that", base=str(other))
    damaged = tmp_path / "damaged"
    shutil.copytree(sam_run, damaged)
    path = damaged / "fold-1" / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if "lora_B" in name)
    save_file({**tensors, name: tensors[name] + torch.inf}, path)
    refused(InputError, "not finite", damaged, fold=1, base=str(sam_base))
    huge = {key: torch.full_like(tensor, 1e30) if "layers.0" in key else tensor for key, tensor in tensors.items()}
    save_file(huge, path)
    refused(
        InputError,
        "the merged .*layers.0.attn.qkv.weight holds a value that is not finite",
        damaged,
        fold=1,
        base=str(sam_base),
    )
    document = json.loads((damaged / "run.json").read_text())
    document["architecture"]["rank"] = 8
    (damaged / "run.json").write_text(json.dumps(document))
    refused(InputError, "rank 4 .* expected to be 8", damaged, base=str(sam_base))


@pytest.mark.integration
def test_samed_file_at_another_size(samed_file: Path, sam_base: Path, published_sam: Published, tmp_path: Path) -> None:
    import torch

    from fetaledge.models.sam.checkpoint import SamBase
    from fetaledge.models.sam.network import SHAPES
    from fetaledge.workflows.merge_sam import merge

    out = tmp_path / "merged.pth"
    merge(samed_file, out, **{**PLAIN, "base": str(sam_base), "size": 96})
    theirs = published_sam(SHAPES["tiny"].resized(96))
    theirs.load_state_dict(torch.load(out, weights_only=True), strict=True)
    assert SamBase.read(out).shape == SHAPES["tiny"].resized(96)


def test_what_is_no_adapter(samed_file: Path, sam_base: Path, tmp_path: Path) -> None:
    from fetaledge.workflows.merge_sam import merge

    out = tmp_path / "merged.pth"
    base = {"base": str(sam_base)}
    for source, changed, error, said in (
        (sam_base, base, InputError, "is a whole SAM, not an adapter"),
        (samed_file, {"base": str(samed_file)}, InputError, "is a LoRA adapter, not a SAM"),
        (samed_file, {}, UsageError, "give its SAM with --base"),
        (samed_file, {**base, "fold": 1}, UsageError, "leave --fold out"),
        (samed_file, {"base": "random:small"}, InputError, "8 LoRA matrices where this base has 24"),
        (samed_file, {**base, "size": 90}, UsageError, "--size 90 is not a multiple"),
        (tmp_path / "nowhere", {}, InputError, "does not exist"),
    ):
        with pytest.raises(error, match=said) as caught:
            merge(source, out, **{**PLAIN, **changed})
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="ends in neither .pth nor .safetensors"):
        merge(samed_file, tmp_path / "merged.onnx", **{**PLAIN, **base})
    assert not list(tmp_path.iterdir())


def peft_adapter(folder: Path, **changed: Any) -> tuple[Path, Path, Any]:
    """A SamModel and a LoRA on it as transformers and peft save them: (base, adapter, the adapted model)."""
    import torch
    from peft import LoraConfig, get_peft_model

    from fetaledge.models.sam.network import SHAPES, transformers_sam

    base, adapter = folder / "base", folder / "adapter"
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"):
        torch.manual_seed(3)
        model = transformers_sam(SHAPES["tiny"])
        model.save_pretrained(base)
        adapted = get_peft_model(model, LoraConfig(**{"r": 16, "lora_alpha": 32, "target_modules": ["qkv"], **changed}))
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.02)
        adapted.save_pretrained(adapter)
    return base, adapter, adapted


@pytest.mark.integration
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"use_rslora": True},
        {"use_dora": True},
        {"rank_pattern": {"layers.1.attn.qkv": 4}, "alpha_pattern": {"layers.0.attn.qkv": 8}},
        {"target_modules": ["qkv", "lin1", "proj_in"], "modules_to_save": ["no_mask_embed"]},
    ],
    ids=lambda changed: "-".join(changed) or "plain",
)
def test_an_adapter_of_peft_as_peft_merges_it(changed: dict[str, Any], tmp_path: Path) -> None:
    import torch

    from fetaledge.models.sam.checkpoint import SamBase
    from fetaledge.models.sam.names import published_name
    from fetaledge.workflows.merge_sam import merge

    base, adapter, adapted = peft_adapter(tmp_path, **changed)
    before = SamBase.read(base).tensors
    out = tmp_path / "merged.pth"
    merge(adapter, out, **{**PLAIN, "base": str(base)})
    merged = torch.load(out, weights_only=True)
    if not changed:
        from safetensors.torch import load_file

        lora = load_file(adapter / "adapter_model.safetensors")
        prefix = "base_model.model.vision_encoder.layers.0.attn.qkv.lora_"
        name = "image_encoder.blocks.0.attn.qkv.weight"
        by_hand = before[name] + 2 * lora[f"{prefix}B.weight"] @ lora[f"{prefix}A.weight"]
        torch.testing.assert_close(merged[name], by_hand, atol=1e-6, rtol=0)
    theirs = {
        published_name(name): tensor
        for name, tensor in adapted.merge_and_unload().state_dict().items()
        if not name.startswith("shared_image_embedding.")
    }
    assert set(merged) == set(theirs)
    for name, tensor in theirs.items():
        torch.testing.assert_close(merged[name], tensor, atol=1e-6, rtol=0)
    assert any((merged[name] - before[name]).abs().max() > 1e-3 for name in merged)
    merge(adapter / "adapter_model.safetensors", out, **{**PLAIN, "base": str(base), "force": True})
    again = torch.load(out, weights_only=True)
    assert all(torch.equal(again[name], tensor) for name, tensor in merged.items())


@pytest.mark.integration
def test_adapters_of_peft_that_are_refused(sam_base: Path, tmp_path: Path) -> None:
    from fetaledge.workflows.merge_sam import merge

    base, adapter, _ = peft_adapter(tmp_path)
    config = adapter / "adapter_config.json"
    written = json.loads(config.read_text())
    plain = {**PLAIN, "base": str(base)}
    for stated, changed, error, said in (
        ({}, {"base": None}, UsageError, "is an adapter, not a run; give its SAM with --base"),
        ({}, {"fold": 1}, UsageError, "leave --fold out"),
        ({}, {"base": "random:small"}, InputError, "lacks .*layers.2.* not a checkpoint of this base's adapter"),
        ({"peft_type": "IA3"}, {}, InputError, "is of the kind IA3, and LORA alone is merged"),
        ({"init_lora_weights": "pissa"}, {}, InputError, "init_lora_weights pissa, which changes the base"),
        ({"r": 8}, {}, InputError, r"lora_A.weight of \(16, 64\) where"),
        ({"target_modules": ["nothing"]}, {}, InputError, "does not fit this base"),
        ({"r": "many"}, {}, InputError, "adapter_config.json|does not fit"),
    ):
        config.write_text(json.dumps({**written, **stated}))
        with pytest.raises(error, match=said) as caught:
            merge(adapter, tmp_path / "merged.pth", **{**plain, **changed})
        assert "\n" not in str(caught.value), said
    config.write_text(json.dumps(written))
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match="adapter_model.safetensors does not exist"):
        merge(adapter, tmp_path / "merged.pth", **plain)
    assert not (tmp_path / "merged.pth").exists()


@pytest.mark.integration
@pytest.mark.parametrize("key", ["model", "state_dict", "model_state"])
def test_a_base_beside_an_optimiser(key: str, samed_file: Path, sam_base: Path, tmp_path: Path) -> None:
    """As a training script saved it, under a prefix: the same file as of the plain base."""
    import torch

    from fetaledge.workflows.merge_sam import merge

    state = torch.load(sam_base, weights_only=True)
    prefix = "module." if key == "model" else ""
    held = {key: {prefix + name: tensor for name, tensor in state.items()}, "optimizer": {"state": {}}, "epoch": 7}
    torch.save(held, tmp_path / "wrapped.pth")
    for name, base in (("a.pth", sam_base), ("b.pth", tmp_path / "wrapped.pth")):
        merge(samed_file, tmp_path / name, **{**PLAIN, "base": str(base)})
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()
