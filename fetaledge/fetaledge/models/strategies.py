"""The fine-tuning strategies of Wang et al. (Figure 2 of arXiv 2407.20086): which part of a U-Net is trained.

D0 is the deepest decoder block, D4 the last before the segmentation head. Where single blocks are trained, the
segmentation head stays frozen at its random start, as the published parameter counts show.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from fetaledge_runtimes.errors import UsageError

if TYPE_CHECKING:
    from torch import nn


class StrategyName(StrEnum):
    """The names of the strategies."""

    DECODER = "decoder"
    ENCODER = "encoder"
    DECODER_1 = "decoder-1"
    DECODER_1_2 = "decoder-1-2"
    DECODER_1_3 = "decoder-1-3"
    DECODER_3_5 = "decoder-3-5"
    DECODER_5 = "decoder-5"
    DECODER_RANDOM_ENCODER = "decoder-random-encoder"
    ENCODER_RANDOM = "encoder-random"
    BASELINE = "baseline"
    ALL = "all"


@dataclass(frozen=True)
class Strategy:
    """One strategy.

    Attributes:
        name: as the command takes it.
        letter: in the paper's figure.
        trains: how the names of the trained parameters start.
        random_encoder: whether the encoder starts from random weights.
    """

    name: StrategyName
    letter: str
    trains: tuple[str, ...]
    random_encoder: bool = False


def _blocks(*numbers: int) -> tuple[str, ...]:
    return tuple(f"decoder.blocks.{number}." for number in numbers)


_DECODER = ("decoder.", "segmentation_head.")

STRATEGIES = {
    strategy.name: strategy
    for strategy in (
        Strategy(StrategyName.BASELINE, "–", ("",), random_encoder=True),
        Strategy(StrategyName.DECODER_RANDOM_ENCODER, "a", _DECODER, random_encoder=True),
        Strategy(StrategyName.ENCODER_RANDOM, "b", ("encoder.",), random_encoder=True),
        Strategy(StrategyName.ENCODER, "c", ("encoder.",)),
        Strategy(StrategyName.DECODER_1, "d", _blocks(0)),
        Strategy(StrategyName.DECODER_1_2, "e", _blocks(0, 1)),
        Strategy(StrategyName.DECODER_1_3, "f", _blocks(0, 1, 2)),
        Strategy(StrategyName.DECODER_3_5, "g", _blocks(2, 3, 4)),
        Strategy(StrategyName.DECODER_5, "h", _blocks(4)),
        Strategy(StrategyName.DECODER, "i", _DECODER),
        Strategy(StrategyName.ALL, "", ("",)),
    )
}


def strategy_named(name: str) -> Strategy:
    """The strategy of a name. Raises UsageError where there is no such strategy."""
    if name not in tuple(StrategyName):
        raise UsageError(f"there is no strategy {name!r}", f"choose one of {', '.join(STRATEGIES)}")
    return STRATEGIES[StrategyName(name)]


def apply_strategy(network: nn.Module, strategy: Strategy) -> int:
    """Set ``requires_grad`` of every parameter; return how many numbers are trained.

    Raises:
        UsageError: the network has no part of that name (a decoder of fewer blocks).
    """
    for part in strategy.trains:
        if not any(name.startswith(part) for name, _ in network.named_parameters()):
            raise UsageError(
                f"strategy {strategy.name!r} trains {part}*, which this network lacks", "choose another strategy"
            )
    trained = 0
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(strategy.trains))
        trained += parameter.numel() if parameter.requires_grad else 0
    return trained


def freeze_batchnorm(network: nn.Module) -> None:
    """Put the encoder's batch norms in evaluation mode where nothing of them is trained: their statistics stay."""
    from torch.nn.modules.batchnorm import _BatchNorm

    for name, module in network.named_modules():
        trained = any(parameter.requires_grad for parameter in module.parameters())
        if name.startswith("encoder.") and isinstance(module, _BatchNorm) and not trained:
            module.eval()
