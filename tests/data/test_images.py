from __future__ import annotations

import contextlib
import tempfile
import zlib
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from picture_bytes import (
    FORMATS,
    encode,
    jpeg_with_exif,
    png_bomb,
    png_chunk,
    png_with_chunk,
    tiff,
    webp_with_exif,
)

from foveate.data.images import (
    ArraySource,
    as_image,
    find_images,
    image_size,
    load_image,
    open_image,
)
from foveate.errors import FoveateError
from foveate.structures import Tile, UInt8Image


def smooth(height: int, width: int) -> UInt8Image:
    """Three different gradients: survives lossy encoding, and swapped channels show."""
    rows, columns = np.mgrid[0:height, 0:width]
    bands = rows * 200 // height, columns * 200 // width, 255 - rows * 200 // height
    return np.stack(bands, axis=-1).astype(np.uint8)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def error_of(path: Path, **settings: Any) -> str:
    with pytest.raises(FoveateError) as caught:
        load_image(path, **settings)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path.name) in message
    return message


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("size", [(40, 60), (1, 1), (3, 16000), (16000, 3)])
def test_every_format_loads_as_rgb(ending: str, size: tuple[int, int], tmp_path: Path) -> None:
    image = smooth(*size)
    path = write(tmp_path / f"a{ending}", encode(ending, image))
    loaded = load_image(path)
    assert loaded.dtype == np.uint8
    assert loaded.flags.c_contiguous
    assert np.abs(loaded.astype(int) - image).max() <= (6 if ending == ".jpg" else 0)
    assert image_size(path) == size[::-1]


def test_a_strip_of_20000_pixels_loads(tmp_path: Path) -> None:
    for ending in (".jpg", ".png", ".bmp", ".tif"):
        path = write(tmp_path / f"a{ending}", encode(ending, smooth(3, 20000)))
        assert load_image(path).shape == (3, 20000, 3)


def test_lossy_webp_size_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.webp", encode(".webp", smooth(50, 30), cv2.IMWRITE_WEBP_QUALITY, 80))
    assert image_size(path) == (30, 50)
    assert load_image(path).shape == (50, 30, 3)


def test_progressive_jpeg_and_trailing_bytes_load(tmp_path: Path) -> None:
    data = encode(".jpg", smooth(40, 60), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert load_image(write(tmp_path / "a.jpg", data + b"maker's notes")).shape == (40, 60, 3)


# Where the stored first pixel and the last pixel of the first row are seen (Exif 2.32, tag 274).
CORNERS = {
    1: ((0, 0), (0, -1)),
    2: ((0, -1), (0, 0)),
    3: ((-1, -1), (-1, 0)),
    4: ((-1, 0), (-1, -1)),
    5: ((0, 0), (-1, 0)),
    6: ((0, -1), (-1, -1)),
    7: ((-1, -1), (0, -1)),
    8: ((-1, 0), (0, 0)),
}


@pytest.mark.parametrize("orientation", CORNERS)
@pytest.mark.parametrize("kind", ["jpg", "jpg-big-endian", "png", "webp", "tif", "tif16"])
def test_exif_orientation_is_applied(kind: str, orientation: int, tmp_path: Path) -> None:
    image = np.full((32, 64, 3), 128, np.uint8)
    image[:16, :16], image[:16, -16:] = (250, 0, 0), (0, 0, 250)
    data = {
        "jpg": lambda: jpeg_with_exif(encode(".jpg", image), orientation),
        "jpg-big-endian": lambda: jpeg_with_exif(encode(".jpg", image), orientation, ">"),
        "png": lambda: png_with_chunk(
            encode(".png", image), b"eXIf", jpeg_with_exif(b"", orientation)[10:]
        ),
        "webp": lambda: webp_with_exif(encode(".webp", image), 64, 32, orientation),
        "tif": lambda: tiff(image, orientation),
        "tif16": lambda: tiff(image.astype(np.uint16) * 257, orientation),
    }[kind]()
    path = write(tmp_path / "a.bin", data)
    loaded = load_image(path)
    assert image_size(path) == ((32, 64) if orientation >= 5 else (64, 32))
    assert loaded.shape[:2] == ((64, 32) if orientation >= 5 else (32, 64))
    first, last = CORNERS[orientation]
    assert loaded[first][0] > 200 > 60 > loaded[first][2]
    assert loaded[last][2] > 200 > 60 > loaded[last][0]


def test_orientation_agrees_with_opencv(tmp_path: Path) -> None:
    for orientation in range(1, 9):
        path = write(
            tmp_path / "a.jpg", jpeg_with_exif(encode(".jpg", smooth(24, 40)), orientation)
        )
        theirs = cv2.imread(str(path), cv2.IMREAD_COLOR)
        assert theirs is not None
        np.testing.assert_array_equal(load_image(path), theirs[..., ::-1])


def test_nonsense_orientation_is_upright(tmp_path: Path) -> None:
    data = jpeg_with_exif(encode(".jpg", smooth(24, 40)), 77)
    assert load_image(write(tmp_path / "a.jpg", data)).shape == (24, 40, 3)


def test_grey_alpha_and_palette(tmp_path: Path) -> None:
    grey = smooth(10, 20)[..., 0]
    loaded = load_image(write(tmp_path / "grey.png", encode(".png", grey)))
    np.testing.assert_array_equal(loaded, np.repeat(grey[..., None], 3, axis=2))

    alpha = np.dstack([smooth(10, 20), grey])
    for ending in (".png", ".webp"):
        data = encode(ending, np.dstack([smooth(10, 20), np.maximum(grey, 1)]))
        loaded = load_image(write(tmp_path / f"alpha{ending}", data))
        np.testing.assert_array_equal(loaded, alpha[..., :3])

    header = b"\0\0\0\x02\0\0\0\x01\x08\x03\0\0\0"  # 2 x 1, 8 bits, palette
    rows = zlib.compress(bytes([0, 1, 0]))  # no filter; second colour, first colour
    chunks = [(b"IHDR", header), (b"PLTE", bytes([9, 8, 7, 1, 2, 3])), (b"IDAT", rows)]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*c) for c in [*chunks, (b"IEND", b"")])
    loaded = load_image(write(tmp_path / "palette.png", data))
    np.testing.assert_array_equal(loaded, [[[1, 2, 3], [9, 8, 7]]])


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([[0, 32768, 65535]], np.uint16), [0, 128, 255]),
        (np.array([[0, 2048, 4095]], np.uint16), [0, 128, 255]),  # 12 bits in 16
        (np.array([[0, 128, 255]], np.uint16), [0, 128, 255]),  # 8 bits in 16
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[-1000, 0, 1000]], np.int16), [0, 128, 255]),
        (np.array([[0, 100000, 200000]], np.float32), [0, 128, 255]),
    ],
)
def test_tiff_values_are_scaled(pixels: Any, expected: list[int], tmp_path: Path) -> None:
    loaded = load_image(write(tmp_path / "a.tif", tiff(pixels)))
    np.testing.assert_array_equal(loaded[0, :, 0], expected)


