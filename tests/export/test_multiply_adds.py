from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import torch


def network_and_frame(name: str) -> tuple[Any, torch.Tensor]:
    import torch
    from torch import nn

    if name == "matrix product":
        return nn.Linear(64, 10), torch.zeros(1, 7, 64)
    if name == "depthwise":
        return nn.Conv2d(32, 32, 3, padding=1, groups=32), torch.zeros(1, 32, 10, 10)
    if name == "transposed":
        return nn.ConvTranspose2d(8, 4, 2, stride=2), torch.zeros(1, 8, 5, 5)
    return nn.Conv2d(3, 16, 3, stride=2, padding=1), torch.zeros(1, 3, 224, 224)


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("convolution", 16 * 112 * 112 * 27),
        ("depthwise", 32 * 100 * 9),
        ("transposed", 25 * 8 * 4 * 4),
        ("matrix product", 7 * 64 * 10),
    ],
)
def test_multiply_adds_by_hand(name: str, by_hand: int) -> None:
    from fetaledge_export.multiply_adds import multiply_adds

    assert multiply_adds(*network_and_frame(name)) == by_hand
