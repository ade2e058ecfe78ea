"""A bundle of the small run in every variant, and the command as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def fetaledge() -> Command:
    """Run ``fetaledge …`` in a process of its own, with no terminal."""

    def run(*arguments: object, timeout: float = 600, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fetaledge", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)  # type: ignore[call-overload,no-any-return]

    return run


@pytest.fixture(scope="session")
def psfh_phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight frames of symphysis and head in PSFHS's layout."""
    from fetaledge.phantoms.ps_fh import write_psfh_phantoms

    folder = tmp_path_factory.mktemp("data") / "psfh"
    write_psfh_phantoms(folder, 8, seed=3)
    return folder


@pytest.fixture(scope="session")
def sam_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SAM of two blocks for 64×64, as the published package would have saved it."""
    import torch

    from fetaledge.models.sam.checkpoint import SamBase

    path = tmp_path_factory.mktemp("bases") / "sam_tiny.pth"
    torch.save(dict(SamBase.read("random:tiny", seed=7).tensors), path)
    return path


@pytest.fixture(scope="session")
def sam_run(psfh_phantoms: Path, sam_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Adapters for that base, in two folds."""
    import torch

    from fetaledge.data.layouts.open import open_dataset
    from fetaledge.runs.sam_recipe import SamRecipe
    from fetaledge.training.sam.train import train_sam

    torch.set_num_threads(1)  # sums of more threads have other last digits; runs are compared bit by bit
    folder = tmp_path_factory.mktemp("runs") / "sam"
    recipe = SamRecipe(size=64, folds=2, epochs=2, batch=2, learning_rate=3e-3)
    train_sam(open_dataset(psfh_phantoms), folder, recipe, base=str(sam_base))
    return folder


@pytest.fixture(scope="session")
def published_sam() -> Callable[..., Any]:
    """Build the published package's own network of a shape, in evaluation mode."""
    pytest.importorskip("segment_anything", reason="the published package segment-anything is not installed")
    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    def build(shape: Any) -> Any:
        return Sam(
            image_encoder=ImageEncoderViT(
                depth=shape.depth,
                embed_dim=shape.width,
                img_size=shape.size,
                mlp_ratio=shape.mlp / shape.width,
                norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
                num_heads=shape.heads,
                patch_size=shape.patch,
                qkv_bias=True,
                use_rel_pos=True,
                global_attn_indexes=shape.global_blocks,
                window_size=shape.window,
                out_chans=256,
            ),
            prompt_encoder=PromptEncoder(
                embed_dim=256,
                image_embedding_size=(shape.grid, shape.grid),
                input_image_size=(shape.size, shape.size),
                mask_in_chans=16,
            ),
            mask_decoder=MaskDecoder(
                num_multimask_outputs=3,
                transformer=TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
                transformer_dim=256,
                iou_head_depth=3,
                iou_head_hidden_dim=256,
            ),
        ).eval()

    return build


@pytest.fixture(scope="session")
def exported(
    small_run: Path, phantoms: Path, tmp_path_factory: pytest.TempPathFactory, fetaledge: Command
) -> tuple[Path, str]:
    """(bundle, what the export printed): nine variants, with limits wide enough for a network this small."""
    bundle = tmp_path_factory.mktemp("bundles") / "small"
    wide = (
        "--max-hc-mean-mm",
        9,
        "--max-hc-bias-mm",
        9,
        "--max-hc-p95-mm",
        30,
        "--max-dice-drop",
        0.05,
        "--max-new-failures",
        9,
    )
    done = fetaledge("export", small_run, "--out", bundle, "--data", phantoms, "--int8", "--fp16", *wide)
    assert done.returncode == 0, done.stderr
    return bundle, done.stdout


@pytest.fixture(scope="session")
def bundle(exported: tuple[Path, str]) -> Path:
    return exported[0]


@pytest.fixture(scope="session")
def reference_bundle(phantoms: Path, tmp_path_factory: pytest.TempPathFactory, fetaledge: Command) -> Path:
    """The repository's reference model as TFLite, gated on phantoms by the default limits."""
    bundle = tmp_path_factory.mktemp("bundles") / "reference"
    run = Path(__file__).resolve().parents[2] / "reference"
    done = fetaledge("export", run, "--out", bundle, "--data", phantoms, "--int8", "--format", "tflite")
    assert done.returncode == 0, done.stdout + done.stderr
    return bundle
