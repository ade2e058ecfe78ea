"""Training a SAM in folds, what is stored of it, and opening it again; memory and the loss."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec.structs import replace

from fetaledge.data.layouts.open import open_dataset
from fetaledge.runs.sam_recipe import SamRecipe
from fetaledge_runtimes.errors import FetalEdgeError, InputError, OutputError, UsageError
from fetaledge_runtimes.frames.frame import Frame, LabelledFrame

if TYPE_CHECKING:
    import torch

    from fetaledge.models.sam.network import SamShape
    from fetaledge.runs.sam_run import SamRun
    from fetaledge.training.sam.frames import LabelMaps


@cache
def quick() -> SamRecipe:
    return SamRecipe(size=64, folds=2, epochs=2, batch=2, learning_rate=3e-3)


Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """As the run was trained that others are compared with, bit by bit."""

    import torch

    torch.set_num_threads(1)


def opened(folder: Path, fold: int | None = None, base: Path | None = None, force: bool = False) -> SamRun:
    from fetaledge.runs.open import open_run
    from fetaledge.runs.sam_run import SamRun

    run = open_run(folder, fold, base, force)
    assert isinstance(run, SamRun)
    return run


def picture(seed: int = 5) -> torch.Tensor:
    import torch

    return torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(seed)).expand(-1, 3, -1, -1)


def logits(network: Any, image: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.no_grad():
        found: torch.Tensor = network(image)
    return found


def stored(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor that a run holds."""

    from safetensors.torch import load_file

    return {
        f"{path.parent.name}/{name}": tensor
        for path in sorted(folder.glob("fold-*/*.safetensors"))
        for name, tensor in load_file(path).items()
    }


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# what a run holds


@pytest.mark.integration
def test_run_folder(sam_run: Path, sam_base: Path) -> None:
    from fetaledge.models.sam.checkpoint import SamBase
    from fetaledge.models.sam.network import SHAPES, random_sam

    document = json.loads((sam_run / "run.json").read_text())
    assert document["schema"] == "fetaledge/run/1" and document["task"] == "ps-fh"
    assert document["classes"] == ["background", "pubic-symphysis", "head"]
    assert document["architecture"]["name"] == "sam" and document["architecture"]["rank"] == 4
    assert document["architecture"]["base"]["sha256"] == SamBase.read(sam_base).sha256()
    assert document["architecture"]["base"]["name"] == "sam_tiny.pth"
    assert document["size"] == [64, 64] and document["data"]["synthetic"] is True
    encoder = 2 * 2 * 2 * 4 * 64
    others = sum(
        parameter.numel()
        for name, parameter in random_sam(SHAPES["tiny"], 3, 0).named_parameters()
        if not name.startswith("vision_encoder")
    )
    assert document["trained_parameters"] == encoder + others
    first, second = document["folds"]
    assert [fold["validation"] for fold in (first, second)] == [
        ["00001", "00002", "00003", "00004"],
        second["validation"],
    ]
    for fold in (first, second):
        assert not set(fold["train"]) & set(fold["validation"])
        assert {*fold["train"], *fold["validation"]} == {f"{number:05d}" for number in range(1, 9)}
        assert fold["epochs_run"] == 2
    assert document["validation"]["cases"] == 8
    files = ("adapter_config.json", "adapter_model.safetensors", "curve.png", "fold.json", "log.csv")
    assert names(sam_run) == {"run.json", *(f"fold-{number}/{name}" for number in (1, 2) for name in files)}
    rows = list(csv.DictReader((sam_run / "fold-1" / "log.csv").read_text().splitlines()))
    assert len(rows) == 2 and float(rows[1]["loss"]) < float(rows[0]["loss"])


@pytest.mark.integration
def test_folds_hold_trained_tensors_alone(sam_run: Path) -> None:
    tensors = {name for name in stored(sam_run) if name.startswith("fold-1/")}
    encoder = {name for name in tensors if "vision_encoder" in name}
    assert len(encoder) == 8 and all("lora_" in name for name in encoder)
    assert all(".prompt_encoder." in name or ".mask_decoder." in name for name in tensors - encoder)


