from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from labelled_pictures import labelled_pictures, squares

from foveate.data.sources import open_source
from foveate.inspection.smallest import smallest_objects
from foveate.inspection.summary import inspect_labels
from foveate.tiling import TilePlan


def test_three_views_of_one_data_set() -> None:
    dataset = labelled_pictures(squares(20, 12), size=(1280, 960))
    inspection = inspect_labels(dataset, TilePlan(size=320))
    medians = {view.name: view.overall.median for view in inspection.views}
    assert medians == {"plain": 3.0, "tiles": 12.0, "advised": 24.0}
    assert inspection.coverage["plain"].tiles == 1
    assert inspection.coverage["tiles"].tiles > inspection.coverage["plain"].tiles


def test_plain_data() -> None:
    for dataset in (labelled_pictures(squares(3, 9)), labelled_pictures([]), labelled_pictures()):
        text = json.dumps(inspect_labels(dataset).to_dict(), allow_nan=False)
        assert json.loads(text)["objects"] in (0, 3)


def test_the_smallest_of_each_class_are_cut_out(tmp_path: Path) -> None:
    boxes = [[10, 10, 15, 15], [100, 50, 140, 90], [190, 90, 199, 99]]
    dataset = labelled_pictures(
        boxes,
        boxes,
        labels=[[0, 0, 1]] * 2,
        class_names=("a", "b"),
        size=(200, 100),
        folder=tmp_path,
    )
    image = np.full((100, 200, 3), 30, np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 200
    for sample in dataset.samples:
        cv2.imwrite(str(sample.path), image)
    found = smallest_objects(dataset, open_source, each=3)
    assert [(one.class_name, one.side) for one in found] == [
        ("a", 5), ("a", 5), ("a", 40), ("b", 9), ("b", 9),
    ]  # fmt: skip
    assert {one.path.name for one in found[:2]} == {"0.png", "1.png"}
    for one in found:
        x1, y1, x2, y2 = one.box.astype(int)
        assert (one.crop[y1:y2, x1:x2] == 200).all()
        assert min(one.crop.shape[:2]) >= 9


def test_pictures_that_are_not_there_are_passed_over(tmp_path: Path) -> None:
    dataset = labelled_pictures([[0, 0, 5, 5]], folder=tmp_path)
    assert smallest_objects(dataset, open_source) == []
