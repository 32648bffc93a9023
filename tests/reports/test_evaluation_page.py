from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from labelled_pictures import labelled_pictures, squares

from foveate.evaluation import Comparison, analyse, compare_predictions
from foveate.reports.differences import comparison_sections, differences_table, verdict
from foveate.reports.evaluation import analysis_sections, errors_table, headline
from foveate.reports.page import page_html
from foveate.reports.results import Run, evaluation_summary
from foveate.structures import Dataset, Detections
from foveate.tiling import TilePlan, plan_tiles

NAMES = ("gull <a>", "auk")
PICTURES = 6


def colony() -> Dataset:
    """Six pictures of twenty squares of 12 and 40 px in two classes."""
    boxes = np.asarray(squares(20, 12))
    boxes[10:, 2:] = boxes[10:, :2] + 40
    labels = [[0, 1] * 10] * PICTURES
    return labelled_pictures(*[boxes] * PICTURES, labels=labels, class_names=NAMES)


def found_in(dataset: Dataset, every: int, shift: float = 0.0) -> dict[int, Detections]:
    """All but every so many-th object, its box moved, with some false ones between."""
    predictions = {}
    for sample in dataset.samples:
        part = sample.annotations
        kept = (np.arange(len(part)) + sample.image_id) % every != 0
        boxes = np.concatenate([part.boxes[kept] + shift, [[600, 440, 620, 460]]])
        scores = np.linspace(0.95, 0.4, len(boxes), dtype=np.float32)
        labels = np.append(part.labels[kept], 0)
        predictions[sample.image_id] = Detections(boxes.astype(np.float32), scores, labels)
    return predictions


def run_of(name: str, dataset: Dataset, predictions: dict[int, Detections]) -> Run:
    tiles = {s.image_id: plan_tiles(640, 480, TilePlan(size=320)) for s in dataset.samples}
    return Run.of(name, analyse(dataset, predictions, tiles=tiles, repeats=40), 0.25)


def test_causes_by_size() -> None:
    dataset = colony()
    run = run_of("tiled", dataset, found_in(dataset, 5, shift=5))
    assert run.analysis is not None
    table = errors_table(run.name, run.analysis)
    cells = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert list(cells) == ["all", "small", "medium"]
    # Five pixels move a 12-pixel box below IoU .5, and a 40-pixel box not.
    assert cells["small"]["localisation"] != "0.0 (0)"
    assert cells["medium"]["localisation"] == "0.0 (0)"
    assert cells["all"]["background"].endswith(f"({PICTURES})")


def test_the_page_of_two_runs() -> None:
    dataset = colony()
    runs = [run_of(name, dataset, found_in(dataset, n)) for name, n in (("plain", 3), ("tiled", 7))]
    sections = analysis_sections(runs)
    page = page_html("colony", sections)
    body = page[page.index("<main>") : page.index("</main>")] + "</main>"
    ElementTree.fromstring(body)
    titles = [section.title for section in sections]
    assert titles[:2] == ["By object size", "Causes"]
    assert "Edges of tiles, tiled" in titles
    assert "By class, tiled" in titles
    assert "gull <a>" not in page
    assert "AP, tiled" in headline(runs[-1])


def test_runs_without_an_analysis_give_no_sections() -> None:
    dataset = colony()
    run = run_of("tiled", dataset, {})
    bare = Run(run.name, run.scores)
    assert analysis_sections([bare]) == []
    assert headline(bare) == ""


@pytest.mark.parametrize("dataset", [labelled_pictures([]), labelled_pictures([[0, 0, 5, 5]])])
def test_nothing_found_or_nothing_there(dataset: Dataset) -> None:
    run = Run.of("tiled", analyse(dataset, {}, repeats=5))
    page = page_html("empty", analysis_sections([run]))
    assert "Causes" in page
    assert "nan" not in page.lower().replace("nanometre", "")
    json.dumps(evaluation_summary("empty", [run]), allow_nan=False)


def comparison(every_a: int, every_b: int) -> Comparison:
    dataset = colony()
    pair = found_in(dataset, every_a), found_in(dataset, every_b)
    return compare_predictions(dataset, *pair, repeats=100, thresholds=(0.3, 0.3))


def test_a_verdict_in_words() -> None:
    said = verdict(comparison(3, 9), ("before", "after"))
    assert said.startswith("after against before: AP +")
    assert "better too: " in said
    assert verdict(comparison(9, 3), ("a", "b")).split(", ")[2].startswith("worse")
    same = verdict(comparison(4, 4), ("a", "b"))
    assert same == "b against a: AP +0.0 [+0.0, +0.0], no difference shown."


def test_nothing_to_compare_on() -> None:
    empty = compare_predictions(labelled_pictures([]), {}, {}, repeats=5)
    assert verdict(empty, ("a", "b")) == "There is no labelled object to compare on."
    assert comparison_sections(empty, ("a", "b"))


def test_the_table_has_outcomes_and_can_leave_out_classes() -> None:
    found = comparison(3, 9)
    rows = {row[0]: row for row in differences_table(found, ("a", "b"), classes=False).rows}
    assert not any("@" in name for name in rows)
    assert rows["missed"][3].startswith("-")
    assert rows["AP"][5] == "better"
    assert "AP@auk" in {row[0] for row in differences_table(found, ("a", "b")).rows}


def test_the_page_has_a_forest_plot_for_each_group() -> None:
    sections = comparison_sections(comparison(3, 9), ("a", "b"))
    assert sections[0].title.startswith("b against a")
    for title in ("Overall", "By size", "By class"):
        assert title in sections[1].body
