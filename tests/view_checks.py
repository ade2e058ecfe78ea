"""View checks made by hand, and bundles that hold one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from fetaledge_runtimes.bundle import Manifest, StoredFile
from fetaledge_runtimes.view.check import FILE, LENGTH, ViewCheck
from fetaledge_runtimes.view.outline import LENGTH as OUTLINE

CENTRE, SPREAD = np.zeros(OUTLINE, np.float32), np.ones(OUTLINE, np.float32)


def check_that_says(scores: dict[str, float]) -> ViewCheck:
    """A check whose scores are constant, by status."""
    weights = np.zeros((len(scores), LENGTH), np.float32)
    return ViewCheck(tuple(scores), weights, np.array(list(scores.values()), np.float32), CENTRE, SPREAD)


def with_check(bundle: Path, check: ViewCheck) -> Path:
    """The bundle, with a view check from now on."""
    check.write(bundle / FILE)
    manifest = Manifest.read(bundle)
    names = (*(stored.file for stored in manifest.others if stored.file != FILE), FILE)
    others = tuple(StoredFile.of(bundle / name) for name in names)
    msgspec.structs.replace(manifest, others=others, view=FILE).write(bundle)
    return bundle
