"""Generated pictures and results to report on."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np

from foveate.data.images import ArraySource
from foveate.structures import (
    Annotations,
    Detections,
    FloatArray,
    GeoReference,
    Tile,
    UInt8Image,
)


@dataclass
class Found:
    """A result as the pipeline gives it."""

    name: str
    width: int
    height: int
    detections: Detections
    tiles: list[Tile] = field(default_factory=list)
    seconds: float = 0.5
    capped_tiles: int = 0
    skipped_tiles: int = 0
    uniform_tiles: int = 0
    unselected_tiles: int = 0
    expected_miss: float | None = None
    planned_pixels: int = 0
    geo: GeoReference | None = None


def scene(width: int = 320, height: int = 240, count: int = 30, seed: int = 0) -> UInt8Image:
    """Noise with bright squares of a few pixels where `boxes_of` says."""
    rng = np.random.default_rng(seed)
    image = rng.integers(60, 90, (height, width, 3), dtype=np.uint8)
    for x1, y1, x2, y2 in boxes_of(width, height, count, seed).astype(int).tolist():
        image[y1:y2, x1:x2] = 230
    return image


def photo(width: int = 320, height: int = 240, count: int = 30, seed: int = 0) -> ArraySource:
    """The scene as a source."""
    return ArraySource("scene", scene(width, height, count, seed))


def boxes_of(width: int = 320, height: int = 240, count: int = 30, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed + 1)
    corner = rng.integers(0, (width - 14, height - 14), (count, 2))
    return np.concatenate([corner, corner + rng.integers(3, 12, (count, 2))], 1).astype(np.float32)


def detections_of(boxes: FloatArray, seed: int = 0) -> Detections:
    rng = np.random.default_rng(seed + 2)
    scores = rng.uniform(0.3, 1, len(boxes)).astype(np.float32)
    return Detections(boxes, scores, rng.integers(0, 2, len(boxes)))


def one_box(*box: float, label: int = 0) -> Detections:
    return Detections(
        np.array([box], np.float32), np.array([0.8], np.float32), np.array([label], np.int64)
    )


def annotations_of(detections: Detections) -> Annotations:
    return Annotations(detections.boxes, detections.labels, np.zeros(len(detections), bool))


def result(name: str = "a.png", width: int = 320, height: int = 240, count: int = 30) -> Found:
    tiles = [Tile(0, 0, width, height, width, height)]
    return Found(name, width, height, detections_of(boxes_of(width, height, count)), tiles)


class Page(HTMLParser):
    """Parses a page, and fails if an element is left open or closed twice."""

    VOID = ("meta", "input", "br", "image")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]
