"""The shapes of real label maps, and the numbers of ``fetaledge/phantoms/psfhs_shapes.py``.

    python tests/fetaledge/psfhs_shapes.py PSFHS

Prints the two tables of that module: quantiles of each quantity, and how the quantities go together. No frame and no
label of the set is among them.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fetaledge.phantoms.psfhs_shapes import LEVELS, QUANTITIES
from fetaledge_runtimes.ellipse import Ellipse
from fetaledge_runtimes.tasks.ps_fh import measure_progression


def tilt(angle_deg: float) -> float:
    """Of an ellipse's long axis, from the horizontal: -90 to 90 degrees, positive where its left end is the lower."""
    return 90 - (angle_deg + 90) % 180


def shown(symphysis: Ellipse, head: Ellipse, aop_deg: float, height: float) -> dict[str, float]:
    """What the distributions of real and synthetic scenes are compared by; areas as a share of the height's square."""
    return {
        "angle": aop_deg,
        "symphysis right of the head": (symphysis.x - head.x) / head.a,
        "symphysis area": symphysis.area / height**2,
        "head area": head.area / height**2,
        "symphysis tilt": tilt(symphysis.angle_deg),
        "head tilt": head.angle_deg,
        "symphysis axes": symphysis.b / symphysis.a,
        "head axes": head.b / head.a,
        "symphysis x": symphysis.x / height,
        "symphysis y": symphysis.y / height,
        "head x": head.x / height,
        "head y": head.y / height,
    }


def real_scenes(folder: Path) -> Iterable[tuple[Ellipse, Ellipse, float, float, float]]:
    """Symphysis, head, angle, length of the tangent and height of the frame, of each map of PSFHS."""
    import SimpleITK

    for path in sorted((folder / "label_mha").glob("*.mha")):
        mask = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
        found = measure_progression(mask)
        if found.symphysis and found.head and found.aop_deg and found.inferior and found.tangent:
            yield found.symphysis, found.head, found.aop_deg, math.dist(found.inferior, found.tangent), mask.shape[0]


def quantities(scene: tuple[Ellipse, Ellipse, float, float, float]) -> dict[str, float]:
    """The numbers that a scene of the phantom is drawn by."""
    symphysis, head, aop_deg, tangent, height = scene
    head_size = math.sqrt(head.a * head.b)
    return {
        "x": (symphysis.x + 0.5) / height,
        "y": (symphysis.y + 0.5) / height,
        "size": math.sqrt(symphysis.a * symphysis.b) / height,
        "ratio": symphysis.b / symphysis.a,
        "tilt": tilt(symphysis.angle_deg),
        "head_size": head_size / height,
        "head_ratio": head.b / head.a,
        "head_angle": head.angle_deg,
        "aop": aop_deg,
        "tangent": tangent / head_size,
    }


def main() -> None:
    """Print both tables."""
    from scipy import stats

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    rows = [quantities(scene) for scene in real_scenes(parser.parse_args().data)]
    values = np.array([[row[name] for name in QUANTITIES] for row in rows])
    print("QUANTILES = {")
    for name, column in zip(QUANTITIES, values.T, strict=True):
        shown_values = ", ".join(f"{value:.4g}" for value in np.quantile(column, LEVELS))
        print(f'    "{name}": ({shown_values}),')
    print("}\nCORRELATION = (")
    scores = stats.norm.ppf((stats.rankdata(values, axis=0) - 0.5) / len(values))
    for number, row in enumerate(np.corrcoef(scores.T)):
        print("    (" + ", ".join(f"{value:.2f}" for value in row[: number + 1]) + ("," if number == 0 else "") + "),")
    print(")")


if __name__ == "__main__":
    main()
