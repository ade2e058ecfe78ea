"""Every block of commands that a page marks with ``<!-- run -->`` runs, in order, in a folder with small inputs.

The mark's words are added to each command of the block, so that it stays small: ``<!-- run --epochs 1 -->``;
``exit=0,5`` lists the exit codes that are allowed. ``<!-- needs: NAME … -->`` names the inputs that a page starts from.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import Call
from tests.docs.hooks import DOCS

BLOCK = re.compile(r"<!-- run(?P<words>[^>]*?) ?-->\n```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)
LENIENT = shlex.split(
    "--allow-unmeasured --max-dice-drop 1 --max-new-failures 99 "
    "--max-hc-mean-mm 99 --max-hc-bias-mm 99 --max-hc-p95-mm 99"
)  # so small a run is no model to be judged
NEEDS = re.compile(r"<!-- needs: (.*?) -->")
PAGES = sorted(
    (page for page in DOCS.glob("*.md") if BLOCK.search(page.read_text(encoding="utf-8"))),
    key=lambda page: (page.stem != "quickstart", page.stem),
)


@dataclass(frozen=True)
class Block:
    """A block of a page that runs: its language, its lines or whole text, and how."""

    language: str
    text: str
    extra: tuple[str, ...]
    allowed: frozenset[int]

    @property
    def commands(self) -> list[list[str]]:
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words + list(self.extra) for line in lines if (words := shlex.split(line, comments=True))]


def blocks_of(text: str) -> list[Block]:
    """The blocks of a page that run, in order."""
    blocks = []
    for match in BLOCK.finditer(text):
        words = shlex.split(match["words"])
        codes = [word.removeprefix("exit=") for word in words if word.startswith("exit=")]
        allowed = frozenset(map(int, codes[0].split(","))) if codes else frozenset({0})
        extra = tuple(word for word in words if not word.startswith("exit="))
        blocks.append(Block(match["language"], match["text"], extra, allowed))
    return blocks


def _phantoms(task: str, count: int, seed: int) -> Callable[[Path, Inputs], None]:
    def make(path: Path, inputs: Inputs) -> None:
        inputs.call("data", "phantom", path, "--task", task, "--count", count, "--seed", seed)

    return make


class Inputs:
    """What pages start from, each made once for all of them."""

    def __init__(self, folder: Path, run: Path) -> None:
        self.folder, self.run = folder, run
        self.call: Call

    def get(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            MADE[name](path, self)
            assert path.exists(), name
        return path

    def reference(self, path: Path) -> None:
        """The run, where the repository has the reference model."""
        path.mkdir()
        (path / "unet-head").symlink_to(self.run)

    def bundle(self, path: Path) -> None:
        """The run as ONNX; that of the quickstart, where it ran."""
        code, _, err = self.call(
            "export",
            self.get("reference") / "unet-head",
            "--out",
            path,
            "--data",
            self.get("frames"),
            "--format",
            "onnx",
            "--int8",
            *LENIENT,
        )
        assert code == 0, err

    def own_frames(self, path: Path) -> None:
        """``images/``, ``masks/`` and ``pixels.csv``."""
        from fetaledge.data.layouts.open import open_dataset

        dataset = open_dataset(self.get("frames"))
        rows = ["filename,pixel_mm,subject,hc_mm"]
        for number in range(4):
            labelled = dataset[number]
            for kind, pixels in (("images", labelled.frame.pixels), ("masks", labelled.mask * np.uint8(255))):
                (path / kind).mkdir(parents=True, exist_ok=True)
                assert cv2.imwrite(str(path / kind / f"{number}.png"), pixels)
            assert labelled.frame.pixel_mm is not None
            rows.append(f"{number}.png,{labelled.frame.pixel_mm[0]},woman-{number // 2},")
        (path / "pixels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")

    def masks(self, path: Path) -> None:
        """Masks of all frames, as another system would write them."""
        from fetaledge.data.layouts.open import open_dataset

        dataset = open_dataset(self.get("frames"))
        path.mkdir()
        for number, item in enumerate(dataset.items):
            assert cv2.imwrite(str(path / f"{item.name}.png"), dataset[number].mask * np.uint8(255))


MADE: dict[str, Callable[[Path, Inputs], None]] = {
    "reference": lambda path, inputs: inputs.reference(path),
    "frames": _phantoms("head", 12, 1),
    "psfhs": _phantoms("ps-fh", 6, 1),
    "psfhs-test": _phantoms("ps-fh", 2, 2),
    "bundle": lambda path, inputs: inputs.bundle(path),
    "my-frames": lambda path, inputs: inputs.own_frames(path),
    "masks": lambda path, inputs: inputs.masks(path),
    "scans": lambda path, inputs: shutil.copytree(inputs.get("my-frames") / "images", path),
    "more-frames": lambda path, inputs: shutil.copytree(inputs.get("my-frames") / "images", path),
    "frame.png": lambda path, inputs: shutil.copy(inputs.get("my-frames") / "images" / "0.png", path),
}  # fmt: skip


@pytest.fixture(scope="module")
def inputs(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A run at 64×64 stands for the reference model."""
    return Inputs(tmp_path_factory.mktemp("inputs"), small_run)


