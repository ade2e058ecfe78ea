"""A bundle of the small run in every variant, and the command as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.command import Command
from tests.made import Made


@pytest.fixture(scope="session")
def psfh_phantoms(store: Made) -> Path:
    """Eight frames of symphysis and head in PSFHS's layout."""
    from fetaledge.phantoms.ps_fh import write_psfh_phantoms

    return store("psfh-8", lambda folder: write_psfh_phantoms(folder, 8, seed=3))


@pytest.fixture(scope="session")
def sam_base(made: Made) -> Path:
    """A SAM of two blocks for 64×64, as the published package would have saved it."""
    import torch

    from fetaledge.models.sam.checkpoint import SamBase

    return made("sam_tiny.pth", lambda path: torch.save(dict(SamBase.read("random:tiny", seed=7).tensors), path))


@pytest.fixture(scope="session")
def sam_run(psfh_phantoms: Path, sam_base: Path, made: Made) -> Path:
    """Adapters for that base, in two folds."""
    import torch

    from fetaledge.data.layouts.open import open_dataset
    from fetaledge.runs.sam_recipe import SamRecipe
    from fetaledge.training.sam.train import train_sam

    torch.set_num_threads(1)  # sums of more threads have other last digits; runs are compared bit by bit
    recipe = SamRecipe(size=64, folds=2, epochs=2, batch=2, learning_rate=3e-3)
    data = open_dataset(psfh_phantoms)
    return made("sam", lambda folder: train_sam(data, folder, recipe, base=str(sam_base)))


@pytest.fixture(scope="session")
def published_sam() -> Callable[..., Any]:
    """Build the published package's own network of a shape, in evaluation mode."""
    from fetaledge.models.torchvision_stub import make_torchvision_importable

    make_torchvision_importable()
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
def exported(small_run: Path, phantoms: Path, made: Made, fetaledge: Command) -> tuple[Path, str]:
    """(bundle, what the export printed): nine variants, with limits wide enough for a network this small."""
    hc = ("--max-hc-mean-mm", 9, "--max-hc-bias-mm", 9, "--max-hc-p95-mm", 30)
    wide = (*hc, "--max-dice-drop", 0.05, "--max-new-failures", 9, "--min-cases", 2)

    def export(folder: Path) -> None:
        folder.mkdir()
        flags = ("--data", phantoms, "--int8", "--fp16", *wide)
        done = fetaledge("export", small_run, "--out", folder / "small", *flags)
        assert done.returncode == 0, done.stderr
        (folder.parent / "printed").write_text(done.stdout, encoding="utf-8")

    folder = made("small-bundle", export)
    return folder / "small", (folder.parent / "printed").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def bundle(exported: tuple[Path, str]) -> Path:
    return exported[0]


@pytest.fixture(scope="session")
def reference_bundle(made: Made, fetaledge: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's reference model as TFLite, gated on the demo's phantoms by the default limits."""
    from fetaledge.phantoms.head import write_head_phantoms

    run = Path(__file__).resolve().parents[2] / "reference/unet-head"

    def export(folder: Path) -> None:
        frames = tmp_path_factory.mktemp("reference") / "frames"
        write_head_phantoms(frames, 48, seed=11)
        given = ("--data", frames, "--calibration-frames", 24, "--int8", "--format", "tflite")
        done = fetaledge("export", run, "--out", folder, *given)
        assert done.returncode == 0, done.stdout + done.stderr

    return made("reference-tflite", export)
