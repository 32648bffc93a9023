from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import foveate
from foveate.inference import selecting
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.selecting import is_uniform
from foveate.inference.settings import Options
from foveate.structures import Detections, UInt8Image
from foveate.tiling import shown_pixels

Make = Callable[..., Path]
Paint = Callable[..., UInt8Image]
CENTRES = [(40, 30), (130, 31), (505, 170), (511, 390)]
SIZE = (640, 480)


@pytest.fixture
def blob(blob_model: Path) -> OnnxDetector:
    return OnnxDetector(blob_model, threads=1)


@pytest.fixture
def image(paint_blobs: Paint) -> UInt8Image:
    return paint_blobs(*SIZE, CENTRES)


def alike(one: Detections, other: Detections) -> bool:
    """The same objects; a box cut out elsewhere differs in its last digits."""
    return len(one) == len(other) and bool(
        np.allclose(one.in_order().boxes, other.in_order().boxes, atol=0.01)
    )


def test_few_tiles_find_what_all_find(
    make_glance: Make, blob: OnnxDetector, image: UInt8Image
) -> None:
    full = foveate.detect(image, blob)
    assert (full.unselected_tiles, full.expected_miss) == (0, None)
    few = foveate.detect(image, blob, select="recall=0.95", glance=make_glance())
    assert len(few.tiles) <= 8 < len(full.tiles) / 10
    assert shown_pixels(few.tiles) < full.planned_pixels / 10
    assert few.planned_pixels == full.planned_pixels == shown_pixels(full.tiles)
    assert len(few.tiles) + few.skipped_tiles == len(full.tiles)
    assert few.unselected_tiles == few.skipped_tiles
    assert few.expected_miss == pytest.approx(0.05)
    assert len(full.detections) == len(CENTRES)
    assert alike(few.detections, full.detections)


def test_results_depend_on_neither_threads_nor_batches(
    make_glance: Make, blob_model: Path, image: UInt8Image
) -> None:
    results = [
        foveate.detect(
            image, OnnxDetector(blob_model, threads), batch_size=size,
            select="recall=0.95", glance=foveate.load_glance(make_glance(), threads),
        )
        for threads, size in ((1, None), (2, 1), (3, 5))
    ]  # fmt: skip
    for other in results[1:]:
        assert other.tiles == results[0].tiles
        assert (other.detections.boxes == results[0].detections.boxes).all()


def test_the_best_of_a_number_of_tiles(
    make_glance: Make, blob: OnnxDetector, image: UInt8Image
) -> None:
    glance = foveate.load_glance(make_glance(), 1)
    misses, counts = [], []
    for most in (1, 2, 3, 20, 10_000):
        result = foveate.detect(image, blob, select=f"tiles={most}", glance=glance)
        assert len(result.tiles) <= most
        assert result.expected_miss is not None
        misses.append(result.expected_miss)
        counts.append(len(result.detections))
    assert misses == sorted(misses, reverse=True)
    assert misses[0] > 0.01
    assert misses[-2:] == [pytest.approx(0.01), 0]
    assert counts == sorted(counts)
    assert counts[0] >= 1
    assert counts[-1] == len(CENTRES)


def test_a_dense_picture_is_looked_at_whole(
    make_glance: Make, blob: OnnxDetector, paint_blobs: Paint
) -> None:
    everywhere = [(x, y) for x in range(10, 630, 20) for y in range(10, 470, 20)]
    dense = paint_blobs(*SIZE, everywhere)
    full = foveate.detect(dense, blob)
    result = foveate.detect(dense, blob, select="recall=0.95", glance=make_glance())
    assert result.tiles == full.tiles
    assert (result.unselected_tiles, result.expected_miss) == (0, 0)
    assert (result.detections.boxes == full.detections.boxes).all()


def test_nothing_expected_is_nothing_looked_at(make_glance: Make, blob: OnnxDetector) -> None:
    dark = np.random.default_rng(0).integers(0, 20, (480, 640, 3), dtype=np.uint8)
    result = foveate.detect(dark, blob, select="recall=0.99", glance=make_glance())
    assert result.tiles == []
    assert result.unselected_tiles == result.skipped_tiles > 0
    assert len(result.detections) == 0


