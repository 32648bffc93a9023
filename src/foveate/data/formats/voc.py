"""Pascal VOC: one XML file a picture.

Coordinates count pixels from 1 and include the last one, as the VOC kit defines them: ``xmin`` 1
and ``xmax`` 20 is the box from 0 to 20. Read here and not through `hotcoco.COCO.from_voc` (1.3),
which lets NaN pass and takes a file that was cut short for one without the lost objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from foveate.data.files import read_text
from foveate.data.formats.common import Boxes, annotations_of, dataset_name, require_boxes
from foveate.data.formats.xml import read_xml
from foveate.data.images import PICTURE_ENDINGS, image_size
from foveate.errors import FoveateError
from foveate.structures import BoolArray, Dataset, Sample


def read_voc(path: Path, image_root: Path | None = None, split: str | None = None) -> Dataset:
    """Read a VOC folder: ``Annotations/*.xml``, ``JPEGImages/``.

    Args:
        path: The folder that holds ``Annotations``.
        image_root: Folder of the pictures, instead of ``JPEGImages``, ``images`` or `path`.
        split: Takes only the pictures that ``ImageSets/Main/<split>.txt`` lists.

    Returns:
        Image ids count from 1 in the order of the file names. Classes are those of
        ``labels.txt``, a name a line, if there is one, and then the names found in all of the
        folder, sorted, whatever the split. ``difficult`` objects are ignored.

    Raises:
        FoveateError: If a file is missing or wrong: named with the object and field.
    """
    files = sorted((path / "Annotations").glob("*.xml"))
    if not files:
        raise FoveateError(f"{path} holds no Annotations/*.xml")
    labels = {file.stem: _read_labels(file) for file in files}
    found = sorted({name for label in labels.values() for name in label.names})
    names = tuple(dict.fromkeys([*_listed_names(path), *found]))
    if not names:
        raise FoveateError(f"{path}: none of the {len(files)} files in Annotations has an object")
    index = {name: number for number, name in enumerate(names)}
    stems = list(labels) if split is None else _listed(path, split, set(labels))
    samples = tuple(
        _sample(labels[stem], number, index, image_root or path)
        for number, stem in enumerate(stems, 1)
    )
    category_ids = tuple(range(1, len(names) + 1))
    return Dataset(dataset_name(path, split or ""), names, category_ids, samples)


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """One XML file."""

    file: Path
    picture: str
    size: tuple[int, int] | None
    names: list[str]
    boxes: Boxes
    difficult: BoolArray


def _read_labels(file: Path) -> _Labels:
    root = read_xml(file)
    objects = root.findall("object")
    names = []
    for number, element in enumerate(objects, 1):
        name = (element.findtext("name") or "").strip()
        if not name:
            raise FoveateError(f"{file}: object {number} has no name")
        names.append(name)
    corners = [_corners(file, number, element) for number, element in enumerate(objects, 1)]
    boxes = np.array(corners, np.float64).reshape(-1, 4)
    boxes[:, :2] = np.round(boxes[:, :2] - 1, 6)  # 2.172 - 1 is more than 1.172
    require_boxes(boxes, lambda row: f"{file}: object {row + 1} ({names[row]})")
    difficult = [(element.findtext("difficult") or "0").strip() == "1" for element in objects]
    picture = (root.findtext("filename") or "").strip().replace("\\", "/")
    return _Labels(file, picture, _size(root), names, boxes, np.array(difficult, np.bool_))


def _corners(file: Path, number: int, element: ElementTree.Element) -> list[float]:
    values = []
    for field in ("xmin", "ymin", "xmax", "ymax"):
        text = element.findtext(f"bndbox/{field}")
        try:
            values.append(float(text or ""))
        except ValueError:
            came = "nothing" if text is None else repr(text[:40])
            raise FoveateError(
                f"{file}: object {number}: bndbox/{field} must be a number, got {came}"
            ) from None
    return values


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    """As the file says; many tools write 0 or nothing."""
    try:
        width = int(root.findtext("size/width") or 0)
        height = int(root.findtext("size/height") or 0)
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def _sample(labels: _Labels, image_id: int, index: dict[str, int], root: Path) -> Sample:
    picture = _picture(labels, root)
    width, height = labels.size or image_size(picture)
    classes = np.array([index[name] for name in labels.names], np.int64)
    sizes = np.array([[width, height]], np.float64)
    objects = annotations_of(labels.boxes, classes, labels.difficult, sizes)
    return Sample(picture, image_id, width, height, objects)


def _picture(labels: _Labels, root: Path) -> Path:
    """The picture named in the file, or with the file's own name: tools rename either."""
    names = [labels.picture, *(labels.file.stem + ending for ending in PICTURE_ENDINGS)]
    folders = [folder for folder in (root / "JPEGImages", root / "images", root) if folder.is_dir()]
    paths = [folder / Path(name).name for folder in folders for name in names if name]
    return next((path for path in paths if path.is_file()), paths[0] if paths else root / names[1])


def _listed_names(path: Path) -> list[str]:
    file = path / "labels.txt"
    lines = read_text(file).splitlines() if file.is_file() else []
    return [line.strip() for line in lines if line.strip()]


def _listed(path: Path, split: str, stems: set[str]) -> list[str]:
    file = path / "ImageSets" / "Main" / f"{split}.txt"
    lines = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    # A class's own list has 1 or -1 behind the name.
    listed = [line if line in stems else line.split()[0] for line in lines]
    unknown = [stem for stem in listed if stem not in stems]
    if unknown or not listed:
        what = f"{unknown[0]}, which has no XML in Annotations" if unknown else "no picture"
        raise FoveateError(f"{file} lists {what}")
    return listed
