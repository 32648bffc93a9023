"""`Layout`: how one family of exporters lays out a model's input and output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from foveate.inference.foreign.graph import Graph
from foveate.structures import Detections, FloatArray, UInt8Image
from foveate.structures.boxes import cxcywh_to_xyxy

Outputs: TypeAlias = Mapping[str, NDArray[Any]]
"""A model's outputs for one picture by name, without the batch axis, in the file's order."""

LEAST_SCORE = 0.01
"""Boxes below are dropped at once: thousands a tile, and none of them decides an AP."""

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


class Frame(NamedTuple):
    """Size of what a model was shown, network pixels."""

    height: int
    width: int


class Pixels(NamedTuple):
    """What a model expects pixels to be: ``(value - mean) / std`` of values from 0 to 255.

    Attributes:
        mean: Of red, green and blue.
        std: Likewise.
        bgr: Blue comes first.
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)
    bgr: bool = False

    def write(self, image: UInt8Image, planes: FloatArray, channels: list[UInt8Image]) -> None:
        """Write a picture's colour planes as the model takes them.

        Args:
            image: ``(H, W, 3)`` uint8, RGB.
            planes: ``(3, H, W)`` floats, written in place.
            channels: Three of ``(H, W)`` uint8, written over: fresh memory takes longer than all
                else here.
        """
        cv2.split(image, channels)
        for channel, values in enumerate(channels):
            plane = planes[2 - channel if self.bgr else channel]
            scale = np.float32(1 / self.std[channel])
            np.multiply(values, scale, out=plane, casting="same_kind")
            if self.mean[channel]:
                plane -= np.float32(self.mean[channel] / self.std[channel])


UNIT = Pixels()
"""Values from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A row of `LAYOUTS`.

    Attributes:
        summary: Inputs and outputs in one line, for a message.
        accepts: Whether a file's declarations can be read so at all.
        claims: Whether they, or the metadata, say that it *is* so; recognition goes by this.
        decode: One picture's outputs as detections in network pixels, in any order.
        class_count: How many classes the declarations show; None where they do not.
        pixels: What the input is.
        padding: Value, 0 to 255, around a picture that is smaller than the input.
        suppress: IoU from which the family's own post-processing drops the worse of two boxes of a
            class; None where the model gives each object once.
        batched: Whether outputs have a batch axis.
        score_threshold: The family's own default least score of what is shown.
    """

    summary: str
    accepts: Callable[[Graph], bool]
    claims: Callable[[Graph], bool]
    decode: Callable[[Outputs, Frame], Detections]
    class_count: Callable[[Graph], int | None]
    pixels: Pixels = UNIT
    padding: int = 0
    suppress: float | None = None
    batched: bool = True
    score_threshold: float = 0.3


def best_class(boxes_cxcywh: FloatArray, scores: FloatArray) -> Detections:
    """Every row's best class, rows below `LEAST_SCORE` left out.

    Args:
        boxes_cxcywh: ``(A, 4)`` network pixels.
        scores: ``(A, C)``.
    """
    best = scores.max(axis=1)
    kept = np.flatnonzero(best >= LEAST_SCORE)
    labels = scores[kept].argmax(axis=1)
    return Detections(cxcywh_to_xyxy(boxes_cxcywh[kept]), best[kept], labels)


def every_class(boxes: FloatArray, scores: FloatArray, most: int | None = None) -> Detections:
    """Every pair of row and class from `LEAST_SCORE` up, the best `most` of them.

    Args:
        boxes: ``(Q, 4)`` xyxy network pixels.
        scores: ``(Q, C)``.
        most: Pairs kept; Q if left out, as DETR-like post-processing keeps.
    """
    flat = scores.ravel()
    order = np.argsort(-flat, kind="stable")[: most or len(boxes)]
    order = order[flat[order] >= LEAST_SCORE]
    rows, labels = np.divmod(order, scores.shape[1])
    return Detections(boxes[rows], flat[order], labels)


def from_unit(boxes_unit_cxcywh: FloatArray, frame: Frame) -> FloatArray:
    """Boxes as shares of the frame, cxcywh, to xyxy network pixels, ``(N, 4)``."""
    size = np.array([frame.width, frame.height, frame.width, frame.height], np.float32)
    return cxcywh_to_xyxy(boxes_unit_cxcywh * size)


def only(outputs: Outputs) -> NDArray[Any]:
    """The one output."""
    (array,) = outputs.values()
    return array
