from __future__ import annotations

import json
from typing import Any

import numpy as np
from reports_data import one_box, result
from test_tables import PLAIN, TILED, UNKNOWN

from foveate.reports import (
    Run,
    coco_results,
    detection_summary,
    evaluation_summary,
    picture_summary,
)
from foveate.structures import Detections

NAMES = ("ball", "player")


def plain(value: Any) -> Any:
    """Through JSON and back: fails on NaN and on numpy's numbers."""
    return json.loads(json.dumps(value, allow_nan=False))


def test_coco_results_name_the_picture() -> None:
    first, empty, second = result("a.png", count=3), result("b.png"), result("c.png", count=2)
    empty.detections = Detections.empty()
    entries = plain(coco_results([first, empty, second]))
    assert [entry["file_name"] for entry in entries] == ["a.png"] * 3 + ["c.png"] * 2
    assert [entry["image_id"] for entry in entries] == [1, 1, 1, 3, 3]
    box = first.detections.boxes[0]
    assert entries[0]["bbox"] == [box[0], box[1], box[2] - box[0], box[3] - box[1]]
    assert entries[0]["category_id"] == first.detections.labels[0] + 1
    assert entries[0]["score"] == round(float(first.detections.scores[0]), 6)


def test_coco_results_with_the_ids_of_a_data_set() -> None:
    entries = coco_results([result(count=4)], category_ids=(7, 9), image_ids=(123,))
    assert {entry["image_id"] for entry in entries} == {123}
    assert {entry["category_id"] for entry in entries} <= {7, 9}


def test_picture_summary_holds_all() -> None:
    found = result(count=5)
    found.capped_tiles = 1
    summary = plain(picture_summary(found, NAMES))
    assert (summary["name"], summary["width"], summary["height"]) == ("a.png", 320, 240)
    assert (summary["tiles"], summary["capped_tiles"], summary["seconds"]) == (1, 1, 0.5)
    np.testing.assert_allclose(summary["boxes"], found.detections.boxes, atol=1e-3)
    np.testing.assert_allclose(summary["scores"], found.detections.scores, atol=1e-6)
    assert summary["labels"] == found.detections.labels.tolist()
    assert sum(summary["counts"].values()) == 5


def test_counts_of_classes_without_a_name_or_without_objects() -> None:
    found = result(count=0)
    assert picture_summary(found, NAMES)["counts"] == {"ball": 0, "player": 0}
    found.detections = Detections.concatenate([one_box(0, 0, 4, 4), one_box(0, 0, 4, 4, label=2)])
    assert picture_summary(found, ("ball",))["counts"] == {"ball": 1, "class 1": 0, "class 2": 1}


def test_detection_summary_adds_up() -> None:
    pictures = [picture_summary(result(count=n), NAMES) for n in (3, 4)]
    summary = plain(
        detection_summary(
            pictures,
            NAMES,
            model="pitch",
            settings={"tile": 640},
            seconds=0.75,
            failures={"bad.png": "not a picture"},
        )
    )
    assert summary["totals"] == {
        "images": 2, "failed": 1, "detections": 7, "tiles": 2, "skipped_tiles": 0,
        "capped_tiles": 0, "seconds": 0.75,
        "counts": summary["totals"]["counts"],
    }  # fmt: skip
    assert sum(summary["totals"]["counts"].values()) == 7
    assert summary["failures"] == [{"name": "bad.png", "error": "not a picture"}]
    assert summary["model"] == "pitch"
    assert summary["settings"] == {"tile": 640}


def test_evaluation_summary_has_no_nan() -> None:
    undefined = Run("none", PLAIN.scores, intervals={"AP": UNKNOWN})
    summary = plain(evaluation_summary("nuclei", [PLAIN, TILED, undefined]))
    assert summary["dataset"] == "nuclei"
    tiled = summary["runs"]["tiled"]
    assert tiled["scores"]["overall"]["AP"] == 0.5
    assert tiled["scores"]["by_size"]["medium"]["AP"] is None
    assert tiled["outcomes"]["found"] == 40
    assert tiled["intervals"]["AP"] == {
        "value": 0.5, "low": 0.45, "high": 0.56, "level": 0.95, "repeats": 200,
    }  # fmt: skip
    assert summary["runs"]["plain"]["seconds_per_image"] == 0.05
    assert summary["runs"]["none"]["intervals"]["AP"]["low"] is None
    assert summary["runs"]["none"]["outcomes"] is None
