"""What tests of several packages share: the tiers, real data where it is there, phantoms, and a small trained run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bright_bundle import benchmark_of, bundle_folder, heads, lines, record, reference  # noqa: F401
from tests.command import Command, run_here
from tests.made import Made, made, store  # noqa: F401
from tests.stand_ins.fixtures import phone, pi4, pi5, pi5_trixie, stand_in_host, stand_in_roots  # noqa: F401

Call = Callable[..., tuple[int, str, str]]
SHARED = Path(__file__).resolve().parents[2] / "shared"
HEAVY = {"torch", "lightning", "transformers", "matplotlib", "openvino", "onnx", "litert_torch", "SimpleITK", "scipy"}


def _shared(part: str) -> Path:
    path = SHARED / part
    if not path.exists():
        pytest.skip(f"shared/{part} is not beside this checkout")
    return path


def pytest_configure() -> None:
    """As the commands do: tests import engines themselves, and openvino's telemetry would fork this process."""
    from fetaledge_runtimes.quiet import quiet

    quiet()


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


@pytest.fixture(scope="session")
def fetaledge() -> Command:
    """Run ``fetaledge …`` in this process, with no terminal: a ``CompletedProcess``."""
    return run_here


@pytest.fixture
def call() -> Call:
    """Run ``fetaledge …`` in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        done = run_here(*arguments)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="session")
def hc18() -> Path:
    """The real frames, read in place."""
    return _shared("hc18")


@pytest.fixture(scope="session")
def real_psfhs() -> Path:
    """Real transperineal frames with label maps, read in place."""
    return _shared("psfhs")


@pytest.fixture(scope="session")
def encoder_weights() -> Path:
    """A real ImageNet MobileNetV2 encoder."""
    return _shared("weights/mobilenet_v2_imagenet.safetensors")


@pytest.fixture(scope="session")
def samed_lora() -> Path:
    """A real LoRA file of SAMed's format, for ViT-B, rank 4."""
    return _shared("lora/lora_rank4.safetensors")


@pytest.fixture(scope="session")
def phantoms(store: Made) -> Path:  # noqa: F811
    """A folder of 20 phantoms in HC18's layout."""
    from fetaledge.phantoms.head import write_head_phantoms

    return store("phantoms", lambda folder: write_head_phantoms(folder, 20, seed=5))


@pytest.fixture(scope="session")
def small_run(phantoms: Path, made: Made) -> Path:  # noqa: F811
    """A small U-Net, trained just long enough on 64×64 phantoms to find most heads."""
    from fetaledge.data.layouts.open import open_dataset
    from fetaledge.runs.unet_recipe import Recipe
    from fetaledge.training.unet.train import train_unet

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
    return made("small", lambda folder: train_unet(open_dataset(phantoms), folder, recipe))


# The three tiers. A test that says nothing is a unit test, unless it needs one of these, through whichever fixture.
STAND_INS = {"pi4", "pi5", "pi5_trixie", "phone", "stand_in_host", "stand_in_roots"}
INTEGRATION = {"made", "record"}
SLOW_UNIT_S = 5.0
# Files of a minute and more, the longest first: they begin first, so that the workers end together.
LONGEST = (
    "fetaledge/test_devices.py", "devices/test_targets.py", "devices/test_deploy_stand_ins.py",
    "export/test_structures.py", "export/test_export.py", "fetaledge/test_sam_run.py", "fetaledge/test_end_to_end.py",
    "fetaledge/test_training.py", "fetaledge/test_cli.py", "devices/test_native_runner.py", "devices/test_deploy.py",
)  # fmt: skip


def _tier(item: pytest.Item) -> str:
    needs = set(getattr(item, "fixturenames", ()))
    if hasattr(item, "callspec"):  # a stand-in's name as a parameter, for request.getfixturevalue
        needs |= {value for value in item.callspec.params.values() if isinstance(value, str)}
    if needs & STAND_INS or item.get_closest_marker("devices"):
        return "devices"
    return "integration" if needs & INTEGRATION or item.get_closest_marker("integration") else "unit"


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(_tier(item))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole files in the order of their length, as far as it is known, so that the last ones are short."""
    tiers = ("devices", "integration", "unit")
    slowest: dict[str, int] = {}
    for item in items:
        file = item.nodeid.partition("::")[0]
        slowest[file] = min(slowest.get(file, 2), tiers.index(_tier(item)))

    def rank(item: pytest.Item) -> tuple[int, int]:
        file = item.nodeid.partition("::")[0]
        known = file.removeprefix("tests/")
        return LONGEST.index(known) if known in LONGEST else len(LONGEST), slowest[file]

    items.sort(key=rank)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Collecting stays quick: what takes seconds to import is imported by the tests that use it."""
    loaded = sorted(HEAVY & sys.modules.keys())
    if loaded and session.config.getoption("numprocesses", None) is None:
        raise pytest.UsageError(f"a test imports {', '.join(loaded)} at its top; import it where it is used")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the unit tests that belong to another tier."""
    long = [
        report
        for report in terminalreporter.getreports("passed")
        if report.when == "call" and report.duration > SLOW_UNIT_S and "unit" in report.keywords
    ]
    if long:
        terminalreporter.section(f"unit tests over {SLOW_UNIT_S:.0f} s: quicker, or marked integration")
        for report in long:
            terminalreporter.line(f"{report.duration:6.1f} s  {report.nodeid}")
