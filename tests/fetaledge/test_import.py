"""``fetaledge import``: a network of segmentation_models_pytorch that was trained elsewhere becomes a run."""

from __future__ import annotations

import json
import shutil
import socket
import warnings
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fetaledge_runtimes.errors import FetalEdgeError, InputError, OutputError, UsageError
from tests.command import Command

if TYPE_CHECKING:
    from torch import nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SMALL = {"decoder_channels": (16, 8, 8, 8, 8)}


def network(name: str = "Unet", encoder: str = "resnet18", **arguments: Any) -> nn.Module:
    """A network of random weights, its batch norms as after some training."""
    import torch

    from fetaledge.models.torchvision_stub import make_torchvision_importable

    make_torchvision_importable()
    import segmentation_models_pytorch as smp

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        made: nn.Module = getattr(smp, name)(encoder, encoder_weights=None, **arguments)
        for part in made.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean.normal_(std=0.1)  # type: ignore[union-attr]
                part.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return made.eval()


@pytest.fixture(scope="module")
def unet() -> nn.Module:
    return network(**SMALL)


def imported(source: Path, out: Path, **options: Any) -> Any:
    from fetaledge.workflows.import_network import import_network

    return import_network(source, out, **{"size": "64", **options})


def logits(run: Any, grey: Any) -> Any:
    """What the run's network gives of a frame, as evaluate asks it."""
    from fetaledge_export.torch_engine import TorchEngine

    return TorchEngine(run.network(), run.scale, run.offset, 1)(grey)


def expected(of: nn.Module, grey: Any, mean: Any = (0.0,), std: Any = (1.0,), channels: int = 3) -> Any:
    """What the network gives where it was trained, of the frame as a picture of so many channels."""
    import torch

    image = torch.from_numpy(grey)[None, None].float().expand(-1, channels, -1, -1) / 255
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (mean, std))
    with torch.inference_mode():
        return of((image - mean) / std)[0].numpy()


@pytest.fixture(scope="module")
def grey() -> Any:
    return np.random.default_rng(2).integers(0, 256, (64, 64), np.uint8)