def test_time_is_kept_best_tiles_first(
    make_glance: Make, blob: OnnxDetector, image: UInt8Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    shown: list[int] = []

    class Clock:
        @staticmethod
        def perf_counter() -> float:
            return now

    class Slow:
        info, path, parallel = blob.info, blob.path, 1

        def __call__(self, images: Sequence[UInt8Image]) -> list[Detections]:
            nonlocal now
            now += 0.1 * len(images)
            shown.append(len(images))
            return blob(images)

    monkeypatch.setattr(selecting, "time", Clock)
    glance = foveate.load_glance(make_glance(), 1)
    options = Options(select="budget=10s", glance=glance, batch_size=1)
    enough = foveate.detect(image, Slow(), **options)
    assert enough.expected_miss == pytest.approx(0.01)
    assert len(enough.detections) == len(CENTRES)
    shown.clear()
    options["select"] = "budget=1ms"
    hurried = foveate.detect(image, Slow(), **options)
    # The first tells how long one takes; by then the next may be with the network.
    assert 1 <= sum(shown) <= 3
    assert len(hurried.tiles) == sum(shown) < len(enough.tiles)
    assert hurried.expected_miss is not None
    assert hurried.expected_miss > 0.01
    assert hurried.unselected_tiles == hurried.skipped_tiles
    assert set(hurried.tiles) <= set(enough.tiles)


def test_every_scale_of_a_pyramid_is_chosen_from(
    make_glance: Make, blob: OnnxDetector, image: UInt8Image
) -> None:
    full = foveate.detect(image, blob, scales=(1.0, 2.0))
    few = foveate.detect(image, blob, scales=(1.0, 2.0), select="recall=0.95", glance=make_glance())
    scales = {round(tile.out_width / tile.width) for tile in few.tiles}
    assert scales == {1, 2}
    assert shown_pixels(few.tiles) < few.planned_pixels / 3
    assert len(few.detections) == len(full.detections)


def test_plain_is_looked_at_as_ever(
    make_glance: Make, blob: OnnxDetector, image: UInt8Image
) -> None:
    result = foveate.detect(image, blob, plain=True, select="tiles=1", glance=make_glance())
    assert len(result.tiles) == 1
    assert result.expected_miss is None


def test_uniform_tiles_are_skipped_and_counted_apart(blob: OnnxDetector, image: UInt8Image) -> None:
    image = image.copy()
    image[:, 320:] = (90, 120, 200)
    image[200:230, 330:360] += 2  # still alike
    result = foveate.detect(image, blob)
    assert result.uniform_tiles == result.skipped_tiles > 10
    assert result.unselected_tiles == 0
    assert result.expected_miss is None
    assert len(result.detections) >= 2


def test_uniform_is_told_at_full_resolution() -> None:
    region = np.full((64, 64, 3), 100, np.uint8)
    assert is_uniform(region)
    region[5, 7, 1] = 102
    assert is_uniform(region)
    region[5, 7, 1] = 103
    assert not is_uniform(region)
    assert is_uniform(np.stack([np.full((9, 9), v, np.uint8) for v in (0, 120, 255)], axis=2))


def test_a_uniform_picture_gives_nothing(blob: OnnxDetector) -> None:
    result = foveate.detect(np.full((300, 300, 3), 40, np.uint8), blob)
    assert (result.tiles, len(result.detections)) == ([], 0)
    assert result.uniform_tiles == result.skipped_tiles


def test_in_a_folder_the_same(
    make_glance: Make, blob: OnnxDetector, image: UInt8Image, tmp_path: Path
) -> None:
    import cv2

    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), np.roll(image, 31 * number, axis=1)[..., ::-1])
    glance = foveate.load_glance(make_glance(), 2)
    options = Options(select="recall=0.95", glance=glance)
    for result in foveate.detect_all(folder, blob, **options):
        alone = foveate.detect(folder / result.name, blob, **options)
        assert result.tiles == alone.tiles
        assert (result.detections.boxes == alone.detections.boxes).all()


def test_a_raster_is_chosen_from_like_the_picture(
    make_glance: Make, blob: OnnxDetector, image: UInt8Image, tmp_path: Path
) -> None:
    pytest.importorskip("rasterio")
    from raster_files import write_raster

    image = np.maximum(image, 1)
    image[:, :320] = 0
    path = write_raster(
        tmp_path / "field.tif", image.transpose(2, 0, 1), nodata=0, tiled=True, blockxsize=128,
        blockysize=128,
    )  # fmt: skip
    options = Options(select="recall=0.95", glance=make_glance())
    raster, picture = foveate.detect(path, blob, **options), foveate.detect(image, blob, **options)
    assert raster.geo is not None
    assert raster.tiles == picture.tiles
    assert alike(raster.detections, picture.detections)
    assert len(raster.detections) == 2
    # The empty half is not selected, and so not even read.
    assert raster.unselected_tiles == raster.skipped_tiles > 60
    full = foveate.detect(path, blob)
    assert full.uniform_tiles == full.unselected_tiles == 0
    assert full.skipped_tiles > 20


def test_a_number_of_tiles_promises_what_its_recall_does(
    make_glance: Make, blob: OnnxDetector, image: UInt8Image
) -> None:
    glance = foveate.load_glance(make_glance(), 1)
    needed = foveate.detect(image, blob, select="recall=0.95", glance=glance)
    assert needed.expected_miss is not None
    for most in range(1, 12):
        given = foveate.detect(image, blob, select=f"tiles={most}", glance=glance)
        assert given.expected_miss is not None
        if given.expected_miss <= needed.expected_miss:
            break
    assert len(given.tiles) <= most < 10
    assert alike(given.detections, needed.detections)
