import numpy as np
import pytest

from foveate.cli.scoring import label_map, relabel
from foveate.errors import FoveateError
from foveate.structures import Dataset, Detections


def dataset_of(*class_names: str) -> Dataset:
    return Dataset("some", class_names, tuple(range(len(class_names))), ())


def test_classes_meet_by_name() -> None:
    labels = label_map(("car", "Bus", "bike"), dataset_of("bus", "tram", "car"))
    assert labels.tolist() == [2, 0, -1]


def test_one_against_one_needs_no_common_name() -> None:
    assert label_map(("nucleus",), dataset_of("nuclei")).tolist() == [0]


def test_of_many_classes_a_message_names_some() -> None:
    names = tuple(f"class {number}" for number in range(10_000))
    with pytest.raises(FoveateError, match=r"class 7 and 9,992 more$") as raised:
        label_map(("car", "bus"), dataset_of(*names))
    assert len(str(raised.value)) < 200


def test_what_the_labels_lack_is_left_out() -> None:
    found = Detections(np.zeros((3, 4), np.float32), np.array([0.9, 0.8, 0.7]), np.arange(3))
    mapped = relabel(found, np.array([2, -1, 0]))
    assert mapped.labels.tolist() == [2, 0]
    assert np.allclose(mapped.scores, [0.9, 0.7])
    assert len(relabel(Detections.empty(), np.array([0]))) == 0
