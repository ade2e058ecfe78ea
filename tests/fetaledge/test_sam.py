"""SAM under both sets of names: against the published package, against transformers, and resized."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec.structs import replace

from fetaledge.models.sam.names import published_name
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.records import from_json, to_json

if TYPE_CHECKING:
    import torch

    from fetaledge.models.sam.checkpoint import SamBase


@pytest.fixture(autouse=True, scope="module")
def torchvision() -> None:
    """Importable, for what peft and transformers import."""
    import fetaledge.training  # noqa: F401


@cache
def tiny_shape() -> Any:
    from fetaledge.models.sam.network import SHAPES

    return SHAPES["tiny"]


Published = Callable[..., Any]
NOT_FINITE = (256, 64, 1, 1)


@cache
def tiny() -> SamBase:
    from fetaledge.models.sam.checkpoint import SamBase

    return SamBase.read("random:tiny", seed=4)


def picture(size: int, count: int = 1) -> torch.Tensor:
    import torch

    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(11))


def published_outputs(sam: Any, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(image embedding, logits of the three mask outputs) of the published network for one image without prompts."""

    import torch

    with torch.no_grad():
        embedding = sam.image_encoder(image)
        sparse, dense = sam.prompt_encoder(points=None, boxes=None, masks=None)
        logits, _ = sam.mask_decoder(embedding, sam.prompt_encoder.get_dense_pe(), sparse, dense, True)
    return embedding, logits


def shuffle(network: torch.nn.Module, seed: int) -> None:
    """Random numbers in every tensor, also in those that a fresh network starts at zero or one."""

    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.add_(0.05 * torch.randn(tensor.shape, generator=generator))


