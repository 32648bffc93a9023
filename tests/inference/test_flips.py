from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from foveate.inference.flips import FlippedDetector
from foveate.inference.onnx_detector import OnnxDetector
from foveate.structures import Detections, UInt8Image
from foveate.structures.boxes import box_iou


def test_finds_what_the_detector_finds_where_it_is(
    blob_model: Path, paint_blobs: Callable[..., UInt8Image]
) -> None:
    image = paint_blobs(128, 96, [(20, 30), (90, 60), (60, 14)], cold=(1,))
    detector = OnnxDetector(blob_model, threads=1)
    once = detector([image])[0].in_order()
    once = once[once.scores >= 0.3]
    four = FlippedDetector(detector)([image, image])
    assert len(four) == 2
    assert len(once) == 3
    for found in four:
        found = found[found.scores >= 0.3]
        likeness = box_iou(once.boxes, found.boxes)
        assert len(found) == len(once)
        assert likeness.max(axis=1).min() > 0.7
        assert (found.labels[likeness.argmax(axis=1)] == once.labels).all()


def test_a_box_that_one_look_alone_sees_counts_a_quarter() -> None:
    def left_only(images: Sequence[UInt8Image]) -> list[Detections]:
        """Sees a white square only in the left upper quarter."""
        found = []
        for image in images:
            seen = image[4:12, 4:12].min() > 200
            boxes = np.array([[4, 4, 12, 12]] if seen else np.zeros((0, 4)), np.float32)
            found.append(Detections(boxes, np.full(len(boxes), 0.8), np.zeros(len(boxes), int)))
        return found

    image = np.zeros((32, 32, 3), np.uint8)
    image[20:28, 4:12] = 255
    detections = FlippedDetector(left_only)([image])[0]
    assert detections.boxes.tolist() == [[4, 20, 12, 28]]
    assert detections.scores.tolist() == pytest.approx([0.2])


def test_speaks_for_its_detector(blob_model: Path) -> None:
    detector = OnnxDetector(blob_model, threads=2)
    flipped = FlippedDetector(detector)
    assert flipped.info is detector.info
    assert flipped.parallel == 2
    assert flipped.max_detections == detector.max_detections
    assert FlippedDetector(lambda images: []).info is None
