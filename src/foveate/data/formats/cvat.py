"""CVAT for images 1.1: one XML file for all pictures.

Read here and not through `hotcoco.COCO.from_cvat` (1.3), which splits class names at ``&``, lets
NaN and inverted boxes pass, takes a file that was cut short for one without the lost pictures, and
does not turn the boxes that are turned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from foveate.data.formats.common import (
    REGION,
    Boxes,
    annotations_with_regions,
    dataset_name,
    require_boxes,
)
from foveate.data.formats.xml import PlainTree, read_xml
from foveate.data.images import image_size
from foveate.errors import FoveateError
from foveate.structures import BoolArray, Dataset, Sample

IGNORE_LABELS = {"ignore", "ignored", "ignore region", "ignored region"}
"""Label names, also in the plural, of regions in which nothing is right or wrong."""

IGNORE_ATTRIBUTES = ("ignore", "difficult")
"""Check boxes that ignore one object."""


def read_cvat(path: Path, image_root: Path | None = None, split: str | None = None) -> Dataset:
    """Read a CVAT file: "CVAT for images 1.1".

    Boxes; the enclosing boxes of turned boxes, polygons, ellipses and masks. Points, lines,
    skeletons, cuboids and tags are no boxes and are left out.

    Args:
        path: The XML file, or the folder that holds ``annotations.xml``.
        image_root: Folder of the pictures, instead of ``images`` beside the file or its folder.
        split: Takes only the pictures of this ``subset``.

    Returns:
        Classes in the order of the task's labels; image ids count from 1 as listed. An object
        whose attribute ``ignore`` or ``difficult`` is true is ignored; one that is ``occluded``
        is not. A label called ``ignore`` or ``ignored region`` is no class: it becomes an ignored
        box of every class.

    Raises:
        FoveateError: If the file is wrong: named with the picture, the shape and the field.
    """
    file = path / "annotations.xml" if path.is_dir() else path
    tree = _Images(file)
    root = read_xml(file, tree)
    if root.tag != "annotations":
        hint = "; VOC is read by its folder" if root.tag == "annotation" else ""
        raise FoveateError(f"{file} is no CVAT file: its root is <{root.tag[:40]}>{hint}")
    if not tree.images:
        raise FoveateError(f"{file} has no picture")
    names = _class_names(root, tree.images)
    if not names:
        raise FoveateError(f"{file} has neither labels nor objects")
    index = {name: number for number, name in enumerate(names)}
    chosen = _subset(file, tree.images, split)
    samples = tuple(
        _sample(labels, number, index, file.parent, image_root)
        for number, labels in enumerate(chosen, 1)
    )
    category_ids = tuple(range(1, len(names) + 1))
    return Dataset(dataset_name(file.parent, split or ""), names, category_ids, samples)


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """One ``image`` element."""

    picture: str
    subset: str
    size: tuple[int, int] | None
    names: list[str]
    boxes: Boxes
    marked: BoolArray


class _Images(PlainTree):
    """Takes each picture out of the tree as soon as it ends: the file may be a large one."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.images: list[_Labels] = []
        self._file = file

    def end(self, tag: str) -> ElementTree.Element:
        element = super().end(tag)
        if tag == "image":
            self.images.append(_read_image(self._file, len(self.images) + 1, element))
            element.clear()
        elif tag == "track":
            raise FoveateError(
                f"{self._file} holds tracks of a video; export it as 'CVAT for images 1.1'"
            )
        return element


def _read_image(file: Path, number: int, element: ElementTree.Element) -> _Labels:
    name = element.get("name", "").replace("\\", "/")
    if not name:
        raise FoveateError(f"{file}: image {number} has no name")
    where = f"{file}: image {number} ({name})"
    names, places, corners, marked = [], [], [], []
    for order, shape in enumerate(element, 1):
        if shape.tag not in _SHAPES:
            continue
        place = f"{where}, {shape.tag} (entry {order})"
        label = " ".join(shape.get("label", "").split())
        if not label:
            raise FoveateError(f"{place} has no label")
        corners.append(_SHAPES[shape.tag](place, shape))
        names.append(label)
        places.append(place)
        marked.append(_is_ignored(shape))
    boxes = np.array(corners, np.float64).reshape(-1, 4)
    require_boxes(boxes, lambda row: f"{places[row]} ({names[row]})")
    size = _size(where, element)
    flags = np.array(marked, np.bool_)
    return _Labels(name, element.get("subset", ""), size, names, boxes, flags)


def _size(where: str, element: ElementTree.Element) -> tuple[int, int] | None:
    """As the file says; some tools write 0 or nothing."""
    width, height = (
        _number(where, element, field) if element.get(field) else 0 for field in ("width", "height")
    )
    if width <= 0 or height <= 0:
        return None
    if not float(width).is_integer() or not float(height).is_integer():
        raise FoveateError(
            f"{where}: width and height must be whole numbers, got {width:g} and {height:g}"
        )
    return int(width), int(height)


def _number(where: str, element: ElementTree.Element, field: str) -> float:
    text = element.get(field)
    try:
        return float(text or "")
    except ValueError:
        came = "nothing" if text is None else repr(text[:40])
        raise FoveateError(f"{where}: {field} must be a number, got {came}") from None


