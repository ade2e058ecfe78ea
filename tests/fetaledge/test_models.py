"""Architectures and checkpoints, whole and broken."""

from __future__ import annotations

import json
import pickle
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.records import from_json, to_json
from fetaledge_runtimes.tasks.head import HEAD
from fetaledge_runtimes.tasks.ps_fh import PS_FH

if TYPE_CHECKING:
    import torch

    from fetaledge.models.unet import Architecture


@cache
def small() -> Architecture:
    from fetaledge.models.unet import Architecture

    return Architecture(decoder_channels=(16, 8, 8, 4, 4))


@pytest.mark.parametrize("encoder", ["resnet18", "efficientnet-b0", "tu-mobilenetv3_small_075"])
def test_other_encoders(encoder: str) -> None:
    import torch

    from fetaledge.models.unet import Architecture

    network = Architecture(encoder=encoder, decoder_channels=(16, 8, 8, 4, 4)).build().eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 1, 64, 64)


def test_shorter_decoder() -> None:
    import torch

    from fetaledge.models.unet import Architecture

    network = Architecture(decoder_channels=(32, 16, 8)).build().eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 1, 64, 64)


def test_unknown_encoder() -> None:
    from fetaledge.models.unet import Architecture

    with pytest.raises(UsageError, match="no encoder 'mobilenet_v9'"):
        Architecture(encoder="mobilenet_v9").build()


def test_architecture_survives_json() -> None:
    from fetaledge.models.unet import Architecture

    assert from_json(json.loads(json.dumps(to_json(small()))), Architecture, "run.json") == small()


def test_logits_of_each_task() -> None:
    from fetaledge.models.unet import logits_of

    assert [logits_of(task) for task in (HEAD, PS_FH)] == [1, 3]


def test_body_of_another_task() -> None:
    """Only what does not fit stays, and it is the segmentation head."""

    import torch

    from fetaledge.models.unet import HEADS, Architecture, load_body

    one, three = small().build(), replace(small(), classes=3).build()
    fresh = {name: tensor.clone() for name, tensor in three.state_dict().items()}
    kept = load_body(three, one)
    assert kept == ["segmentation_head.0.weight", "segmentation_head.0.bias"]
    for name, tensor in three.state_dict().items():
        assert torch.equal(tensor, fresh[name] if name in kept else one.state_dict()[name]), name
    assert load_body(small().build(), one) == []
    with torch.device("meta"):
        plain = Architecture("plain-unet", classes=3).build().state_dict()
    assert [name for name in plain if name.startswith(HEADS)] == ["head.weight", "head.bias"]


def test_imagenet_weights_without_a_network_are_an_input_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="could not be fetched"):
        small().build("imagenet")


def test_real_encoder_file(encoder_weights: Path) -> None:
    import torch
    from safetensors.torch import load_file

    network = small().build(str(encoder_weights))
    tensors = load_file(encoder_weights)
    state = network.get_submodule("encoder").state_dict()
    assert set(state) == set(tensors)
    assert all(torch.equal(state[name], tensor) for name, tensor in tensors.items())


def _write(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    from safetensors.torch import save_file

    save_file(tensors, path)
    return path


def _encoder_tensors() -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in small().build().get_submodule("encoder").state_dict().items()}


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("ran"),)


def test_pickles_are_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from fetaledge.models.tensors import read_tensors

    monkeypatch.chdir(tmp_path)
    for protocol in (2, 4, 5):
        path = tmp_path / f"weights{protocol}.safetensors"
        path.write_bytes(pickle.dumps(RunsCode(), protocol=protocol))
        with pytest.raises(InputError, match="pickle"):
            read_tensors(path)
    torch.save({"a": torch.zeros(1)}, tmp_path / "torch.pth")
    with pytest.raises(InputError, match="pickle"):
        read_tensors(tmp_path / "torch.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"hello, I am a text", b"\xff" * 64])
def test_what_is_not_a_checkpoint(tmp_path: Path, content: bytes) -> None:
    from fetaledge.models.tensors import read_tensors

    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a whole safetensors file"):
        read_tensors(path)


def test_truncated_checkpoint(tmp_path: Path) -> None:
    from fetaledge.models.tensors import read_tensors

    path = _write(tmp_path / "model.safetensors", _encoder_tensors())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        read_tensors(path)


def test_missing_checkpoint(tmp_path: Path) -> None:
    from fetaledge.models.tensors import read_tensors

    with pytest.raises(InputError, match="does not exist"):
        read_tensors(tmp_path / "no.safetensors")


def test_not_finite(tmp_path: Path) -> None:
    from fetaledge.models.tensors import read_tensors

    tensors = _encoder_tensors()
    name = next(iter(tensors))
    tensors[name][0] = float("nan")
    with pytest.raises(InputError, match=f"not finite in {name}"):
        read_tensors(_write(tmp_path / "model.safetensors", tensors))


def test_another_architecture(tmp_path: Path) -> None:
    import torch

    from fetaledge.models.tensors import check_fit
    from fetaledge.models.unet import Architecture, load_encoder

    network = small().build()
    other = Architecture(encoder="resnet18").build().get_submodule("encoder").state_dict()
    path = _write(tmp_path / "resnet.safetensors", {name: tensor.contiguous() for name, tensor in other.items()})
    with pytest.raises(InputError, match="lacks features.0.0.weight"):
        load_encoder(network, path)
    tensors = _encoder_tensors()
    tensors["features.0.0.weight"] = torch.zeros(8, 3, 3, 3)
    with pytest.raises(InputError, match=r"\(8, 3, 3, 3\) where this encoder has \(32, 3, 3, 3\)"):
        load_encoder(network, _write(tmp_path / "shape.safetensors", tensors))
    with pytest.raises(InputError, match="holds surplus"):
        check_fit({}, {"surplus": torch.zeros(1)}, tmp_path, "encoder")


@pytest.mark.parametrize("prefix", ["", "encoder.", "module.encoder.", "model.encoder."])
def test_an_encoder_whose_names_end_alike(prefix: str, tmp_path: Path) -> None:
    """``conv1.weight`` of a ResNet ends ``layer1.0.conv1.weight`` too."""
    import torch

    from fetaledge.models.unet import Architecture, load_encoder

    small_resnet = Architecture(encoder="resnet18", decoder_channels=(16, 8, 8, 4, 4))
    encoder = small_resnet.build().get_submodule("encoder").state_dict()
    given = {name: tensor.contiguous() for name, tensor in encoder.items()}
    path = _write(tmp_path / "encoder.safetensors", {prefix + name: tensor for name, tensor in given.items()})
    network = small_resnet.build()
    load_encoder(network, path)
    found = network.get_submodule("encoder").state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in given.items())
