from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveate.data.formats.common import annotations_of
from foveate.inspection.findings import Finding, by_severity
from foveate.inspection.health import check_labels
from foveate.structures import Dataset, Sample

SIZE = (200, 100)
# One after another, so that none overlaps; of different sizes, so that no class has one size.
PLENTY = [(15 * i, 60, 15 * i + 4 + i % 5, 70 + i % 3) for i in range(12)]


def dataset(
    *pictures: Sequence[tuple[float, float, float, float]],
    labels: list[list[int]] | None = None,
    names: tuple[str, ...] = ("car",),
    ignore: bool = False,
) -> Dataset:
    samples = []
    for number, boxes in enumerate(pictures):
        array = np.array(boxes, np.float64).reshape(-1, 4)
        label = np.array(labels[number] if labels else [0] * len(boxes), np.int64)
        marked = np.full(len(boxes), ignore)
        part = annotations_of(array, label, marked, np.array([SIZE], np.float64))
        samples.append(Sample(Path(f"{number}.png"), number + 1, *SIZE, part))
    return Dataset("set", names, tuple(range(1, len(names) + 1)), tuple(samples))


def found(findings: list[Finding]) -> dict[str, int]:
    assert len({finding.kind for finding in findings}) == len(findings)
    return {finding.kind: finding.count for finding in findings}


def test_sound_labels_give_nothing() -> None:
    assert check_labels(dataset(PLENTY)) == []


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((20, 10, 20, 30), "empty-box"),
        ((300, 10, 320, 30), "outside-box"),
        ((-20, 10, -2, 30), "outside-box"),
        ((190, 10, 202, 30), "box-sticks-out"),
        ((20, 10, 40, 11.5), "tiny-box"),
        ((2, 1, 199, 99.5), "whole-picture-box"),
        ((0, 2, 100, 4.5), "extreme-aspect"),
        ((0, 60, 4, 70), "duplicate-box"),
        ((0.1, 60, 4.1, 70), "near-duplicate-box"),
    ],
)
def test_one_box_is_wrong_in_one_way(box: tuple[float, float, float, float], kind: str) -> None:
    (finding,) = check_labels(dataset([*PLENTY, box]))
    assert (finding.kind, finding.count) == (kind, 1)
    assert finding.examples[0].startswith("0.png: box 13, car, ")
    assert "\n" not in finding.message


def test_a_pixel_over_the_edge_is_rounding() -> None:
    assert check_labels(dataset([*PLENTY, (190, 10, 201, 30)])) == []


def test_ignore_regions_are_not_judged() -> None:
    boxes = [(0.0, 0.0, 200.0, 100.0), (0.0, 0.0, 200.0, 100.0), (0.0, 0.0, 100.0, 1.0)]
    assert found(check_labels(dataset(boxes, ignore=True))) == {"no-objects": 0}


def test_same_place_in_another_class_or_picture_is_no_duplicate() -> None:
    boxes = [*PLENTY, *PLENTY]
    labels = [[0] * 12 + [1] * 12, [0] * 12 + [1] * 12]
    assert check_labels(dataset(boxes, boxes, labels=labels, names=("a", "b"))) == []


def test_pictures_without_labels() -> None:
    findings = check_labels(dataset(PLENTY, [], []))
    assert found(findings) == {"picture-without-labels": 2}
    assert findings[0].examples == ("1.png", "2.png")


def test_classes() -> None:
    names = ("many", "none", "few", "many")
    labels = [[0] * 12 + [2] * 3]
    boxes = [*PLENTY, (0, 20, 5, 26), (20, 20, 28, 26), (40, 20, 45, 28)]
    findings = {f.kind: f for f in check_labels(dataset(boxes, labels=labels, names=names))}
    assert findings["class-without-objects"].examples == ("none", "many")
    assert findings["class-with-few-objects"].examples == ("few (3)",)
    assert findings["class-name-twice"].examples == ("many",)
    assert [finding.severity for finding in findings.values()] == ["warning", "warning", "note"]


def test_clicks_with_a_box_around_them() -> None:
    clicks = [(15.0 * i, 20.0, 15.0 * i + 8, 28.0) for i in range(12)]
    labels = [[0] * 12 + [1] * 12]
    (finding,) = check_labels(dataset([*clicks, *PLENTY], labels=labels, names=("dot", "car")))
    assert (finding.kind, finding.examples) == ("one-size-class", ("dot (8 x 8 px)",))


def test_few_equal_boxes_are_no_clicks() -> None:
    few = [(15.0 * i, 20.0, 15.0 * i + 8, 28.0) for i in range(9)]
    assert found(check_labels(dataset(few))) == {"class-with-few-objects": 1}


def test_nothing_to_look_at() -> None:
    assert found(check_labels(dataset())) == {"no-pictures": 0}
    findings = check_labels(dataset([], []))
    assert [(f.kind, f.severity) for f in findings] == [("no-objects", "error")]


def test_ten_thousand_classes() -> None:
    names = tuple(f"class {number}" for number in range(10_000))
    labels = [[9_999] * 12]
    assert found(check_labels(dataset(PLENTY, labels=labels, names=names))) == {
        "class-without-objects": 9_999
    }


def test_crowded_pictures_are_compared_too() -> None:
    rng = np.random.default_rng(0)
    corners = rng.permutation(2000)[:300]
    boxes = [(x % 50 * 4.0, x // 50 * 2.5, x % 50 * 4 + 3.5, x // 50 * 2.5 + 2.1) for x in corners]
    boxes[7] = boxes[200]
    findings = found(check_labels(dataset([(float(a), b, c, d) for a, b, c, d in boxes])))
    assert findings["duplicate-box"] == 1
    assert not any("skipped" in kind for kind in findings)


@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_duplicates_as_counted_pair_by_pair(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 6, (count, 2)) * 10.0
    boxes = np.concatenate([corner, corner + rng.integers(3, 5, (count, 2))], axis=1).tolist()
    expected = sum(boxes[j] in boxes[:j] for j in range(count))
    findings = found(check_labels(dataset([tuple(box) for box in boxes])))
    assert findings.get("duplicate-box", 0) == expected


def test_findings_are_plain_data_and_errors_come_first() -> None:
    note, error = Finding("a", "note", 1, "m", ("x",)), Finding("b", "error", 2, "m")
    assert by_severity([note, error]) == [error, note]
    assert note.to_dict() == {
        "kind": "a",
        "severity": "note",
        "count": 1,
        "message": "m",
        "examples": ["x"],
    }