@pytest.mark.parametrize("form", ["pth", "wrapped", "whole", "safetensors", "folder", "old-folder"])
def test_every_form_gives_the_same_run(form: str, unet: nn.Module, grey: Any, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state, source, options = unet.state_dict(), tmp_path / "unet.pth", {"encoder": "resnet18"}
    if form == "pth":
        torch.save(state, source)
    elif form == "wrapped":
        inner = {f"module.model.{name}": tensor for name, tensor in state.items()}
        torch.save({"model_state_dict": inner, "optimizer": {"state": {}}, "epoch": 3, "args": Namespace(lr=1)}, source)
    elif form == "whole":
        torch.save(unet, source)
    elif form == "safetensors":
        source = tmp_path / "unet.safetensors"
        save_file(state, source)
    else:
        source, options = tmp_path / "hf", {}
        unet.save_pretrained(source)  # type: ignore[operator]
        if form == "old-folder":
            (source / "model.safetensors").unlink()
            torch.save(state, source / "pytorch_model.bin")
    run = imported(source, tmp_path / "run", **options)
    assert (run.task.name, run.size, run.document.imported.file) == ("head", (64, 64), source.name)
    assert run.document.architecture.arguments["decoder_channels"] == [16, 8, 8, 8, 8]
    np.testing.assert_allclose(logits(run, grey), expected(unet, grey), atol=1e-4)


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_a_checkpoint_of_lightning(unet: nn.Module, grey: Any, tmp_path: Path, fetaledge: Command) -> None:
    """As segmentation_models_pytorch's own example writes it: the network is ``model``, mean and std are buffers."""
    import lightning
    import torch

    class Module(lightning.LightningModule):
        def __init__(self, model: nn.Module, options: Namespace) -> None:
            super().__init__()
            self.save_hyperparameters("options")
            self.model = model
            self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))
            self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))

    trainer = lightning.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.strategy.connect(Module(unet, Namespace(out=tmp_path)))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    run = imported(tmp_path / "last.ckpt", tmp_path / "run", encoder="resnet18")
    assert set(run.document.imported.left_out) == {"std", "mean"}
    np.testing.assert_allclose(logits(run, grey), expected(unet, grey), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "encoder", "options"),
    [
        ("Unet", "mobilenet_v2", {"decoder_attention_type": "scse"}),
        ("Unet", "efficientnet-b0", {"encoder_depth": 4, "decoder_channels": (32, 16, 8, 8)}),
        ("Unet", "tu-mobilenetv3_small_050", SMALL),
        ("UnetPlusPlus", "resnet18", SMALL),
        ("FPN", "resnet18", {"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32}),
        ("DeepLabV3Plus", "resnet18", {"decoder_channels": 32}),
        ("MAnet", "resnet18", {"decoder_pab_channels": 16}),
        ("Linknet", "resnet18", {}),
        ("PSPNet", "resnet18", {}),
        ("PAN", "resnet18", {}),
        ("UPerNet", "resnet18", {"decoder_channels": 32}),
        ("Segformer", "mit_b0", {"decoder_segmentation_channels": 32}),
    ],
)
@pytest.mark.integration
def test_other_architectures(name: str, encoder: str, options: dict[str, Any], grey: Any, tmp_path: Path) -> None:
    import torch

    size = 64
    if name == "PAN":  # it pools four times behind the encoder
        size, grey = 128, np.repeat(np.repeat(grey, 2, 0), 2, 1)

    of = network(name, encoder, **options)
    torch.save(of.state_dict(), tmp_path / "a.pth")
    arguments = [f"{key}={json.dumps(value).strip('[]')}" for key, value in options.items()]
    run = imported(
        tmp_path / "a.pth",
        tmp_path / "run",
        architecture=name,
        encoder=encoder,
        arguments=arguments,
        intensity=imagenet(),
        size=str(size),
    )
    np.testing.assert_allclose(logits(run, grey), expected(of, grey, MEAN, STD), atol=1e-4)
    of.save_pretrained(tmp_path / "hf")  # type: ignore[operator]
    again = imported(tmp_path / "hf", tmp_path / "again", intensity=imagenet(), size=str(size))
    assert (again.folder / "model.safetensors").read_bytes() == (run.folder / "model.safetensors").read_bytes()


def imagenet() -> Any:
    from fetaledge.runs.import_intensity import ImportIntensity, InputRange

    return ImportIntensity(InputRange.IMAGENET)


@pytest.mark.parametrize(
    ("intensity", "mean", "std", "seen_mean", "seen_std"),
    [
        ("unit", (), (), (0.0,), (1.0,)),
        ("symmetric", (), (), (0.5,), (0.5,)),
        ("byte", (), (), (0.0,), (1 / 255,)),
        ("imagenet", (), (), MEAN, STD),
        ("unit", (0.2,), (0.15,), (0.2,), (0.15,)),
        ("unit", (0.1, 0.2, 0.3), (0.3, 0.2, 0.1), (0.1, 0.2, 0.3), (0.3, 0.2, 0.1)),
    ],
)
def test_the_device_sees_what_training_saw(
    intensity: str, mean: Any, std: Any, seen_mean: Any, seen_std: Any, unet: nn.Module, grey: Any, tmp_path: Path
) -> None:
    """Borders too: the normalisation is before the padding."""
    import torch

    from fetaledge.runs.import_intensity import ImportIntensity, InputRange
    from fetaledge_export.device_model import DeviceModel

    torch.save(unet.state_dict(), tmp_path / "unet.pth")
    chosen = ImportIntensity(InputRange(intensity), mean, std)
    run = imported(tmp_path / "unet.pth", tmp_path / "run", encoder="resnet18", intensity=chosen)
    given = expected(unet, grey, seen_mean, seen_std)
    tolerance = 1e-4 * max(1.0, float(np.abs(given).max()))
    np.testing.assert_allclose(logits(run, grey), given, atol=tolerance)
    model = DeviceModel(run.network(), run.scale, run.offset)
    with torch.inference_mode():
        np.testing.assert_allclose(model(torch.from_numpy(grey)[None, None])[0].numpy(), given, atol=tolerance)
    assert bool(run.document.architecture.mean) == (len(seen_mean) == 3)


@pytest.mark.integration
def test_outputs_and_channels(grey: Any, tmp_path: Path) -> None:
    import torch

    for outputs, channels, task, classes in ((2, 3, "head", 1), (3, 1, "ps-fh", 3), (1, 1, "head", 1)):
        of = network(classes=outputs, in_channels=channels, **SMALL)
        path = tmp_path / f"{outputs}-{channels}.pth"
        torch.save(of.half().state_dict(), path)
        run = imported(path, tmp_path / path.stem, encoder="resnet18")
        document = run.document
        assert (document.task, document.architecture.classes, document.architecture.channels) == (
            task,
            classes,
            channels,
        )
        assert document.imported.outputs == outputs
        given = expected(of.float(), grey, channels=channels)
        np.testing.assert_allclose(logits(run, grey), given[1:] - given[:1] if outputs == 2 else given, atol=1e-4)


@pytest.mark.integration
def test_what_is_refused(unet: nn.Module, tmp_path: Path) -> None:
    import torch

    path, out = tmp_path / "unet.pth", tmp_path / "run"
    state = unet.state_dict()
    torch.save(state, path)
    torch.save({name: tensor for name, tensor in state.items() if ".bn1." not in name}, tmp_path / "cut.pth")
    torch.save({**state, "decoder.centre.weight": torch.zeros(1)}, tmp_path / "more.pth")
    torch.save(network(classes=5, **SMALL).state_dict(), tmp_path / "five.pth")
    torch.save(network(in_channels=2, **SMALL).state_dict(), tmp_path / "two.pth")
    unet.save_pretrained(tmp_path / "hf")  # type: ignore[operator]
    (tmp_path / "none").mkdir()
    imported(path, tmp_path / "earlier", encoder="resnet18")
    hint = "say how it was made: --architecture, --encoder"
    refusals: tuple[tuple[Path, dict[str, Any], type[FetalEdgeError], str], ...] = (
        (tmp_path / "nowhere.pth", {}, InputError, "does not exist"),
        (tmp_path / "none", {}, InputError, "holds no config.json"),
        (tmp_path / "earlier", {}, InputError, "is a run already"),
        (path, {"encoder": None}, UsageError, "does not say which encoder it has; name it: --encoder"),
        (path, {"encoder": "resnet34"}, InputError, f"lacks encoder.layer1.2.conv1.weight, .* and .* more.*{hint}"),
        (path, {"encoder": "mobilenet_v2"}, InputError, r"lacks encoder.features.0.0.weight.* and holds encoder.conv1"),
        (path, {"architecture": "FPN"}, InputError, "lacks decoder.p5.weight.* and holds decoder.blocks.0"),
        (path, {"architecture": "W-Net"}, UsageError, "there is no architecture 'W-Net'; choose from unet, "),
        (path, {"encoder": "resnet19"}, UsageError, "has no encoder 'resnet19'"),
        (path, {"arguments": ["decoder_channels"]}, UsageError, "is no NAME=VALUE"),
        (path, {"arguments": ["decoder_chanels=3"]}, UsageError, "Unet has no argument 'decoder_chanels'"),
        (path, {"arguments": ["encoder_weights=imagenet"]}, UsageError, "no argument 'encoder_weights'"),
        (path, {"arguments": ["decoder_channels=8,8,8,8,8"]}, InputError, r"has decoder.*\(16, .* where this unet"),
        (path, {"task": "ps-fh"}, UsageError, "has 1 outputs, and the task ps-fh takes 3"),
        (path, {"size": "0"}, UsageError, "--size 0 is no number of pixels"),
        (path, {"size": "big"}, UsageError, "--size big is no number of pixels"),
        (tmp_path / "cut.pth", {}, InputError, "lacks encoder.bn1.weight, encoder.bn1.bias"),
        (tmp_path / "more.pth", {}, InputError, "holds decoder.centre.weight, which this unet .* not have"),
        (tmp_path / "five.pth", {}, InputError, "has 5 outputs, which no task has"),
        (tmp_path / "two.pth", {}, InputError, "takes 2 channels"),
        (tmp_path / "hf", {"encoder": "resnet34"}, UsageError, "config.json says resnet18, not resnet34"),
        (tmp_path / "hf", {"architecture": "FPN", "encoder": None}, UsageError, "config.json says unet, not fpn"),
    )  # fmt: skip
    for source, options, error, said in refusals:
        with pytest.raises(error, match=said) as caught:
            imported(source, out, **{"encoder": "resnet18", **options})
        assert "\n" not in str(caught.value) and not out.exists(), said
    with pytest.raises(OutputError, match="exists already"):
        imported(path, tmp_path / "earlier", encoder="resnet18")


def test_mean_and_std_that_do_not_fit() -> None:
    from fetaledge.runs.import_intensity import ImportIntensity, InputRange

    for intensity, channels, said in (
        (ImportIntensity(InputRange.IMAGENET), 1, "--mean has 3 values and --std 3, and the network takes 1 channels"),
        (ImportIntensity(InputRange.IMAGENET, (0.5,), (0.5,)), 3, "imagenet has its own mean and std"),
        (ImportIntensity(mean=(0.5,)), 3, "--mean has 1 values and --std 0"),
        (ImportIntensity(mean=(0.5,), std=(0.0,)), 3, "is no number above 0"),
    ):
        with pytest.raises(UsageError, match=said):
            intensity.of(channels)


HUBS = ("tu-hf-hub:owner/model", "tu-hf_hub:owner/model", "hf-hub:owner/model", "tu-local-dir:/tmp", "tu-owner/model")


@pytest.mark.integration
@pytest.mark.parametrize("encoder", HUBS)
def test_no_name_of_an_encoder_fetches(
    encoder: str, unet: nn.Module, phantoms: Path, tmp_path: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an option's, nor one in a foreign folder's config.json or run.json."""
    import torch

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a connection was opened")

    torch.save(unet.state_dict(), tmp_path / "unet.pth")
    unet.save_pretrained(tmp_path / "hf")  # type: ignore[operator]
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    (tmp_path / "hf" / "config.json").write_text(json.dumps({**config, "encoder_name": encoder}))
    run = imported(tmp_path / "unet.pth", tmp_path / "run", encoder="resnet18").folder
    document = json.loads((run / "run.json").read_text())
    document["architecture"]["encoder"] = encoder
    (run / "run.json").write_text(json.dumps(document))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(UsageError, match="has no encoder"):
        imported(tmp_path / "unet.pth", tmp_path / "out", encoder=encoder)
    with pytest.raises(UsageError, match="has no encoder"):
        imported(tmp_path / "hf", tmp_path / "out")
    for command in (("evaluate", run), ("export", run, "--out", tmp_path / "out"), ("train", "unet", "--out",
                    tmp_path / "out", "--init", run)):  # fmt: skip
        code, _, err = call(*command, "--data", phantoms)
        assert code == 3 and "run.json: segmentation_models_pytorch has no encoder" in err, err
    assert not (tmp_path / "out").exists()


def test_what_exists_not_is_told_by_every_command(call: Any, phantoms: Path, unet: nn.Module, tmp_path: Path) -> None:
    import torch

    out = tmp_path / "out"
    commands = (
        ("import", "{}", "--encoder", "resnet18", "--out", out),
        ("export", "{}", "--data", phantoms, "--out", out),
        ("evaluate", "{}", "--data", phantoms),
        ("merge", "{}", "--base", "random:tiny", "--out", tmp_path / "out.pth"),
        ("train", "unet", "--data", phantoms, "--init", "{}", "--out", out),
        ("train", "view", "{}", "--data", phantoms),
        ("inspect", "{}"),
    )
    for command in commands:
        code, _, err = call(*(tmp_path / "gone.pth" if word == "{}" else word for word in command))
        assert code == 3 and f"{tmp_path / 'gone.pth'} does not exist" in err, (command, err)
    torch.save(unet.state_dict(), tmp_path / "unet.pth")
    for command in commands[1:3] + commands[4:6]:
        code, _, err = call(*(tmp_path / "unet.pth" if word == "{}" else word for word in command))
        assert code == 3 and "is a file, not a run; make a run of a network's weights: fetaledge import" in err, err


@pytest.mark.integration
def test_an_imported_network_goes_all_the_way(fetaledge: Command, phantoms: Path, tmp_path: Path) -> None:
    """Two outputs, a group norm and ImageNet's normalisation: scored, gated in all formats, timed, and trained on."""
    import torch

    arguments = {"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32}
    of = network("FPN", classes=2, **arguments)
    torch.save(
        {"state_dict": {f"net.{name}": tensor for name, tensor in of.state_dict().items()}}, tmp_path / "fpn.ckpt"
    )

    def ran(*words: object) -> Any:
        done = fetaledge(*words)
        assert done.returncode == 0, done.stderr
        return done

    run, bundle = tmp_path / "run", tmp_path / "bundle"
    made = ran(
        "import", tmp_path / "fpn.ckpt", "--out", run, "--architecture", "FPN", "--encoder", "resnet18", "--size", "64",
        "--intensity", "imagenet", *(f"--argument={key}={value}" for key, value in arguments.items()),
    )  # fmt: skip
    assert (
        "taken for: task head (one output less the other), input 64×64 in 3 channels, intensity imagenet" in made.stderr
    )
    unknown = "nobody knows which frames fpn.ckpt was trained on"
    assert unknown in ran("evaluate", run, "--data", phantoms).stderr
    refused = fetaledge("evaluate", run, "--data", phantoms, "--split", "train")
    assert refused.returncode == 2 and f"{unknown}, so it has no split" in refused.stderr
    lenient = "--allow-unmeasured --max-dice-drop 1 --max-new-failures 99 --max-hc-mean-mm 999 --max-hc-bias-mm 999"
    export = ("export", run, "--out", bundle, "--data", phantoms, "--int8", *lenient.split(), "--max-hc-p95-mm", 999)
    exported = ran(*export)
    assert unknown in exported.stderr and "with 6 of 6 variants" in exported.stderr
    gate = json.loads((bundle / "evaluation.json").read_text())
    fp32 = [one for one in gate["variants"] if one["variant"].endswith("fp32")]
    assert len(fp32) == 3 and all(one["parity"]["logits"]["max_rel"] < 1e-4 for one in fp32)
    assert "some that the imported network was trained on" in gate["data"]
    card = (bundle / "card.md").read_text()
    assert "Imported from fpn.ckpt: of the frames that it was trained on nothing is known" in card
    shown = ran("inspect", bundle).stdout
    assert "imported from fpn.ckpt" in shown and unknown in shown
    assert unknown in ran("evaluate", bundle, "--data", phantoms, "--variant", "onnx-fp32").stderr
    ran("predict", bundle, next((phantoms / "training_set").glob("*_HC.png")), "--variant", "tflite-int8")
    timed = fetaledge(
        "benchmark", bundle, "--data", phantoms, "--run", run, "--samples", 2, "--rounds", 1, "--variant", "tflite-int8"
    )
    assert timed.returncode in (0, 5) and unknown in timed.stderr, timed.stderr
    student = tmp_path / "student"
    ran("train", "unet", "--data", phantoms, "--out", student, "--init", run, "--teacher", run, "--strategy", "all",
        "--epochs", 1, "--batch", 4)  # fmt: skip
    document = json.loads((student / "run.json").read_text())
    assert document["architecture"]["name"] == "fpn" and document["architecture"]["mean"] == list(MEAN)
    assert document["init"]["imported"] and document["teachers"][0]["trained_on_validation"] is None
    told = ran("evaluate", student, "--data", phantoms).stderr
    assert "the model started from an imported network: nobody knows which frames run was trained on" in told
    shutil.copy(run / "run.json", tmp_path / "run.json")
    with warnings.catch_warnings(action="error"):
        ran("import", tmp_path / "fpn.ckpt", "--out", run, "--architecture", "fpn", "--encoder", "resnet18", "--force",
            "--size", "64", "--intensity", "imagenet",
            *(f"--argument={key}={value}" for key, value in arguments.items()))  # fmt: skip
    assert (run / "run.json").read_bytes() == (tmp_path / "run.json").read_bytes()
