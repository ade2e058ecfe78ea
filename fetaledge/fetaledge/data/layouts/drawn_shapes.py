"""Layouts of frames whose structures were drawn as shapes with a name, in the file of an annotation tool."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import msgspec
import numpy as np

from fetaledge.data.dataset import Dataset, Item, Problem
from fetaledge.data.layouts.images_and_masks import item_of_row
from fetaledge.data.layouts.shapes import Shape, label_of, task_of
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.images import check_size, read_bytes
from fetaledge_runtimes.frames.spacing import SPACING_FILE, read_pixels
from fetaledge_runtimes.tasks.task import Task

NAMES = "head, fetal head, skull, FH or HC, and symphysis, pubic symphysis, PS or SP"
S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True)
class Drawing:
    """What an annotation file says of one frame.

    Attributes:
        source: the annotation file.
        image: name of the frame's file, with or without its folders.
        size: (height, width) that it was annotated at, or None.
        shapes: drawn in it.
    """

    source: Path
    image: str
    size: tuple[int, int] | None
    shapes: tuple[Shape, ...]


class DrawnShapes(Dataset):
    """Frames and the shapes drawn in them, with an optional ``pixels.csv`` as of ``images/`` + ``masks/``.

    What a shape marks is told by its name (:data:`NAMES`). Frames lie beside the annotation file, in the folder or in
    its ``images/``. A frame without any shape is refused: nobody can tell it from one that is not annotated yet.
    """

    PRECEDENCE = 30

    @abstractmethod
    def read_drawings(self) -> Iterable[Drawing]:
        """What the annotation files say. Raises InputError."""

    def scan(self) -> tuple[Item, ...]:
        table = read_pixels(self.folder / SPACING_FILE)
        self.drawings: dict[str, Drawing] = {}
        items, images = [], []
        for drawing in self.read_drawings():
            image = self._find(drawing)
            stem = PurePosixPath(drawing.image).stem
            if image is None:
                self.problems.append(Problem(drawing.image, f"stands in {drawing.source.name} and is not here"))
                continue
            if stem in self.drawings:
                self.problems.append(Problem(drawing.image, f"has a namesake in {self.drawings[stem].source.name}"))
                continue
            self.drawings[stem] = drawing
            images.append(image)
            try:
                items.append(item_of_row(stem, image, drawing.source, table.row_of(image)))
            except ValueError as error:
                self.problems.append(Problem(f"{SPACING_FILE}: {stem}", str(error)))
        for stem in sorted(Path(name).stem for name in table.unmatched(images)):
            self.problems.append(Problem(f"{SPACING_FILE}: {stem}", "has a row and no annotated image"))
        return tuple(sorted(items, key=lambda item: item.name))

    def _find(self, drawing: Drawing) -> Path | None:
        name = PurePosixPath(drawing.image)
        parts = [name.name] if name.is_absolute() or ".." in name.parts else [str(name), name.name]
        bases = dict.fromkeys((drawing.source.parent, self.folder, self.folder / "images"))
        places = [base / part for base in bases for part in parts]
        with contextlib.suppress(OSError):  # a name that is too long is here as little
            return next((place for place in places if place.is_file()), None)
        return None

    def infer_task(self) -> tuple[Task, str]:
        """By the names of all shapes.

        Raises:
            InputError: one of them says nothing.
        """
        names = {shape.name for drawing in self.drawings.values() for shape in drawing.shapes}
        shown = ", ".join(repr(name) for name in sorted(names)) or "nothing"
        task = task_of(names)
        if task is None:
            raise InputError(f"the shapes of {self.folder} mark {shown}", f"name them {NAMES}, and leave others out")
        return task, f"the shapes mark {shown}: taken as the task {task.name} (--task chooses another)"

    def read_mask(self, item: Item) -> Image:
        drawing = self.drawings[item.name]
        if not drawing.shapes:
            raise InputError(f"{item.label} has no shape in {item.image.name}", "annotate it, or leave the frame out")
        if drawing.size:
            check_size(*drawing.size, f"{item.image.name} in {item.label}")
        mask = np.zeros(drawing.size or self.read_stored(item.image).pixels.shape, np.uint8)
        named = [(label_of(shape.name, self.task), shape) for shape in drawing.shapes]
        for label in reversed(self.task.labels):
            for found, shape in named:
                if found is None:
                    raise InputError(
                        f"{item.label} marks {shape.name!r} in {item.image.name}, and the task is {self.task.name}",
                        f"name the shapes {NAMES}, and leave others out",
                    )
                if found == label:
                    mask[self._area(shape, item, mask) > 0] = label
        return mask

    def _area(self, shape: Shape, item: Item, mask: Image) -> Image:
        where = f"{item.label} marks {shape.name!r} in {item.image.name}"
        try:
            area = shape.area((mask.shape[0], mask.shape[1]))
        except (ValueError, OverflowError) as error:
            raise InputError(f"{where} by {error}", "draw it again") from None
        if area is None:
            raise InputError(f"{where} by a shape of the kind {shape.kind!r}", "draw its outline as a polygon")
        return area

    def label_content(self, item: Item) -> bytes:
        return repr(self.drawings[item.name].shapes).encode()


def decoded(path: Path, kind: type[S]) -> S | None:
    """A JSON file as a struct; None where it is another document.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return msgspec.json.decode(read_bytes(path), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
