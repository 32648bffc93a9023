from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from labelled_pictures import labelled_pictures, squares

from foveate.inspection.findings import Finding
from foveate.inspection.smallest import SmallObject
from foveate.inspection.summary import inspect_labels
from foveate.inspection.trade_off import Tried
from foveate.reports.inspection import (
    advice_table,
    anchors_table,
    classes_table,
    findings_table,
    inspection_sections,
    sizes_table,
)
from foveate.reports.page import page_html
from foveate.reports.sweep import sweep_sections, sweep_table
from foveate.structures import Dataset
from foveate.tiling import TilePlan


def birds(side: float = 12, classes: int = 2) -> Dataset:
    boxes = np.asarray(squares(40, side))
    names = tuple(f"bird <{number}>" for number in range(classes))
    labels = (np.arange(40) % classes).tolist()
    return labelled_pictures(boxes, labels=[labels], class_names=names, size=(1280, 960))


def test_sizes_of_three_ways_side_by_side() -> None:
    table = sizes_table(inspect_labels(birds()))
    assert table.columns[:4] == ("shown", "5 %", "median", "95 %")
    assert [row[2] for row in table.rows] == ["6", "12", "24"]
    assert [row[0] for row in table.rows] == [
        "plain, squeezed into 640 px", "tiles of 640 px", "advised: tiles of 512 px, x2",
    ]  # fmt: skip
    lost_at_16 = table.columns.index("lost at 16")
    assert [row[lost_at_16] for row in table.rows] == ["100.0%", "100.0%", "0.0%"]


def test_many_classes_are_cut_off_and_it_is_said() -> None:
    names = tuple(f"c{number}" for number in range(60))
    dataset = labelled_pictures(
        squares(60, 9), labels=[list(range(60))], class_names=names, size=(1280, 960)
    )
    table = classes_table(inspect_labels(dataset))
    assert len(table.rows) == 40
    assert "20 further classes" in table.note


def test_the_worst_finding_comes_first() -> None:
    findings = [
        Finding("a", "note", 1, "one"),
        Finding("b", "error", 1234, "two", ("x", "y", "z")),
        Finding("c", "warning", 2, "three"),
    ]
    rows = findings_table(findings).rows
    assert [row[0] for row in rows] == ["error", "warning", "note"]
    assert rows[0] == ("error", "1,234", "two", "x; y")


@pytest.mark.parametrize("dataset", [birds(), birds(classes=1), labelled_pictures([])])
def test_the_page_is_whole_whatever_there_is(dataset: Dataset) -> None:
    inspection = inspect_labels(dataset)
    crop = np.zeros((20, 20, 3), np.uint8)
    box = np.array([4, 4, 16, 16], np.float32)
    smallest = [SmallObject(name, 12, Path("a & b.png"), crop, box) for name in dataset.class_names]
    smallest = smallest if len(inspection.objects) else []
    sections = inspection_sections(inspection, [Finding("k", "note", 1, "odd")], smallest, {})
    page = page_html("birds", sections)
    body = page[page.index("<main>") : page.index("</main>")] + "</main>"
    ElementTree.fromstring(body.replace("&nbsp;", " "))
    assert "bird <0>" not in page
    assert "odd" in page
    assert ("The smallest objects" in page) == bool(smallest)


def test_advice_and_anchors_are_told() -> None:
    inspection = inspect_labels(birds())
    rows = advice_table(inspection.advice.recommendations).rows
    assert rows[0][1] == "enlarge pictures x2"
    assert [row[0] for row in anchors_table(inspection).rows] == [
        "YOLOv3's own", "kmeans", "kmedoids",
    ]  # fmt: skip


def test_a_sweep() -> None:
    tried = [
        Tried("slow", TilePlan(scale=2), {"AP": 0.5, "AP_small": 0.4}, 2.0, knee=True),
        Tried("plain", TilePlan(plain=True), {"AP": 0.2}, 0.1),
    ]
    table = sweep_table(tried, "AP_small")
    assert table.columns == ("", "shown", "AP_small", "AP", "AP50", "seconds a picture")
    assert table.rows[0][0] == "plain"
    assert table.rows[1][0] == "slow (knee)"
    assert table.rows[1][2] == "0.400"
    assert sweep_sections([], "AP") == []
    assert 'class="knee"' in sweep_sections(tried, "AP")[0].body
