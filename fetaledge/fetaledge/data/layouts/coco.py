"""The layout of COCO: one JSON file that lists images, categories and the polygons of annotations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from fetaledge.data.layouts.drawn_shapes import Drawing, DrawnShapes, decoded
from fetaledge.data.layouts.shapes import COLUMN_RUNS, POLYGON, Shape
from fetaledge_runtimes.errors import InputError

FOLDERS = ("", "annotations")
LOOKED_AT = 8  # files of each: where there are more, they are another tool's, one an image
Id = int | str


class _Image(msgspec.Struct):
    id: Id
    file_name: str
    height: int | None = None
    width: int | None = None


class _Category(msgspec.Struct):
    id: Id
    name: str


class _Runs(msgspec.Struct):
    counts: list[int] | str


class _Annotation(msgspec.Struct):
    image_id: Id
    category_id: Id
    segmentation: list[list[float]] | _Runs | None = None


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


class Coco(DrawnShapes):
    """One ``.json`` of COCO's object detection format in the folder or its ``annotations/``, and the images it names.

    Polygons and uncompressed run lengths are read; a box alone is refused, as are compressed run lengths.
    """

    EXPECTS = "COCO (a .json of images, annotations and categories)"

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return bool(_files(folder))

    def read_drawings(self) -> Iterator[Drawing]:
        files = _files(self.folder)
        if len(files) != 1:
            held = " and ".join(str(path.relative_to(self.folder)) for path in files) or "no such file"
            raise InputError(f"{self.folder} holds {held}, where one COCO file was expected", "keep one of them")
        ((path, content),) = files.items()
        names = {category.id: category.name for category in content.categories}
        shapes: dict[Id, list[Shape]] = defaultdict(list)
        for annotation in content.annotations:
            category = names.get(annotation.category_id, f"category {annotation.category_id}")
            shapes[annotation.image_id] += _shapes(category, annotation)
        for image in content.images:
            size = (image.height, image.width) if image.height and image.width else None
            yield Drawing(path, image.file_name, size, tuple(shapes[image.id]))


def _shapes(name: str, annotation: _Annotation) -> list[Shape]:
    drawn = annotation.segmentation
    if isinstance(drawn, _Runs):
        if isinstance(drawn.counts, str):
            return [Shape(name, "compressed run lengths", ())]
        return [Shape(name, COLUMN_RUNS, tuple(drawn.counts))]
    return [Shape(name, POLYGON, tuple(points)) for points in drawn or ()] or [Shape(name, "box", ())]


def _files(folder: Path) -> dict[Path, _File]:
    paths = (path for part in FOLDERS for path in islice(sorted((folder / part).glob("*.json")), LOOKED_AT))
    found = ((path, decoded(path, _File)) for path in paths)
    return {path: content for path, content in found if content is not None}
