"""The layout of CVAT: one XML file that lists images and the shapes drawn in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from fetaledge.data.layouts.drawn_shapes import Drawing, DrawnShapes
from fetaledge.data.layouts.shapes import BOX_RUNS, ELLIPSE, POLYGON, Shape
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.images import read_bytes

ROOT = b"<annotations"
HEAD_BYTES = 4096
SHAPES = ("box", "points", "polyline", "cuboid", "skeleton", POLYGON, ELLIPSE, BOX_RUNS)


class Cvat(DrawnShapes):
    """An ``.xml`` in the folder, as "CVAT for images 1.1" writes it, and the images it names.

    Polygons, ellipses and brush masks are read; other kinds of shape are refused, as are the tracks of a video.
    """

    EXPECTS = "CVAT (annotations.xml, CVAT for images)"

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return bool(_paths(folder))

    def read_drawings(self) -> Iterator[Drawing]:
        paths = _paths(self.folder)
        if len(paths) != 1:
            names = " and ".join(path.name for path in paths) or "no such file"
            raise InputError(f"{self.folder} holds {names}, where one file of CVAT was expected", "keep one of them")
        path = paths[0]
        try:
            root = fromstring(read_bytes(path))
        except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
            raise InputError(f"{path} is no XML that can be read: {error}", "export it again") from None
        if root.find("track") is not None:
            raise InputError(f"{path} holds tracks of a video", 'export it as "CVAT for images 1.1"')
        for image in root.iter("image"):
            try:
                shapes = tuple(_shape(child) for child in image if child.tag in SHAPES)
                size = (int(image.attrib["height"]), int(image.attrib["width"]))
                name = image.attrib["name"]
            except (KeyError, ValueError) as error:
                name = image.get("name", "")
                raise InputError(
                    f"{path}: image {name!r} has a missing or unusable {error}", "export it again"
                ) from None
            yield Drawing(path, name, size, shapes)


def _shape(element: Element) -> Shape:
    """Raises KeyError or ValueError where an attribute is missing or no number."""
    given = element.attrib
    values: tuple[float, ...] = ()
    if element.tag == POLYGON:
        values = _numbers(given["points"].replace(";", ","))
    elif element.tag == ELLIPSE:
        values = _numbers(",".join((*(given[key] for key in ("cx", "cy", "rx", "ry")), given.get("rotation", "0"))))
    elif element.tag == BOX_RUNS:
        values = _numbers(",".join(given[key] for key in ("left", "top", "width", "height", "rle")))
    return Shape(given["label"], element.tag, values)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _paths(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.glob("*.xml") if path.is_file())
    return [path for path in paths if ROOT in read_bytes(path, HEAD_BYTES)]
