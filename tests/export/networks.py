"""Small networks that tests export: a U-Net, one of attention in two parts, and two that TFLite finds hard."""

from __future__ import annotations

import torch
from torch import nn


class ConvBlock(nn.Sequential):
    def __init__(self, taken: int, given: int, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(taken, given, 3, stride, 1, bias=False), nn.BatchNorm2d(given), nn.ReLU())


class TinyUnet(nn.Module):
    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.stem, self.down, self.deep = ConvBlock(channels, 8, 2), ConvBlock(8, 16, 2), ConvBlock(16, 32, 2)
        self.up1, self.up2, self.up3 = ConvBlock(48, 16), ConvBlock(24, 16), ConvBlock(16, 8)
        self.head = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def twice(t: torch.Tensor) -> torch.Tensor:
            return nn.functional.interpolate(t, scale_factor=2.0, mode="nearest")

        s1 = self.stem(x)
        s2 = self.down(s1)
        y = self.up1(torch.cat([twice(self.deep(s2)), s2], 1))
        y = self.up2(torch.cat([twice(y), s1], 1))
        result: torch.Tensor = self.head(self.up3(twice(y)))
        return result


class AttentionBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        weights = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, dim=-1)
        x = x + self.out(weights @ v)
        result: torch.Tensor = x + self.mlp(self.norm2(x))
        return result


class TinyTransformer(nn.Module):
    """Divided as a SAM is: :meth:`encode` gives an embedding (N, 48, 8, 12), :meth:`decode` logits (N, 3, 32, 48)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 48, 8, 8)
        self.positions = nn.Parameter(torch.randn(1, 96, 48) * 0.02)
        self.blocks = nn.Sequential(AttentionBlock(48), AttentionBlock(48))
        self.mix = nn.Linear(48, 48)
        self.up = nn.Sequential(nn.ConvTranspose2d(48, 16, 4, 4), nn.ReLU(), nn.Conv2d(16, 3, 3, padding=1))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.blocks(self.patches(x).flatten(2).transpose(1, 2) + self.positions)
        embedding: torch.Tensor = tokens.transpose(1, 2).reshape(len(x), 48, 8, 12)
        return embedding

    def decode(self, embedding: torch.Tensor) -> torch.Tensor:
        mixed = self.mix(embedding.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        logits: torch.Tensor = self.up(mixed)
        return logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))


class Sideways(nn.Module):
    """Swaps rows and columns, which channel-last TFLite cannot do without a TRANSPOSE."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(x.permute(0, 1, 3, 2)).permute(0, 1, 3, 2)
        return logits


class DeadChannels(nn.Module):
    """Half of the first convolution's channels are constants, as in ImageNet's MobileNetV2."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)
        with torch.no_grad():
            self.first.weight[4:] *= 1e-13
            self.first.bias[4:] = 0.7
            self.second.weight[:, 4:] = self.second.weight[:, 4:].abs()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.second(torch.relu(self.first(x)))
        return result


class Transposed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.first(x).transpose(2, 3)[:, :1]
