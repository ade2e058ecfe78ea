"""The layout of LabelMe: one JSON file a frame, with the shapes drawn in it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from fetaledge.data.dataset import Problem
from fetaledge.data.layouts.drawn_shapes import Drawing, DrawnShapes, decoded
from fetaledge.data.layouts.shapes import POLYGON, Shape

FOLDERS = ("", "annotations", "labels")
LOOKED_AT = 8  # files, to recognise a folder


class _Shape(msgspec.Struct):
    label: str
    points: list[tuple[float, float]]
    shape_type: str | None = None


class _File(msgspec.Struct):
    shapes: list[_Shape]
    image: str = msgspec.field(name="imagePath")
    height: int | None = msgspec.field(name="imageHeight", default=None)
    width: int | None = msgspec.field(name="imageWidth", default=None)


class LabelMe(DrawnShapes):
    """``STEM.json`` as LabelMe writes it, in the folder, its ``annotations/`` or ``labels/``, and the images it names.

    Polygons are read; other kinds of shape are refused.
    """

    EXPECTS = "LabelMe (a .json with shapes for each image)"

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return any(decoded(path, _File) is not None for path in islice(_paths(folder), LOOKED_AT))

    def read_drawings(self) -> Iterator[Drawing]:
        for path in _paths(self.folder):
            content = decoded(path, _File)
            if content is None:
                if path.name not in ("dataset.json", "phantom.json"):
                    self.problems.append(Problem(path.name, "is no file of LabelMe with shapes and imagePath"))
                continue
            size = (content.height, content.width) if content.height and content.width else None
            yield Drawing(path, content.image.replace("\\", "/"), size, tuple(map(_shape, content.shapes)))


def _shape(shape: _Shape) -> Shape:
    return Shape(shape.label, shape.shape_type or POLYGON, tuple(value for point in shape.points for value in point))


def _paths(folder: Path) -> Iterator[Path]:
    return (path for part in FOLDERS for path in sorted((folder / part).glob("*.json")))
