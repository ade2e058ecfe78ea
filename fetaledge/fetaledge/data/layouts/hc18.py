"""The layout of HC18: heads with drawn outlines, their spacing and circumference in a table."""

from __future__ import annotations

from pathlib import Path

from fetaledge.data.dataset import Dataset, Item, Problem
from fetaledge.data.mask_picture import fill_outline, read_mask_picture
from fetaledge_runtimes.frames.frame import Image
from fetaledge_runtimes.frames.spacing import HC18_COLUMN, plausible_mm
from fetaledge_runtimes.frames.tables import Row, read_table
from fetaledge_runtimes.tasks.head import HEAD

IMAGES = "training_set"
TABLE = "training_set_pixel_size_and_HC.csv"
PIXEL, CIRCUMFERENCE = HC18_COLUMN, "head circumference (mm)"
LABEL_END = "_Annotation.png"


class Hc18(Dataset):
    """``training_set/NNN_HC.png`` with ``NNN_HC_Annotation.png`` (a thin outline) and one table of spacings and HC.

    The number before the underscore is the subject. The label is the ellipse fitted to all pixels of the outline,
    rasterised (:func:`fill_outline`); many copies of the data ship it filled, and then it is taken as it is.
    """

    PRECEDENCE = 10
    EXPECTS = "HC18 (training_set/ and its CSV)"
    TASK = HEAD
    ATTRIBUTION = "HC18 (van den Heuvel et al. 2018, Zenodo 1327317)"
    LICENCE = "CC BY 4.0"

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return (folder / IMAGES).is_dir() or (folder / TABLE).is_file()

    def scan(self) -> tuple[Item, ...]:
        folder = self.folder / IMAGES
        table = read_table(self.folder / TABLE, (PIXEL, CIRCUMFERENCE)).rows
        files = {path.name for path in folder.iterdir() if path.suffix == ".png"} if folder.is_dir() else set()
        images = {name for name in files if not name.endswith(LABEL_END)}
        items = []
        for name in sorted(images | set(table)):
            label = name.removesuffix(".png") + LABEL_END
            if name not in images:
                self.problems.append(Problem(name, f"has a row in {TABLE} and no image"))
            elif label not in files:
                self.problems.append(Problem(name, f"has no annotation {label}"))
            elif name not in table:
                self.problems.append(Problem(name, f"has no row in {TABLE}, so its spacing is unknown"))
            else:
                try:
                    spacing, hc_mm = _numbers(table[name])
                except ValueError as error:
                    self.problems.append(Problem(name, f"{error}, in {TABLE} line {table[name].line}"))
                    continue
                stem = name.removesuffix(".png")
                items.append(
                    Item(stem, stem.split("_")[0], folder / name, folder / label, (spacing, spacing), {"hc_mm": hc_mm})
                )
        for label in sorted(name for name in files if name.endswith(LABEL_END)):
            image = label.removesuffix(LABEL_END) + ".png"
            if image not in images and image not in table:
                self.problems.append(Problem(label, f"has no image {image}"))
        return tuple(items)

    def read_mask(self, item: Item) -> Image:
        return fill_outline(read_mask_picture(item.label).one_structure())


def _numbers(row: Row) -> tuple[float, float]:
    """(spacing, head circumference) in mm. Raises ValueError where a cell is empty or makes no sense."""
    spacing, hc_mm = plausible_mm(row, PIXEL), row.number(CIRCUMFERENCE)
    if spacing is None or hc_mm is None:
        raise ValueError(f"{PIXEL if spacing is None else CIRCUMFERENCE} is empty")
    return spacing, hc_mm
