"""Judge small boxes once more, each in its surroundings: a refiner's file, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from foveate.errors import FoveateError
from foveate.inference.onnx_session import OnnxSessions
from foveate.inference.refiner_info import read_refiner_info
from foveate.structures import Detections, FloatArray, ImageSource, UInt8Image
from foveate.structures.boxes import box_area, clip_boxes, valid_boxes
from foveate.tiling.surroundings import cut_out, surroundings

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]


class _Crop(NamedTuple):
    pixels: UInt8Image  # (L, L, C)
    found: FloatArray  # (4,) as shares of the crop's side


class OnnxRefiner:
    """A refiner's file.

    Every crop goes through the network alone, several side by side: results do not depend on how
    crops are grouped.

    Args:
        path: Made by `foveate.export.refiner.export_refiner`.
        class_names: The detector's, which must be the refiner's.
        threads: None takes as many as there are processors to run on.

    Attributes:
        info: What the file says of itself.

    Raises:
        FoveateError: If the file is missing, damaged, no refiner, or of other classes.
    """

    def __init__(self, path: Path, class_names: Sequence[str], threads: int | None = None) -> None:
        self.path, self.info = path, read_refiner_info(path)
        if tuple(class_names) != self.info.class_names:
            raise FoveateError(
                f"{path} refines {', '.join(self.info.class_names)} and the detector finds "
                f"{', '.join(class_names) or 'unnamed classes'}: take the refiner of this detector"
            )
        self._sessions = OnnxSessions(path, threads)

    def __call__(self, source: ImageSource, detections: Detections) -> Detections:
        """Refine the small boxes of a picture after the merge; larger ones stay as they are.

        The score becomes the mean of the base's and the refiner's for the base's class [D: the
        base tells no score of other classes]; the box is moved, unless it would vanish.

        Args:
            source: The picture.
            detections: In picture pixels.

        Returns:
            As many, best first.
        """
        small = np.flatnonzero(np.sqrt(box_area(detections.boxes)) < self.info.small)
        if not len(small):
            return detections.in_order()
        crops = [self._crop(source, box) for box in detections.boxes[small]]
        judged = self._sessions.each(self._judge, crops)
        boxes, scores = detections.boxes.copy(), detections.scores.copy()
        for row, (given, shares) in zip(small, judged, strict=True):
            tile = surroundings(detections.boxes[row], self.info.margin, 1)
            moved = clip_boxes(tile.to_image(shares[None]), source.width, source.height)
            if valid_boxes(moved)[0]:
                boxes[row] = moved[0]
            scores[row] = (scores[row] + given[detections.labels[row]]) / 2
        return Detections(boxes, scores, detections.labels).in_order()

    def _crop(self, source: ImageSource, box: FloatArray) -> _Crop:
        info = self.info
        tile = surroundings(box, info.margin, info.crop_size)
        pixels = cut_out(source, tile, info.channels, info.padding)
        return _Crop(pixels, surroundings(box, info.margin, 1).to_tile(box[None])[0])

    def _judge(
        self, session: onnxruntime.InferenceSession, crop: _Crop
    ) -> tuple[FloatArray, FloatArray]:
        """Scores ``(K,)`` and the box ``(4,)`` of one crop."""
        feed = {"crops": crop.pixels[None], "found": crop.found[None]}
        side = self.info.crop_size
        scores, boxes = self._sessions.run(session, ["scores", "boxes"], feed, f"{side} x {side}")
        return scores[0], boxes[0]
