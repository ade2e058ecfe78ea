"""Which parameters each strategy trains, against the counts that the paper publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fetaledge_runtimes.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

UNET = 6_628_945
ENCODER = 2_223_872
# Exact where the paper or its code state a number; the paper's millions beside them.
COUNTS = {
    "decoder-random-encoder": (4_405_073, 4.4),
    "encoder-random": (ENCODER, 2.22),
    "encoder": (ENCODER, 2.22),
    "decoder-1": (3_761_152, 3.76),
    "decoder-1-2": (None, 4.24),
    "decoder-1-3": (None, 4.36),
    "decoder-3-5": (None, 0.164),
    "decoder-5": (6_976, 0.00698),
    "decoder": (4_405_073, 4.4),
    "all": (UNET, 6.63),
}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    from fetaledge.models.unet import Architecture

    return Architecture().build()


@pytest.mark.parametrize("name", COUNTS)
def test_trained_counts(network: nn.Module, name: str) -> None:
    from fetaledge.models.strategies import apply_strategy, strategy_named

    exact, millions = COUNTS[name]
    trained = apply_strategy(network, strategy_named(name))
    assert trained == sum(p.numel() for p in network.parameters() if p.requires_grad)
    if exact is not None:
        assert trained == exact
    assert trained / 1e6 == pytest.approx(millions, rel=0.01)


def test_whole_network(network: nn.Module) -> None:
    assert sum(p.numel() for p in network.parameters()) == UNET
    assert sum(p.numel() for p in network.get_submodule("encoder").parameters()) == ENCODER


def test_baseline_is_the_plain_unet() -> None:
    from fetaledge.models.strategies import apply_strategy, strategy_named
    from fetaledge.models.unet import Architecture

    network = Architecture(name="plain-unet", encoder="", decoder_channels=()).build()
    assert apply_strategy(network, strategy_named("baseline")) == 31_037_633


def test_nine_strategies_by_letter() -> None:
    from fetaledge.models.strategies import STRATEGIES

    letters = {strategy.letter: strategy.name for strategy in STRATEGIES.values() if len(strategy.letter) == 1}
    assert {letter for letter in letters if letter.isascii()} == set("abcdefghi")
    assert [name for name, strategy in STRATEGIES.items() if strategy.random_encoder] == [
        "baseline",
        "decoder-random-encoder",
        "encoder-random",
    ]


def test_single_blocks_leave_the_head_frozen(network: nn.Module) -> None:
    from fetaledge.models.strategies import apply_strategy, strategy_named

    apply_strategy(network, strategy_named("decoder-5"))
    trained = {
        name.split(".")[0] + "." + name.split(".")[2] for name, p in network.named_parameters() if p.requires_grad
    }
    assert trained == {"decoder.4"}


@pytest.mark.parametrize(
    ("strategy", "frozen"), [("decoder", True), ("decoder-5", True), ("encoder", False), ("all", False)]
)
def test_freeze_batchnorm_is_for_a_frozen_encoder(network: nn.Module, strategy: str, frozen: bool) -> None:
    from torch import nn

    from fetaledge.models.strategies import apply_strategy, freeze_batchnorm, strategy_named

    apply_strategy(network, strategy_named(strategy))
    network.train()
    freeze_batchnorm(network)
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.training == (not (frozen and name.startswith("encoder."))), name


def test_unknown_strategy_names_the_known() -> None:
    from fetaledge.models.strategies import strategy_named

    with pytest.raises(UsageError, match="decoder-1-2"):
        strategy_named("decoder-9")


def test_strategy_that_the_network_lacks() -> None:
    from fetaledge.models.strategies import apply_strategy, strategy_named
    from fetaledge.models.unet import Architecture

    with pytest.raises(UsageError, match="lacks"):
        apply_strategy(
            Architecture(name="plain-unet", encoder="", decoder_channels=()).build(), strategy_named("decoder")
        )
