"""Checkpoints as training scripts write them: the network's tensors are found, and no code of the file's runs."""

from __future__ import annotations

import argparse
import collections
import os
import pathlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fetaledge_runtimes.errors import InputError

if TYPE_CHECKING:
    import torch


def weights() -> dict[str, torch.Tensor]:
    import torch

    return {"encoder.conv.weight": torch.arange(4.0), "head.bias": torch.zeros(2)}


def beside() -> dict[str, Any]:
    """What stands beside the weights in a training script's checkpoint."""
    import torch

    return {
        "epoch": 7,
        "best_loss": torch.tensor(0.3),
        "optimizer": {"state": {0: {"step": torch.zeros(1), "exp_avg": torch.ones(4)}}, "param_groups": [{"lr": 1e-4}]},
        "args": argparse.Namespace(lr=1e-4, out=pathlib.PurePosixPath("/home/someone")),
        "history": collections.defaultdict(list),
    }


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model": state},
        lambda state: {"model": state, **beside()},
        lambda state: {"state_dict": state, **beside()},
        lambda state: {"model_state": state, **beside()},
        lambda state: {"model_state_dict": state, **beside()},
        lambda state: {"net": state, "ema": {name: 2 * tensor for name, tensor in state.items()}, **beside()},
        lambda state: {"checkpoint": {"model": state}, **beside()},
        lambda state: {"my_unet": state, **beside()},
        lambda state: {**state, "epoch": 7},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_found(wrap: Any, zipped: bool, tmp_path: Path) -> None:
    import torch

    from fetaledge.models.checkpoint import read_checkpoint

    held = wrap(weights())
    if not zipped:  # of such old files only PyTorch's own classes are read
        for key in ("args", "history"):
            held.pop(key, None)
    torch.save(held, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(tmp_path / "a.pth")
    assert list(found) == list(weights())
    assert all(torch.equal(found[name], tensor) for name, tensor in weights().items())


def test_a_network_that_was_saved_whole(tmp_path: Path) -> None:
    import torch

    from fetaledge.models.checkpoint import read_checkpoint
    from fetaledge.models.plain_unet import DoubleConvolution

    network = DoubleConvolution(3, 4)
    network.register_buffer("passing", torch.zeros(1), persistent=False)
    for held in (network, {"model": network, **beside()}):
        torch.save(held, tmp_path / "whole.pth")
        found = read_checkpoint(tmp_path / "whole.pth")
        expected = network.state_dict()
        assert set(found) == set(expected) and all(torch.equal(found[name], expected[name]) for name in expected)


class Harmful:
    """What a pickle can do to whoever opens it."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.arguments


def test_no_code_runs(tmp_path: Path) -> None:
    import torch

    from fetaledge.models.checkpoint import read_checkpoint

    witness = tmp_path / "witness"
    path = tmp_path / "harmful.pth"
    for call, arguments in (
        (eval, (f"open({str(witness)!r}, 'w')",)),
        (open, (str(witness), "w")),
    ):
        torch.save({"model": weights(), "extra": Harmful(call, *arguments)}, path)
        assert list(read_checkpoint(path)) == list(weights())
    torch.save({"model": weights(), "extra": Harmful(pathlib.Path.touch, witness)}, path)
    with pytest.raises(InputError, match="without running code"):
        read_checkpoint(path)
    torch.save({"model": weights(), "extra": Harmful(os.mkdir, str(witness))}, path)
    with pytest.raises(InputError, match="without running code .it calls posix.mkdir") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert not witness.exists()


def test_what_is_refused(tmp_path: Path) -> None:
    import torch

    from fetaledge.models.checkpoint import read_checkpoint

    path = tmp_path / "a.pth"
    for held, said in (
        ({"generator": weights(), "discriminator": weights()}, "several sets of tensors: generator, discriminator"),
        ({"epoch": 3}, "holds no named tensors"),
        ([weights()], "holds no named tensors"),
        ({"model": {"a": torch.tensor(torch.nan)}}, "not finite in a"),
    ):
        torch.save(held, path)
        with pytest.raises(InputError, match=said):
            read_checkpoint(path)
    with pytest.raises(InputError, match="does not exist"):
        read_checkpoint(tmp_path / "nowhere.pth")
    with pytest.raises(InputError, match="is a folder"):
        read_checkpoint(tmp_path)
    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    with pytest.raises(InputError, match="without running code .it is a TorchScript program"):
        read_checkpoint(path)


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "net.", "module.model.", "_orig_mod.", "sam."])
def test_prefixes(prefix: str) -> None:
    from fetaledge.models.checkpoint import without_prefix

    given = {**{prefix + name: tensor for name, tensor in weights().items()}}
    if prefix:
        given["loss.weight"] = weights()["head.bias"]
    found, others = without_prefix(given, "encoder.conv.weight", Path("a.pth"))
    assert list(found) == list(weights()) and others == (("loss.weight",) if prefix else ())


def test_two_networks_in_a_file() -> None:
    from fetaledge.models.checkpoint import without_prefix

    both = {f"{side}.{name}": tensor for side in ("teacher", "student") for name, tensor in weights().items()}
    with pytest.raises(InputError, match=r"several networks: student\.\*, teacher\.\*"):
        without_prefix(both, "encoder.conv.weight", Path("a.pth"))


def test_a_network_beside_other_tensors_is_the_network(tmp_path: Path) -> None:
    import torch

    from fetaledge.models.checkpoint import read_checkpoint

    weight, other = torch.ones(4, 3), torch.zeros(4, 3)
    for beside in ({"ema": {"a": other}}, {"loss_history": {"x": torch.zeros(5)}}):
        torch.save({"a": weight, "epoch": 1, **beside}, tmp_path / "file.pth")
        assert list(read_checkpoint(tmp_path / "file.pth").values())[0].equal(weight)


@pytest.mark.parametrize("kind", ["sparse", "complex"])
def test_tensors_of_another_kind_are_refused(kind: str, tmp_path: Path) -> None:
    import torch

    from fetaledge.models.checkpoint import read_checkpoint

    tensor = torch.eye(3).to_sparse() if kind == "sparse" else torch.eye(3, dtype=torch.complex64)
    torch.save({"a": tensor}, tmp_path / "file.pth")
    with pytest.raises(InputError, match="sparse, quantised or complex"):
        read_checkpoint(tmp_path / "file.pth")
