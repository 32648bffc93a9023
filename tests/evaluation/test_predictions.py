from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_data import dataset_of, labelled, random_case
from hypothesis import given
from hypothesis import strategies as st

from foveate.errors import FoveateError, UsageError
from foveate.evaluation import evaluate_detections, read_predictions, to_coco_results

DATASET = dataset_of(labelled(), labelled(), ids=(4, 9), categories=(3, 1))
GOOD = {"image_id": 9, "category_id": 1, "bbox": [10, 20.5, 4, 6], "score": 0.75}


def write(folder: Path, content: Any) -> Path:
    path = folder / "predictions.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_reads_boxes_scores_labels(tmp_path: Path) -> None:
    second = GOOD | {"category_id": 3, "score": 1, "extra": "kept out"}
    found = read_predictions(write(tmp_path, [GOOD, second]), DATASET)
    assert list(found) == [4, 9]
    assert len(found[4]) == 0
    np.testing.assert_array_equal(found[9].boxes, [[10, 20.5, 14, 26.5]] * 2)
    np.testing.assert_array_equal(found[9].scores, np.array([0.75, 1], np.float32))
    np.testing.assert_array_equal(found[9].labels, [1, 0])


def test_no_predictions_are_allowed(tmp_path: Path) -> None:
    found = read_predictions(write(tmp_path, []), DATASET)
    assert [len(part) for part in found.values()] == [0, 0]


def test_pictures_keep_the_order_of_the_file(tmp_path: Path) -> None:
    scores = [0.5, 0.1, 0.9, 0.5]
    entries = [GOOD | {"score": s, "image_id": i} for s in scores for i in (9, 4)]
    found = read_predictions(write(tmp_path, entries), DATASET)
    np.testing.assert_allclose(found[4].scores, scores)
    np.testing.assert_allclose(found[9].scores, scores)


BAD_ENTRIES = [
    ("text", "expected {image_id, category_id, bbox, score}, got a text"),
    (None, "got null"),
    ({k: v for k, v in GOOD.items() if k != "bbox"}, "no bbox"),
    ({k: v for k, v in GOOD.items() if k != "score"}, "no score"),
    (GOOD | {"image_id": 5}, "image_id 5 is not in test set"),
    (GOOD | {"image_id": "5"}, "image_id: expected a whole number, got '5'"),
    (GOOD | {"image_id": 9.5}, "image_id: expected a whole number"),
    (GOOD | {"image_id": 2**70}, "image_id: expected a whole number"),
    (GOOD | {"category_id": 2}, "category_id 2 is not in test set (it has 3, 1)"),
    (GOOD | {"category_id": None}, "category_id: expected a whole number, got None"),
    (GOOD | {"bbox": [1, 2, 3]}, "bbox: expected four numbers"),
    (GOOD | {"bbox": {"x": 1}}, "bbox: expected four numbers"),
    (GOOD | {"bbox": [1, 2, "3", 4]}, "bbox: expected four numbers"),
    (GOOD | {"bbox": [1, 2, None, 4]}, "bbox: expected four numbers"),
    (GOOD | {"bbox": [1, float("nan"), 3, 4]}, "bbox: expected finite pixels"),
    (GOOD | {"bbox": [1, 2, float("inf"), 4]}, "bbox: expected finite pixels"),
    (GOOD | {"bbox": [1, 1e300, 3, 4]}, "bbox: expected finite pixels"),
    (GOOD | {"bbox": [10, 20, -3, 4]}, "bbox: width and height must not be negative"),
    (GOOD | {"score": 1.5}, "score: expected a number from 0 to 1, got 1.5"),
    (GOOD | {"score": -0.1}, "score: expected a number from 0 to 1"),
    (GOOD | {"score": float("nan")}, "score: expected a number from 0 to 1, got nan"),
    (GOOD | {"score": "0.5"}, "score: expected a number from 0 to 1, got '0.5'"),
]


@pytest.mark.parametrize(("entry", "message"), BAD_ENTRIES)
def test_names_the_entry_and_the_field(tmp_path: Path, entry: Any, message: str) -> None:
    path = write(tmp_path, [GOOD, GOOD, entry, GOOD])
    with pytest.raises(FoveateError) as caught:
        read_predictions(path, DATASET)
    text = str(caught.value)
    assert text.startswith(f"{path}: entry 2: ")
    assert message in text
    assert "\n" not in text
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{not json", "not valid JSON at line 1"),
        ("", "not valid JSON"),
        ({"annotations": [], "images": []}, "this is a COCO data set"),
        ({"a": 1}, "expected a list of .* got an object"),
        ("7", "expected a list of .* got a number"),
    ],
)
def test_not_results_at_all(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(FoveateError, match=message):
        read_predictions(write(tmp_path, content), DATASET)


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "binary.json"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(FoveateError, match="not valid JSON"):
        read_predictions(path, DATASET)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read \\(no such file"):
        read_predictions(tmp_path / "none.json", DATASET)


def test_what_is_written_reads_back_and_scores_alike(tmp_path: Path) -> None:
    dataset, predictions = random_case(0, tie_scores=False)
    results = to_coco_results(dataset, predictions)
    back = read_predictions(write(tmp_path, results), dataset)
    for image_id, found in predictions.items():
        np.testing.assert_allclose(back[image_id].boxes, found.boxes, atol=2e-3)
        np.testing.assert_allclose(back[image_id].scores, found.scores, atol=1e-6)
        np.testing.assert_array_equal(back[image_id].labels, found.labels)
    before = evaluate_detections(dataset, predictions).overall
    after = evaluate_detections(dataset, back).overall
    assert after["AP"] == pytest.approx(before["AP"], abs=2e-3)


def test_results_are_short_plain_numbers() -> None:
    dataset, predictions = random_case(0)
    results = to_coco_results((7, 2, 30, 11), predictions)
    assert results == to_coco_results(dataset, predictions)
    text = json.dumps(results)
    assert max(len(entry) for entry in text.split("}, {")) < 120
    assert {type(entry["category_id"]) for entry in results} == {int}
    assert to_coco_results((1,), {}) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.dictionaries(
                st.sampled_from(["image_id", "category_id", "bbox", "score"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_gives_boxes_or_one_line(tmp_path_factory: Any, content: Any) -> None:
    path = write(tmp_path_factory.getbasetemp(), content)
    try:
        found = read_predictions(path, DATASET)
    except FoveateError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert all(np.isfinite(part.boxes).all() for part in found.values())
