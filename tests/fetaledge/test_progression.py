"""The angle of progression of transperineal phantoms, whose geometry is known exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fetaledge.phantoms.ps_fh import psfh_phantom
from fetaledge_runtimes.tasks.challenge_angle import challenge_aop
from fetaledge_runtimes.tasks.ps_fh import measure_progression

STATUSES = {
    "near-vertical": "ps-axis-vertical",
    "truncated": "head-truncated",
    "missing-ps": "missing-ps",
}


@pytest.mark.integration
def test_true_masks_of_500_phantoms() -> None:
    errors, of_challenge, distances = [], [], []
    for seed in range(500):
        phantom = psfh_phantom(seed, (512, 512), drawn=False)
        mask, pixel_mm = phantom.labelled.mask, phantom.labelled.frame.pixel_mm
        found = measure_progression(mask, pixel_mm)
        assert found.status == "ok", f"seed {seed}"
        assert found.aop_deg is not None and found.hsd_px is not None and found.hsd_mm is not None
        assert phantom.aop_deg is not None and phantom.hsd_px is not None and pixel_mm is not None
        errors.append(found.aop_deg - phantom.aop_deg)
        distances.append(found.hsd_px - phantom.hsd_px)
        assert found.hsd_mm == pytest.approx(found.hsd_px * pixel_mm[0])
        of_challenge.append(challenge_aop(mask) - min(phantom.aop_deg, 360 - phantom.aop_deg))
    size = np.abs(errors)
    assert size.mean() <= 0.1 and abs(np.mean(errors)) <= 0.02 and size.max() <= 0.5
    assert np.abs(distances).mean() <= 0.1 and np.max(np.abs(distances)) <= 0.5
    assert np.median(np.abs(of_challenge)) <= 0.1


@pytest.mark.integration
@pytest.mark.parametrize("case", STATUSES)
@pytest.mark.parametrize("size", [256, 512])
def test_no_number_for_a_difficult_case(case: str, size: int) -> None:
    for seed in range(25):
        phantom = psfh_phantom(seed, (size, size), case, drawn=False)
        found = measure_progression(phantom.labelled.mask, phantom.labelled.frame.pixel_mm)
        assert (found.status, found.aop_deg) == (STATUSES[case], None), f"seed {seed}"


@pytest.mark.integration
def test_true_masks_at_the_size_of_the_challenge() -> None:
    phantoms = [psfh_phantom(seed, drawn=False) for seed in range(100)]
    found = [measure_progression(phantom.labelled.mask, phantom.labelled.frame.pixel_mm) for phantom in phantoms]
    assert {one.status for one in found} == {"ok"}
    errors = [one.aop_deg - phantom.aop_deg for one, phantom in zip(found, phantoms, strict=True)]  # type: ignore[operator]
    assert np.abs(errors).mean() <= 0.25 and np.max(np.abs(errors)) <= 1.5


@pytest.mark.integration
def test_a_mirrored_phantom_is_measured_in_its_flipped_mask() -> None:
    for seed in range(25):
        phantom = psfh_phantom(seed, case="mirrored", drawn=False)
        found = measure_progression(np.ascontiguousarray(phantom.labelled.mask[:, ::-1]))
        assert found.aop_deg == pytest.approx(phantom.aop_deg, abs=1.5), f"seed {seed}"


@pytest.mark.integration
def test_real_label_maps_have_an_angle(real_psfhs: Path) -> None:
    import SimpleITK

    maps = sorted((real_psfhs / "label_mha").glob("*.mha"))
    found = [measure_progression(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))) for path in maps]
    angles = np.array([one.aop_deg for one in found if one.aop_deg is not None])
    assert len(maps) == 646 and len(angles) >= 0.99 * len(maps)
    assert angles.min() > 60 and 190 < angles.max() < 205, "the head crowns in a few"
