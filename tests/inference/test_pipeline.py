import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from foveate.data.images import ArraySource
from foveate.errors import FoveateError, UsageError
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.pipeline import ImageResult, detect_image
from foveate.inference.profile import Profile
from foveate.merge import MergeConfig
from foveate.structures import Detections, Detector, Tile, UInt8Image
from foveate.tiling import Pyramid, TilePlan, plan_pyramid

Paint = Callable[..., UInt8Image]
PLAN = TilePlan(size=64, overlap=0.25)
# In the middles of tiles, on their seams, at the picture's edges.
CENTRES = [(30, 30), (60, 31), (100, 20), (3, 4), (195, 125), (150, 64), (47, 100), (120, 80)]


@pytest.fixture(scope="module")
def blob(blob_model: Path) -> OnnxDetector:
    return OnnxDetector(blob_model, threads=1)


def detect(
    image: UInt8Image,
    detector: Detector,
    plan: TilePlan = PLAN,
    batch_size: int | None = None,
    pyramid: Pyramid | None = None,
) -> ImageResult:
    return detect_image(
        ArraySource("picture", image),
        detector,
        plan,
        MergeConfig(),
        score_threshold=0.3,
        pyramid=pyramid,
        size_multiple=8,
        batch_size=batch_size,
    )


def centres(detections: Detections) -> list[tuple[float, float]]:
    middle = (detections.boxes[:, :2] + detections.boxes[:, 2:]) / 2
    return sorted((float(x), float(y)) for x, y in middle)


def same(a: Detections, b: Detections) -> bool:
    return (
        np.array_equal(a.boxes, b.boxes)
        and np.array_equal(a.scores, b.scores)
        and np.array_equal(a.labels, b.labels)
    )


def test_finds_each_blob_once(blob: OnnxDetector, paint_blobs: Paint) -> None:
    result = detect(paint_blobs(200, 130, CENTRES, cold=(3,)), blob)
    assert (result.name, result.width, result.height) == ("picture", 200, 130)
    assert len(result.tiles) > 4
    assert len(result.detections) == len(CENTRES)
    inner = [(x + 0.5, y + 0.5) for x, y in CENTRES if 8 < x < 190]
    assert set(inner) <= set(centres(result.detections))
    assert result.detections.labels.sum() == 1
    assert result.seconds > 0
    assert result.capped_tiles == 0


def test_boxes_at_the_edge_are_cut_to_the_picture(blob: OnnxDetector, paint_blobs: Paint) -> None:
    found = detect(paint_blobs(200, 130, [(3, 127)]), blob).detections
    assert found.boxes.tolist() == [[0, 123, 8, 130]]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8, 1000])
@pytest.mark.parametrize("threads", [1, 2])
def test_results_do_not_depend_on_batch_or_threads(
    blob: OnnxDetector, blob_model: Path, batch_size: int, threads: int
) -> None:
    image = np.random.default_rng(3).integers(0, 255, (230, 310, 3), dtype=np.uint8)
    expected = detect(image, blob)
    found = detect(image, OnnxDetector(blob_model, threads=threads), batch_size=batch_size)
    assert len(expected.detections) > 100
    assert same(found.detections, expected.detections)


def test_capped_tiles_are_counted(blob: OnnxDetector, paint_blobs: Paint) -> None:
    crowd = [(x, y) for x in range(6, 60, 8) for y in range(6, 60, 8)]
    assert len(crowd) > blob.max_detections
    result = detect(paint_blobs(200, 64, crowd), blob)
    assert result.capped_tiles == 1


def test_up_scaled_tiles_give_picture_pixels(blob: OnnxDetector, paint_blobs: Paint) -> None:
    result = detect(paint_blobs(100, 90, [(50, 40)]), blob, TilePlan(size=64, scale=2))
    (box,) = result.detections.boxes
    assert np.allclose((box[:2] + box[2:]) / 2, [50.5, 40.5], atol=0.6)
    assert box[2] - box[0] == pytest.approx(4.5)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 20_000), (20_000, 2), (7, 5)])
@pytest.mark.parametrize("plain", [False, True])
def test_odd_pictures(blob: OnnxDetector, width: int, height: int, plain: bool) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    result = detect(image, blob, TilePlan(size=640, plain=plain))
    assert len(result.detections) == 0


