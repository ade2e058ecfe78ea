"""Choices that the help lists and the shell completes, help in groups, and errors in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fetaledge.cli.choices import choices
from tests.command import run_here

Call = Callable[..., tuple[int, str, str]]
TASKS, FORMATS, SPLITS = ("head", "ps-fh"), ("onnx", "openvino", "tflite"), ("all", "train", "validation")


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (("data", "phantom", "p", "--task"), TASKS),
        (("data", "check", "d", "--task"), TASKS),
        (("train", "unet", "--data", "d", "--out", "o", "--task"), TASKS),
        (("export", "r", "--data", "d", "--out", "o", "--format"), FORMATS),
        (("evaluate", "b", "--data", "d", "--split"), SPLITS),
        (("benchmark", "b", "--data", "d", "--split"), SPLITS),
        (("cost", "b", "--cpu"), ("cortex-a72", "cortex-a76")),
        (("predict", "b", "f", "--bits"), ("8", "10", "12", "16")),
        (("predict", "b", "f", "--orientation"), ("standard", "mirrored")),
    ],
)
def test_another_value_is_refused_with_the_choices(call: Call, words: tuple[str, ...], known: tuple[str, ...]) -> None:
    code, out, err = call(*words, "nonsense")
    assert code == 2 and not out and err.count("\n") == 1
    assert err.startswith(f"error: invalid value for '{words[-1]}': 'nonsense' is not one of ")
    assert all(f"'{choice}'" in err for choice in known)


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (("data", "phantom", "p", "--task", ""), TASKS),
        (("evaluate", "b", "--split", ""), SPLITS),
        (("export", "r", "--format", ""), FORMATS),
        (("benchmark", "b", "--json", "frames", "--spl"), ("--split",)),
        (("dep",), ("deploy",)),
    ],
)
def test_the_shell_completes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], known: tuple[str, ...]
) -> None:
    line = {"COMP_WORDS": " ".join(("fetaledge", *words)), "COMP_CWORD": str(len(words))}
    for name, value in {"_FETALEDGE_COMPLETE": "complete_bash", "HOME": str(tmp_path), **line}.items():
        monkeypatch.setenv(name, value)
    done = run_here()
    assert tuple(done.stdout.split()) == known and done.stderr == ""


def test_completion_writes_nothing_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run_here("--help").returncode == run_here("--version").returncode == 0
    monkeypatch.setenv("_FETALEDGE_COMPLETE", "source_bash")
    assert "_FETALEDGE_COMPLETE=complete_bash" in run_here().stdout
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_a_package_adds_is_a_choice() -> None:
    names = choices("TaskName", ("head", "ps-fh", "disc"))
    assert [str(name) for name in names] == ["head", "ps-fh", "disc"] and names("disc") == "disc"


def test_the_processors_are_those_that_a_cost_is_known_of() -> None:
    from fetaledge.cli.cost import Cpu
    from fetaledge_benchmarks.cost.bound import CORES

    assert set(Cpu) == set(CORES)


@pytest.mark.parametrize(
    ("command", "groups"),
    [
        ("export", ("Data", "Formats", "Gate", "Output")),
        ("benchmark", ("Data", "Rows", "Devices", "Output")),
        ("deploy", ("Devices", "Model", "Output")),
        ("verify", ("Model", "Devices", "Data", "Output")),
        ("evaluate", ("Data", "Model", "Output")),
        ("predict", ("Data", "Model", "Output")),
    ],
)
def test_help_stands_in_groups(call: Call, command: str, groups: tuple[str, ...]) -> None:
    code, out, err = call(command, "--help")
    assert code == 0 and not err
    assert all(f"─ {group} ─" in out for group in groups)


def test_help_shows_an_address_whole(call: Call) -> None:
    for command in ("benchmark", "deploy", "devices", "verify"):
        assert "ssh://[user@]host[:port]" in call(command, "--help")[1]


def test_a_group_without_a_command_prints_help(call: Call) -> None:
    for words in ((), ("data",), ("train",)):
        code, out, err = call(*words)
        assert code == 2 and "Usage: fetaledge" in out + err and "error" not in err
