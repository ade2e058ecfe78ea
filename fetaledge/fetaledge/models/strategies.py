"""The fine-tuning strategies of Wang et al. (Figure 2 of arXiv 2407.20086): which part of a U-Net is trained.

D0 is the deepest decoder block, D4 the last before the segmentation head. Where single blocks are trained, the
segmentation head stays frozen at its random start, as the published parameter counts show.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from fetaledge_runtimes.errors import UsageError


@dataclass(frozen=True)
class Strategy:
    """The trained parts by the start of their parameters' names, and whether the encoder starts at random."""

    name: str
    letter: str
    trains: tuple[str, ...]
    random_encoder: bool = False


def _blocks(*numbers: int) -> tuple[str, ...]:
    return tuple(f"decoder.blocks.{number}." for number in numbers)


_DECODER = ("decoder.", "segmentation_head.")

STRATEGIES = {
    strategy.name: strategy
    for strategy in (
        Strategy("baseline", "–", ("",), random_encoder=True),
        Strategy("decoder-random-encoder", "a", _DECODER, random_encoder=True),
        Strategy("encoder-random", "b", ("encoder.",), random_encoder=True),
        Strategy("encoder", "c", ("encoder.",)),
        Strategy("decoder-1", "d", _blocks(0)),
        Strategy("decoder-1-2", "e", _blocks(0, 1)),
        Strategy("decoder-1-3", "f", _blocks(0, 1, 2)),
        Strategy("decoder-3-5", "g", _blocks(2, 3, 4)),
        Strategy("decoder-5", "h", _blocks(4)),
        Strategy("decoder", "i", _DECODER),
        Strategy("all", "", ("",)),
    )
}


def strategy_named(name: str) -> Strategy:
    """Raises UsageError where there is no such strategy."""
    if name not in STRATEGIES:
        raise UsageError(f"there is no strategy {name!r}", f"choose one of {', '.join(STRATEGIES)}")
    return STRATEGIES[name]


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
    for name, module in network.named_modules():
        trained = any(parameter.requires_grad for parameter in module.parameters())
        if name.startswith("encoder.") and isinstance(module, nn.modules.batchnorm._BatchNorm) and not trained:
            module.eval()
