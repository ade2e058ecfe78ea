"""``fetaledge train``: choices that the help shows, and a start without torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from fetaledge.cli.app import app
from fetaledge.cli.trained import measures_text, misses_text
from fetaledge.models.strategies import STRATEGIES, StrategyName

Call = Callable[..., tuple[int, str, str]]


def test_every_strategy_has_a_name() -> None:
    assert set(STRATEGIES) == set(StrategyName)


@pytest.mark.parametrize(
    ("command", "flag", "choices"),
    [
        ("unet", "--strategy", tuple(STRATEGIES)),
        ("unet", "--intensity", ("unit", "symmetric")),
        ("unet", "--precision", ("auto", "fp32", "bf16")),
        ("sam", "--tune", ("lora", "decoder", "all")),
        ("sam", "--restore", ("nearest", "bilinear")),
        ("sam", "--accelerator", ("auto", "cpu", "gpu")),
    ],
)
def test_another_value_is_refused_with_the_choices(command: str, flag: str, choices: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, ["train", command, "--data", "d", "--out", "o", flag, "nonsense"])
    assert done.exit_code == 2 and flag in done.output
    assert all(f"'{choice}'" in done.output for choice in choices)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "d"], "nowhere"),
        ([], "--data"),
        (["--data", "d", "--withheld", "x"], "--withheld"),
        (["--data", "d", "--others"], "--others"),
    ],
)
def test_a_view_check_needs_a_run_and_data(words: list[str], said: str, call: Call) -> None:
    code, out, err = call("train", "view", "nowhere", *words)
    assert code == (3 if said == "nowhere" else 2) and not out
    assert err.startswith("error: ") and said in err and err.count("\n") == 1


def test_the_command_line_is_built_without_torch() -> None:
    code = "import sys, fetaledge.cli.app; print(*sorted({'torch', 'lightning', 'monai', 'cv2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_last_line_names_the_measures_of_the_task() -> None:
    from fetaledge_runtimes.tasks.registry import task_named

    measured = {
        "hc_mm": {"n": 4, "mae": 2.0},
        "aop_deg": {"n": 3, "mae": 1.5},
        "failures": 1,
        "synthetic": True,
    }
    assert measures_text(measured, task_named("head")) == ", HC MAE 2.00 mm (n = 4)"
    assert measures_text(measured, task_named("ps-fh")) == ", AoP MAE 1.50 degrees (n = 3)"
    assert measures_text({"hc_mm": {"n": 0, "mae": None}}, task_named("head")) == ""
    assert misses_text(measured).startswith(", 1 total misses (synthetic frames")
