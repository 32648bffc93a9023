"""The files of label formats, from names and boxes: of labelled data sets and of detections alike.

Pixels are written to a thousandth, shares of a picture to 1e-8: finer than any label is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias
from xml.etree import ElementTree as Xml

import numpy as np
import yaml

from foveate.data.formats.xml import add, document
from foveate.structures import FloatArray, IntArray
from foveate.structures.boxes import xyxy_to_cxcywh

Corners: TypeAlias = Sequence[float]
"""x1, y1, x2, y2 in pixels."""

CVAT_IGNORE = "ignore"
"""The check box that marks an ignored object, which CVAT has no field for."""


def pixels(value: float) -> str:
    """A coordinate as short as it can be: ``12``, ``12.5``, ``12.333``."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def yolo_labels(boxes: FloatArray, labels: IntArray, width: int, height: int) -> bytes:
    """A line a box: class, centre and size as shares of the picture.

    Args:
        boxes: ``(N, 4)`` xyxy pixels.
        labels: ``(N,)``.
        width: Of the picture, pixels.
        height: Pixels.
    """
    sides = np.array([width, height, width, height], np.float64)
    shares = xyxy_to_cxcywh(boxes.astype(np.float64)) / sides
    lines = [
        f"{label} {' '.join(f'{share:.8f}' for share in row)}\n"
        for label, row in zip(labels.tolist(), shares.tolist(), strict=True)
    ]
    return "".join(lines).encode()


def yolo_settings(pictures: Mapping[str, str], class_names: Sequence[str]) -> bytes:
    """``data.yaml``.

    Args:
        pictures: Folder of each split's pictures.
        class_names: In the order of the labels.
    """
    settings = {**pictures, "names": dict(enumerate(class_names))}
    return yaml.safe_dump(settings, allow_unicode=True, sort_keys=False).encode()


def voc_document(
    picture: str,
    width: int,
    height: int,
    objects: Iterable[tuple[str, Corners, Mapping[str, object]]],
) -> bytes:
    """``Annotations/STEM.xml``; pixels are counted from 1, as VOC does.

    Args:
        picture: File name.
        width: Pixels.
        height: Pixels.
        objects: Class name, corners, and further fields such as ``difficult``.
    """
    root = Xml.Element("annotation")
    add(root, "filename", picture)
    size = Xml.SubElement(root, "size")
    for key, value in (("width", width), ("height", height), ("depth", 3)):
        add(size, key, value)
    for name, (x1, y1, x2, y2), fields in objects:
        entry = Xml.SubElement(root, "object")
        add(entry, "name", name)
        for key, field in fields.items():
            add(entry, key, field)
        corners = Xml.SubElement(entry, "bndbox")
        # The first pixel is 1 and the last one belongs to the box. Rounded before 1 is added, lest
        # an empty box be inverted.
        sides = {"xmin": round(x1, 3) + 1, "ymin": round(y1, 3) + 1, "xmax": x2, "ymax": y2}
        for key, side in sides.items():
            add(corners, key, pixels(side))
    return document(root)


class CvatDocument:
    """CVAT for images 1.1, being written.

    Args:
        ignore: Whether each label gets a check box `CVAT_IGNORE`.
    """

    def __init__(self, ignore: bool = False) -> None:
        self._ignore = ignore
        self._images: list[bytes] = []  # as text at once: a tree takes ten times the memory

    def picture(
        self,
        name: str,
        width: int,
        height: int,
        objects: Iterable[tuple[str, Corners, bool]],
        *,
        source: str = "manual",
        subset: str = "",
    ) -> None:
        """Add a picture.

        Args:
            name: File name.
            width: Pixels.
            height: Pixels.
            objects: Class name, corners, and whether it is ignored.
            source: "manual", or "auto" for detections.
            subset: Such as "train".
        """
        about = {"id": str(len(self._images)), "name": name}
        about |= {"subset": subset} if subset else {}
        size = {"width": str(width), "height": str(height)}
        image = Xml.Element("image", about | size)
        for label, box, ignored in objects:
            sides = zip(("xtl", "ytl", "xbr", "ybr"), box, strict=True)
            corners = {key: pixels(side) for key, side in sides}
            how = {"label": label, "source": source, "occluded": "0", "z_order": "0"}
            entry = Xml.SubElement(image, "box", how | corners)
            if self._ignore:
                flag = Xml.SubElement(entry, "attribute", name=CVAT_IGNORE)
                flag.text = "true" if ignored else "false"
        Xml.indent(image, level=1)
        self._images.append(b"\n  " + Xml.tostring(image, encoding="utf-8"))

    def content(self, class_names: Iterable[str]) -> bytes:
        """The whole file.

        Args:
            class_names: In the order of the labels; known at the end where detections are written.
        """
        root = Xml.Element("annotations")
        add(root, "version", "1.1")
        task = Xml.SubElement(Xml.SubElement(root, "meta"), "task")
        labels = Xml.SubElement(task, "labels")
        for name in class_names:
            label = Xml.SubElement(labels, "label")
            add(label, "name", name)
            if self._ignore:
                flag = Xml.SubElement(Xml.SubElement(label, "attributes"), "attribute")
                add(flag, "name", CVAT_IGNORE)
                for key, value in (("mutable", "False"), ("input_type", "checkbox")):
                    add(flag, key, value)
                for key in ("default_value", "values"):
                    add(flag, key, "false")
        end = b"\n</annotations>\n"
        return document(root).removesuffix(end) + b"".join(self._images) + end


def dota_labels(objects: Iterable[tuple[str, Corners, bool]]) -> bytes:
    """A line a box: its four corners, clockwise from the top left, its class, and difficult.

    Args:
        objects: Class name without white space, corners, and whether it is ignored.
    """
    lines = []
    for name, (x1, y1, x2, y2), ignored in objects:
        corners = " ".join(pixels(side) for side in (x1, y1, x2, y1, x2, y2, x1, y2))
        lines.append(f"{corners} {name} {int(ignored)}\n")
    return "".join(lines).encode()