def test_16_bit_png_scales_by_colour_not_by_alpha(tmp_path: Path) -> None:
    rgba = np.full((4, 4, 4), 4095, np.uint16)
    rgba[..., 3] = 65535
    assert load_image(write(tmp_path / "a.png", encode(".png", rgba))).min() == 255


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_tiff_layouts(order: Literal["<", ">"], big: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", tiff(smooth(30, 50), order=order, big=big))
    assert image_size(path) == (50, 30)
    np.testing.assert_array_equal(load_image(path), smooth(30, 50))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_whose_zero_is_white(dtype: Any, tmp_path: Path) -> None:
    most = np.iinfo(dtype).max
    data = tiff(np.array([[0, most // 5, most]], dtype), white_is_zero=True)
    loaded = load_image(write(tmp_path / "a.tif", data))
    np.testing.assert_array_equal(loaded[0, :, 0], [255, 204, 0])


def test_tiff_of_many_bands_is_refused(tmp_path: Path) -> None:
    five = write(tmp_path / "five.tif", tiff(np.zeros((4, 4, 5), np.uint8)))
    assert "5 bands" in error_of(five)
    two = write(tmp_path / "two.tif", tiff(np.full((4, 4, 2), 999, np.uint16)))
    assert "2 bands of 16 bits" in error_of(two)


def test_float_picture_with_nan_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", tiff(np.array([[0.5, np.nan]], np.float32)))
    assert "not finite" in error_of(path)


# Bad files. Nothing may reach stderr: the message is the only line a user sees.


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
@pytest.mark.parametrize("kind", [*FORMATS, "progressive", "tif-table-first", "exif-thumbnail"])
def test_truncated_pictures_are_refused(
    kind: str, share: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    if kind == "progressive":
        data = encode(".jpg", image, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    elif kind == "tif-table-first":
        data = tiff(image)
    elif kind == "exif-thumbnail":  # holds an end marker of its own, early in the file
        thumbnail = encode(".jpg", image[:8, :8])
        length = (len(thumbnail) + 2).to_bytes(2, "big")
        whole = encode(".jpg", image)
        data = whole[:2] + b"\xff\xe2" + length + thumbnail + whole[2:]
    else:
        data = encode(kind, image)
    assert load_image(write(tmp_path / "whole", data)).shape == image.shape
    message = error_of(write(tmp_path / "part", data[: int(len(data) * share)]))
    assert "cut short" in message or kind in (".webp", ".bmp", ".tif")  # these fail to decode
    assert capfd.readouterr() == ("", "")


def test_damaged_png_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encode(".png", smooth(64, 64)))
    data[len(data) // 2] ^= 0xFF
    assert "checksum" in error_of(write(tmp_path / "a.png", bytes(data)))
    assert capfd.readouterr().err == ""


def test_png_profile_that_opencv_complains_of_is_quiet(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = png_with_chunk(encode(".png", smooth(8, 8)), b"iCCP", b"x\0\0broken")
    np.testing.assert_array_equal(load_image(write(tmp_path / "a.png", data)), smooth(8, 8))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"this is text, whatever its name\n", "not a picture"),
        (b"BMW is a maker of cars and motorcycles", "not a picture"),
        (b"GIF89a" + bytes(20), "a GIF"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "HEIC"),
        (b"\0\0\0\x18ftypisom" + bytes(20), "a video"),
        (b"%PDF-1.7" + bytes(20), "a PDF"),
        (b"\xff\xd8\xff", "cut short"),
        (b"\xff\xd8\xff\xd9" + bytes(9), "without a size"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
        (b"RIFF\0\0\0\0WEBPXXXX" + bytes(20), "without a picture"),
        (b"II*\0\x08\0\0\0\0\0", "without a size"),
        (png_bomb(0, 5), "no pixels"),
        (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", b"\0\0\0\1" * 2 + bytes(5)), "cut short"),
    ],
)
def test_what_is_no_picture_is_named(
    content: bytes, says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert says in error_of(write(tmp_path / "a.png", content))
    assert capfd.readouterr() == ("", "")


def test_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    path = write(tmp_path / "bomb.png", png_bomb(60000, 60000))
    assert "60000 x 60000" in error_of(path)
    assert image_size(path) == (60000, 60000)
    small = write(tmp_path / "small.png", encode(".png", smooth(20, 20)))
    assert "399 allowed" in error_of(small, max_pixels=399)
    assert load_image(small, max_pixels=400).shape == (20, 20, 3)


def test_header_that_lies_is_no_crash(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encode(".bmp", smooth(8, 8)))
    data[18:26] = (5_000_000).to_bytes(4, "little") + (100).to_bytes(4, "little")
    assert "cannot be decoded" in error_of(write(tmp_path / "a.bmp", bytes(data)))
    assert capfd.readouterr() == ("", "")


def test_missing_file_suggests_a_near_name(tmp_path: Path) -> None:
    write(tmp_path / "slide_01.png", b"")
    assert "did you mean slide_01.png?" in error_of(tmp_path / "slide01.png")
    with pytest.raises(FoveateError, match="there is no folder"):
        load_image(tmp_path / "nowhere" / "a.png")


def test_folder_and_device_are_no_pictures(tmp_path: Path) -> None:
    assert "is a folder" in error_of(tmp_path)
    if Path("/dev/zero").exists():
        assert "neither" in error_of(Path("/dev/zero"))


def test_unreadable_file_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.png", encode(".png", smooth(8, 8)))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "permission denied" in error_of(path)
    with pytest.raises(FoveateError, match="permission denied"):
        image_size(path)


WHOLE = {ending: encode(ending, smooth(20, 30)) for ending in FORMATS}


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(FORMATS), st.integers(0, 200))
def test_random_damage_gives_a_picture_or_one_clear_error(
    noise: bytes, ending: str, start: int
) -> None:
    data = WHOLE[ending]
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "a", data[:start] + noise + data[start + len(noise) :])
        with contextlib.suppress(FoveateError):
            assert load_image(path, max_pixels=1_000_000).shape[2] == 3


# Arrays in memory.


def test_uint8_rgb_is_not_copied() -> None:
    image = smooth(10, 20)
    assert as_image(image) is image
    assert as_image(image[::2, 3:]).base is image


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[0, 7, 255]], np.uint8), [0, 7, 255]),
        (np.array([[False, True]]), [0, 255]),
        (np.array([[0.0, 1.0]], np.float64), [0, 255]),
        (np.array([[0.0, 128.0, 255.0]]), [0, 128, 255]),
        (np.array([[0.0, 200.5, 255.5]]), [0, 50, 64]),  # more than 8 bits: 10
        (np.array([[0.0, 0.5, 1.003]]), [0, 127, 255]),  # overshoot of a resize
        (np.array([[-1.0, 0.0, 1.0]]), [0, 128, 255]),
        (np.array([[0, 512, 1023]], np.int32), [0, 128, 255]),
        (np.array([[0, 300]], np.uint64), [0, 75]),
        (np.array([[-5, -5]], np.int64), [0, 0]),
        (np.array([[0, 0]], np.float16), [0, 0]),
    ],
)
def test_array_values_are_scaled(array: Any, expected: list[int]) -> None:
    for shaped in (array, array[..., None], np.dstack([array] * 3)):
        image = as_image(shaped)
        assert image.shape == (1, len(expected), 3)
        assert image.dtype == np.uint8
        for channel in range(3):
            np.testing.assert_array_equal(image[0, :, channel], expected)


def test_fourth_band_is_dropped() -> None:
    rgba = np.dstack([smooth(4, 5), np.zeros((4, 5), np.uint8)])
    np.testing.assert_array_equal(as_image(rgba), smooth(4, 5))


@settings(deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint16, np.int16, np.int32, np.float32]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.integers(-30000, 30000).map(abs),
    )
)
def test_scaling_keeps_order_and_clips_nothing(values: Any) -> None:
    shown = as_image(values)[..., 0].ravel().astype(int)
    order = np.argsort(values.ravel(), kind="stable")
    assert (np.diff(shown[order]) >= 0).all()
    assert (shown[values.ravel() == 0] == 0).all()
    assert values.max() == 0 or shown.max() >= min(63, values.max())


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros(5), r"got \(5,\)"),
        (np.zeros((2, 2, 2)), r"got \(2, 2, 2\)"),
        (np.zeros((3, 8, 9)), "put the channels last"),
        (np.zeros((0, 5, 3), np.uint8), "at least one pixel"),
        (np.array([["a"]]), "dtype <U1"),
        (np.array([[1j]]), "dtype complex128"),
        (np.array([[0.0, np.inf]]), "not finite"),
        (np.array([[np.nan, 1.0]]), "not finite"),
        (None, "dtype object"),
        ([[1, 2], [3]], "rows are all of one length"),
    ],
)
def test_arrays_that_are_no_pictures_are_named(array: Any, says: str) -> None:
    with pytest.raises(FoveateError, match=says) as caught:
        as_image(array, "frame")
    assert str(caught.value).startswith("frame: ")


