"""What tests of several packages share: real data where it is there, phantoms, and a small trained run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bright_bundle import benchmark_of, bundle_folder, heads, lines, record, reference  # noqa: F401
from tests.stand_ins.fixtures import phone, pi4, pi5, pi5_trixie, stand_in_host, stand_in_roots  # noqa: F401

Call = Callable[..., tuple[int, str, str]]
SHARED = Path(__file__).resolve().parents[2] / "shared"


def _shared(part: str) -> Path:
    path = SHARED / part
    if not path.exists():
        pytest.skip(f"shared/{part} is not beside this checkout")
    return path


@pytest.fixture(scope="session", autouse=True)
def own_list_of_devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is fetched and built is shared with the user's cache; devices that only tests know are not noted there."""
    from fetaledge_devices.cache import folder

    own = tmp_path_factory.mktemp("cache")
    for name in ("android-runner", "cost", "emulation", "wheels", "zig"):
        (own / name).symlink_to(folder(name).absolute())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FETALEDGE_CACHE", str(own))
        yield


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the command in this process: (exit code, stdout, stderr)."""
    from fetaledge.cli.app import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fetaledge", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            main()
        shown = capfd.readouterr()
        assert "Traceback" not in shown.err
        return int(leaving.value.code or 0), shown.out, shown.err

    return run


@pytest.fixture(scope="session")
def hc18() -> Path:
    """The real frames, read in place."""
    return _shared("hc18")


@pytest.fixture(scope="session")
def encoder_weights() -> Path:
    """A real ImageNet MobileNetV2 encoder."""
    return _shared("weights/mobilenet_v2_imagenet.safetensors")


@pytest.fixture(scope="session")
def samed_lora() -> Path:
    """A real LoRA file of SAMed's format, for ViT-B, rank 4."""
    return _shared("lora/lora_rank4.safetensors")


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 20 phantoms in HC18's layout."""
    from fetaledge.phantoms.head import write_head_phantoms

    folder = tmp_path_factory.mktemp("data") / "phantoms"
    write_head_phantoms(folder, 20, seed=5)
    return folder


@pytest.fixture(scope="session")
def small_run(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small U-Net, trained just long enough on 64×64 phantoms to find most heads."""
    from fetaledge.data.layouts.open import open_dataset
    from fetaledge.runs.unet_recipe import Recipe
    from fetaledge.training.unet.train import train_unet

    folder = tmp_path_factory.mktemp("runs") / "small"
    recipe = Recipe(
        strategy="all",
        encoder_weights="none",
        decoder_channels=(32, 16, 16, 8, 8),
        size=64,
        epochs=12,
        batch=4,
        learning_rate=3e-3,
        phantoms=16,
    )
    train_unet(open_dataset(phantoms), folder, recipe)
    return folder


TAKES_SECONDS = {
    "small_run", "exported", "record", "pi4", "pi5", "pi5_trixie", "phone", "stand_in_host", "stand_in_roots",
}  # fmt: skip


def pytest_itemcollected(item: pytest.Item) -> None:
    """What needs a trained run, an export, a benchmark or an emulated device is slow, whichever test needs it first."""
    if TAKES_SECONDS & set(getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.slow)
