"""The folder that results are written to: annotated pictures, COCO results, one HTML page."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import cv2
import numpy as np

from foveate.api.raster import RasterResult
from foveate.api.result import Drawn, Result
from foveate.config import replacing, write_atomically
from foveate.data.sources import WHOLE_PIXELS
from foveate.errors import FoveateError
from foveate.reports.draw import draw_detections
from foveate.reports.exports import Export, Files
from foveate.reports.geo import GeoExport
from foveate.reports.results import class_name, coco_results
from foveate.structures import Detections, UInt8Image
from foveate.tiling import look

ANNOTATED = "annotated"
_QUALITY = 92
_CROP_MARGIN = 0.25
"""Around a crop, share of the object's longer side."""
_LEAST_MARGIN = 4
"""Pixels: a tiny object says nothing without its surroundings."""
_MAX_SIDE = 16_384
"""Of an annotated picture, pixels: larger ones are shrunk (a JPEG ends at 65,535)."""
_REDUCED_SIDE = 3072
"""Of an annotated picture that is too large to be sure to fit into memory."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Draws what the folder of a run would hold of a picture.

    Attributes:
        scale: Of the annotated picture.
        crops: Also every detection.
    """

    scale: float
    crops: bool

    def __call__(self, result: Result) -> Drawn:
        """Draw one."""
        annotated = encode_jpeg(draw_result(result, self.scale))
        return Drawn(annotated, tuple(_crop_pictures(result)) if self.crops else ())


class OutputFolder:
    """Where the results of a run go; every file in it appears whole or not at all.

    Args:
        path: Made if it is missing.
        exports: Further formats to write, from `foveate.reports.exports`.
        crops: Also write every detection as a picture of its own.
        scale: Of the annotated pictures: 2 draws on the picture enlarged twice.

    Raises:
        FoveateError: At once, if nothing can be written there.
    """

    def __init__(
        self,
        path: str | Path,
        exports: Sequence[Export] = (),
        *,
        crops: bool = False,
        scale: float = 1.0,
    ) -> None:
        self.path = Path(path)
        self._exports, self._crops, self._scale = exports, crops, scale
        _require_writable(self.path)
        self._taken: set[str] = set()
        self._results: list[dict[str, Any]] = []
        self._pictures = 0

    def write_picture(self, result: Result) -> Path:
        """Write a picture with its boxes drawn, and what else is asked for of it.

        Returns:
            The file, below `path`.
        """
        self._pictures += 1
        self._results += coco_results([result], image_ids=[self._pictures])
        stem = self._free_name(result.name)
        relative = Path(ANNOTATED) / f"{stem}.jpg"
        drawn = result.drawn or Drawn(encode_jpeg(draw_result(result, self._scale)))
        self.write(relative, drawn.annotated)
        for export in self._exports:
            self._write_all(export.picture(result, stem))
        if self._crops:
            self._write_all(_crops(result, stem))
        return relative

    @property
    def drawing(self) -> Drawing:
        """What `write_picture` would draw, for another process to do."""
        return Drawing(self._scale, self._crops)

    def write_raster(self, result: RasterResult) -> None:
        """Write all there is to write of one raster, read from disk part by part.

        The picture shows the best detections; exports that are no GIS files, and crops, need all
        of them in memory.

        Raises:
            FoveateError: If it cannot be written.
        """
        stem = self._free_name(result.name)
        self._write_in_parts("detections.json", partial(_write_coco, result))
        jpeg = encode_jpeg(draw_result(result.shown, self._scale))
        self.write(Path(ANNOTATED) / f"{stem}.jpg", jpeg)
        for export in self._exports:
            if not isinstance(export, GeoExport):
                self._write_all(export.picture(result.whole, stem))
            elif result.geo is not None:
                write = partial(export.write_parts, parts=result.parts())
                self._write_in_parts(export.path(stem), write)
        self.write_exports()
        if self._crops:
            self._write_all(_crops(result.whole, stem))

    def write_exports(self) -> None:
        """Write what the further formats say of all pictures together."""
        for export in self._exports:
            self._write_all(export.finish())

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

    def _write_in_parts(self, name: str | PurePath, write: Callable[[Path], None]) -> None:
        """Write one file with a function that is given a path which is not there."""
        try:
            with replacing(self.path / name) as temporary:
                temporary.unlink()
                write(temporary)
        except OSError as error:
            raise FoveateError(f"{self.path / name}: cannot be written ({_why(error)})") from None

    def _write_all(self, files: Files) -> None:
        for name, content in files:
            self.write(Path(name), content)

    def _free_name(self, name: str) -> str:
        """The stem; where two pictures share it, the whole file name, then a number as well."""
        stem, number = Path(name).stem or "picture", 1
        chosen = stem
        while chosen.lower() in self._taken:
            number += 1
            chosen = name if number == 2 else f"{name}-{number - 1}"
        self._taken.add(chosen.lower())
        return chosen


def _write_coco(result: RasterResult, path: Path) -> None:
    """COCO results, the same text as of a list in memory."""
    with path.open("wb") as file:
        file.write(b"[")
        between = b""
        for part in result.parts():
            entries = json.dumps(coco_results([part]))[1:-1].encode()
            if entries:
                file.write(between + entries)
                between = b", "
        file.write(b"]")


def draw_result(result: Result, scale: float = 1.0) -> UInt8Image:
    """The picture with its detections, enlarged by `scale`, at most 16,384 pixels a side.

    Pictures of more than 64 megapixels are reduced to 3072 pixels a side.
    """
    large = result.width * result.height > WHOLE_PIXELS
    image = result.pixels(_REDUCED_SIDE if large else None)
    reduced = image.shape[1] / result.width
    found = result.detections
    shown = Detections(found.boxes * np.float32(reduced), found.scores, found.labels)
    scale = min(1.0 if large else scale, _MAX_SIDE / max(image.shape))
    names = result.class_names or [
        class_name((), label) for label in range(int(found.labels.max(initial=0)) + 1)
    ]
    return draw_detections(image, shown, names, scale=scale)


def _crops(result: Result, stem: str) -> Files:
    """Every detection with its surroundings, best first: ``crops/CLASS/STEM-0001.jpg``."""
    pictures = _crop_pictures(result) if result.drawn is None else iter(result.drawn.crops)
    labels = result.detections.labels.tolist()
    for number, (label, picture) in enumerate(zip(labels, pictures, strict=True), start=1):
        folder = re.sub(r"[^\w.-]+", "_", class_name(result.class_names, label)).strip(".") or "_"
        yield PurePosixPath("crops", folder, f"{stem}-{number:04}.jpg"), picture


def _crop_pictures(result: Result) -> Iterator[bytes]:
    """Every detection with its surroundings, as a JPEG file."""
    for x1, y1, x2, y2 in result.detections.boxes.tolist():
        margin = max(_LEAST_MARGIN, _CROP_MARGIN * max(x2 - x1, y2 - y1))
        left, top = max(0, int(x1 - margin)), max(0, int(y1 - margin))
        right = min(result.width, math.ceil(x2 + margin))
        bottom = min(result.height, math.ceil(y2 + margin))
        yield encode_jpeg(look(result.source, (left, top, right, bottom)))


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
