"""SAM (Kirillov et al. 2023) without prompts, its mask outputs used as classes (Zhang and Liu 2023, SAMed)."""

from __future__ import annotations

from typing import Any

import torch
from msgspec.structs import replace
from torch import nn

from fetaledge.models.torchvision_stub import make_torchvision_importable
from fetaledge_runtimes.errors import UsageError
from fetaledge_runtimes.records import Part

EMBEDDING = 256
MASK_OUTPUTS = 3
LAYER_NORM_EPS = 1e-5  # of the mask decoder's transformer, as published; transformers' own default is 1e-6


class SamShape(Part, frozen=True):
    """The numbers that make one SAM's shape.

    Attributes:
        width, depth, heads, mlp: of the image encoder's blocks.
        global_blocks: the blocks that attend to the whole image; the others attend within windows.
        window: side of these windows, in patches.
        patch: side of a patch, pixels.
        size: side of the square input, pixels; a multiple of ``patch``.
    """

    width: int
    depth: int
    heads: int
    mlp: int
    global_blocks: tuple[int, ...]
    window: int = 14
    patch: int = 16
    size: int = 1024

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.size // self.patch

    def resized(self, size: int) -> SamShape:
        """The same network for another input.

        Raises:
            UsageError: ``size`` is no multiple of the patch.
        """
        if size < 2 * self.patch or size % self.patch:
            near = max(2, round(size / self.patch)) * self.patch
            raise UsageError(
                f"--size {size} is not a multiple, from 2, of this SAM's patch of {self.patch} pixels", f"try {near}"
            )
        return replace(self, size=size)


SHAPES = {
    "tiny": SamShape(64, 2, 2, 256, (1,), window=2, size=64),
    "small": SamShape(192, 6, 6, 768, (2, 5), window=8, size=256),
    "vit_b": SamShape(768, 12, 12, 3072, (2, 5, 8, 11)),
    "vit_l": SamShape(1024, 24, 16, 4096, (5, 11, 17, 23)),
    "vit_h": SamShape(1280, 32, 16, 5120, (7, 15, 23, 31)),
}


class PromptlessSam(nn.Module):
    """SAM on the default embedding of "no prompt": its mask outputs are the classes, the background the first of them.

    Takes ``float32 (N, 3, S, S)``, gives logits ``(N, classes, S/4, S/4)``. The parameters have the names of
    transformers' ``SamModel``.

    Args:
        shape: the network's shape.
        classes: 2 or 3, the first ones of SAM's three mask outputs.
    """

    def __init__(self, shape: SamShape, classes: int = MASK_OUTPUTS) -> None:
        if not 2 <= classes <= MASK_OUTPUTS:
            raise ValueError(f"SAM has {MASK_OUTPUTS} mask outputs, {classes} classes were asked for")
        super().__init__()
        whole = transformers_sam(shape)
        self.shape = shape
        self.classes = classes
        self.vision_encoder = whole.vision_encoder
        self.vision_encoder.patch_embed = PatchEmbedding(self.vision_encoder.patch_embed.projection)
        self.prompt_encoder = whole.prompt_encoder
        _fix_positions(self.prompt_encoder.shared_embedding)
        self.mask_decoder = whole.mask_decoder

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """The image embedding ``float32 (N, 256, S/16, S/16)``."""
        embedding: torch.Tensor = self.vision_encoder(image).last_hidden_state
        return embedding

    def decode(self, embedding: torch.Tensor) -> torch.Tensor:
        """Logits of an image embedding."""
        count = len(embedding)
        prompt = self.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        masks, _ = self.mask_decoder(
            image_embeddings=embedding,
            image_positional_embeddings=self._positions().expand(count, -1, -1, -1),
            sparse_prompt_embeddings=None,
            dense_prompt_embeddings=prompt.expand_as(embedding),
            multimask_output=True,
        )
        logits: torch.Tensor = masks[:, 0, : self.classes]
        return logits

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(image))

    def _positions(self) -> torch.Tensor:
        """The positional encoding ``(1, 256, S/16, S/16)`` of the patches' centres."""
        grid = self.shape.grid
        weight = self.prompt_encoder.shared_embedding.positional_embedding
        centres = (torch.arange(grid, device=weight.device, dtype=weight.dtype) + 0.5) / grid
        rows, columns = torch.meshgrid(centres, centres, indexing="ij")
        encoded: torch.Tensor = self.prompt_encoder.shared_embedding(torch.stack([columns, rows], dim=-1))
        return encoded.permute(2, 0, 1)[None]


def _fix_positions(embedding: nn.Module) -> None:
    """Make the positional encoding's random matrix a buffer, as published: transformers' parameter would be trained."""
    matrix = embedding.get_parameter("positional_embedding").detach()
    del embedding.positional_embedding
    embedding.register_buffer("positional_embedding", matrix)


class PatchEmbedding(nn.Module):
    """An image to patches, ``(N, 3, S, S)`` to ``(N, S/16, S/16, width)``; without transformers' check of channels."""

    def __init__(self, projection: nn.Conv2d) -> None:
        super().__init__()
        self.projection = projection

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        patches: torch.Tensor = self.projection(image)
        return patches.permute(0, 2, 3, 1)


def transformers_sam(shape: SamShape) -> Any:
    """transformers' ``SamModel`` of this shape, prompts and all, with random weights."""
    make_torchvision_importable()
    from transformers import SamConfig, SamModel

    config = SamConfig(
        vision_config={
            "hidden_size": shape.width,
            "num_hidden_layers": shape.depth,
            "num_attention_heads": shape.heads,
            "mlp_dim": shape.mlp,
            "image_size": shape.size,
            "patch_size": shape.patch,
            "window_size": shape.window,
            "global_attn_indexes": list(shape.global_blocks),
            "output_channels": EMBEDDING,
            "initializer_range": 0.02,
        },
        prompt_encoder_config={
            "image_size": shape.size,
            "patch_size": shape.patch,
            "image_embedding_size": shape.grid,
        },
        mask_decoder_config={"num_multimask_outputs": MASK_OUTPUTS, "layer_norm_eps": LAYER_NORM_EPS},
    )
    return SamModel._from_config(config, attn_implementation="eager")  # type: ignore[no-untyped-call]


def random_sam(shape: SamShape, classes: int, seed: int) -> PromptlessSam:
    """A SAM of random weights, for ``--base random:NAME``. The global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PromptlessSam(shape, classes)
        nn.init.normal_(network.prompt_encoder.shared_embedding.positional_embedding)
        for name, parameter in network.vision_encoder.named_parameters():
            if name == "pos_embed" or "rel_pos" in name:
                nn.init.trunc_normal_(parameter, std=0.02)
    return network