def _run_runtimes(arguments: list[str]) -> int:
    from fetaledge_runtimes.__main__ import main

    return main(arguments)


@pytest.mark.integration
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_runs(
    page: Path,
    inputs: Inputs,
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    text = page.read_text(encoding="utf-8")
    inputs.call = call
    needed = NEEDS.search(text)
    for name in needed[1].split() if needed else ():
        source = inputs.get(name)
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, tmp_path / name)
        else:
            (tmp_path / name).symlink_to(source)
    monkeypatch.chdir(tmp_path)
    for block in blocks_of(text):
        if block.language == "python":
            exec(compile(block.text, f"{page.name}, a block", "exec"), {"__name__": "page"})
            continue
        for command in block.commands:
            if command[:3] == ["python", "-m", "fetaledge_runtimes"]:
                code, shown = _run_runtimes(command[3:]), capfd.readouterr()
            else:
                assert command[0] == "fetaledge", (
                    f"{page.name}: {shlex.join(command)} is no command that a test can run"
                )
                code, *streams = call(*command[1:])
                shown = "\n".join(streams)
            assert code in block.allowed, f"{page.name}: {shlex.join(command)} ended with {code}:\n{shown}"
    if page.stem == "quickstart" and not (inputs.folder / "bundle").exists():
        shutil.copytree("bundle", inputs.folder / "bundle")


def test_most_pages_run_something() -> None:
    assert {page.stem for page in PAGES} >= {
        "quickstart",
        "your-frames",
        "train",
        "sam",
        "export",
        "predict",
        "benchmark",
    }


def test_unmarked_commands_need_more_than_this_machine() -> None:
    """A block that does not run shows make, pip, a device, a download or a long training."""
    reasons = re.compile(r"make |pip install|ssh://|adb://|--cpu|~/|sam-bundle|disc-run|--fp16")
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"(?<!-->\n)```bash\n(.*?)```", text, re.DOTALL):
            assert reasons.search(block), f"{page.name}: mark this block with <!-- run -->\n{block}"


def test_marks_are_read() -> None:
    page = (
        "<!-- run exit=0,5 --count 2 -->\n```bash\nfetaledge data \\\n  phantom x  # why\n\nfetaledge inspect b\n```\n"
    )
    (block,) = blocks_of(page)
    assert block.commands == [
        ["fetaledge", "data", "phantom", "x", "--count", "2"],
        ["fetaledge", "inspect", "b", "--count", "2"],
    ]
    assert block.allowed == {0, 5}
    assert blocks_of("```bash\nfetaledge inspect b\n```\n") == []