class Recorder:
    """A plain callable; gives one box a tile and remembers what it was shown."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.sizes: list[int] = []
        self.threads: set[int] = set()

    def __call__(self, images: Sequence[UInt8Image]) -> list[Detections]:
        self.threads.add(threading.get_ident())
        self.sizes.append(len(images))
        self.shapes += [np.shape(image) for image in images]
        box = np.array([[8.0, 8.0, 24.0, 24.0]], np.float32)
        return [Detections(box, np.array([0.9]), np.array([0])) for _ in images]


def test_a_plain_callable_is_a_detector() -> None:
    detector = Recorder()
    result = detect(np.zeros((100, 150, 3), np.uint8), detector)
    assert len(result.detections) == len(result.tiles) == len(detector.shapes)
    assert result.capped_tiles == 0


def test_every_tile_is_shown_on_the_smallest_canvas_that_suits() -> None:
    detector = Recorder()
    detect(np.zeros((100, 150, 3), np.uint8), detector, TilePlan(size=64, full_image=True))
    assert detector.shapes[-1] == (48, 64, 3)
    assert set(detector.shapes[:-1]) == {(64, 64, 3)}
    squeezed = Recorder()
    detect(np.zeros((100, 150, 3), np.uint8), squeezed, TilePlan(size=64, plain=True))
    assert squeezed.shapes == [(48, 64, 3)]


def test_the_detector_runs_in_the_callers_thread() -> None:
    detector = Recorder()
    detect(np.zeros((100, 150, 3), np.uint8), detector)
    assert detector.threads == {threading.get_ident()}


def test_asked_batch_size_is_kept() -> None:
    detector = Recorder()
    detect(np.zeros((64, 340, 3), np.uint8), detector, batch_size=4)
    assert detector.sizes == [4, 3]


def test_batch_size_below_one() -> None:
    with pytest.raises(UsageError, match="batch size must be at least 1, got 0"):
        detect(np.zeros((64, 64, 3), np.uint8), Recorder(), batch_size=0)


def test_a_detector_that_answers_too_little() -> None:
    with pytest.raises(FoveateError, match="returned 0 results for 1 images"):
        detect(np.zeros((64, 64, 3), np.uint8), lambda images: [])


def test_boxes_that_are_no_boxes_are_dropped() -> None:
    def detector(images: Sequence[UInt8Image]) -> list[Detections]:
        boxes = np.array([[5, 5, 5, 9], [9, 9, 5, 5], [np.nan, 0, 9, 9], [1, 1, 9, 9]], np.float32)
        scores = np.array([0.9, 0.9, 0.9, np.nan], np.float32)
        return [Detections(boxes, scores, np.zeros(4, np.int64)) for _ in images]

    assert len(detect(np.zeros((64, 64, 3), np.uint8), detector).detections) == 0


class BrokenSource:
    """Its second row of tiles cannot be read."""

    name = "broken"
    width = 200
    height = 200

    def read(self, tile: Tile) -> UInt8Image:
        if tile.y > 0:
            raise FoveateError("broken: row 64 cannot be read")
        return np.zeros((tile.height, tile.width, 3), np.uint8)


def test_errors_of_the_source_reach_the_caller() -> None:
    threads = threading.active_count()
    with pytest.raises(FoveateError, match="row 64 cannot be read"):
        detect_image(BrokenSource(), Recorder(), PLAN, MergeConfig(), score_threshold=0.3)
    assert threading.active_count() == threads


def test_interrupting_leaves_no_thread_behind() -> None:
    def detector(images: Sequence[UInt8Image]) -> list[Detections]:
        raise KeyboardInterrupt

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        detect(np.zeros((200, 200, 3), np.uint8), detector)
    assert threading.active_count() == threads


def test_the_picture_is_not_written_to(blob: OnnxDetector) -> None:
    image = np.random.default_rng(3).integers(0, 255, (150, 150, 3), dtype=np.uint8)
    image.flags.writeable = False
    before = image.copy()
    detect(image, blob)
    assert np.array_equal(image, before)


class Handed:
    """A detector that is handed work: it answers when it is asked for the results."""

    parallel = 2

    def __init__(self, fails_at: int = -1) -> None:
        self.waiting = self.most_waiting = self.calls = 0
        self.fails_at = fails_at
        self.asked: list[float] = []

    def __call__(self, images: Sequence[UInt8Image]) -> list[Detections]:
        raise AssertionError("called, and not handed work")

    def start(
        self, images: Sequence[UInt8Image], least_score: float
    ) -> Callable[[], list[Detections]]:
        number = self.calls
        self.calls += 1
        self.waiting += 1
        self.asked.append(least_score)
        self.most_waiting = max(self.most_waiting, self.waiting)
        before = [image.copy() for image in images]

        def results() -> list[Detections]:
            self.waiting -= 1
            if number == self.fails_at:
                raise FoveateError("the network failed")
            assert all((a == b).all() for a, b in zip(images, before, strict=True))
            return [Detections.empty() for _ in images]

        return results


def test_work_is_handed_over_before_the_last_is_done_and_its_memory_stays() -> None:
    detector = Handed()
    image = np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)
    result = detect(image, detector)
    assert detector.calls == -(-len(result.tiles) // 2)
    assert detector.most_waiting == 2
    assert detector.waiting == 0
    assert set(detector.asked) == {0.3}


def test_a_failure_leaves_no_work_behind() -> None:
    detector = Handed(fails_at=3)
    threads = threading.active_count()
    with pytest.raises(FoveateError, match="the network failed"):
        detect(np.zeros((400, 400, 3), np.uint8), detector)
    assert detector.waiting == 0
    assert threading.active_count() == threads


class Holes:
    """A picture with nothing in its left half."""

    name, width, height = "holes", 400, 300

    def read(self, tile: Tile) -> UInt8Image | None:
        if tile.x + tile.width <= 200:
            return None
        return np.full((tile.height, tile.width, 3), 200, np.uint8)


@pytest.mark.parametrize("batch_size", [None, 1, 3])
def test_tiles_without_anything_are_not_shown(batch_size: int | None) -> None:
    shown: list[int] = []
    steps: list[tuple[int, int]] = []

    def detector(images: Sequence[UInt8Image]) -> list[Detections]:
        shown.append(len(images))
        return [Detections.empty() for _ in images]

    result = detect_image(
        Holes(),
        detector,
        PLAN,
        MergeConfig(),
        score_threshold=0.3,
        batch_size=batch_size,
        on_tiles=lambda done, total: steps.append((done, total)),
    )
    assert sum(shown) == len(result.tiles) > 0
    assert result.skipped_tiles > 0
    assert all(tile.x + tile.width > 200 for tile in result.tiles)
    total = len(result.tiles) + result.skipped_tiles
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})
    assert {every for _, every in steps} == {total}


def test_a_picture_of_nothing() -> None:
    class Nothing(Holes):
        def read(self, tile: Tile) -> UInt8Image | None:
            return None

    def detector(images: Sequence[UInt8Image]) -> list[Detections]:
        raise AssertionError("there is nothing to look at")

    result = detect_image(Nothing(), detector, PLAN, MergeConfig(), score_threshold=0.3)
    assert len(result.detections) == len(result.tiles) == 0
    assert result.skipped_tiles > 4


def test_a_run_can_be_given_up(blob: OnnxDetector) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        detect_image(
            ArraySource("a", np.zeros((400, 400, 3), np.uint8)), blob, PLAN, MergeConfig(),
            score_threshold=0.3, size_multiple=8, on_tiles=stop,
        )  # fmt: skip
    assert threading.active_count() <= threads + 1  # the session's own


def test_a_profile_counts_what_each_stage_did(blob: OnnxDetector, paint_blobs: Paint) -> None:
    profile = Profile()
    source = ArraySource("a", paint_blobs(400, 330, CENTRES))
    detect_image(source, blob, PLAN, MergeConfig(), score_threshold=0.3, size_multiple=8,
                 profile=profile)  # fmt: skip
    profile.stop()
    assert 0 < profile.busy["network"] <= profile.wall
    assert all(profile.busy[name] > 0 for name in ("tiles", "boxes", "merge"))
    assert profile.busy["decode"] == profile.busy["write"] == 0


def bright_squares(images: Sequence[UInt8Image]) -> list[Detections]:
    """Knows bright squares of one size: those 9 to 15 network pixels long."""
    found = []
    for image in images:
        stats = cv2.connectedComponentsWithStats((image[..., 0] > 127).astype(np.uint8))[2][1:]
        known = stats[((stats[:, 2:4] >= 9) & (stats[:, 2:4] <= 15)).all(axis=1)].astype(np.float32)
        boxes = np.column_stack([known[:, :2], known[:, :2] + known[:, 2:4]])
        found.append(Detections(boxes, np.full(len(boxes), 0.9), np.zeros(len(boxes), np.int64)))
    return found


def squares(*boxes: tuple[int, int, int, int]) -> UInt8Image:
    image = np.zeros((140, 190, 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 255
    return image


SQUARES = [(20, 20, 26, 26), (60, 58, 72, 70), (110, 90, 134, 114)]  # 6, 12 and 24 pixels


def test_each_scale_finds_objects_of_its_size() -> None:
    image = squares(*SQUARES)
    for scale, square in zip((2, 1, 0.5), SQUARES, strict=True):
        (box,) = detect(image, bright_squares, TilePlan(size=64, scale=scale)).detections.boxes
        assert np.allclose(box, square, atol=1)
    found = detect(image, bright_squares, pyramid=Pyramid(scales=(0.5, 1, 2))).detections
    assert len(found) == len(SQUARES)
    assert np.allclose(np.array(sorted(found.boxes.tolist())), SQUARES, atol=1)


def test_an_object_that_every_scale_sees_is_found_once(
    blob: OnnxDetector, paint_blobs: Paint
) -> None:
    image = paint_blobs(200, 130, CENTRES, cold=(3,))
    found = detect(image, blob, pyramid=Pyramid(scales=(1, 1.25))).detections
    assert len(found) == len(CENTRES)
    assert found.labels.sum() == 1


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (3, 2), (1000, 1), (None, 2)])
@pytest.mark.parametrize("sides", [None, (6, 30)])
def test_scales_do_not_depend_on_batch_threads_or_order(
    blob: OnnxDetector,
    blob_model: Path,
    batch_size: int | None,
    threads: int,
    sides: tuple[float, float] | None,
) -> None:
    image = np.random.default_rng(3).integers(0, 255, (130, 170, 3), dtype=np.uint8)
    plan = TilePlan(size=64, overlap=0.25, full_image=True)
    expected = detect(image, blob, plan, pyramid=Pyramid(scales=(0.5, 1, 2), sides=sides))
    other = OnnxDetector(blob_model, threads=threads)
    found = detect(image, other, plan, batch_size, Pyramid(scales=(2, 0.5, 1), sides=sides))
    assert len(expected.detections) > 50
    assert same(found.detections, expected.detections)


def test_tiles_of_any_order_give_the_same(
    blob: OnnxDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(3).integers(0, 255, (130, 170, 3), dtype=np.uint8)
    pyramid = Pyramid(scales=(0.5, 1, 2), sides=(6, 30))
    expected = detect(image, blob, pyramid=pyramid)

    def reversed_tiles(*args: Any) -> list[Tile]:
        return plan_pyramid(*args)[::-1]

    monkeypatch.setattr("foveate.inference.pipeline.plan_pyramid", reversed_tiles)
    found = detect(image, blob, pyramid=pyramid)
    assert found.tiles != expected.tiles
    assert same(found.detections, expected.detections)


@pytest.mark.parametrize("sides", [None, (20, 30)])
def test_one_scale_is_that_scale(
    blob: OnnxDetector, paint_blobs: Paint, sides: tuple[float, float] | None
) -> None:
    image = paint_blobs(200, 130, CENTRES)
    plan = TilePlan(size=64, overlap=0.25, scale=1.5)
    expected = detect(image, blob, plan)
    found = detect(image, blob, PLAN, pyramid=Pyramid(scales=(1.5,), sides=sides))
    assert len(expected.detections) == len(CENTRES)
    assert found.tiles == expected.tiles
    assert same(found.detections, expected.detections)


def test_batches_are_filled_across_scales_where_sizes_agree() -> None:
    detector = Recorder()
    image = np.zeros((128, 128, 3), np.uint8)
    plan = TilePlan(size=64, overlap=0)
    result = detect(image, detector, plan, 3, Pyramid(scales=(1, 0.5, 0.25)))
    assert len(result.tiles) == 4 + 1 + 1
    assert set(detector.shapes[:5]) == {(64, 64, 3)}  # four tiles of scale 1, one of scale 0.5
    assert detector.shapes[5] == (32, 32, 3)
    assert detector.sizes == [3, 2, 1]


def test_a_scale_gives_only_the_sizes_it_is_trusted_with() -> None:
    """Every tile gives one box of 16 network pixels: that is not what the finer scale is for."""
    image = np.zeros((64, 64, 3), np.uint8)
    plan = TilePlan(size=128, overlap=0)
    every = detect(image, Recorder(), plan, pyramid=Pyramid(scales=(1, 2)))
    assert sorted((box[2] - box[0]) for box in every.detections.boxes) == [8, 16]
    coarse = detect(image, Recorder(), plan, pyramid=Pyramid(scales=(1, 2), sides=(4, 12)))
    assert coarse.detections.boxes.tolist() == [[8, 8, 24, 24]]
    fine = detect(image, Recorder(), plan, pyramid=Pyramid(scales=(1, 2), sides=(20, 60)))
    assert fine.detections.boxes.tolist() == [[4, 4, 12, 12]]
