"""``fetaledge deploy`` as people meet it; what it does on a device is tested with the deploying itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import fetaledge_devices.targets
from fetaledge_devices import deploy as deploying
from fetaledge_devices.deploy import Deployment
from fetaledge_devices.targets.base import Target
from fetaledge_devices.targets.local import LocalTarget
from fetaledge_runtimes.errors import GateFailed, TargetError

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(call: Call) -> Call:
    return partial(call, "deploy")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Deployments without devices: what was asked of each; one that is called ``broken`` cannot be reached."""
    calls: list[dict[str, Any]] = []

    class Elsewhere(LocalTarget):
        kind, is_local = "ssh", False

    def opened(address: str) -> Target:
        target = Elsewhere()
        target.name = address
        return target

    def deploy(bundle: Path, target: Target, **wishes: Any) -> Deployment:
        calls.append({"bundle": bundle, "target": target.name, **wishes})
        if "broken" in target.name:
            raise TargetError(f"{target.name} cannot be reached", "switch it on")
        if "failing" in target.name:
            raise GateFailed(f"no variant passed on {target.name}: Dice 0.5")
        return Deployment(
            target=target,
            place="/home/pi/.fetaledge/releases/x-0/bundle",
            worker=("python3",),
            native=False,
            variants=("onnx-int8",),
            refused={"openvino-int8": "it differs"},
            versions={"onnxruntime": "1.31.1"},
            notes={"onnx-int8": ("runs in another version",), "openvino-int8": ("known",)},
            sent_mb=12.34,
        )

    def remove(target: Target) -> bool:
        calls.append({"removed": target.name})
        return "empty" not in target.name

    monkeypatch.setattr(fetaledge_devices.targets, "open_target", opened)
    monkeypatch.setattr(deploying, "deploy", deploy)
    monkeypatch.setattr(deploying, "remove", remove)
    return calls


def test_it_says_what_passed_what_not_and_what_was_sent(call: Call, asked: list[dict[str, Any]]) -> None:
    code, out, err = call("bundle", "--target", "ssh://pi", "--engine", "onnxruntime==1.31.1", "--variant", "onnx-int8")
    assert code == 0
    lines = [line.split(maxsplit=2) for line in out.splitlines()[2:]]
    assert lines == [["onnx-int8", "passed", "runs in another version"], ["openvino-int8", "refused", "it differs"]]
    assert "onnxruntime 1.31.1; sent 12.3 MB; in use from /home/pi/.fetaledge/releases/x-0/bundle" in err
    (wish,) = asked
    assert (wish["bundle"], wish["variants"], wish["engines"]) == (
        Path("bundle"),
        ["onnx-int8"],
        ["onnxruntime==1.31.1"],
    )
    assert not wish["again"] and not wish["ignore_memory"]


def test_the_estimate_of_memory_can_be_ignored(call: Call, asked: list[dict[str, Any]]) -> None:
    assert call("bundle", "--target", "ssh://pi", "--ignore-memory")[0] == 0
    assert asked[0]["ignore_memory"]


def test_json_is_one_document(call: Call, asked: list[dict[str, Any]]) -> None:
    code, out, _ = call("bundle", "--target", "ssh://pi", "--target", "ssh://broken", "--json")
    document = json.loads(out)
    assert code == 4 and document["schema"] == "fetaledge/deployment/1"
    fine, broken = document["targets"]
    assert (fine["target"], fine["variants"], fine["sent_mb"]) == ("ssh://pi", ["onnx-int8"], 12.34)
    assert broken == {"target": "ssh://broken", "error": "ssh://broken cannot be reached; switch it on"}


def test_one_device_that_fails_does_not_lose_the_others(call: Call, asked: list[dict[str, Any]]) -> None:
    code, out, err = call("bundle", *(word for name in ("broken", "pi") for word in ("--target", f"ssh://{name}")))
    assert code == 4 and "onnx-int8" in out
    assert "error: ssh://broken cannot be reached" in err and "1 of 2 targets failed" in err


@pytest.mark.parametrize(("name", "expected"), [("broken", 4), ("failing", 1)])
def test_the_exit_code_says_what_kind_of_failure(
    call: Call, asked: list[dict[str, Any]], name: str, expected: int
) -> None:
    code, out, err = call("bundle", "--target", f"ssh://{name}")
    assert (code, out) == (expected, "") and err.startswith("error: ") and err.count("\n") == 1


def test_remove(call: Call, asked: list[dict[str, Any]]) -> None:
    code, out, err = call("--remove", "--target", "ssh://pi", "--target", "adb://empty")
    assert (code, out) == (0, "") and asked == [{"removed": "ssh://pi"}, {"removed": "adb://empty"}]
    assert err == "ssh://pi: removed\nadb://empty: nothing was there\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--target", "ssh://pi"],
        ["bundle", "--remove", "--target", "ssh://pi"],
        ["--remove", "--variant", "onnx-int8", "--target", "ssh://pi"],
        ["bundle"],
        ["bundle", "--target", "gopher://x"],
        ["bundle", "--target", "ssh://-oProxyCommand=x"],
    ],
)
def test_wrong_usage(call: Call, words: list[str]) -> None:
    assert call(*words)[0] == 2
