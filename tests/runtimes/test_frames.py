"""Frames from pictures, folders and videos, and what is refused."""

from __future__ import annotations

import io
import math
import os
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.frames.depth import to_uint8
from fetaledge_runtimes.frames.images import MAX_FILE_BYTES, MAX_PIXELS, read_grey
from fetaledge_runtimes.frames.read import read_frames

HC18 = Path(__file__).parents[3] / "shared" / "hc18" / "training_set"


@pytest.fixture(scope="module")
def scan() -> np.ndarray:
    """uint8 (120, 200), smooth, spanning 0 to 255, different in every corner."""
    noise = np.random.default_rng(3).random((120, 200)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4) + np.linspace(0, 0.3, 200, dtype=np.float32)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def encode(picture: Pillow.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def refused(path: Path | str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_grey(path)
    assert str(path) in caught.value.message
    assert words in caught.value.message.replace(str(path), "")
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff"])
def test_grey_comes_back_as_it_was(tmp_path: Path, scan: np.ndarray, kind: str) -> None:
    path = put(tmp_path / f"a.{kind}", encode(Pillow.fromarray(scan), kind))
    pixels = read_grey(path)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, scan)


def test_jpeg_is_close(tmp_path: Path, scan: np.ndarray) -> None:
    pixels = read_grey(put(tmp_path / "a.jpg", encode(Pillow.fromarray(scan), "jpeg", quality=95)))
    assert np.abs(pixels.astype(int) - scan).max() < 12


def test_colour_becomes_grey_with_the_usual_weights(tmp_path: Path, scan: np.ndarray) -> None:
    colour = np.stack([scan, scan[:, ::-1], scan[::-1]], axis=2)
    pixels = read_grey(put(tmp_path / "a.png", encode(Pillow.fromarray(colour), "png")))
    np.testing.assert_allclose(pixels, colour @ [0.299, 0.587, 0.114], atol=0.51)


def test_cmyk_jpeg_is_not_inverted(tmp_path: Path, scan: np.ndarray) -> None:
    path = put(tmp_path / "a.jpg", encode(Pillow.fromarray(scan).convert("RGB").convert("CMYK"), "jpeg", quality=95))
    with Pillow.open(path) as picture:
        assert picture.mode == "CMYK"
    assert np.abs(read_grey(path).astype(int) - scan).mean() < 3


def test_opaque_alpha_changes_nothing_and_transparency_is_laid_on_black(tmp_path: Path, scan: np.ndarray) -> None:
    alpha = np.full_like(scan, 255)
    opaque = Pillow.fromarray(np.dstack([scan, scan, scan, alpha]))
    np.testing.assert_array_equal(read_grey(put(tmp_path / "a.png", encode(opaque, "png"))), scan)
    alpha[:, :100] = 0
    half = Pillow.fromarray(np.dstack([scan, scan, scan, alpha]))
    pixels = read_grey(put(tmp_path / "b.png", encode(half, "png")))
    assert not pixels[:, :100].any()
    np.testing.assert_array_equal(pixels[:, 100:], scan[:, 100:])


def test_16_bit_reads_like_its_8_bit_twin(tmp_path: Path, scan: np.ndarray) -> None:
    for name in ("a.png", "a.tif"):
        cv2.imwrite(str(tmp_path / name), scan.astype(np.uint16) * 257)
        np.testing.assert_array_equal(read_grey(tmp_path / name), scan)


def test_12_bit_in_a_16_bit_file_is_not_black(tmp_path: Path, scan: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.rint(scan * (4095 / 255)).astype(np.uint16))
    assert np.abs(read_grey(tmp_path / "a.png").astype(int) - scan).max() <= 1


def test_to_uint8_keeps_small_values_and_both_ends() -> None:
    np.testing.assert_array_equal(to_uint8(np.array([0, 1, 2], np.uint16)), [0, 1, 2])
    np.testing.assert_array_equal(to_uint8(np.array([0, 1023], np.uint16)), [0, 255])
    np.testing.assert_array_equal(to_uint8(np.array([0, 500], np.uint16), bits=16), [0, 2])


def test_float_tiff_is_refused(tmp_path: Path, scan: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), scan.astype(np.float32))
    refused(tmp_path / "a.tif", "float32")


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff"])
def test_exif_orientation_is_applied(tmp_path: Path, scan: np.ndarray, kind: str) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    path = put(tmp_path / f"a.{kind}", encode(Pillow.fromarray(scan), kind, exif=exif))
    pixels = read_grey(path)
    assert pixels.shape == (200, 120)
    assert np.abs(pixels.astype(int) - np.rot90(scan, -1)).mean() < 3


