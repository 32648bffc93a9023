"""The folder that results are written to: annotated pictures, COCO results, one HTML page."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import cv2

from foveate.api.result import Result
from foveate.config import write_atomically
from foveate.errors import FoveateError
from foveate.reports.draw import draw_detections
from foveate.reports.results import class_name, coco_results
from foveate.structures import UInt8Image

ANNOTATED = "annotated"
_QUALITY = 92
_MAX_SIDE = 16_384
"""Of an annotated picture, pixels: larger ones are shrunk (a JPEG ends at 65,535)."""


class OutputFolder:
    """Where the results of a run go; every file in it appears whole or not at all.

    Args:
        path: Made if it is missing.

    Raises:
        FoveateError: At once, if nothing can be written there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        _require_writable(self.path)
        self._taken: set[str] = set()
        self._results: list[dict[str, Any]] = []
        self._pictures = 0

    def write_picture(self, result: Result) -> Path:
        """Write a picture with its boxes drawn, and remember them for `write_json`.

        Returns:
            The file, below `path`.
        """
        self._pictures += 1
        self._results += coco_results([result], image_ids=[self._pictures])
        relative = Path(ANNOTATED) / f"{self._free_name(result.name)}.jpg"
        self.write(relative, encode_jpeg(draw_result(result)))
        return relative

    def write_json(self, name: str) -> None:
        """Write the COCO results of every picture so far."""
        self.write(name, json.dumps(self._results).encode())

    def write(self, name: str | Path, content: bytes) -> None:
        """Write one file.

        Raises:
            FoveateError: If it cannot be written.
        """
        try:
            write_atomically(self.path / name, content)
        except OSError as error:
            raise FoveateError(f"{self.path / name}: cannot be written ({_why(error)})") from None

    def _free_name(self, name: str) -> str:
        """The stem; where two pictures share it, the whole file name, then a number as well."""
        stem, number = Path(name).stem or "picture", 1
        chosen = stem
        while chosen.lower() in self._taken:
            number += 1
            chosen = name if number == 2 else f"{name}-{number - 1}"
        self._taken.add(chosen.lower())
        return chosen


def draw_result(result: Result) -> UInt8Image:
    """The picture with its detections, at most 16,384 pixels a side."""
    scale = min(1.0, _MAX_SIDE / max(result.width, result.height))
    labels = range(int(result.detections.labels.max(initial=0)) + 1)
    names = result.class_names or [class_name((), label) for label in labels]
    return draw_detections(result.pixels(), result.detections, names, scale=scale)


def encode_jpeg(image: UInt8Image) -> bytes:
    """An RGB picture as a JPEG file."""
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise FoveateError(f"a picture of {image.shape[1]} x {image.shape[0]} cannot become a JPEG")
    return data.tobytes()


def _require_writable(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise FoveateError(
            f"{path}: cannot be written to ({_why(error)}); choose another folder with --out"
        ) from None


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