@pytest.mark.parametrize("name", ["tiny", "small", pytest.param("vit_b", marks=pytest.mark.integration)])
def test_published_network_gives_the_same(name: str, published_sam: Published, tmp_path: Path) -> None:
    import torch

    from fetaledge.models.sam.checkpoint import SamBase
    from fetaledge.models.sam.network import SHAPES

    theirs = published_sam(SHAPES[name])
    shuffle(theirs, 1)
    torch.save(theirs.state_dict(), tmp_path / "sam.pth")
    base = SamBase.read(tmp_path / "sam.pth")
    assert base.shape == SHAPES[name]
    image = picture(base.shape.size)
    embedding, logits = published_outputs(theirs, image)
    ours = base.network(classes=3)
    assert not ours.training
    with torch.no_grad():
        torch.testing.assert_close(ours.encode(image), embedding, atol=1e-4, rtol=0)
        found = ours(image)
    torch.testing.assert_close(found, logits, atol=1e-4, rtol=0)
    assert found.shape == (1, 3, base.shape.size // 4, base.shape.size // 4)
    assert logits.std() > 1e-2  # or the comparison says nothing


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_names_and_shapes_are_the_published_ones(name: str, published_sam: Published) -> None:
    import torch
    from segment_anything import sam_model_registry

    from fetaledge.models.sam.network import SHAPES, PromptlessSam

    with torch.device("meta"):
        theirs = sam_model_registry[name]().state_dict()
        ours = PromptlessSam(SHAPES[name]).state_dict()
    assert {published_name(key): tensor.shape for key, tensor in ours.items()} == {
        key: tensor.shape for key, tensor in theirs.items()
    }


def norms(network: torch.nn.Module) -> dict[str, float]:
    """The eps of each layer norm, by its weight's published name."""

    import torch

    named = network.named_modules()
    return {published_name(f"{name}.weight"): norm.eps for name, norm in named if isinstance(norm, torch.nn.LayerNorm)}


def test_parameters_as_published(published_sam: Published) -> None:
    theirs = published_sam(tiny_shape())
    ours = tiny().network(classes=3)
    assert {published_name(name) for name, _ in ours.named_parameters()} == {
        name for name, _ in theirs.named_parameters()
    }
    expected = norms(theirs)
    assert expected and expected.items() <= norms(ours).items()


@pytest.mark.integration
def test_folder_of_transformers(tmp_path: Path) -> None:
    import torch
    from transformers import SamConfig, SamModel

    from fetaledge.models.sam.checkpoint import SamBase
    from fetaledge.models.sam.network import SamShape

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_dim": 64}
        more = {"global_attn_indexes": [1], "initializer_range": 0.05}
        theirs = SamModel(SamConfig(vision_config={**shape, **more}, mask_decoder_config={"layer_norm_eps": 1e-5}))
    shuffle(theirs, 3)
    theirs.eval().save_pretrained(tmp_path / "hf")
    base = SamBase.read(tmp_path / "hf")
    assert base.shape == SamShape(32, 2, 2, 64, (1,))
    image = picture(1024)
    with torch.no_grad():
        expected = theirs(pixel_values=image, multimask_output=True)
        ours = base.network(classes=3)
        embedding = ours.encode(image)
        torch.testing.assert_close(embedding, theirs.get_image_embeddings(image), atol=1e-5, rtol=0)
        torch.testing.assert_close(ours.decode(embedding), expected.pred_masks[:, 0], atol=1e-4, rtol=0)


@pytest.mark.integration
def test_folder_and_files_of_the_same_weights_are_the_same_base(tmp_path: Path) -> None:
    import torch
    from transformers import SamModel

    from fetaledge.models.sam.checkpoint import SamBase, write_published
    from fetaledge.models.sam.network import transformers_sam

    base = tiny()
    for ending in (".pth", ".safetensors"):
        write_published(tmp_path / f"sam{ending}", base.network(classes=3))
    whole: SamModel = transformers_sam(tiny_shape())
    names = {name: published_name(name) for name in whole.state_dict()}
    same = "shared_image_embedding.positional_embedding"
    names[same] = published_name("prompt_encoder.shared_embedding.positional_embedding")
    whole.load_state_dict({name: base.tensors[published] for name, published in names.items()})
    whole.save_pretrained(tmp_path / "hf")
    torch.save(dict(base.tensors), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("sam.pth", "sam.safetensors", "hf", "old.pth"):
        opened = SamBase.read(tmp_path / name)
        assert opened.sha256() == base.sha256(), name
        assert opened.shape == tiny_shape()
    assert SamBase.read("random:tiny", seed=5).sha256() != base.sha256()


def test_images_of_a_batch_do_not_meet() -> None:
    import torch

    network = tiny().network(classes=3)
    images = picture(64, 3)
    with torch.no_grad():
        together = network(images)
        torch.testing.assert_close(torch.cat([network(image[None]) for image in images]), together, atol=1e-5, rtol=0)
        torch.testing.assert_close(tiny().network(classes=2)(images), together[:, :2])
    assert (together[0] - together[1]).abs().max() > 1e-4


def test_random_base_leaves_the_generator_alone() -> None:
    import torch

    from fetaledge.models.sam.checkpoint import SamBase

    torch.manual_seed(3)
    before = torch.get_rng_state()
    SamBase.read("random:tiny", seed=1).network(3)
    assert torch.equal(torch.get_rng_state(), before)


def linear(line: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """``line`` (n, d) at ``count`` places, pixel centres on pixel centres, without PyTorch."""
    places = np.clip((np.arange(count) + 0.5) * len(line) / count - 0.5, 0, len(line) - 1)
    return np.stack([np.interp(places, np.arange(len(line)), column) for column in line.T], axis=1)


def plane(table: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """``table`` (n, n, d) at ``count``² places, as :func:`linear`."""

    from scipy.ndimage import map_coordinates

    places = np.clip((np.arange(count) + 0.5) * len(table) / count - 0.5, 0, len(table) - 1)
    grid = np.meshgrid(places, places, indexing="ij")
    return np.stack([map_coordinates(table[..., d], grid, order=1) for d in range(table.shape[-1])], axis=-1)


@pytest.mark.parametrize("size", [512, 256])
def test_resized_positions(size: int) -> None:
    import torch

    from fetaledge.models.sam.checkpoint import resize_positions
    from fetaledge.models.sam.network import SamShape

    shape = SamShape(16, 3, 2, 32, (1,), window=14, size=1024)
    draw = np.random.default_rng(0)
    tensors = {"image_encoder.pos_embed": draw.normal(size=(1, 64, 64, 16))}
    for block in range(3):
        for axis in "hw":
            length = 127 if block == 1 else 27
            tensors[f"image_encoder.blocks.{block}.attn.rel_pos_{axis}"] = draw.normal(size=(length, 8))
    given = {name: torch.from_numpy(array).float() for name, array in tensors.items()}
    found = resize_positions(given, shape, shape.resized(size))
    grid = size // 16
    np.testing.assert_allclose(
        found["image_encoder.pos_embed"][0], plane(tensors["image_encoder.pos_embed"][0], grid), atol=1e-4
    )
    for axis in "hw":
        name = f"image_encoder.blocks.1.attn.rel_pos_{axis}"
        np.testing.assert_allclose(found[name], linear(tensors[name], 2 * grid - 1), atol=1e-4)
        for windowed in (0, 2):
            name = f"image_encoder.blocks.{windowed}.attn.rel_pos_{axis}"
            assert torch.equal(found[name], given[name])
    assert given["image_encoder.pos_embed"].shape[1] == 64


@pytest.mark.parametrize("size", [96, *(pytest.param(size, marks=pytest.mark.integration) for size in (32, 128))])
def test_resized_network_is_the_published_one_of_that_size(size: int, published_sam: Published) -> None:
    import torch

    from fetaledge.models.sam.checkpoint import resize_positions

    base = tiny()
    network = base.network(classes=3, size=size)
    theirs = published_sam(tiny_shape().resized(size))
    theirs.load_state_dict(resize_positions(base.tensors, tiny_shape(), tiny_shape().resized(size)), strict=True)
    embedding, logits = published_outputs(theirs, picture(size))
    with torch.no_grad():
        torch.testing.assert_close(network.encode(picture(size)), embedding, atol=1e-4, rtol=0)
        torch.testing.assert_close(network(picture(size)), logits, atol=1e-4, rtol=0)
    assert network.shape == replace(tiny_shape(), size=size)


@pytest.mark.parametrize("size", [0, 16, 100, -64])
def test_a_size_that_no_patch_divides(size: int) -> None:
    with pytest.raises(UsageError, match=f"--size {size} is not a multiple"):
        tiny().network(3, size)


def test_shapes_as_json() -> None:
    from fetaledge.models.sam.network import SHAPES, SamShape

    for shape in SHAPES.values():
        assert from_json(to_json(shape), SamShape, "run.json") == shape


def test_number_of_classes() -> None:
    from fetaledge.models.sam.checkpoint import SamBase
    from fetaledge.models.sam.network import PromptlessSam

    with pytest.raises(ValueError, match="4 classes"):
        PromptlessSam(tiny_shape(), 4)
    with pytest.raises(UsageError, match="random:huge"):
        SamBase.read("random:huge")


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("mask_decoder.iou_token.weight", None, "lacks mask_decoder.iou_token.weight"),
        ("image_encoder.blocks.1.attn.rel_pos_w", None, "lacks image_encoder.blocks.1.attn.rel_pos_w"),
        ("image_encoder.pos_embed", None, "not a SAM checkpoint: it lacks image_encoder.pos_embed"),
        ("image_encoder.pos_embed", (1, 4, 5, 64), "4×5 patches, which cannot be resized to a square"),
        ("image_encoder.pos_embed", (4, 64), r"pos_embed of shape \(4, 64\)"),
        ("image_encoder.blocks.0.attn.rel_pos_h", (3, 100), "heads of 100"),
        ("image_encoder.blocks.0.attn.rel_pos_h", (3, 0), "heads of 0"),
        ("mask_decoder.mask_tokens.weight", (9, 256), r"mask_tokens.weight of \(9, 256\)"),
        ("image_encoder.neck.0.weight", NOT_FINITE, "not finite in image_encoder.neck.0"),
    ],
)
@pytest.mark.parametrize("ending", [".pth", pytest.param(".safetensors", marks=pytest.mark.integration)])
def test_what_is_no_whole_sam(name: str, shape: tuple[int, ...] | None, said: str, ending: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from fetaledge.models.sam.checkpoint import SamBase

    tensors = {key: value for key, value in tiny().tensors.items() if key != name}
    if shape is not None:
        tensors[name] = torch.full(shape, torch.nan if shape == NOT_FINITE else 0.0)
    path = tmp_path / f"base{ending}"
    torch.save(tensors, path) if ending == ".pth" else save_file(tensors, path)
    with pytest.raises(InputError, match=said):
        SamBase.read(path)


class Harmful:
    """What a pickle can do to whoever opens it."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.witness),)


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    import torch

    from fetaledge.models.sam.checkpoint import SamBase

    path, witness = tmp_path / "sam.pth", tmp_path / "opened"
    torch.save({"image_encoder.pos_embed": Harmful(witness)}, path)
    with pytest.raises(InputError, match="not a whole PyTorch checkpoint .* .it calls posix.mkdir"):
        SamBase.read(path)
    path.write_bytes(pickle.dumps(Harmful(witness)))
    for name in ("sam.pth", "sam.safetensors"):
        path.rename(tmp_path / name)
        path = tmp_path / name
        with pytest.raises(InputError, match="pickle|without running code"):
            SamBase.read(path)
    assert not witness.exists()


def test_damaged_bytes_are_one_sentence(tmp_path: Path) -> None:
    import torch

    from fetaledge.models.checkpoint import read_checkpoint

    path, draw = tmp_path / "sam.pth", np.random.default_rng(0)
    for zipped in (True, False):
        torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=zipped)
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(100):
            changed = whole.copy()
            changed[draw.integers(0, len(whole), 9)] = draw.integers(0, 256, 9)
            path.write_bytes(changed.tobytes())
            with contextlib.suppress(InputError):  # a traceback of any other error fails
                read_checkpoint(path)


def test_other_files(tmp_path: Path) -> None:
    import torch

    from fetaledge.models.sam.checkpoint import SamBase

    (tmp_path / "text.pth").write_text("not a checkpoint")
    (tmp_path / "empty.pth").touch()
    (tmp_path / "empty.safetensors").touch()
    torch.save({"model": {"weight": torch.zeros(1)}}, tmp_path / "nested.pth")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    torch.save({"epoch": 7, "optimizer": {"state": {0: {"step": torch.zeros(1)}}}}, tmp_path / "epoch.pth")
    torch.save(dict(tiny().tensors), tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:-5000])
    (tmp_path / "folder").mkdir()
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text('{"model_type": "sam"}')
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    for name, said in {
        "text.pth": "not a whole PyTorch checkpoint",
        "empty.pth": "not a whole PyTorch checkpoint",
        "empty.safetensors": "not a whole safetensors file",
        "nested.pth": "not a SAM checkpoint: it lacks image_encoder.pos_embed",
        "epoch.pth": "holds no named tensors",
        "other.pth": "not a SAM checkpoint: it lacks image_encoder.pos_embed",
        "cut.pth": "not a whole PyTorch checkpoint",
        "folder": "holds no config.json",
        "hf": "cannot be read as a SamModel",
        "adapter": "is a LoRA adapter, not a SAM",
        "nowhere.pth": "does not exist",
    }.items():
        with pytest.raises(InputError, match=said) as caught:
            SamBase.read(tmp_path / name)
        assert "\n" not in str(caught.value), name


@pytest.mark.integration
def test_folder_that_lacks_a_tensor(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from fetaledge.models.checkpoint import read_checkpoint
    from fetaledge.models.sam.checkpoint import SamBase
    from fetaledge.models.sam.network import transformers_sam

    transformers_sam(tiny_shape()).save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = read_checkpoint(path)
    whole = dict(tensors)
    del tensors["mask_decoder.iou_token.weight"]
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(InputError, match="lacks mask_decoder.iou_token.weight"):
        SamBase.read(tmp_path)
    whole["vision_encoder.pos_embed"][0, 0, 0, 0] = torch.inf
    save_file(whole, path, {"format": "pt"})
    with pytest.raises(InputError, match="not finite in image_encoder.pos_embed"):
        SamBase.read(tmp_path)


@pytest.mark.integration
def test_written_and_read_again(tmp_path: Path) -> None:
    import torch

    from fetaledge.models.sam.checkpoint import SamBase, load_published, published_tensors, write_published

    network = tiny().network(classes=3)
    for ending in (".pt", ".safetensors"):
        path = tmp_path / f"sam{ending}"
        write_published(path, network)
        again = SamBase.read(path).network(classes=3)
        assert all(
            torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True)
        )
    with pytest.raises(UsageError, match="ends in neither"):
        write_published(tmp_path / "sam.onnx", network)
    load_published(again, {**published_tensors(network)})
    with torch.no_grad():
        again.vision_encoder.pos_embed[0, 0, 0, 0] = torch.nan
    with pytest.raises(InputError, match="not finite"):
        write_published(tmp_path / "nan.pth", again)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sam.pt", "sam.safetensors"]


def test_windows_as_large_as_the_image_keep_their_global_blocks(tmp_path: Path) -> None:
    from fetaledge.models.sam.checkpoint import SamBase, write_published
    from fetaledge.models.sam.network import SHAPES

    small = SHAPES["small"]
    path = tmp_path / "small-128.safetensors"
    write_published(path, SamBase.read("random:small", 0).network(3, 128))
    assert SamBase.read(path).shape == small.resized(128)
