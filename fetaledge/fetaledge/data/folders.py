"""The layout ``images/`` + ``masks/``, for one's own frames."""

from __future__ import annotations

from pathlib import Path

from fetaledge.data.dataset import Dataset, Item, Problem, positive, read_table, spacing_mm
from fetaledge_runtimes.errors import InputError
from fetaledge_runtimes.frame import Image
from fetaledge_runtimes.images import read_grey

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


class ImagesAndMasks(Dataset):
    """``images/STEM.*`` and ``masks/STEM.png`` (non-zero = head), paired by stem.

    An optional ``pixels.csv`` has the columns ``filename`` and either ``pixel_mm`` or ``row_mm`` and ``column_mm``, and
    may have ``subject`` (default: each frame is its own) and ``hc_mm`` (default: measured on the mask).
    """

    @staticmethod
    def recognises(folder: Path) -> bool:
        return (folder / "images").is_dir() or (folder / "masks").is_dir()

    def scan(self) -> tuple[Item, ...]:
        images, masks = (self._by_stem(part) for part in ("images", "masks"))
        path = self.folder / "pixels.csv"
        table = {Path(row["filename"]).stem: row for row in read_table(path, ("filename",))} if path.is_file() else {}
        for stem in sorted(set(table) - set(images)):
            self.problems.append(Problem(f"pixels.csv: {stem}", "has a row and no image"))
        for stem in sorted(set(masks) - set(images)):
            self.problems.append(Problem(f"masks/{masks[stem].name}", f"has no image images/{stem}.*"))
        items = []
        for stem, image in sorted(images.items()):
            if stem not in masks:
                self.problems.append(Problem(f"images/{image.name}", f"has no mask masks/{stem}.png"))
                continue
            row = table.get(stem, {})
            try:
                hc_mm = positive(row["hc_mm"], "hc_mm") if row.get("hc_mm") else None
                items.append(Item(stem, row.get("subject") or stem, image, masks[stem], spacing_of(row), hc_mm))
            except ValueError as error:
                self.problems.append(Problem(f"pixels.csv: {stem}", str(error)))
        return tuple(items)

    def _by_stem(self, part: str) -> dict[str, Path]:
        folder = self.folder / part
        if not folder.is_dir():
            raise InputError(f"{self.folder} has no {part}/ folder", "expected images/ and masks/ side by side")
        found: dict[str, Path] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in IMAGE_SUFFIXES:
                if path.stem in found:
                    self.problems.append(
                        Problem(f"{part}/{path.name}", f"has the same stem as {found[path.stem].name}")
                    )
                found.setdefault(path.stem, path)
        return found

    def read_mask(self, item: Item) -> Image:
        return (read_grey(item.label) > 0).astype("uint8")


def spacing_of(row: dict[str, str]) -> tuple[float, float] | None:
    """(row, column) spacing in mm of a row of ``pixels.csv``; None where it states none. Raises ValueError."""
    if row.get("pixel_mm"):
        spacing = spacing_mm(row["pixel_mm"], "pixel_mm")
        return spacing, spacing
    if row.get("row_mm") or row.get("column_mm"):
        return spacing_mm(row.get("row_mm", ""), "row_mm"), spacing_mm(row.get("column_mm", ""), "column_mm")
    return None
