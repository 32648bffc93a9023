"""Recognise what format a data set is in, and read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from foveate.data.files import missing
from foveate.data.formats.coco import read_coco
from foveate.data.formats.cvat import read_cvat
from foveate.data.formats.dota import holds_dota, read_dota
from foveate.data.formats.visdrone import read_visdrone
from foveate.data.formats.voc import read_voc
from foveate.data.formats.yolo import read_yolo
from foveate.errors import FoveateError, UsageError
from foveate.structures import Dataset

Reader: TypeAlias = Callable[[Path, Path | None, str | None], Dataset]
"""``(path, image_root, split) -> Dataset``."""

FORMATS: dict[str, Reader] = {
    "coco": read_coco,
    "yolo": read_yolo,
    "voc": read_voc,
    "cvat": read_cvat,
    "dota": read_dota,
    "visdrone": read_visdrone,
}
"""Every label format by its name."""


def load_dataset(
    path: str | Path,
    format: str | None = None,
    image_root: str | Path | None = None,
    split: str | None = None,
) -> Dataset:
    """Read a labelled data set.

    Args:
        path: A COCO JSON file, a YOLO ``data.yaml``, a CVAT XML file; or a folder with one of
            these, with ``Annotations/*.xml`` (VOC), with ``images`` and ``labels`` (YOLO) or
            ``labelTxt`` (DOTA), or with ``annotations/*.txt`` (VisDrone).
        format: A key of `FORMATS`; recognised from the path if not given.
        image_root: Where the pictures are, if not where the format puts them.
        split: "train", "val" or the like, where a folder or ``data.yaml`` holds several.

    Raises:
        UsageError: If `format` is unknown.
        FoveateError: If nothing is recognised, a choice is open, or labels are wrong: one line
            that names file and entry.
    """
    path = Path(path)
    if not path.exists():
        raise missing(path)
    name = format or recognise(path)
    if name not in FORMATS:
        raise UsageError(f"unknown data-set format {name!r}; choose from {', '.join(FORMATS)}")
    dataset = FORMATS[name](path, None if image_root is None else Path(image_root), split)
    for class_name in dataset.class_names:
        # JSON and YAML can spell half a character, which no file or page can hold.
        if any("\ud800" <= character <= "\udfff" for character in class_name):
            raise FoveateError(f"{path}: the class name {class_name!r} is no text; rename it")
    return dataset


def recognise(path: Path) -> str:
    """The key of `FORMATS` for an existing file or folder.

    Raises:
        FoveateError: If nothing is recognised.
    """
    if path.is_file():
        if path.suffix.lower() not in _ENDINGS:
            raise FoveateError(
                f"{path} is no data set: give a COCO .json, a YOLO data.yaml, a CVAT .xml, "
                "or a folder"
            )
        return _ENDINGS[path.suffix.lower()]
    if path.name.lower().startswith("labeltxt"):
        return "dota"
    for pattern, name in _MARKS.items():
        found = next(path.glob(pattern), None)
        if found:
            return "dota" if found.name == "labels" and holds_dota(found) else name
    if "images" in path.resolve().parts:  # images/train, with labels/train beside
        return "yolo"
    raise FoveateError(
        f"{path} holds no data set: no COCO .json, no YOLO data.yaml or labels/, "
        "no VOC Annotations/*.xml, no CVAT annotations.xml, no DOTA labelTxt/, "
        "no VisDrone annotations/*.txt"
    )


_ENDINGS = {".json": "coco", ".yaml": "yolo", ".yml": "yolo", ".xml": "cvat"}

_MARKS = {
    "Annotations/*.xml": "voc",
    "annotations.xml": "cvat",
    "label[Tt]xt*": "dota",
    "*/label[Tt]xt*": "dota",
    "data.y*ml": "yolo",
    "*.json": "coco",
    "annotations/*.json": "coco",
    "*.y*ml": "yolo",
    "labels": "yolo",
    "*/labels": "yolo",
    "annotations/*.txt": "visdrone",
    "*/annotations/*.txt": "visdrone",
}