@pytest.mark.integration
def test_ensemble_is_the_mean_of_folds_and_mirror(sam_run: Path) -> None:
    import torch

    image = picture()
    network = opened(sam_run).network()
    folds = [opened(sam_run, fold=number).network() for number in (1, 2)]
    passes = [logits(fold, image) for fold in folds] + [logits(fold, image.flip(-1)).flip(-1) for fold in folds]
    found = logits(network, image)
    torch.testing.assert_close(found, sum(passes) / 4, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits(network, image.flip(-1)), found.flip(-1), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(passes[0], passes[1], atol=1e-3)
    assert not torch.allclose(passes[0], passes[2], atol=1e-3)
    assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.integration
def test_evaluating_folds(sam_run: Path, psfh_phantoms: Path, tmp_path: Path, fetaledge: Command) -> None:
    from fetaledge.runs.evaluate import evaluate_run

    dataset = open_dataset(psfh_phantoms)
    with pytest.raises(InputError, match="2 folds .* trained on every frame"):
        opened(sam_run).frames(dataset, None)
    assert len(opened(sam_run).frames(dataset, "all")) == 8
    for number in (1, 2):
        run = opened(sam_run, fold=number)
        frames = run.frames(dataset, None)
        assert [frame.name for frame in frames] == list(run.document.folds[number - 1].validation)
        assert run.source()["run"] == f"sam, fold {number}"
    record = evaluate_run(opened(sam_run, fold=1), opened(sam_run, fold=1).frames(dataset, None), threads=1)
    assert record["cases"] == 4 and record["task"] == "ps-fh"
    done = fetaledge("evaluate", sam_run, "--data", psfh_phantoms)
    assert done.returncode == 3 and done.stdout == "" and done.stderr.count("\n") == 1
    assert "--fold N" in done.stderr
    done = fetaledge("evaluate", sam_run, "--data", psfh_phantoms, "--fold", "2", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["cases"] == 4
    done = fetaledge("evaluate", sam_run, "--data", psfh_phantoms, "--fold", "3")
    assert done.returncode == 2 and "has no fold 3; choose from 1 to 2" in done.stderr


@pytest.mark.integration
def test_base_that_is_not_the_run_s(sam_run: Path, tmp_path: Path) -> None:
    import torch

    from fetaledge.models.sam.checkpoint import SamBase

    other = tmp_path / "other.pth"
    torch.save(dict(SamBase.read("random:tiny", seed=8).tensors), other)
    with pytest.raises(InputError, match="is not the base that .* was trained on") as caught:
        opened(sam_run, base=other).network()
    assert "--force" in str(caught.value)
    image = picture()
    forced = logits(opened(sam_run, base=other, force=True).network(), image)
    assert not torch.allclose(forced, logits(opened(sam_run).network(), image), atol=1e-3)
    torch.save(dict(SamBase.read("random:small").tensors), other)
    with pytest.raises(InputError, match="a SAM of another shape"):
        opened(sam_run, base=other, force=True).network()


@pytest.mark.integration
def test_moved_run_and_moved_base(sam_run: Path, sam_base: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from fetaledge.models.sam.checkpoint import SamBase

    expected = logits(opened(sam_run).network(), picture())
    moved = tmp_path / "a" / "b" / "c" / "run"
    shutil.copytree(sam_run, moved)
    with pytest.raises(InputError, match="say where it is with --base"):
        opened(moved).network()
    assert torch.equal(logits(opened(moved, base=sam_base).network(), picture()), expected)
    link = tmp_path / "link"
    link.symlink_to(sam_run)
    assert torch.equal(logits(opened(link).network(), picture()), expected)
    save_file(dict(SamBase.read(sam_base).tensors), tmp_path / "same.safetensors")
    assert torch.equal(logits(opened(moved, base=tmp_path / "same.safetensors").network(), picture()), expected)


@pytest.mark.integration
def test_damaged_run(sam_run: Path, sam_base: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(sam_run, run)
    weights = run / "fold-2" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        opened(run, base=sam_base).network()
    opened(run, fold=1, base=sam_base).network()
    shutil.rmtree(run / "fold-2")
    with pytest.raises(InputError, match="holds no adapter_config.json"):
        opened(run, base=sam_base).network()
    document = json.loads((run / "run.json").read_text())
    for key in ("folds", "architecture", "hashes", "recipe"):
        (run / "run.json").write_text(json.dumps({name: value for name, value in document.items() if name != key}))
        with pytest.raises(InputError, match=f"lacks the key {key}"):
            opened(run)
    del document["validation"]
    (run / "run.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="is not finished"):
        opened(run)


# training


class Stopped(Exception):
    """Stands for a kill."""


def stop_at(line: str) -> Callable[[str], None]:
    def progress(said: str) -> None:
        if said.startswith(line):
            raise Stopped

    return progress


@pytest.mark.integration
@pytest.mark.parametrize(
    "line", ["fold 1 of 2: epoch 1/2", "fold 2 of 2: 4 training", "fold 2 of 2: epoch 1/2", "measuring"]
)
def test_resumed_run_is_the_unbroken_one(
    line: str, sam_run: Path, sam_base: Path, psfh_phantoms: Path, tmp_path: Path
) -> None:
    import torch

    from fetaledge.runs.open import open_run
    from fetaledge.training.sam.train import train_sam

    out, dataset = tmp_path / "run", open_dataset(psfh_phantoms)
    with pytest.raises(Stopped):
        train_sam(dataset, out, quick(), base=str(sam_base), progress=stop_at(line))
    with pytest.raises(InputError, match="is not finished"):
        open_run(out)
    left = [
        out / ".run.abc.json",
        *(out / "fold-1" / name for name in (".adapter_model.x1.safetensors", ".fold.y.json")),
    ]
    for path in left:
        path.touch()
    with pytest.raises(UsageError, match="another recipe"):
        train_sam(dataset, out, replace(quick(), rank=2), base=str(sam_base), resume=True)
    with pytest.raises(UsageError, match="another architecture"):
        train_sam(dataset, out, quick(), base="random:tiny", resume=True)
    run = train_sam(dataset, out, quick(), base=str(sam_base), resume=True)
    assert run is not None
    found, expected = stored(out), stored(sam_run)
    assert found.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
    assert names(out) == names(sam_run)
    with pytest.raises(InputError, match="is finished"):
        train_sam(dataset, out, quick(), base=str(sam_base), resume=True)


@pytest.mark.integration
@pytest.mark.parametrize("tune", ["decoder", "all"])
def test_other_tunes(tune: str, phantoms: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from fetaledge.models.sam.checkpoint import SamBase
    from fetaledge.runs.evaluate import evaluate_run
    from fetaledge.training.sam.train import train_sam

    recipe = replace(quick(), tune=tune, folds=1, epochs=1, train_count=4, flip=False)
    run = train_sam(open_dataset(phantoms), tmp_path / tune, recipe, base="random:tiny")
    assert run is not None and run.task.name == "head" and run.folds == 1
    assert names(tmp_path / tune) == {
        "run.json",
        *(f"fold-1/{n}" for n in ("curve.png", "fold.json", "log.csv", "model.safetensors")),
    }
    network = run.network()
    assert logits(network, picture()).shape == (1, 2, 16, 16)
    (tensors,) = (load_file(path) for path in tmp_path.rglob("model.safetensors"))
    assert any(name.startswith("vision_encoder") for name in tensors) == (tune == "all")
    before = SamBase.read("random:tiny", recipe.seed).network(2).state_dict()
    after = run.fold_network(1).state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == (
        {"mask_decoder", "prompt_encoder", "vision_encoder"} if tune == "all" else {"mask_decoder", "prompt_encoder"}
    )
    fixed = "prompt_encoder.shared_embedding.positional_embedding"
    assert torch.equal(before[fixed], after[fixed])
    assert len(run.frames(open_dataset(phantoms), None)) == 4
    evaluate_run(run, run.frames(open_dataset(phantoms), None), threads=1)


@pytest.mark.integration
def test_adapter_to_start_from(psfh_phantoms: Path, sam_base: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from fetaledge.training.sam.train import train_sam

    generator = torch.Generator().manual_seed(1)
    matrices = {}
    for number in range(4):
        matrices[f"w_a_{number:03d}"] = torch.randn(2, 64, generator=generator)
        matrices[f"w_b_{number:03d}"] = 0.1 * torch.randn(64, 2, generator=generator)
    save_file(matrices, tmp_path / "lora.safetensors")
    recipe = replace(quick(), rank=2, folds=1, epochs=1, learning_rate=1e-9, size=96)
    dataset = open_dataset(psfh_phantoms)
    run = train_sam(dataset, tmp_path / "run", recipe, base=str(sam_base), adapter=tmp_path / "lora.safetensors")
    assert run is not None and run.size == (96, 96) and run.document.adapter == "lora.safetensors"
    found = {name: tensor for name, tensor in stored(tmp_path / "run").items() if "lora_" in name}
    torch.testing.assert_close(
        found["fold-1/base_model.model.vision_encoder.layers.1.attn.qkv.v_proj.lora_A.weight"], matrices["w_a_003"]
    )
    torch.testing.assert_close(
        found["fold-1/base_model.model.vision_encoder.layers.1.attn.qkv.q_proj.lora_B.weight"], matrices["w_b_002"]
    )


@pytest.mark.integration
def test_checkpointing_and_bf16_train_too(psfh_phantoms: Path, sam_run: Path, sam_base: Path, tmp_path: Path) -> None:
    import torch

    from fetaledge.training.sam.train import train_sam

    dataset = open_dataset(psfh_phantoms)
    train_sam(dataset, tmp_path / "again", replace(quick(), checkpointing=True), base=str(sam_base))
    found, expected = stored(tmp_path / "again"), stored(sam_run)
    assert all(torch.allclose(tensor, expected[name], atol=1e-5) for name, tensor in found.items())
    recipe = replace(quick(), precision="bf16-mixed", folds=1, epochs=1)
    assert train_sam(dataset, tmp_path / "bf16", recipe, base=str(sam_base)) is not None
    assert all(tensor.dtype == torch.float32 for tensor in stored(tmp_path / "bf16").values())


@pytest.mark.integration
def test_wrong_input(
    psfh_phantoms: Path, sam_base: Path, sam_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from safetensors.torch import save_file

    from fetaledge.training.sam import memory_estimate
    from fetaledge.training.sam.train import train_sam

    dataset, out = open_dataset(psfh_phantoms), tmp_path / "run"
    tiny = str(sam_base)
    lora = tmp_path / "lora.safetensors"
    save_file(
        {f"w_{a}_{n:03d}": torch.zeros(*((4, 64) if a == "a" else (64, 4))) for n in range(4) for a in "ab"}, lora
    )

    def refused(
        error: type[FetalEdgeError], said: str, recipe: SamRecipe = quick(), base: str = tiny, **more: Any
    ) -> None:
        with pytest.raises(error, match=said) as caught:
            train_sam(dataset, out, recipe, base=base, **more)
        assert "\n" not in str(caught.value)
        assert not out.exists()

    refused(UsageError, "--rank 0 is below 1", replace(quick(), rank=0))
    refused(UsageError, "--rank 65 is not between 1 and", replace(quick(), rank=65))
    refused(UsageError, "9 folds were asked for of 8 subjects", replace(quick(), folds=9))
    refused(UsageError, "--folds 0 is below 1", replace(quick(), folds=0))
    refused(UsageError, "--train-count 5 is not between 1 and 4", replace(quick(), train_count=5))
    refused(UsageError, "--size 100 is not a multiple.*; try 96", replace(quick(), size=100))
    refused(UsageError, "no --tune 'encoder'", replace(quick(), tune="encoder"))
    refused(UsageError, "no base random:big", base="random:big")
    refused(UsageError, "--learning-rate 11", replace(quick(), learning_rate=11.0))
    refused(UsageError, "cannot be negative", replace(quick(), decay_power=float("nan")))
    refused(UsageError, "validation share", replace(quick(), folds=1, validation=1.0))
    refused(InputError, "is a LoRA adapter, not a SAM", base=str(lora))
    refused(InputError, "is a LoRA adapter, not a SAM", base=str(sam_run / "fold-1"))
    refused(InputError, "is a LoRA adapter, not a SAM", base=str(sam_run / "fold-1" / "adapter_model.safetensors"))
    refused(InputError, "is a whole SAM, not an adapter", adapter=sam_base)
    refused(InputError, r"w_a_000 of \(4, 64\) where \(3, 64\)", replace(quick(), rank=3), adapter=lora)
    refused(InputError, "8 LoRA matrices where this base has 24", base="random:small", adapter=lora)
    refused(InputError, "there is nothing to resume", resume=True)
    monkeypatch.setattr(memory_estimate, "available_bytes", lambda _: 40_000_000)
    refused(UsageError, "takes about .* GB, and 0.0 GB are free; no size would fit: take a smaller SAM")
    monkeypatch.undo()
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "letter.txt").touch()
    for force in (False, True):
        with pytest.raises(OutputError):
            train_sam(dataset, tmp_path / "documents", quick(), base=tiny, force=force)
    assert names(tmp_path) == {"lora.safetensors", "documents/letter.txt"}


@pytest.mark.integration
def test_memory_that_runs_out(
    psfh_phantoms: Path, sam_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from fetaledge.training.sam.module import SamModule
    from fetaledge.training.sam.train import train_sam

    def failing(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nMore lines.")

    monkeypatch.setattr(SamModule, "training_step", failing)
    recipe = replace(quick(), batch=4)
    with pytest.raises(UsageError, match="ran out .* --size 64 with --batch 4; --batch 2 would fit") as caught:
        train_sam(open_dataset(psfh_phantoms), tmp_path / "run", recipe, base=str(sam_base))
    assert "\n" not in str(caught.value)


@pytest.mark.integration
def test_the_command(psfh_phantoms: Path, sam_base: Path, sam_run: Path, tmp_path: Path, fetaledge: Command) -> None:
    out = tmp_path / "run"
    start = ("train", "sam", "--data", psfh_phantoms, "--out", out, "--size", 64, "--epochs", 1, "--batch", 4)
    for flags, code, said in (
        (("--base", sam_base, "--rank", 0), 2, "--rank 0 is below 1"),
        (("--base", sam_base, "--folds", 9), 2, "9 folds were asked for of 8 subjects"),
        (("--base", tmp_path / "nowhere.pth"), 3, "nowhere.pth does not exist"),
        (("--base", sam_base, "--adapter", sam_base), 3, "is a whole SAM, not an adapter"),
        (("--base", sam_run / "fold-1"), 3, "is a LoRA adapter, not a SAM"),
        (("--base", "random:vit_h", "--size", 4096), 2, "GB are free"),
    ):
        done = fetaledge(*start, *flags)
        assert done.returncode == code, done.stderr
        assert done.stdout == "" and said in done.stderr and done.stderr.count("\n") == 1, done.stderr
        assert not out.exists()
    done = fetaledge(*start, "--base", sam_base, "--folds", 2, "--precision", "fp32")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out}: 2 folds, Dice ") and "synthetic" in done.stdout


# the recipe


def test_rate_rises_then_decays() -> None:
    recipe = SamRecipe(warmup=10, decay_power=7)
    rates = [recipe.rate(step, 100) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert rates[10] == 1 and rates[55] == pytest.approx(0.5**7) and rates[100] == 0
    assert [SamRecipe(warmup=500).rate(step, 40) for step in (0, 9, 10)] == [0.1, 1, 1]
    assert SamRecipe(warmup=0).rate(0, 1) == 1


def test_loss_is_a_fifth_cross_entropy_and_four_fifths_dice(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torch.nn import functional

    from fetaledge.training.sam.module import SamModule

    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(2, 3, 8, 8, generator=generator)
    labels = torch.randint(0, 3, (2, 8, 8), generator=generator)

    class Fixed(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return raw

    module = SamModule(Fixed(), SamRecipe(), 1 / 255, 0.0)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)  # no trainer collects it
    large = labels.repeat_interleave(4, 1).repeat_interleave(4, 2)  # the loss is taken at a quarter of the size
    share = np.exp(raw.numpy()) / np.exp(raw.numpy()).sum(1, keepdims=True)
    truth = np.stack([(labels == label).numpy() for label in range(3)], axis=1).astype(float)
    both, squares = (share * truth).sum((0, 2, 3)), (share**2).sum((0, 2, 3)) + (truth**2).sum((0, 2, 3))
    expected = 0.8 * float((1 - 2 * both / squares).mean()) + 0.2 * float(functional.cross_entropy(raw, labels))
    assert float(module.training_step((torch.zeros(2, 1, 32, 32), large), 0)) == pytest.approx(expected, abs=1e-5)


def test_structure_dice() -> None:
    import torch

    from fetaledge.training.validation_dice import structure_dice

    truth = torch.zeros(2, 4, 4, dtype=torch.int64)
    truth[0, 0] = 1
    truth[:, 2:] = 2
    found = truth.clone()
    found[0, 0, :2] = 0  # Dice of class 1: 2·2/(2+4); of the others 1, also of the absent one
    assert float(structure_dice(found, truth, 3)) == pytest.approx((2 / 3 + 1 + 1 + 1) / 4)


def ramp() -> LabelMaps:
    """A frame whose grey level tells the class of each pixel."""

    from fetaledge.training.sam.frames import LabelMaps

    mask = np.zeros((96, 96), np.uint8)
    mask[20:50, 15:40] = 1
    mask[40:80, 45:85] = 2
    frame = LabelledFrame(Frame(mask * 100, None, "ramp"), mask, "ramp", "ramp")
    return LabelMaps.read([frame], 64)


def test_augmented_image_and_label_move_together() -> None:
    import torch

    from fetaledge.training.sam.frames import AugmentedMaps, PlainMaps

    maps = ramp()
    assert maps.images.shape == maps.labels.shape == (1, 64, 64)
    pairs, again = AugmentedMaps(maps, seed=1), AugmentedMaps(maps, seed=1)
    again[(0, 0)]
    plain_image, plain_label = PlainMaps(maps)[0]
    assert plain_label.dtype == torch.int64 and float(plain_image.max()) == pytest.approx(200 / 255)
    moved = 0
    for epoch in range(1, 9):
        image, label = pairs[(epoch, 0)]
        other = again[(epoch, 0)]
        assert torch.equal(image, other[0]) and torch.equal(label, other[1])
        assert image.shape == (1, 64, 64) and label.shape == (64, 64) and label.dtype == torch.int64
        assert set(label.unique().tolist()) <= {0, 1, 2} and 0 <= float(image.min()) <= float(image.max()) <= 1
        means = [float(image[0][label == value].mean()) for value in range(3)]
        assert means[0] < 0.2 < means[1] < 0.55 < means[2]
        moved += not torch.equal(label, plain_label)
    assert moved > 3
    assert not torch.equal(pairs[(1, 0)][0], AugmentedMaps(maps, seed=2)[(1, 0)][0])


# memory


def test_estimate_grows_with_what_costs() -> None:
    from fetaledge.models.sam.network import SHAPES
    from fetaledge.training.sam import memory_estimate

    shape, recipe = SHAPES["vit_b"].resized(512), SamRecipe(batch=4)
    whole = memory_estimate.training_bytes(shape, recipe)
    assert memory_estimate.training_bytes(shape, replace(recipe, checkpointing=True)) < whole / 2
    assert memory_estimate.training_bytes(shape, replace(recipe, tune="decoder")) < whole / 2
    assert memory_estimate.training_bytes(shape, replace(recipe, tune="all")) > whole + 3e8
    assert (
        memory_estimate.training_bytes(shape.resized(256), recipe)
        < whole / 2
        < memory_estimate.training_bytes(shape, recipe)
    )
    assert memory_estimate.training_bytes(SHAPES["vit_h"].resized(512), recipe) > 3 * whole


@pytest.mark.parametrize(
    ("name", "available"),
    [
        ("vit_b", 16e9),
        *(pytest.param("vit_b", bytes_, marks=pytest.mark.integration) for bytes_ in (5e8, 1e9, 4e9, 8e9)),
        *(pytest.param("vit_h", bytes_, marks=pytest.mark.integration) for bytes_ in (4e9, 8e9, 16e9, 64e9)),
    ],
)
def test_advice_fits(name: str, available: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from fetaledge.models.sam.network import SHAPES
    from fetaledge.training.sam import memory_estimate
    from fetaledge.training.trainer import TrainerHardware

    monkeypatch.setattr(memory_estimate, "available_bytes", lambda _: available)
    shape, recipe = SHAPES[name].resized(1024), SamRecipe(size=1024)
    with pytest.raises(UsageError, match=rf"takes about .* GB, and {available / 1e9:.1f} GB are free") as caught:
        memory_estimate.refuse_what_does_not_fit(shape, recipe, TrainerHardware())
    advice = caught.value.hint
    if advice == "no size would fit: take a smaller SAM":
        assert (
            memory_estimate.training_bytes(shape.resized(32), replace(recipe, batch=1, checkpointing=True)) > available
        )
        return
    size = re.search(r"--size (\d+)", advice)
    batch = re.search(r"--batch (\d+)", advice)
    assert batch is not None and advice.endswith("would fit")
    better = replace(recipe, batch=int(batch[1]), checkpointing="--checkpointing" in advice)
    smaller: SamShape = shape.resized(int(size[1])) if size else shape
    memory_estimate.refuse_what_does_not_fit(smaller, better, TrainerHardware())


def test_free_memory_is_told() -> None:
    from fetaledge.training.sam import memory_estimate
    from fetaledge.training.trainer import TrainerHardware

    assert memory_estimate.available_bytes(TrainerHardware("cpu")) > 1e8  # type: ignore[operator]


def test_other_errors_are_not_called_a_lack_of_memory() -> None:
    from fetaledge.models.sam.network import SHAPES
    from fetaledge.training.sam import memory_estimate

    with pytest.raises(RuntimeError, match="shapes"), memory_estimate.out_of_memory_named(SHAPES["tiny"], SamRecipe()):
        raise RuntimeError("shapes do not match")
    with pytest.raises(UsageError, match="ran out"), memory_estimate.out_of_memory_named(SHAPES["tiny"], SamRecipe()):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried …")


# what wrong data must not cost


@pytest.mark.integration
def test_wrong_data_leave_an_earlier_run_as_it_was(
    psfh_phantoms: Path, sam_base: Path, sam_run: Path, tmp_path: Path
) -> None:
    import SimpleITK

    from fetaledge.training.sam.train import train_sam
    from fetaledge.training.trainer import TrainerHardware

    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(psfh_phantoms, data)
    shutil.copytree(sam_run, run)
    before = {name: (run / name).read_bytes() for name in names(run)}
    label = sorted((data / "label_mha").iterdir())[-1]
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.full((256, 256), 3, np.uint8)), str(label))
    with pytest.raises(InputError, match=label.name):
        train_sam(open_dataset(data), run, quick(), base=str(sam_base), force=True)
    with pytest.raises(UsageError, match="--accelerator"):
        train_sam(
            open_dataset(psfh_phantoms),
            run,
            quick(),
            base=str(sam_base),
            force=True,
            hardware=TrainerHardware("foundry"),
        )
    assert {name: (run / name).read_bytes() for name in names(run)} == before
    with pytest.raises(InputError, match=label.name):
        train_sam(open_dataset(data), tmp_path / "new", quick(), base=str(sam_base))
    assert not (tmp_path / "new").exists()


@pytest.mark.integration
def test_fold_of_a_decoder_that_lacks_a_tensor(phantoms: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from fetaledge.runs.open import open_run
    from fetaledge.training.sam.train import train_sam

    run = tmp_path / "run"
    train_sam(open_dataset(phantoms), run, replace(quick(), tune="decoder", epochs=1, folds=1), base="random:tiny")
    path = run / "fold-1" / "model.safetensors"
    tensors = load_file(path)
    del tensors["mask_decoder.mask_tokens.weight"]
    save_file(tensors, path)
    with pytest.raises(InputError, match="lacks mask_decoder.mask_tokens.weight"):
        open_run(run).network()
