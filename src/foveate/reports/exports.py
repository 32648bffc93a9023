"""Detections in the formats that labelling and training tools read.

Every format gives files as relative path and content, each picture's own as soon as it is done and
the common ones at the end, so that a folder of any size can be written and each file appears whole.
Boxes are pixels of the picture as it is shown: turned by Exif, the origin at the top left corner.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, Protocol, TypeAlias
from xml.etree import ElementTree as Xml

from foveate.data.formats.documents import (
    CvatDocument,
    voc_document,
    yolo_labels,
    yolo_settings,
)
from foveate.data.formats.xml import document
from foveate.reports.results import PictureResult, class_name

Files: TypeAlias = Iterator[tuple[PurePosixPath, bytes]]
"""Relative paths and contents."""


class Export(Protocol):
    """One format, being written."""

    def picture(self, result: PictureResult, stem: str) -> Files:
        """The files of one picture.

        Args:
            result: What was found in it.
            stem: A file name, without ending, that no other picture of the run has.
        """
        ...

    def finish(self) -> Files:
        """The files that need all pictures."""
        ...


class Yolo:
    """``yolo/labels/STEM.txt``: class, centre and size as shares of the picture; no scores.

    With the pictures in ``yolo/images`` it is a data set.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self._names = list(class_names)

    def picture(self, result: PictureResult, stem: str) -> Files:
        """A line a box, the best first; an empty file for a picture without any."""
        found = result.detections
        content = yolo_labels(found.boxes, found.labels, result.width, result.height)
        yield PurePosixPath("yolo", "labels", f"{stem}.txt"), content

    def finish(self) -> Files:
        """The class names, as ``data.yaml``."""
        content = yolo_settings({"train": "images", "val": "images"}, self._names)
        yield PurePosixPath("yolo", "data.yaml"), content


class Csv:
    """``detections.csv``: a line a box, with its score, class name and corners in pixels."""

    COLUMNS = ("file_name", "label", "class", "score", "x1", "y1", "x2", "y2")

    def __init__(self, class_names: Sequence[str]) -> None:
        self._names = class_names
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text)
        self._writer.writerow(self.COLUMNS)

    def picture(self, result: PictureResult, stem: str) -> Files:
        """Nothing yet."""
        for name, score, box, label in _objects(result, self._names):
            corners = [f"{value:.2f}" for value in box]
            self._writer.writerow([result.name, label, name, f"{score:.4f}", *corners])
        return iter(())

    def finish(self) -> Files:
        """The one file."""
        yield PurePosixPath("detections.csv"), self._text.getvalue().encode()


class Voc:
    """``voc/Annotations/STEM.xml``: Pascal VOC; pixels are counted from 1, as VOC does.

    With the pictures in ``voc/JPEGImages`` it is a data set.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self._names = class_names

    def picture(self, result: PictureResult, stem: str) -> Files:
        """One file."""
        objects = (
            (name, box, {"difficult": 0, "confidence": f"{score:.4f}"})
            for name, score, box, _ in _objects(result, self._names)
        )
        content = voc_document(result.name, result.width, result.height, objects)
        yield PurePosixPath("voc", "Annotations", f"{stem}.xml"), content

    def finish(self) -> Files:
        """Nothing more."""
        return iter(())


class LabelStudio:
    """``label-studio.json``: tasks with predictions to correct, and the labelling interface.

    Pictures are named as Label Studio's local file storage serves them.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self._names = class_names
        self._used: set[str] = set()
        self._tasks: list[dict[str, Any]] = []

    def picture(self, result: PictureResult, stem: str) -> Files:
        """Nothing yet."""
        regions = [
            {
                "type": "rectanglelabels",
                "from_name": "label",
                "to_name": "image",
                "original_width": result.width,
                "original_height": result.height,
                "image_rotation": 0,
                "score": round(score, 4),
                "value": {
                    "x": 100 * x1 / result.width,
                    "y": 100 * y1 / result.height,
                    "width": 100 * (x2 - x1) / result.width,
                    "height": 100 * (y2 - y1) / result.height,
                    "rotation": 0,
                    "rectanglelabels": [name],
                },
            }
            for name, score, (x1, y1, x2, y2), _ in _objects(result, self._names)
        ]
        prediction: dict[str, Any] = {"model_version": "foveate", "result": regions}
        if len(result.detections):
            prediction["score"] = round(float(result.detections.scores.mean()), 4)
        self._used.update(_used(result, self._names))
        image = f"/data/local-files/?d={result.name}"
        self._tasks.append({"data": {"image": image}, "predictions": [prediction]})
        return iter(())

    def finish(self) -> Files:
        """The tasks, and the configuration that they need."""
        yield PurePosixPath("label-studio.json"), json.dumps(self._tasks).encode()
        view = Xml.Element("View")
        Xml.SubElement(view, "Image", name="image", value="$image", zoom="true")
        labels = Xml.SubElement(view, "RectangleLabels", name="label", toName="image")
        for name in _named(self._names, self._used):
            Xml.SubElement(labels, "Label", value=name)
        yield PurePosixPath("label-studio.xml"), document(view)


class Cvat:
    """``cvat.xml``: CVAT for images 1.1."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self._names = class_names
        self._used: set[str] = set()
        self._document = CvatDocument()

    def picture(self, result: PictureResult, stem: str) -> Files:
        """Nothing yet."""
        self._used.update(_used(result, self._names))
        objects = ((name, box, False) for name, _, box, _ in _objects(result, self._names))
        self._document.picture(result.name, result.width, result.height, objects, source="auto")
        return iter(())

    def finish(self) -> Files:
        """The one file."""
        content = self._document.content(_named(self._names, self._used))
        yield PurePosixPath("cvat.xml"), content


EXPORTS: dict[str, Callable[[Sequence[str]], Export]] = {
    "csv": Csv,
    "cvat": Cvat,
    "label-studio": LabelStudio,
    "voc": Voc,
    "yolo": Yolo,
}
"""Every format by its name; each is made with the class names."""


def _objects(
    result: PictureResult, class_names: Sequence[str]
) -> Iterator[tuple[str, float, list[float], int]]:
    """Class name, score, corners and label of each detection."""
    found = result.detections
    rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    for label, score, box in rows:
        yield class_name(class_names, label), score, box, label


def _used(result: PictureResult, class_names: Sequence[str]) -> set[str]:
    """Names of the classes found in a picture."""
    return {class_name(class_names, label) for label in result.detections.labels.tolist()}


def _named(class_names: Sequence[str], used: set[str]) -> list[str]:
    """All classes: the model's, and the numbered ones of a model that does not name them."""
    return [*class_names, *sorted(used - {*class_names})]
