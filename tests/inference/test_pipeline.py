import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from foveate.data.images import ArraySource
from foveate.errors import FoveateError, UsageError
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.pipeline import ImageResult, detect_image
from foveate.inference.profile import Profile
from foveate.merge import MergeConfig
from foveate.structures import Detections, Detector, Tile, UInt8Image
from foveate.tiling import TilePlan

Paint = Callable[..., UInt8Image]
PLAN = TilePlan(size=64, overlap=0.25)
# In the middles of tiles, on their seams, at the picture's edges.
CENTRES = [(30, 30), (60, 31), (100, 20), (3, 4), (195, 125), (150, 64), (47, 100), (120, 80)]


@pytest.fixture(scope="module")
def blob(blob_model: Path) -> OnnxDetector:
    return OnnxDetector(blob_model, threads=1)


def detect(
    image: UInt8Image, detector: Detector, plan: TilePlan = PLAN, batch_size: int | None = None
) -> ImageResult:
    return detect_image(
        ArraySource("picture", image),
        detector,
        plan,
        MergeConfig(),
        score_threshold=0.3,
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


def test_all_tiles_of_a_picture_are_shown_at_one_size() -> None:
    detector = Recorder()
    detect(np.zeros((100, 150, 3), np.uint8), detector, TilePlan(size=64, full_image=True))
    assert set(detector.shapes) == {(64, 64, 3)}
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
