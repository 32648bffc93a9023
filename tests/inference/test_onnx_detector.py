from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from foveate.errors import FoveateError, UsageError
from foveate.inference.onnx_detector import OnnxDetector
from foveate.structures import UInt8Image

Paint = Callable[..., UInt8Image]


@pytest.fixture(scope="module")
def detector(blob_model: Path) -> OnnxDetector:
    return OnnxDetector(blob_model, threads=1)


def test_finds_blobs_where_they_are(detector: OnnxDetector, paint_blobs: Paint) -> None:
    image = paint_blobs(64, 48, [(20, 10), (50, 30)], cold=(1,))
    (found,) = detector([image])
    order = np.argsort(found.boxes[:, 0])
    assert found.boxes[order].tolist() == [[16, 6, 25, 15], [46, 26, 55, 35]]
    assert found.labels[order].tolist() == [0, 1]
    assert (np.diff(found.scores) <= 0).all()
    assert (found.scores > 0.9).all()


def test_unused_rows_are_dropped(detector: OnnxDetector) -> None:
    found = detector([np.zeros((16, 16, 3), np.uint8)] * 2)
    assert [len(one) for one in found] == [0, 0]


def test_duplicates_are_suppressed_where_the_metadata_says_so(
    make_model: Callable[..., Path], paint_blobs: Paint
) -> None:
    # Boxes of 9 x 9, 5 apart in x: an IoU of 36 / 126. One of them is of another class.
    image = paint_blobs(64, 48, [(20, 10), (25, 10), (40, 30), (45, 30)], cold=(3,))
    every = OnnxDetector(make_model(), threads=1)([image])[0]
    apart = OnnxDetector(make_model(suppression=0.3), threads=1)
    assert apart([image])[0].boxes.tolist() == every.boxes.tolist()
    once = OnnxDetector(make_model(suppression=0.25), threads=1)
    assert once.info.suppression == 0.25
    assert (len(every), len(once([image])[0])) == (4, 3)
    assert sorted(once.start([image])()[0].labels.tolist()) == [0, 0, 1]
    few = OnnxDetector(make_model(suppression=0.25, max_detections=2), threads=1)
    assert few([image])[0].scores.tolist() == once([image])[0].scores.tolist()[:2]


def test_no_images_no_results(detector: OnnxDetector) -> None:
    assert detector([]) == []


def test_an_array_of_images_is_a_batch(detector: OnnxDetector, paint_blobs: Paint) -> None:
    batch = np.stack([paint_blobs(32, 32, [(10, 10)]), paint_blobs(32, 32, [(20, 20)])])
    from_array = detector(batch)  # type: ignore[arg-type]
    from_list = detector(list(batch))
    for a, b in zip(from_array, from_list, strict=True):
        assert np.array_equal(a.boxes, b.boxes)


def test_images_of_different_sizes(detector: OnnxDetector, paint_blobs: Paint) -> None:
    found = detector([paint_blobs(32, 16, [(10, 8)]), paint_blobs(64, 48, [(40, 30)])])
    assert [one.boxes.tolist() for one in found] == [[[6, 4, 15, 13]], [[36, 26, 45, 35]]]


def test_images_that_are_not_contiguous(detector: OnnxDetector, paint_blobs: Paint) -> None:
    mirrored = paint_blobs(32, 16, [(10, 8)])[:, ::-1]
    assert detector([mirrored])[0].boxes.tolist() == [[17, 4, 26, 13]]


def test_as_many_threads_as_processors(blob_model: Path) -> None:
    assert OnnxDetector(blob_model).parallel >= 1


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_do_not_depend_on_threads_or_batch(
    detector: OnnxDetector, blob_model: Path, threads: int
) -> None:
    rng = np.random.default_rng(1)
    images = list(rng.integers(0, 255, (5, 64, 96, 3), dtype=np.uint8))
    expected = [detector([image])[0] for image in images]
    assert all(len(one) == detector.max_detections for one in expected)
    other = OnnxDetector(blob_model, threads=threads)
    assert other.parallel == threads
    for size in (1, 2, 5):
        found = [one for i in range(0, 5, size) for one in other(images[i : i + size])]
        for a, b in zip(found, expected, strict=True):
            assert np.array_equal(a.boxes, b.boxes)
            assert np.array_equal(a.scores, b.scores)
            assert np.array_equal(a.labels, b.labels)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([np.zeros((16, 16, 1), np.uint8)], "channels, got 1"),
        ([np.zeros((16, 16, 4), np.uint8)], "channels, got 4"),
        ([np.zeros((16, 16), np.uint8)], "channels, got 1"),
        ([np.zeros((16, 20, 3), np.uint8)], "multiples of 8, got 20x16"),
        ([np.zeros((16, 16, 3), np.uint8), np.zeros((16, 24, 1), np.uint8)], "channels, got 1"),
        ([np.zeros((16, 16, 3), np.float32)], "expected uint8"),
    ],
)
def test_unsuitable_images(detector: OnnxDetector, images: list[UInt8Image], expected: str) -> None:
    with pytest.raises(FoveateError, match=expected):
        detector(images)


def test_threads_below_one(blob_model: Path) -> None:
    with pytest.raises(UsageError, match="threads must be at least 1, got 0"):
        OnnxDetector(blob_model, threads=0)


def test_metadata_and_graph_must_agree(make_model: Callable[..., Path]) -> None:
    path = make_model(channels=1, mean=[0.0], std=[1.0])
    with pytest.raises(FoveateError, match="says 1 channels and its graph takes 3"):
        OnnxDetector(path)


def test_a_graph_that_breaks_the_contract(make_model: Callable[..., Path]) -> None:
    path = make_model()
    data = path.read_bytes()
    path.write_bytes(data.replace(b"images", b"imagez"))
    with pytest.raises(FoveateError, match=r"expected one input .*imagez"):
        OnnxDetector(path)
    path.write_bytes(data.replace(b"labels", b"labelz"))
    with pytest.raises(FoveateError, match=r"expected an output .*labelz"):
        OnnxDetector(path)


def test_a_graph_that_cannot_be_loaded(make_model: Callable[..., Path]) -> None:
    path = make_model()
    path.write_bytes(path.read_bytes().replace(b"MaxPool", b"MaxPoop"))
    with pytest.raises(FoveateError, match="ONNX Runtime cannot load this model") as caught:
        OnnxDetector(path)
    assert "\n" not in str(caught.value)


def test_nothing_is_printed(
    make_model: Callable[..., Path], blob_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    OnnxDetector(blob_model)([np.zeros((16, 16, 3), np.uint8)])
    path = make_model()
    path.write_bytes(path.read_bytes().replace(b"MaxPool", b"MaxPoop"))
    with pytest.raises(FoveateError):
        OnnxDetector(path)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_work_that_was_handed_over_gives_what_a_call_gives(
    detector: OnnxDetector, paint_blobs: Callable[..., UInt8Image]
) -> None:
    images = [paint_blobs(64, 64, [(20, 20), (40, 44)]), paint_blobs(64, 64, [(9, 50)])]
    called = detector(images)
    for least in (0.0, 0.5, 0.95, 1.0):
        for found, whole in zip(detector.start(images, least)(), called, strict=True):
            kept = whole[whole.scores >= least]
            assert found.boxes.tolist() == kept.boxes.tolist()
            assert found.scores.tolist() == kept.scores.tolist()
