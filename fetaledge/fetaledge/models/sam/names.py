"""A SAM's parameters by two sets of names: transformers', and those of the published segment-anything package."""

from __future__ import annotations

import re

# transformers' name → segment-anything's, applied in this order
_NAMES = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^vision_encoder\.", "image_encoder."),
        (r"^image_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
        (r"^image_encoder\.layers\.(\d+)\.layer_norm(\d)\.", r"image_encoder.blocks.\1.norm\2."),
        (r"^image_encoder\.layers\.", "image_encoder.blocks."),
        (r"^image_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
        (r"^image_encoder\.neck\.layer_norm1\.", "image_encoder.neck.1."),
        (r"^image_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
        (r"^image_encoder\.neck\.layer_norm2\.", "image_encoder.neck.3."),
        (
            r"^prompt_encoder\.shared_embedding\.positional_embedding$",
            "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
        ),
        (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
        (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
        (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
        (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
        (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
        (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
        (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
        (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
        (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
        (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.layers\.0\.", r"\1.layers.1."),
        (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.proj_in\.", r"\1.layers.0."),
        (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.proj_out\.", r"\1.layers.2."),
        (r"^mask_decoder\.transformer\.layers\.(\d+)\.layer_norm(\d)\.", r"mask_decoder.transformer.layers.\1.norm\2."),
        (r"^mask_decoder\.transformer\.layer_norm_final_attn\.", "mask_decoder.transformer.norm_final_attn."),
    )
)


def published_name(name: str) -> str:
    """segment-anything's name of a parameter of :class:`PromptlessSam` (transformers' names)."""
    for pattern, replacement in _NAMES:
        name = pattern.sub(replacement, name)
    return name
