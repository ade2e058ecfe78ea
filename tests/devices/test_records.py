"""The documents of devices: each is read back as it was written, and those of earlier versions are read too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fetaledge_devices.deploy.address_book import KnownTarget
from fetaledge_devices.deploy.answer import DeployAnswer, TargetAnswer
from fetaledge_devices.deploy.release import ReleaseRecord
from fetaledge_devices.device_list import DeviceList, ListedDevice
from fetaledge_devices.facts.model import Battery, Conditions, Machine
from fetaledge_devices.native_runner.build import RunnerRecord
from fetaledge_devices.wheels.resolve import ResolvedWheel
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.records import (
    Document,
    from_json,
    read_document,
    schema_of,
    schemas,
    to_json,
    write_document,
)

BATTERY = Battery(87, True, "USB", 30.0, None)
CONDITIONS = Conditions("ondemand", "cpufreq-dt", None, 41.4, clock_khz=(600000, None), battery=BATTERY)
WRITTEN = (
    KnownTarget(address="ssh://pi@a", bundle="head-unet", variants=("onnx-int8",)),
    ReleaseRecord(variants=("onnx-int8",), refused={"onnx-fp16": "it differs"}),
    ResolvedWheel(requirement="numpy==2.4.6", tags="Python 3.11", file="numpy.whl", sha256="0" * 64),
    ResolvedWheel(requirement="numpy==9", tags="Python 3.11", versions=("2.4.6",)),
    RunnerRecord(files={"runner": "0" * 64}, versions={"onnxruntime": "1.31.1"}, runtime={"libc6": "2.36"}),
    DeviceList(
        devices=(
            ListedDevice(target="ssh://a", reached=False, state="it does not answer"),
            ListedDevice(
                target="adb://P",
                reached=True,
                state="ready",
                emulated=False,
                formats=("onnx",),
                facts=Machine(model="Pixel 8", cores=2, core_max_mhz=(1800, None)),
                conditions=CONDITIONS.for_record(),
            ),
        )
    ),
    DeployAnswer(
        bundle="head-unet",
        targets=(
            TargetAnswer(target="ssh://a", error="it does not answer"),
            TargetAnswer(target="ssh://b", removed=True),
            TargetAnswer(target="ssh://c", variants=("onnx-int8",), notes={"onnx-int8": ("slow",)}, sent_mb=1.5),
        ),
    ),
)
RUNNER = {"files": {"runner": "0"}, "versions": {"a": "1"}, "runtime": {"l": "2"}}
WHEEL = {"schema": "fetaledge/wheels/1", "requirement": "a==1", "for": "Python 3.11"}
# As version 0.1.0 wrote them before there was a struct for each.
EARLIER: tuple[tuple[type[Document], dict[str, Any]], ...] = (
    (KnownTarget, {"schema": "fetaledge/target/1", "address": "ssh://pi@a", "bundle": "b", "variants": ["onnx-int8"]}),
    (KnownTarget, {"schema": "fetaledge/target/1", "address": "ssh://pi@a"}),
    (ReleaseRecord, {"schema": "fetaledge/release/1", "variants": ["onnx-int8"], "refused": {}}),
    (ResolvedWheel, {**WHEEL, "file": "a.whl", "sha256": "0"}),
    (ResolvedWheel, {**WHEEL, "versions": ["1"]}),
    (RunnerRecord, {"schema": "fetaledge/android-runner/1", **RUNNER}),
)


@pytest.mark.parametrize("document", WRITTEN, ids=lambda document: type(document).__name__)
def test_what_is_written_is_read_back(document: Document, tmp_path: Path) -> None:
    write_document(tmp_path / "document.json", document)
    assert read_document(tmp_path / "document.json", type(document), "thing") == document
    assert schema_of(type(document)) in schemas()


@pytest.mark.parametrize(("kind", "document"), EARLIER)
def test_what_earlier_versions_wrote_is_read(kind: type[Document], document: dict[str, Any]) -> None:
    read = json.loads(json.dumps(to_json(from_json(document, kind, "it"))))
    assert {key: read[key] for key in document} == document
    with pytest.raises(InputError, match="unknown key colour"):
        from_json({**document, "colour": "red"}, kind, "it")


def test_an_answer_has_only_the_keys_that_say_something() -> None:
    assert to_json(TargetAnswer(target="ssh://a", error="why")) == {"target": "ssh://a", "error": "why"}


def test_what_tells_machines_apart_is_in_no_record() -> None:
    told = Conditions("ondemand", None, None, None, boot_id="a3055413")
    assert "boot_id" not in told.document() and told.document()["governor"] == "ondemand"


def test_a_release_without_a_variant_is_none() -> None:
    with pytest.raises(InputError, match="variants"):
        from_json({"schema": "fetaledge/release/1", "variants": []}, ReleaseRecord, "release.json")
