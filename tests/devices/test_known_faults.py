"""The table of engines that are known not to work on some CPUs, and what is chosen because of it."""

from __future__ import annotations

import re

import pytest

from fetaledge_devices.deploy.known_faults import FAULTS, known_faults, sound_version

PI4, PI5 = ("cortex-a72",), ("cortex-a76",)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.package} {fault.versions}")
def test_every_line_has_a_source_and_its_remedy_is_sound(fault) -> None:  # type: ignore[no-untyped-def]
    assert fault.sentence and fault.source
    assert all(part.rpartition("-")[2].upper() in fault.sentence for part in fault.cpu_parts)
    if fault.instead is not None:
        assert re.fullmatch(fault.versions, fault.instead) is None
        for precision in fault.precisions or ("fp32", "int8"):
            assert known_faults(fault.package, fault.instead, fault.machine, fault.cpu_parts, precision) == []


def test_onnxruntime_1_21_0_is_avoided_on_a_pi_4_alone() -> None:
    assert sound_version("onnxruntime", "1.21.0", "aarch64", PI4, ["fp32"]) == "1.22.0"
    assert sound_version("onnxruntime", "1.21.0", "aarch64", PI5, ["fp32"]) == "1.21.0"
    assert sound_version("onnxruntime", "1.21.0", "x86_64", (), ["fp32"]) == "1.21.0"
    assert sound_version("onnxruntime", "1.31.1", "aarch64", PI4, ["fp32", "int8"]) == "1.31.1"
    (fault,) = known_faults("onnxruntime", "1.21.0", "aarch64", ("cortex-a55", "cortex-a72"), "int8")
    assert "illegal instruction" in str(fault) and "23957" in str(fault)


def test_openvino_stays_at_the_version_of_its_gate_where_no_other_can_int8() -> None:
    for parts in (PI4, PI5):
        assert sound_version("openvino", "2026.4.1", "aarch64", parts, ["fp32", "int8"]) == "2026.4.1"
    (fault,) = known_faults("openvino", "2026.4.1", "aarch64", PI4, "int8")
    assert "cannot run int8" in fault.sentence


def test_openvino_int8_on_arm_is_noted() -> None:
    (fault,) = known_faults("openvino", "2025.4.1", "aarch64", PI5, "int8")
    assert fault.instead is None and "floating point" in fault.sentence
    assert known_faults("openvino", "2025.4.1", "aarch64", PI5, "fp32") == []
    assert known_faults("openvino", "2025.4.1", "x86_64", (), "int8") == []
    (slow,) = known_faults("openvino", "2026.4.1", "aarch64", PI5, "int8")
    assert slow.instead is None and "instructions" in slow.sentence