def _box(where: str, shape: ElementTree.Element) -> list[float]:
    x1, y1, x2, y2 = (_number(where, shape, field) for field in ("xtl", "ytl", "xbr", "ybr"))
    sine, cosine = _turn(where, shape)
    if not sine or x2 < x1 or y2 < y1:  # inverted boxes are refused as they are
        return [x1, y1, x2, y2]
    half_width, half_height = (x2 - x1) / 2, (y2 - y1) / 2
    return _around(
        (x1 + x2) / 2,
        (y1 + y2) / 2,
        half_width * cosine + half_height * sine,
        half_width * sine + half_height * cosine,
    )


def _ellipse(where: str, shape: ElementTree.Element) -> list[float]:
    cx, cy, rx, ry = (_number(where, shape, field) for field in ("cx", "cy", "rx", "ry"))
    if rx < 0 or ry < 0:
        return _around(cx, cy, rx, ry)  # inverted, and refused as such
    sine, cosine = _turn(where, shape)
    return _around(cx, cy, math.hypot(rx * cosine, ry * sine), math.hypot(rx * sine, ry * cosine))


def _polygon(where: str, shape: ElementTree.Element) -> list[float]:
    text = shape.get("points", "")
    try:
        points = np.array([point.split(",") for point in text.split(";")], np.float64)
    except ValueError:
        points = np.zeros((0, 2))
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise FoveateError(f"{where}: points must be three or more x,y;x,y;..., got {text[:40]!r}")
    return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]


def _mask(where: str, shape: ElementTree.Element) -> list[float]:
    left, top, width, height = (
        _number(where, shape, field) for field in ("left", "top", "width", "height")
    )
    return [left, top, left + width, top + height]


_SHAPES: dict[str, Callable[[str, ElementTree.Element], list[float]]] = {
    "box": _box,
    "ellipse": _ellipse,
    "mask": _mask,
    "polygon": _polygon,
}
"""Corners x1, y1, x2, y2 of each kind of shape that has an extent."""


def _turn(where: str, shape: ElementTree.Element) -> tuple[float, float]:
    """Sine and cosine of the rotation, both without sign: the enclosing box needs no more."""
    degrees = _number(where, shape, "rotation") if shape.get("rotation") else 0.0
    if not math.isfinite(degrees):
        raise FoveateError(f"{where}: rotation must be a finite number, got {degrees:g}")
    return abs(math.sin(math.radians(degrees))), abs(math.cos(math.radians(degrees)))


def _around(cx: float, cy: float, half_width: float, half_height: float) -> list[float]:
    return [cx - half_width, cy - half_height, cx + half_width, cy + half_height]


def _is_ignored(shape: ElementTree.Element) -> bool:
    return any(
        attribute.get("name", "").lower() in IGNORE_ATTRIBUTES
        and (attribute.text or "").strip().lower() in ("true", "1")
        for attribute in shape.iterfind("attribute")
    )


def is_ignore_label(name: str) -> bool:
    """Whether a label stands for regions to be ignored and not for a class."""
    plain = name.casefold().replace("-", " ").replace("_", " ")
    return plain in IGNORE_LABELS or plain.removesuffix("s") in IGNORE_LABELS


def _class_names(root: ElementTree.Element, images: list[_Labels]) -> tuple[str, ...]:
    """The task's labels in their order, and after them what is used without being listed."""
    listed = [
        " ".join((label.findtext("name") or "").split())
        for label in root.iterfind("meta/*/labels/label")
        if label.find("parent") is None  # a part of a skeleton
    ]
    used = sorted({name for labels in images for name in labels.names})
    names = dict.fromkeys([*listed, *used])
    return tuple(name for name in names if name and not is_ignore_label(name))


def _subset(file: Path, images: list[_Labels], split: str | None) -> list[_Labels]:
    if split is None:
        return images
    chosen = [labels for labels in images if labels.subset.lower() == split.lower()]
    if not chosen:
        there = sorted({labels.subset for labels in images if labels.subset})
        raise FoveateError(
            f"{file}: no picture of subset {split!r}; it has {', '.join(there[:8]) or 'no subsets'}"
        )
    return chosen


def _sample(
    labels: _Labels, image_id: int, index: dict[str, int], beside: Path, image_root: Path | None
) -> Sample:
    picture = _picture(labels, beside, image_root)
    size = labels.size or image_size(picture)
    # Only names of regions are not in the index.
    classes = np.array([index.get(name, REGION) for name in labels.names], np.int64)
    objects = annotations_with_regions(labels.boxes, classes, labels.marked, size, len(index))
    return Sample(picture, image_id, *size, objects)


def _picture(labels: _Labels, beside: Path, image_root: Path | None) -> Path:
    """Where the picture lies; it need not exist: labels alone can be inspected and scored."""
    if image_root is not None:
        return image_root / labels.picture
    folders = [beside / "images", beside / "images" / labels.subset, beside]
    paths = [folder / labels.picture for folder in folders]
    return next((path for path in paths if path.is_file()), paths[0])