def test_source_reads_views(tmp_path: Path) -> None:
    source = open_image(write(tmp_path / "a.png", encode(".png", smooth(30, 50))))
    assert (source.name, source.width, source.height) == ("a.png", 50, 30)
    region = source.read(Tile(10, 5, 20, 15, 20, 15))
    np.testing.assert_array_equal(region, smooth(30, 50)[5:20, 10:30])
    assert np.shares_memory(region, source.array)
    with pytest.raises(ValueError, match="not within"):
        source.read(Tile(40, 5, 20, 15, 20, 15))


def test_source_of_an_array_converts_once() -> None:
    source = ArraySource("frame", np.zeros((4, 6), np.uint8))
    assert source.array.shape == (4, 6, 3)


# Finding pictures.


def make_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folder_in_natural_order(tmp_path: Path) -> None:
    make_files(
        tmp_path, "f10.png", "f2.JPG", "f1.tif", "._f1.tif", "notes.txt", "b/f3.png", "x.png/y"
    )
    assert [path.name for path in find_images(tmp_path)] == ["f1.tif", "f2.JPG", "f10.png"]
    nested = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path, nested=True)]
    assert nested == ["b/f3.png", "f1.tif", "f2.JPG", "f10.png"]


def test_glob_and_single_file(tmp_path: Path) -> None:
    make_files(tmp_path, "a1.png", "a2.txt", "b/a3.png", "c[1].dat")
    assert find_images(f"{tmp_path}/a*") == [tmp_path / "a1.png"]
    assert [path.name for path in find_images(f"{tmp_path}/**/*.png")] == ["a1.png", "a3.png"]
    assert find_images(tmp_path / "c[1].dat") == [tmp_path / "c[1].dat"]


def test_nothing_found_says_what_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_files(tmp_path, "notes.txt")
    with pytest.raises(FoveateError, match=r"no pictures in folder .*\.jpg .*\.tiff.*\*\*"):
        find_images(tmp_path)
    with pytest.raises(FoveateError, match="no file matches"):
        find_images(f"{tmp_path}/*.png")
    with pytest.raises(FoveateError, match="no pictures in what matches"):
        find_images(f"{tmp_path}/*.txt")
    with pytest.raises(FoveateError, match=r"did you mean notes.txt\?"):
        find_images(tmp_path / "note.txt")

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(FoveateError, match="permission denied"):
        find_images(tmp_path)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=6, unique=True))
def test_numbers_sort_as_numbers(numbers: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder), *(f"frame{number}.png" for number in numbers))
        found = [path.name for path in find_images(folder)]
    assert found == [f"frame{number}.png" for number in sorted(numbers)]
