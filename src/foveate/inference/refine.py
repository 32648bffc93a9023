"""Judge small boxes once more, each in its surroundings: a refiner's file, without torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from foveate.errors import FoveateError
from foveate.inference.folder import Runner
from foveate.inference.onnx_session import OnnxSessions
from foveate.inference.pipeline import ImageResult, OnTiles
from foveate.inference.profile import Profile
from foveate.inference.refiner_info import read_refiner_info
from foveate.structures import Detections, FloatArray, ImageSource, IntArray, UInt8Image
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
        threads: None takes as many as there are processors to run on.

    Attributes:
        info: What the file says of itself.

    Raises:
        FoveateError: If the file is missing, damaged, or no refiner.
        UsageError: If `threads` is below 1.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path, self.info = path, read_refiner_info(path)
        self._sessions = OnnxSessions(path, threads)

    def require_classes(self, class_names: Sequence[str]) -> None:
        """See that it judges what a detector finds.

        Raises:
            FoveateError: If the detector's classes are others, or in another order.
        """
        if tuple(class_names) != self.info.class_names:
            raise FoveateError(
                f"{self.path} refines {', '.join(self.info.class_names)} and the detector finds "
                f"{', '.join(class_names) or 'unnamed classes'}: take the refiner of this detector"
            )

    def __call__(self, source: ImageSource, detections: Detections) -> Detections:
        """Refine the small boxes of a picture after the merge; others stay as they are.

        The score becomes the mean of the base's and the refiner's for the base's class [D: the
        base tells no score of other classes]; the box is moved, unless it would vanish.

        Args:
            source: The picture.
            detections: In picture pixels.

        Returns:
            As many, best first.
        """
        small = self.refines(detections)
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

    def refines(self, detections: Detections) -> IntArray:
        """Which of them are judged: small ones of which the base is sure enough."""
        small = np.sqrt(box_area(detections.boxes)) < self.info.small
        return np.flatnonzero(small & (detections.scores >= self.info.least_score))

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


class RefiningRunner:
    """A `Runner` whose boxes are judged once more after the merge.

    Args:
        run: Finds with a least score that leaves the refiner what it can raise.
        refiner: Judges.
        least_score: Of what is left in the end.
        profile: Where times are added to.
    """

    def __init__(
        self, run: Runner, refiner: OnnxRefiner, least_score: float, profile: Profile
    ) -> None:
        self.run, self.refiner = run, refiner
        self.least_score, self.profile = least_score, profile

    def __call__(
        self, source: ImageSource, *, alone: bool = True, on_tiles: OnTiles | None = None
    ) -> ImageResult:
        """Detect and refine; the arguments are those of `detect_image`."""
        result = self.run(source, alone=alone, on_tiles=on_tiles)
        started = time.perf_counter()
        with self.profile.stage("refine"):
            self.profile.count_refined(len(self.refiner.refines(result.detections)))
            refined = self.refiner(source, result.detections)
        kept = refined[refined.scores >= self.least_score]
        seconds = result.seconds + time.perf_counter() - started
        return replace(result, detections=kept, seconds=seconds)
