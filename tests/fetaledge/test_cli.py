"""The command as people meet it: help, exit codes, wrong input, Ctrl-C, disks that are full or read-only."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fetaledge
from fetaledge_runtimes.errors import FetalEdgeError
from tests.stand_ins.fixtures import lacking

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_version_says_what_it_is_not(call: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = call("--version")
    assert code == 0 and fetaledge.__version__ in out and "research software, not a medical device" in out


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['fetaledge', '--help']\n"
        "from fetaledge.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'cv2', 'lightning', 'onnxruntime', 'openvino', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("train", "export", "predict", "benchmark", "evaluate", "verify", "inspect", "demo", "data"):
        assert name in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["predict"], 2, "missing argument 'BUNDLE'; see fetaledge predict --help"),
        (["train", "unet", "--data", "d"], 2, "missing option '--out'; see fetaledge train unet --help"),
        (["explode"], 2, "no such command 'explode' (did you mean 'export'"),
        (["train", "unet", "--data", "nowhere", "--out", "run"], 3, "nowhere is not a folder"),
        (["data", "check", "nowhere"], 3, "nowhere is not a folder"),
        (["data", "phantom", "p", "--count", "0"], 2, "count"),
        (["data", "phantom", "p", "--task", "fundus"], 2, "fundus"),
        (["evaluate", "--data", "nowhere"], 2, "give one of them"),
        (["evaluate", "nowhere", "--masks", "m", "--data", "d"], 2, "give one of them"),
        (["predict", "nowhere", "frame.png"], 3, "nowhere does not exist"),
        (["inspect", "nowhere"], 3, "nowhere does not exist"),
        (["verify", "nowhere"], 3, "nowhere does not exist"),
        (["export", "nowhere", "--out", "b", "--data", "d"], 3, "nowhere does not exist"),
        (
            ["export", "nowhere", "--out", "b", "--data", "d", "--format", "caffe"],
            2,
            "'caffe' is not one of 'onnx'",
        ),
        (["benchmark", "nowhere", "--data", "d"], 3, "nowhere does not exist"),
        (["benchmark", "nowhere", "--data", "d", "--target", "gopher://pi"], 2, "gopher://pi"),
        (["demo", "--run", "nowhere", "--out", "x"], 3, "nowhere does not exist"),
    ],
)
def test_wrong_usage_and_missing_input(
    call: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    given, out, err = call(*arguments)
    assert given == code and message in err and not out
    assert err.startswith("error: ") and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_check_reports_problems_with_exit_3(
    call: Callable[..., tuple[int, str, str]], phantoms: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(phantoms, folder)
    code, out, _ = call("data", "check", folder, "--sheet", tmp_path / "sheet.png")
    assert code == 0 and "20 usable synthetic frames of 20 subjects, 0 problems" in out
    assert (tmp_path / "sheet.png").is_file()
    (folder / "training_set/004_HC.png").write_bytes(b"")
    code, out, _ = call("data", "check", folder, "--json")
    report = json.loads(out)
    assert code == 3 and [problem["file"] for problem in report["problems"]] == ["004_HC.png"]


def test_phantoms_keep_an_existing_folder(call: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    assert call("data", "phantom", tmp_path / "p", "--count", 2)[0] == 0
    code, _, err = call("data", "phantom", tmp_path / "p", "--count", 2)
    assert code == 3 and "exists already" in err and "--force" in err
    assert call("data", "phantom", tmp_path / "p", "--count", 3, "--force")[0] == 0
    assert len(list((tmp_path / "p/training_set").glob("*_HC.png"))) == 3


def test_a_run_that_is_none(call: Callable[..., tuple[int, str, str]], phantoms: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for text, message in (
        ("", "is not JSON"),
        ("[]", "has the schema None"),
        ('{"schema": "fetaledge/run/9"}', "has the schema 'fetaledge/run/9'"),
        ('{"schema": "fetaledge/run/1"}', "is not finished"),
        ('{"schema": "fetaledge/run/1", "validation": {}}', "run.json lacks the key"),
    ):
        (run / "run.json").write_text(text)
        code, _, err = call("export", run, "--out", tmp_path / "b", "--data", phantoms)
        assert code == 3 and message in err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 torch.save", "is a pickle, which could run code"),
        (b"text", "is not a whole safetensors file"),
        (None, "does not exist"),
    ],
)
def test_a_run_with_unusable_weights(
    call: Callable[..., tuple[int, str, str]],
    small_run: Path,
    phantoms: Path,
    tmp_path: Path,
    content: bytes | None,
    message: str,
) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    (run / "model.safetensors").unlink()
    if content is not None:
        (run / "model.safetensors").write_bytes(content)
    for command in (
        ("export", run, "--out", tmp_path / "b", "--data", phantoms),
        ("evaluate", run, "--data", phantoms),
    ):
        code, _, err = call(*command)
        assert code == 3 and message in err
    assert not (tmp_path / "b").exists()


def test_evaluate_with_no_thread(call: Callable[..., tuple[int, str, str]], small_run: Path, phantoms: Path) -> None:
    code, _, err = call("evaluate", small_run, "--data", phantoms, "--threads", 0)
    assert code == 2 and "0 threads" in err


@pytest.mark.integration
def test_a_bundle_where_nothing_passed(
    call: Callable[..., tuple[int, str, str]], small_run: Path, phantoms: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "b"
    code, out, err = call(
        *("export", small_run, "--out", bundle, "--data", phantoms, "--format", "onnx", "--max-dice-drop", -1)
    )
    assert code == 1 and "onnx-fp32" in out and "not in the bundle: onnx-fp32 (onnx-fp32: " in err and "Dice" in err
    assert call("inspect", bundle)[0] == 0
    for command in (["evaluate"], ["benchmark"]):
        code, _, err = call(*command, bundle, "--data", phantoms)
        assert code == 3 and "holds no variant" in err
    assert call("verify", bundle)[0] == 3
    assert call("predict", bundle, phantoms / "training_set/000_HC.png")[0] == 3


@pytest.mark.integration
def test_a_measure_that_the_gate_cannot_judge_costs_the_variant(
    call: Callable[..., tuple[int, str, str]], small_run: Path, phantoms: Path, tmp_path: Path
) -> None:
    """Frames without a spacing have no millimetres: their Dice alone lets nothing in, unless that is accepted."""
    from fetaledge.data.layouts.open import open_dataset

    data = tmp_path / "data"
    for part in ("images", "masks"):
        (data / part).mkdir(parents=True)
    for case in open_dataset(phantoms):
        cv2.imwrite(str(data / f"images/{case.name}.png"), case.frame.pixels)
        cv2.imwrite(str(data / f"masks/{case.name}.png"), case.mask * 255)
    words = ("export", small_run, "--out", tmp_path / "b", "--data", data, "--format", "onnx")
    said = "HC not judged: no frame has a spacing and a head in both masks"
    code, out, err = call(*words)
    assert code == 1 and f"unmeasured; {said}" in out and "not in the bundle: onnx-fp32" in err
    assert not list((tmp_path / "b").glob("*.onnx"))
    code, out, err = call(*words, "--force", "--allow-unmeasured")
    assert code == 0 and f"unmeasured, let in; {said}" in out and "1 of 1 variants" in err
    assert (tmp_path / "b/onnx-fp32.onnx").is_file()


def test_evaluate_masks_in_process(call: Callable[..., tuple[int, str, str]], phantoms: Path, tmp_path: Path) -> None:
    code, _, err = call("evaluate", "--masks", tmp_path / "no", "--data", phantoms)
    assert code == 3 and "is not a folder" in err
    (tmp_path / "000_HC.png").write_text("no mask")
    code, _, err = call("evaluate", "--masks", tmp_path, "--data", phantoms)
    assert code == 3 and "has no mask 001_HC.png" in err


def test_evaluate_without_spacing_and_of_one_subject(
    call: Callable[..., tuple[int, str, str]], phantoms: Path, tmp_path: Path
) -> None:
    from fetaledge.data.layouts.open import open_dataset

    for part in ("images", "masks", "given"):
        (tmp_path / part).mkdir()
    labelled = open_dataset(phantoms)[0]
    cv2.imwrite(str(tmp_path / "images/a.png"), labelled.frame.pixels)
    for part in ("masks", "given"):
        cv2.imwrite(str(tmp_path / part / "a.png"), labelled.mask * 255)
    code, out, _ = call("evaluate", "--masks", tmp_path / "given", "--data", tmp_path)
    assert code == 0 and "1.0000" in out and "–" in out


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 600 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        lacking(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(
    call: Callable[..., tuple[int, str, str]], small_disk: Path, small_run: Path, phantoms: Path
) -> None:
    code, _, err = call("data", "phantom", small_disk / "p", "--count", 9)
    assert code == 3 and "No space left" in err
    assert not list(small_disk.iterdir())
    flags = ("--init", small_run, "--strategy", "all", "--epochs", 1, "--batch", 4, "--precision", "fp32")
    code, _, err = call("train", "unet", "--data", phantoms, "--out", small_disk / "run", *flags)
    assert code == 3 and "No space left" in err
    assert not [path for path in small_disk.rglob("*") if path.name.startswith(".")]
    assert not (small_disk / "run/model.safetensors").exists()


def test_a_read_only_folder(call: Callable[..., tuple[int, str, str]], small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    code, _, err = call("data", "phantom", small_disk / "p", "--count", 1)
    assert code == 3 and "read-only" in err and "may write to" in err


def _interrupt(arguments: list[str], ready: Callable[[str], bool]) -> tuple[int, str]:
    """Start the command, send Ctrl-C once its messages are ``ready``: (exit code, what stood on stderr)."""
    with subprocess.Popen(
        [sys.executable, "-m", "fetaledge", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        shown = ""
        for line in process.stderr:
            shown += line
            if ready(shown):
                os.killpg(process.pid, signal.SIGINT)
                break
        shown += process.stderr.read()
        return process.wait(60), shown


@pytest.mark.integration
def test_ctrl_c_in_each_long_command(bundle: Path, small_run: Path, phantoms: Path, tmp_path: Path) -> None:
    data = ["--data", str(phantoms)]
    out = str(tmp_path / "out")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(400):
        cv2.imwrite(str(pictures / f"{number:03d}.png"), np.full((540, 800), 60, np.uint8))
    commands = {
        "train": (["train", "unet", *data, "--out", out, "--init", str(small_run), "--epochs", "90"], "epoch 1/"),
        "export": (["export", str(small_run), *data, "--out", out, "--int8"], "converting"),
        "benchmark": (["benchmark", str(bundle), *data, "--report", out, "--variant", "onnx-int8"], "round 1"),
        "evaluate": (["evaluate", str(bundle), *data, "--split", "all"], "frames"),
        "demo": (["demo", "--run", str(small_run), "--out", out], "converting"),
    }
    for name, (arguments, sign) in commands.items():
        code, shown = _interrupt(arguments, lambda text, sign=sign: sign in text)  # type: ignore[misc]
        assert code == 130, (name, shown)
        assert "Traceback" not in shown and "interrupted" in shown, (name, shown)
        left = [path.name for path in tmp_path.iterdir() if path.name not in ("pictures", "out")]
        assert not left, (name, left)
        if name != "train":
            assert not (tmp_path / "out").exists(), name
        else:
            assert "--resume" in shown and (tmp_path / "out/resume.ckpt").is_file()
            shutil.rmtree(tmp_path / "out")


@pytest.mark.integration
def test_ctrl_c_without_messages(tmp_path: Path, bundle: Path) -> None:
    """Commands that say nothing on the way: the signal comes after a while."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(400):
        cv2.imwrite(str(pictures / f"{number:03d}.png"), np.full((540, 800), 60, np.uint8))
    for arguments in (
        ["data", "phantom", str(tmp_path / "out"), "--count", "900"],
        ["predict", str(bundle), str(pictures), "--out", str(tmp_path / "out")],
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", "fetaledge", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        while process.poll() is None and not list(tmp_path.glob(".out.*/*")):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=60)
        assert process.returncode == 130 and "Traceback" not in shown, (arguments, shown)
        assert [path.name for path in tmp_path.iterdir()] == ["pictures"], arguments


@pytest.mark.integration
@pytest.mark.parametrize("task", ["head", "ps-fh"])
def test_the_demo_finds_the_reference_model(task: str) -> None:
    from fetaledge.runs.open import open_run
    from fetaledge.workflows.demo import REFERENCES

    run = open_run(REFERENCES / f"unet-{task}")
    assert run.task.name == task and run.view is not None
    assert sum(path.stat().st_size for path in run.folder.iterdir()) < 14_000_000


@pytest.mark.parametrize("words", [(), ("--ignore-memory",)])
def test_a_benchmark_can_ignore_the_estimate_of_memory(
    call: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    from fetaledge.workflows import benchmark as workflow

    asked: list[bool] = []

    def benchmark_bundle(bundle: Path, data: Path, options: Any, **_: Any) -> Any:
        asked.append(options.ignore_memory)
        raise FetalEdgeError("not measured")

    monkeypatch.setattr(workflow, "benchmark_bundle", benchmark_bundle)
    call("benchmark", "bundle", "--data", "frames", "--target", "ssh://pi", *words)
    assert asked == [bool(words)]
