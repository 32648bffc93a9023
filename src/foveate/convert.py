"""Detections to and from other libraries: supervision, torchvision, FiftyOne.

What both sides know goes over without loss: boxes, scores, labels, their order. What foveate's
`Detections` has no place for, such as masks, track numbers or attributes, is left behind; what
another library leaves open is filled in: a missing score is 1, a missing label 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.errors import FoveateError
from foveate.libraries import as_array, import_library
from foveate.structures import Detections
from foveate.structures.boxes import xywh_to_xyxy, xyxy_to_xywh

__all__ = [
    "from_fiftyone",
    "from_supervision",
    "from_torchvision",
    "to_fiftyone",
    "to_supervision",
    "to_torchvision",
]


def to_supervision(detections: Detections, class_names: Sequence[str] = ()) -> Any:
    """As ``supervision.Detections``: ``xyxy``, ``confidence``, ``class_id``, in the same order.

    Args:
        detections: Of one picture.
        class_names: In the order of the labels; if given, ``data["class_name"]`` has each box's.

    Raises:
        FoveateError: If supervision is not installed, or a label has no name.
    """
    supervision = import_library("supervision", "to_supervision")
    names = _names_of(detections, class_names) if class_names else None
    return supervision.Detections(
        xyxy=detections.boxes.copy(),
        confidence=detections.scores.copy(),
        class_id=detections.labels.copy(),
        data={} if names is None else {"class_name": np.array(names, dtype=str)},
    )


def from_supervision(detections: Any) -> Detections:
    """Of a ``supervision.Detections``; ``class_id`` is the label.

    Args:
        detections: ``confidence`` may be None, each score is then 1; ``class_id`` too, each label
            is then 0.
    """
    return _filled(detections.xyxy, detections.confidence, detections.class_id)


def to_torchvision(detections: Detections, background: bool = True) -> dict[str, Any]:
    """As torchvision's detectors give them: tensors ``boxes``, ``scores``, ``labels`` on the CPU.

    Args:
        detections: Of one picture.
        background: Labels count from 1, for 0 is the background: so it is in torchvision's R-CNN
            and SSD. False leaves them as they are, as torchmetrics takes them too.

    Raises:
        FoveateError: If torch is not installed.
    """
    torch = import_library("torch", "to_torchvision")
    return {
        "boxes": torch.from_numpy(detections.boxes.copy()),
        "scores": torch.from_numpy(detections.scores.copy()),
        "labels": torch.from_numpy(detections.labels + int(background)),
    }


def from_torchvision(found: dict[str, Any], background: bool = True) -> Detections:
    """Of a dict with ``boxes``, ``labels`` and, unless it is a target, ``scores``.

    Args:
        found: Tensors on any device, or arrays; boxes xyxy pixels.
        background: Labels count from 1; see `to_torchvision`.

    Raises:
        FoveateError: If there are no boxes, or a label is 0 where that is the background.
    """
    if "boxes" not in found:
        raise FoveateError(f"expected boxes, scores and labels, got {', '.join(found) or 'none'}")
    labels = found.get("labels")
    if background and labels is not None:
        labels = as_array(labels) - 1
        if (labels < 0).any():
            raise FoveateError("label 0 is the background; if it is a class, say background=False")
    return _filled(found["boxes"], found.get("scores"), labels)


def to_fiftyone(
    detections: Detections, width: int, height: int, class_names: Sequence[str] = ()
) -> Any:
    """As ``fiftyone.Detections``: a name, a relative box and a confidence each, in the same order.

    Args:
        detections: Of one picture.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        class_names: In the order of the labels; without them a label is named by its number.

    Raises:
        FoveateError: If FiftyOne is not installed, or a label has no name.
    """
    fiftyone = import_library("fiftyone", "to_fiftyone")
    boxes = xyxy_to_xywh(detections.boxes.astype(np.float64)) / _size(width, height)  # (N, 4)
    rows = zip(_names_of(detections, class_names), boxes, detections.scores, strict=True)
    return fiftyone.Detections(
        detections=[
            fiftyone.Detection(label=name, bounding_box=box.tolist(), confidence=float(score))
            for name, box, score in rows
        ]
    )


def from_fiftyone(
    labels: Any, width: int, height: int, class_names: Sequence[str] = ()
) -> Detections:
    """Of a ``fiftyone.Detections``, or of an empty field (None).

    Args:
        labels: A detection without confidence, as ground truth is, has score 1.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        class_names: In the order of the labels; without them a label is named by its number.

    Raises:
        FoveateError: If a detection's label is not among the names.
    """
    rows = [] if labels is None else labels.detections
    shares = np.array([row.bounding_box for row in rows], np.float64).reshape(-1, 4)
    scores = [1.0 if row.confidence is None else row.confidence for row in rows]
    return _filled(
        xywh_to_xyxy(shares * _size(width, height)),
        scores,
        [_number(row.label, class_names) for row in rows],
    )


def _filled(boxes: Any, scores: Any, labels: Any) -> Detections:
    """Detections of what is there: a missing score is 1, a missing label 0."""
    count = len(boxes)
    return Detections(
        as_array(boxes),
        as_array(np.ones(count) if scores is None else scores),
        as_array(np.zeros(count) if labels is None else labels),
    )


def _names_of(detections: Detections, class_names: Sequence[str]) -> list[str]:
    """Each box's name; its label's number where classes have none."""
    highest = int(detections.labels.max(initial=0))
    if class_names and highest >= len(class_names):
        raise FoveateError(f"label {highest} has no name: {len(class_names)} classes are named")
    labels = detections.labels.tolist()
    return [class_names[label] if class_names else str(label) for label in labels]


def _number(name: str, class_names: Sequence[str]) -> int:
    """The label that a name stands for."""
    if name in class_names:
        return class_names.index(name)
    if not class_names and name.isdecimal():
        return int(name)
    known = ", ".join(class_names) or "numbers only, for class_names is empty"
    raise FoveateError(f"no class is named {name!r}; known: {known}")


def _size(width: int, height: int) -> NDArray[Any]:
    """What shares of a picture are multiplied by, ``(4,)``."""
    return np.array([width, height, width, height], np.float64)
