"""Converters, with stand-ins for supervision and FiftyOne; torch's in ``tests/models``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foveate.convert import (
    from_fiftyone,
    from_supervision,
    from_torchvision,
    to_fiftyone,
    to_supervision,
    to_torchvision,
)
from foveate.errors import FoveateError
from foveate.structures import Detections

NAMES = ("player", "ball")
WIDTH, HEIGHT = 200, 100


@dataclass
class Supervision:
    """Of `supervision.Detections` what is used."""

    xyxy: Any
    confidence: Any = None
    class_id: Any = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Label:
    """Of `fiftyone.Detection` what is used."""

    label: str
    bounding_box: list[float]
    confidence: float | None = None


@dataclass
class Labels:
    """Of `fiftyone.Detections` what is used."""

    detections: list[Label]


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    contents: dict[str, dict[str, Any]] = {
        "supervision": {"Detections": Supervision},
        "fiftyone": {"Detection": Label, "Detections": Labels},
    }
    for name, content in contents.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)


def some() -> Detections:
    boxes = np.array([[10, 20, 30.5, 40], [0, 0, 200, 100], [3, 4, 5, 6]], np.float32)
    return Detections(boxes, np.array([0.9, 0.3, 0.6]), np.array([0, 1, 1]))


def same(a: Detections, b: Detections) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("boxes", "scores", "labels")
    )


@pytest.mark.parametrize("detections", [some(), Detections.empty()], ids=["some", "none"])
def test_supervision(detections: Detections) -> None:
    theirs = to_supervision(detections, NAMES)
    assert theirs.xyxy.shape == (len(detections), 4)
    assert same(from_supervision(theirs), detections)
    expected = [NAMES[label] for label in detections.labels]
    assert theirs.data["class_name"].tolist() == expected
    assert theirs.data["class_name"].dtype.kind == "U"
    assert to_supervision(detections).data == {}


def test_supervision_shares_no_memory() -> None:
    ours = some()
    to_supervision(ours).xyxy[:] = 0
    assert ours.boxes.any()
    theirs = to_supervision(ours)
    back = from_supervision(theirs)
    theirs.xyxy[:] = 0
    assert same(back, ours)


def test_supervision_leaves_open() -> None:
    found = from_supervision(Supervision(some().boxes))
    assert found.scores.tolist() == [1, 1, 1]
    assert found.labels.tolist() == [0, 0, 0]


def test_fiftyone() -> None:
    theirs = to_fiftyone(some(), WIDTH, HEIGHT, NAMES)
    assert [row.label for row in theirs.detections] == ["player", "ball", "ball"]
    assert theirs.detections[0].bounding_box == pytest.approx([0.05, 0.2, 0.1025, 0.2])
    assert isinstance(theirs.detections[0].confidence, float)
    assert same(from_fiftyone(theirs, WIDTH, HEIGHT, NAMES), some())


def test_fiftyone_without_names() -> None:
    theirs = to_fiftyone(some(), WIDTH, HEIGHT)
    assert [row.label for row in theirs.detections] == ["0", "1", "1"]
    assert same(from_fiftyone(theirs, WIDTH, HEIGHT), some())


@given(arrays(np.float32, (5, 4), elements=st.floats(0, 5000, width=32)))
def test_fiftyone_keeps_every_box(boxes: Any) -> None:
    boxes[:, 2:] += boxes[:, :2]
    labels = Labels([])
    size = np.array([5472, 3648, 5472, 3648])
    for box in boxes.astype(np.float64):
        x, y, width, height = np.concatenate([box[:2], box[2:] - box[:2]]) / size
        labels.detections.append(Label("0", [x, y, width, height]))
    after = from_fiftyone(labels, 5472, 3648)
    assert np.abs(after.boxes - boxes).max() <= 1e-3
    assert after.scores.tolist() == [1] * 5


@pytest.mark.parametrize("labels", [None, Labels([])])
def test_an_empty_field_of_fiftyone(labels: Any) -> None:
    assert len(from_fiftyone(labels, WIDTH, HEIGHT, NAMES)) == 0
    assert to_fiftyone(Detections.empty(), WIDTH, HEIGHT).detections == []


@pytest.mark.parametrize(
    ("label", "names", "said"),
    [
        ("referee", NAMES, "no class is named 'referee'; known: player, ball"),
        ("0", NAMES, "no class is named '0'"),
        ("player", (), "'player'; known: numbers only, for class_names is empty"),
    ],
)
def test_unknown_label_of_fiftyone(label: str, names: tuple[str, ...], said: str) -> None:
    with pytest.raises(FoveateError, match=said):
        from_fiftyone(Labels([Label(label, [0, 0, 0.5, 0.5])]), WIDTH, HEIGHT, names)


def test_a_label_without_a_name() -> None:
    with pytest.raises(FoveateError, match="label 1 has no name: 1 classes are named"):
        to_supervision(some(), ["player"])
    with pytest.raises(FoveateError, match="label 1 has no name"):
        to_fiftyone(some(), WIDTH, HEIGHT, ["player"])


def test_arrays_as_torchvision_names_them() -> None:
    ours = some()
    found = {"boxes": ours.boxes, "scores": ours.scores, "labels": ours.labels + 1}
    assert same(from_torchvision(found), ours)
    assert from_torchvision(found, background=False).labels.tolist() == [1, 2, 2]


def test_a_target_of_torchvision_has_no_scores() -> None:
    found = from_torchvision({"boxes": some().boxes, "labels": np.array([1, 2, 2])})
    assert found.scores.tolist() == [1, 1, 1]
    assert from_torchvision({"boxes": np.zeros((0, 4))}).labels.tolist() == []


def test_what_is_none_of_torchvision() -> None:
    with pytest.raises(FoveateError, match="label 0 is the background; if it is a class, say"):
        from_torchvision({"boxes": some().boxes, "labels": np.array([0, 1, 1])})
    with pytest.raises(FoveateError, match="expected boxes, scores and labels, got masks"):
        from_torchvision({"masks": []})


@pytest.mark.parametrize("library", ["supervision", "torch", "fiftyone"])
def test_a_missing_library_says_what_to_install(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    turn: dict[str, Callable[[], Any]] = {
        "supervision": lambda: to_supervision(some()),
        "torch": lambda: to_torchvision(some()),
        "fiftyone": lambda: to_fiftyone(some(), WIDTH, HEIGHT),
    }
    with pytest.raises(FoveateError, match=f"needs the library {library}: pip install {library}$"):
        turn[library]()
