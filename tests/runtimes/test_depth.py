"""Pictures of more than 8 bits: one depth for all pictures of a source."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.frames.depth import Stored, common_bits
from fetaledge_runtimes.frames.read import depth_of, read_frames

GREY = 500


def picture(brightest: int) -> np.ndarray:
    pixels = np.full((64, 80), GREY, np.uint16)
    pixels[:8] = brightest
    return pixels


def write_png(path: Path, pixels: np.ndarray, significant: Sequence[int] = ()) -> None:
    data = cv2.imencode(".png", pixels)[1].tobytes()
    if significant:
        chunk = b"sBIT" + bytes(significant)
        data = (
            data[:33] + len(significant).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + data[33:]
        )
    path.write_bytes(data)


def write_tiff(path: Path, pixels: np.ndarray, highest: int) -> None:
    """A grey 16-bit TIFF with the tag MaxSampleValue."""
    height, width = pixels.shape
    entries = [(256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, height)]
    entries += [(279, pixels.nbytes), (281, highest)]
    directory = b"".join(
        tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little") for tag, value in entries
    )
    head = b"II*\0" + (8 + pixels.nbytes).to_bytes(4, "little")
    path.write_bytes(head + pixels.astype("<u2").tobytes() + len(entries).to_bytes(2, "little") + directory + bytes(4))


def greys(folder: Path, bits: int | None = None) -> list[tuple[int, int]]:
    """What grey 500 becomes in each frame, and the depth that was taken."""
    return [(int(frame.pixels[40, 40]), frame.bits) for frame in read_frames(folder, bits=bits)]


def test_one_grey_level_is_one_grey_level_in_the_whole_sweep(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", picture(900))
    write_png(tmp_path / "b.png", picture(4000))
    (tmp_path / "c.png").write_bytes(b"no picture")
    with pytest.raises(InputError):
        greys(tmp_path)
    (tmp_path / "c.png").unlink()
    assert greys(tmp_path) == [(31, 12), (31, 12)]
    assert greys(tmp_path / "a.png") == [(125, 10)]  # nothing else is known of it
    assert greys(tmp_path, 16) == [(2, 16), (2, 16)]
    both = depth_of([tmp_path / "a.png", tmp_path / "b.png"])
    assert next(read_frames(tmp_path / "a.png", bits=both)).bits == 12


def test_8_bit_pictures_stay_as_they_are(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", picture(4000))
    cv2.imwrite(str(tmp_path / "b.png"), np.full((64, 80), 90, np.uint8))
    assert greys(tmp_path) == [(31, 12), (90, 8)]


@pytest.mark.parametrize(("brightest", "expected"), [(900, (31, 12)), (4000, (31, 12)), (60000, (2, 16))])
def test_the_depth_that_a_png_states(tmp_path: Path, brightest: int, expected: tuple[int, int]) -> None:
    """PNG wants the significant bits at the top of the 16; in some files they are at the bottom."""
    write_png(tmp_path / "a.png", picture(brightest), [12])
    assert greys(tmp_path) == [expected]


def test_the_depth_that_a_colour_png_states(tmp_path: Path) -> None:
    colour = np.repeat(picture(900)[..., None], 3, axis=2)
    write_png(tmp_path / "a.png", colour, [11, 12, 11])
    assert greys(tmp_path) == [(31, 12)]


def test_the_depth_that_a_tiff_states(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", picture(900), 4095)
    assert greys(tmp_path) == [(31, 12)]


def test_levels_above_the_given_depth_are_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", picture(4000))
    with pytest.raises(InputError, match=r"a\.png holds the grey level 4000, above the 1023 of 10 bits"):
        greys(tmp_path, 10)
    with pytest.raises(UsageError, match="depth of 9 bits"):
        read_frames(tmp_path, bits=9)
    with pytest.raises(InputError, match="reach 70000"):
        common_bits([Stored(np.array([70000], np.uint32))])