@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "tiff"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.97])
def test_cut_short_is_refused(tmp_path: Path, scan: np.ndarray, kind: str, kept: float) -> None:
    data = encode(Pillow.fromarray(scan), kind)
    refused(put(tmp_path / f"a.{kind}", data[: int(len(data) * kept)]), "")


@pytest.mark.parametrize(("kind", "lost"), [("png", 1), ("png", 12), ("jpeg", 1), ("jpeg", 2), ("bmp", 200)])
def test_a_few_missing_bytes_are_named(tmp_path: Path, scan: np.ndarray, kind: str, lost: int) -> None:
    data = encode(Pillow.fromarray(scan), kind)
    refused(put(tmp_path / f"a.{kind}", data[:-lost]), "cut short")


def test_cut_progressive_jpeg_with_thumbnail_is_refused(tmp_path: Path, scan: np.ndarray) -> None:
    thumbnail = encode(Pillow.fromarray(scan[:40, :40]), "jpeg")
    assert thumbnail.endswith(b"\xff\xd9")
    comment = b"\xff\xfe" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = encode(Pillow.fromarray(scan), "jpeg", progressive=True)
    data = whole[:2] + comment + whole[2:]
    assert read_grey(put(tmp_path / "whole.jpg", data)).shape == scan.shape
    refused(put(tmp_path / "cut.jpg", data[: len(data) - 900]), "cut short")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("jpeg", {"quality": 90}),
        ("jpeg", {"quality": 90, "optimize": True}),
        ("jpeg", {"quality": 90, "progressive": True}),
        ("jpeg", {"quality": 90, "restart_marker_blocks": 7}),
        ("tiff", {"compression": "tiff_adobe_deflate"}),
    ],
)
@pytest.mark.parametrize("end", [0, 2])
def test_zeros_from_the_middle_on_are_refused(
    tmp_path: Path, scan: np.ndarray, kind: str, options: dict[str, Any], end: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """A decoder fills the rest with grey; libjpeg has a word about it on stderr. With the last marker or without."""
    data = encode(Pillow.fromarray(scan), kind, **options)
    assert read_grey(put(tmp_path / f"whole.{kind}", data)).shape == scan.shape
    kept = len(data) * 3 // 5
    tail = data[len(data) - end :]
    refused(put(tmp_path / f"a.{kind}", data[:kept] + bytes(len(data) - kept - end) + tail), "damaged or cut short")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("kind", ["bmp", "tiff"])
def test_zeros_from_the_middle_of_a_row_on_are_refused_and_a_black_margin_is_not(
    tmp_path: Path, scan: np.ndarray, kind: str, mode: str
) -> None:
    picture = Pillow.fromarray(np.maximum(scan, 1)).convert(mode)
    data = encode(picture, kind)
    row_bytes = 200 * len(picture.getbands())
    kept = len(data) - 40 * row_bytes - row_bytes // 2
    refused(put(tmp_path / f"a.{kind}", data[:kept] + bytes(len(data) - kept)), "its last bytes are zeros")
    for margin in (np.s_[:40], np.s_[80:]):
        letterboxed = np.array(picture)
        letterboxed[margin] = 0
        path = put(tmp_path / f"b.{kind}", encode(Pillow.fromarray(letterboxed), kind))
        assert read_grey(path).shape == scan.shape


def test_a_flipped_byte_in_a_deflated_tiff_is_refused(tmp_path: Path, scan: np.ndarray) -> None:
    data = bytearray(encode(Pillow.fromarray(scan), "tiff", compression="tiff_adobe_deflate"))
    for at in range(2000, len(data) - 2000, 1500):
        damaged = data.copy()
        damaged[at] ^= 0xFF
        refused(put(tmp_path / "a.tif", bytes(damaged)), "damaged or cut short")


def test_good_files_of_many_writers_are_not_called_damaged(tmp_path: Path, scan: np.ndarray) -> None:
    grey = Pillow.fromarray(scan)
    jpeg = encode(grey, "jpeg", quality=90)
    for name, data in {
        "padded.jpg": jpeg + bytes(600),
        "two-bytes-before-the-end.jpg": jpeg[:-2] + b"\0\0" + jpeg[-2:],
        "restarts.jpg": encode(grey.convert("RGB"), "jpeg", restart_marker_rows=1),
        "progressive.jpg": encode(grey, "jpeg", progressive=True, optimize=True),
        "black.bmp": encode(Pillow.fromarray(np.zeros_like(scan)), "bmp"),
        "sector.bmp": encode(Pillow.fromarray(np.where(np.tri(120, 200, dtype=bool), scan, 0)), "bmp"),
        "lzw.tif": encode(grey, "tiff", compression="tiff_lzw"),
        "packbits.tif": encode(grey, "tiff", compression="packbits"),
        "jpeg.tif": encode(grey, "tiff", compression="jpeg"),
        "deflate.tif": encode(grey, "tiff", compression="tiff_deflate"),
    }.items():
        assert read_grey(put(tmp_path / name, data)).shape == scan.shape, name


def test_flipped_bit_in_a_png_is_refused(tmp_path: Path, scan: np.ndarray) -> None:
    data = bytearray(encode(Pillow.fromarray(scan), "png"))
    data[len(data) // 2] ^= 0x10
    refused(put(tmp_path / "a.png", bytes(data)), "checksum")


def test_missing_empty_text_and_foreign(tmp_path: Path) -> None:
    refused(tmp_path / "none.png", "does not exist")
    refused(put(tmp_path / "empty.png", b""), "empty")
    refused(put(tmp_path / "text.png", b"filename,pixel size(mm)\n000_HC.png,0.07\n"), "text")
    refused(put(tmp_path / "zip.png", b"PK\x03\x04" + bytes(400)), "no PNG, JPEG, BMP or TIFF")
    (tmp_path / "folder.png").mkdir()
    refused(tmp_path / "folder.png", "cannot be read")


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (20000, 20), (20, 20000), (31, 200), (200, 31), (400, 39), (3000, 200)]
)
def test_sizes_that_are_no_ultrasound_frame(tmp_path: Path, width: int, height: int) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((height, width), np.uint8))
    refused(tmp_path / "a.png", f"{width}x{height}, which is not an ultrasound frame")


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_no_pixels_and_far_too_many(tmp_path: Path, scan: np.ndarray) -> None:
    refused(put(tmp_path / "none.png", png_that_claims(0, 0)), "states no pixels")
    refused(put(tmp_path / "bomb.png", png_that_claims(60000, 60000)), "25 megapixels")
    assert MAX_PIXELS == 25_000_000
    jpeg = bytearray(encode(Pillow.fromarray(scan), "jpeg"))
    frame_header = jpeg.find(b"\xff\xc0")
    jpeg[frame_header + 5 : frame_header + 9] = b"\xff\xff\xff\xff"
    refused(put(tmp_path / "bomb.jpg", bytes(jpeg)), "25 megapixels")


