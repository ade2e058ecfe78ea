from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from fetaledge_runtimes.errors import InputError

if TYPE_CHECKING:
    from torch import nn


def test_fold_grey_is_the_network_on_three_equal_channels(network: nn.Module) -> None:
    import torch

    from fetaledge_export.device_model import fold_grey

    frame = torch.rand(2, 1, 64, 96) * 2 - 1
    with torch.no_grad():
        expected, given = network(frame.expand(-1, 3, -1, -1)), fold_grey(network)(frame)
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-4)


def test_fold_grey_leaves_the_network_alone(network: nn.Module) -> None:
    import torch

    from fetaledge_export.device_model import fold_grey, input_channels

    before = copy.deepcopy(network.state_dict())
    folded = fold_grey(network)
    assert input_channels(folded) == 1 and input_channels(network) == 3
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_device_model_scales_the_frame_and_keeps_one_channel() -> None:
    import torch
    from torch import nn

    from fetaledge_export.device_model import DeviceModel

    convolution = nn.Conv2d(1, 1, 1)
    nn.init.constant_(convolution.weight, 2.0)
    nn.init.constant_(convolution.bias, 0.25)
    model = DeviceModel(nn.Sequential(convolution), scale=0.5, offset=-3.0)
    frame = torch.tensor([[[[0, 10], [100, 255]]]], dtype=torch.uint8)
    assert model(frame).tolist() == [[[[-5.75, 4.25], [94.25, 249.25]]]]
    assert model(frame).dtype == torch.float32
    assert not model.training


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_refuses_weights_that_are_not_finite(network: nn.Module, value: float) -> None:
    from fetaledge_export.device_model import DeviceModel

    broken = copy.deepcopy(network)
    broken.get_parameter("head.weight").data[0, 0, 0, 0] = value
    with pytest.raises(InputError, match=r"head\.weight holds NaN"):
        DeviceModel(broken, 1.0, 0.0)


def test_refuses_other_channel_counts() -> None:
    from torch import nn

    from fetaledge_export.device_model import DeviceModel

    with pytest.raises(InputError, match="takes 2 channels"):
        DeviceModel(nn.Sequential(nn.Conv2d(2, 1, 3)), 1.0, 0.0)


def test_refuses_a_network_without_convolution() -> None:
    from torch import nn

    from fetaledge_export.device_model import DeviceModel

    with pytest.raises(InputError, match="has no convolution"):
        DeviceModel(nn.Linear(3, 3), 1.0, 0.0)