def test_a_file_too_large_for_a_picture(tmp_path: Path) -> None:
    with (tmp_path / "a.bmp").open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)  # takes no room on the disk
    refused(tmp_path / "a.bmp", "above the limit of 256 MB")


def test_several_pages_are_refused(tmp_path: Path, scan: np.ndarray) -> None:
    picture = Pillow.fromarray(scan)
    refused(put(tmp_path / "a.tif", encode(picture, "tiff", save_all=True, append_images=[picture])), "several pages")


def test_nothing_reaches_stderr(tmp_path: Path, scan: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    for kind in ("png", "jpeg", "bmp", "tiff"):
        data = encode(Pillow.fromarray(scan), kind)
        refused(put(tmp_path / f"a.{kind}", data[: len(data) * 2 // 3]), "")
    with pytest.raises(InputError):
        list(read_frames(put(tmp_path / "a.mp4", b"\0\0\0\x18ftypmp42" + bytes(900))))
    assert capfd.readouterr() == ("", "")


def test_one_picture_is_one_frame_without_spacing(tmp_path: Path, scan: np.ndarray) -> None:
    path = put(tmp_path / "a.PNG", encode(Pillow.fromarray(scan), "png", dpi=(300, 300)))
    (frame,) = read_frames(str(path))
    assert (frame.source, frame.index, frame.pixel_mm) == (str(path), 0, None)
    assert frame.pixels.shape == scan.shape
    (frame,) = read_frames(path, pixel_mm=0.15)
    assert frame.pixel_mm == (0.15, 0.15)
    (frame,) = read_frames(path, pixel_mm=(0.1, 0.2))
    assert frame.pixel_mm == (0.1, 0.2)


@pytest.mark.parametrize("value", [0, -0.1, math.nan, math.inf, 0.004, 5.1, (0.1, 0), (0.1,), (1, 1, 1), "wide", None])
def test_implausible_spacing_is_wrong_usage(tmp_path: Path, scan: np.ndarray, value: Any) -> None:
    path = put(tmp_path / "a.png", encode(Pillow.fromarray(scan), "png"))
    if value is None:
        assert next(read_frames(path, None)).pixel_mm is None
        return
    with pytest.raises(UsageError, match="0.005 to 5"):
        read_frames(path, pixel_mm=value)


def test_a_folder_is_read_by_name_without_the_rest(tmp_path: Path, scan: np.ndarray) -> None:
    data = encode(Pillow.fromarray(scan), "png")
    for name in ("b_HC.png", "b_HC_Annotation.png", "a.png", ".hidden.png", "lone_Annotation.png"):
        put(tmp_path / name, data)
    put(tmp_path / "table.csv", b"a,b\n")
    put(tmp_path / "notes", b"")
    (tmp_path / "deeper.png").mkdir()
    put(tmp_path / "deeper.png" / "c.png", data)
    names = [Path(frame.source).name for frame in read_frames(tmp_path)]
    assert names == ["a.png", "b_HC.png", "lone_Annotation.png"]


def test_a_folder_without_frames_and_other_kinds_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "table.csv", b"a,b\n")
    with pytest.raises(InputError, match="holds no picture"):
        read_frames(tmp_path)
    with pytest.raises(InputError, match="of no kind"):
        read_frames(tmp_path / "table.csv")
    with pytest.raises(InputError, match="does not exist"):
        read_frames(tmp_path / "none")
    with pytest.raises(InputError, match="does not exist"):
        read_frames("rtsp://somewhere/stream.mp4")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("zero.png", "pipe.png"):
        refused(tmp_path / name, "no regular file")
        with pytest.raises(InputError, match="no regular file"):
            read_frames(tmp_path / name)
    with pytest.raises(InputError, match="holds no picture"):
        read_frames(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(tmp_path: Path, scan: np.ndarray) -> None:
    path = put(tmp_path / "a.png", encode(Pillow.fromarray(scan), "png"))
    path.chmod(0)
    refused(path, "cannot be read")


def write_video(path: Path, scan: np.ndarray, code: str, count: int = 12) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 20.0, (200, 120))
    assert writer.isOpened()
    for shift in range(count):
        writer.write(cv2.cvtColor(np.roll(scan, 10 * shift, axis=1), cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


@pytest.mark.parametrize(("suffix", "code"), [("avi", "MJPG"), ("mp4", "mp4v"), ("mov", "mp4v"), ("mkv", "MJPG")])
def test_a_video_gives_its_frames_in_order(tmp_path: Path, scan: np.ndarray, suffix: str, code: str) -> None:
    path = write_video(tmp_path / f"cine.{suffix}", scan, code)
    frames = list(read_frames(path, pixel_mm=0.2))
    assert [frame.index for frame in frames] == list(range(12))
    for frame in frames:
        assert frame.pixels.dtype == np.uint8 and frame.pixels.shape == (120, 200)
        assert frame.source == str(path) and frame.pixel_mm == (0.2, 0.2)
        assert np.abs(frame.pixels.astype(int) - np.roll(scan, 10 * frame.index, axis=1)).mean() < 12


@pytest.mark.parametrize(
    ("suffix", "code"),
    [("avi", "MJPG"), ("avi", "XVID"), ("mkv", "MJPG"), ("wmv", "WMV2"), ("mpg", "MPG2"), ("ts", "MPG2")],
)
def test_a_video_that_breaks_off_gives_what_is_whole_and_then_says_so(
    tmp_path: Path, scan: np.ndarray, suffix: str, code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The frame at the break is half old and half new: a decoder fills it up without a word."""
    data = write_video(tmp_path / f"whole.{suffix}", scan, code).read_bytes()
    capfd.readouterr()
    whole = [frame.pixels for frame in read_frames(put(tmp_path / f"all.{suffix}", data))]
    assert len(whole) == 12
    frames = []
    with pytest.raises(InputError, match=r"cut short: it breaks off after \d+ whole frames"):
        for frame in read_frames(put(tmp_path / f"cut.{suffix}", data[: len(data) * 4 // 5 - 11])):
            frames.append(frame)
    assert 2 <= len(frames) < 12
    for frame in frames:
        np.testing.assert_array_equal(frame.pixels, whole[frame.index])
    assert capfd.readouterr() == ("", "")


def test_an_mp4_with_its_index_first_that_breaks_off(tmp_path: Path, scan: np.ndarray) -> None:
    data = write_video(tmp_path / "whole.mp4", scan, "mp4v").read_bytes()
    boxes, at = {}, 0
    while at < len(data):
        boxes[data[at + 4 : at + 8]] = box = data[at : at + int.from_bytes(data[at : at + 4], "big")]
        at += len(box)
    index = bytearray(boxes[b"moov"])
    places = index.index(b"stco") + 12
    for place in range(places, places + 4 * int.from_bytes(index[places - 4 : places], "big"), 4):
        moved = int.from_bytes(index[place : place + 4], "big") + len(index) - len(boxes[b"free"])
        index[place : place + 4] = moved.to_bytes(4, "big")
    first = boxes[b"ftyp"] + bytes(index) + boxes[b"mdat"]
    assert len(list(read_frames(put(tmp_path / "first.mp4", first)))) == 12
    with pytest.raises(InputError, match="cut short"):
        list(read_frames(put(tmp_path / "cut.mp4", first[: len(first) * 4 // 5])))


def test_unusable_videos_are_refused(tmp_path: Path, scan: np.ndarray) -> None:
    data = write_video(tmp_path / "whole.mp4", scan, "mp4v").read_bytes()
    for name, content, words in (
        ("cut.mp4", data[: len(data) // 3], "no frame can be decoded"),
        ("empty.mp4", b"", "empty"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nother.mp4\n", "whatever its name says"),
        ("list.avi", b"ffconcat version 1.0\nfile whole.mp4\n", "whatever its name says"),
    ):
        path = put(tmp_path / name, content)
        with pytest.raises(InputError) as caught:
            list(read_frames(path))
        assert words in caught.value.message.replace(str(path), "")


@pytest.mark.skipif(not HC18.is_dir(), reason="../shared/hc18 is not here")
def test_hc18_frames_are_read_as_stored() -> None:
    frame = next(read_frames(HC18))
    assert frame.source.endswith("000_HC.png")
    assert frame.pixels.shape == (540, 800)
    assert frame.pixel_mm is not None and frame.spacing_from == "training_set_pixel_size_and_HC.csv"
    np.testing.assert_array_equal(frame.pixels, np.asarray(Pillow.open(HC18 / "000_HC.png").convert("L")))
