from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.reports.charts.axes import (
    MINUS,
    Axis,
    fitted,
    number_text,
    shortened,
    steady_texts,
    tick_texts,
)
from foveate.reports.charts.bars import IntervalRow, Part, interval_chart, stacked_bars
from foveate.reports.charts.frame import WIDTH, Mark, next_tones, rows_of_texts
from foveate.reports.charts.histogram import Bins, histogram_chart, octave_edges
from foveate.reports.charts.lines import Line, line_chart
from foveate.reports.charts.scatter import Point, scatter_chart

NASTY = "<script>alert(1)</script>\"'&"
SIDE = Axis("object side, pixels", "log2")
SHARE = Axis("recall", low=0, high=1)
NAN = math.nan
GAPS = st.sampled_from([None, NAN, math.inf, -math.inf])
ANY = st.one_of(GAPS, st.floats(-1e9, 1e9), st.floats(0, 1e-9))


def checked(html: str) -> ET.Element:
    """The chart's SVG, after looking at every coordinate in it."""
    figure = ET.fromstring(html)
    svg = figure.find("svg")
    assert svg is not None
    assert svg.get("role") == "img"
    assert svg.get("aria-label")
    width, height = map(float, svg.get("viewBox", "").split()[2:])
    for item in svg.iter():
        for name in ("x", "x1", "x2", "cx", "y", "y1", "y2", "cy"):
            if name in item.attrib:
                assert -1 <= float(item.attrib[name]) <= (width if "x" in name else height) + 1
        for name in ("width", "height"):
            if name in item.attrib and item is not svg:
                assert 0 <= float(item.attrib[name]) <= max(width, height)
        for pair in re.findall(r"(-?[\d.]+),(-?[\d.]+)", item.get("d", "")):
            assert -1 <= float(pair[0]) <= width + 1
            assert -1 <= float(pair[1]) <= height + 1
    assert not re.search(r'="[^"]*(nan|inf)\b', re.sub(r'aria-label="[^"]*"', "", html))
    return svg


def count(svg: ET.Element, tag: str, kind: str) -> int:
    return sum(kind in item.get("class", "").split() for item in svg.iter(tag))


def words(svg: ET.Element) -> list[str]:
    """What is written, without tooltips."""
    written = []
    for item in svg.iter("text"):
        hint = item.find("title")
        written.append((item.text or "") if hint is None else (hint.tail or ""))
    return written


def test_lines_have_bands_dots_and_marks() -> None:
    x = [4, 8, 16, 32]
    lines = [
        Line("plain", x, [0.1, 0.2, 0.5, 0.7], [0, 0.1, 0.4, 0.6], [0.2, 0.3, 0.6, 0.8]),
        Line("tiled", x, [0.3, 0.5, 0.7, 0.8]),
    ]
    html = line_chart(lines, SIDE, SHARE, marks=[Mark(8, "one cell")], title="T & more")
    svg = checked(html)
    assert [count(svg, "path", kind) for kind in ("band", "line")] == [1, 2]
    assert len(list(svg.iter("circle"))) == 8
    assert count(svg, "line", "mark") == 1
    assert {"one cell", "4", "8", "16", "32", "0", "0.2", "1.0"} <= set(words(svg))
    assert "plain: 0.2 (0.1 to 0.3) at object side, pixels 8" in html
    assert html.count("rule") == 2
    assert "T &amp; more" in html


def test_a_line_breaks_at_gaps_and_keeps_lonely_points() -> None:
    y = [0.1, 0.2, None, 0.4, NAN, 0.6, 0.7]
    svg = checked(line_chart([Line("a", np.arange(7), y)], Axis("x"), SHARE))
    (path,) = [p for p in svg.iter("path") if "line" in p.get("class", "")]
    assert path.get("d", "").count("M") == 2
    assert len(list(svg.iter("circle"))) == 5
    many = Line("b", np.linspace(0, 1, 500), np.where(np.arange(500) == 250, 0.5, np.nan))
    assert len(list(checked(line_chart([many], SHARE, SHARE)).iter("circle"))) == 1


def test_a_long_line_stays_small() -> None:
    x = np.linspace(0, 1, 200_000)
    assert len(line_chart([Line("a", x, 1 - x)], SHARE, SHARE)) < 40_000


def test_values_beyond_a_given_axis_are_drawn_at_its_edge_and_marks_left_out() -> None:
    axis = Axis("x", low=0, high=1)
    svg = checked(line_chart([Line("a", [0, 2], [-3, 9])], axis, SHARE, marks=[Mark(5, "far")]))
    assert "far" not in words(svg)
    assert count(svg, "line", "mark") == 0


@pytest.mark.parametrize("low", [[0.0], None])
def test_lines_of_unequal_arrays_are_refused(low: list[float] | None) -> None:
    with pytest.raises(ValueError, match="'a'"):
        line_chart([Line("a", [1, 2], [1, 2], low, [1, 2])], SIDE, SHARE)


def test_empty_charts_say_so() -> None:
    for html in (
        line_chart([], SIDE, SHARE),
        line_chart([Line("a", [], []), Line("b", [1], [None])], SIDE, SHARE),
        line_chart([Line("none above zero", [0, -1], [1, 1])], SIDE, SHARE),
        scatter_chart([], SIDE, SHARE),
        scatter_chart([Point("a", NAN, 1)], SIDE, SHARE, knee=0),
        histogram_chart([], [1, 2], SIDE, SHARE),
    ):
        assert "nothing to show" in words(checked(html))
    checked(interval_chart([], Axis("points")))
    checked(stacked_bars([], [], Axis("n")))
    checked(stacked_bars(["a"], [Part("p", [0])], Axis("n")))


@given(st.lists(st.tuples(ANY, ANY, ANY), max_size=8), st.sampled_from(["linear", "log2", "log10"]))
@settings(max_examples=60, deadline=None)
def test_any_numbers_make_a_chart(
    rows: list[tuple[float | None, float | None, float | None]], scale: str
) -> None:
    x, y, z = ([row[i] for row in rows] for i in range(3))
    axis = Axis("x", scale)  # type: ignore[arg-type]
    checked(line_chart([Line("a", x, y, y, z), Line("b", y, x)], axis, Axis("y")))
    numbers = [[NAN if v is None else v for v in row] for row in rows]
    points = [Point("p", a, b) for a, b, _ in numbers]
    intervals = [IntervalRow("r", a, b, c) for a, b, c in numbers]
    checked(scatter_chart(points, axis, Axis("y"), knee=0))
    checked(interval_chart(intervals, Axis("d")))
    checked(stacked_bars(["c"] * len(rows), [Part("p", x), Part("q", y)], Axis("n")))
    edges = octave_edges(x)
    checked(histogram_chart([Bins.of("a", x, edges)], edges, SIDE, Axis("n")))


@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9), st.integers(2, 9))
@settings(max_examples=100, deadline=None)
def test_ticks_are_few_rising_and_within_the_axis(low: float, span: float, most: int) -> None:
    for scale, least in (("linear", low), ("log2", abs(low) + 1e-9), ("log10", abs(low) + 1e-9)):
        axis = fitted(Axis("x", scale), [least, least + span], 0, 100)  # type: ignore[arg-type]
        ticks = axis.ticks(most)
        assert len(ticks) <= most
        assert ticks == sorted(set(ticks))
        assert np.isfinite(axis.place(ticks)).all()
        assert len(tick_texts(axis.axis, ticks)) == len(ticks)


def test_ticks_of_sizes_are_powers_of_two() -> None:
    assert fitted(SIDE, [2, 64]).ticks(9) == [2, 4, 8, 16, 32, 64]
    assert fitted(SIDE, [1e-9, 1e9]).ticks(9)[0] == 2.0**-24
    assert fitted(Axis("s", "log10"), [0.05, 0.8]).ticks(9) == [0.05, 0.1, 0.2, 0.5]
    assert fitted(Axis("n"), [0, 9.4]).ticks(6) == [0, 2, 4, 6, 8, 10]


def test_numbers_are_short() -> None:
    shown = [number_text(v) for v in (0, 0.25, -0.5, 1234, 3.4e6, 1e9, 2e-9, math.inf)]
    assert shown == ["0", "0.25", f"{MINUS}0.5", "1,234", "3.4M", "1G", "2e-9", "\N{INFINITY}"]
    assert tick_texts(Axis("x", percent=True), [0, 0.25, 0.5]) == ["0%", "25%", "50%"]
    assert steady_texts(Axis("x"), [24.2, 6.68, 0.0]) == ["24.2", "6.7", "0.0"]
    assert shortened("abcdef", 1000) == "abcdef"
    assert shortened("m" * 400, 100).endswith("\N{HORIZONTAL ELLIPSIS}")


def test_labels_of_marks_do_not_meet() -> None:
    assert rows_of_texts([(0, 50), (40, 90), (60, 100), (95, 120)]) == [0, 1, 0, 2]
    marks = [Mark(2.0**i, f"stride {2**i}") for i in range(6)] + [Mark(9, "median 9 px " * 9)]
    svg = checked(line_chart([Line("a", [1, 64], [0, 1])], SIDE, SHARE, marks=marks))
    assert count(svg, "line", "mark") == 7


def test_series_take_the_colours_nobody_asked_for() -> None:
    assert next_tones([None, "b1", None, "b0"]) == ["b2", "b1", "b3", "b0"]
    assert len(next_tones([None] * 20)) == 20


def test_one_histogram_is_bars_and_more_are_outlines() -> None:
    sizes = np.array([1, 3, 3, 5, 9, 30, NAN, 0.0])
    edges = octave_edges(sizes, 1)
    assert edges == [1, 2, 4, 8, 16, 32]
    assert octave_edges([1e-9, 8], 1)[0] == 2.0**-16
    one = Bins.of("plain", sizes, edges)
    assert list(one.counts) == [1, 2, 1, 1, 1]
    svg = checked(histogram_chart([one], edges, SIDE, Axis("objects")))
    assert count(svg, "rect", "b1") == 5
    assert count(svg, "rect", "hint") == 5
    html = histogram_chart([one, Bins("tiled", [0, 0, 3, 1, 2])], edges, SIDE, Axis("objects"))
    svg = checked(html)
    assert count(svg, "rect", "b1") == 0
    assert count(svg, "path", "edge") == 2
    assert "4 to 8: plain 1, tiled 3" in html


def test_open_ends_of_a_histogram_are_a_doubling_away() -> None:
    html = histogram_chart([Bins("a", [1, 2, 3])], [0, 4, 8, math.inf], SIDE, Axis("n"))
    svg = checked(html)
    widths = [float(r.get("width", "")) for r in svg.iter("rect") if r.get("class") == "hint"]
    assert max(widths) - min(widths) < 0.3
    for edges, counts in (([1, 2, 2], [1, 2]), ([1, 2], [1, 2]), ([1], []), ([-2, -1, 2], [1, 2])):
        with pytest.raises(ValueError, match=r"edges|bins"):
            histogram_chart([Bins("a", counts)], edges, SIDE, Axis("n"))


def test_stacked_bars_add_up() -> None:
    parts = [Part("a", [30, 2, NAN]), Part("b", [10, 0, -4])]
    svg = checked(stacked_bars(["first", "second", "third"], parts, Axis("objects")))
    bars = [r for r in svg.iter("rect") if r.get("class", "") in ("b1", "b2")]
    assert len(bars) == 3
    assert words(svg).count("40") == 2  # the sum and a tick
    assert {"30", "10", "first", "third"} <= set(words(svg))
    a, b, _ = (float(r.get("width", "")) + 1 for r in (bars[0], bars[1], bars[2]))
    assert a / b == pytest.approx(3, rel=0.02)
    with pytest.raises(ValueError, match="'a' has 1 values for 2 bars"):
        stacked_bars(["x", "y"], [Part("a", [1])], Axis("n"))


def test_sums_that_are_the_whole_are_not_written() -> None:
    parts = [Part("a", [0.25, 0.5]), Part("b", [0.75, 0.5])]
    svg = checked(stacked_bars(["x", "y"], parts, Axis("share", percent=True, high=1)))
    assert {"25%", "75%"} <= set(words(svg))
    assert words(svg).count("100%") == 1  # the tick


def test_intervals_are_coloured_where_they_exclude_zero() -> None:
    rows = [
        IntervalRow("AP", 3.1, 1.2, 5.0),
        IntervalRow("AR", -2.04, -4, -0.5),
        IntervalRow("seconds", -2, -4, -0.5, lower_is_better=True),
        IntervalRow("AP75", -0.04, -2, 2),
        IntervalRow("alone", 1.0),
        IntervalRow("undefined", NAN, NAN, NAN),
    ]
    assert [r.verdict for r in rows[:4]] == ["better", "worse", "better", "no difference shown"]
    assert {r.verdict for r in rows[4:]} == {"no difference shown"}
    html = interval_chart(rows, Axis("points"))
    svg = checked(html)
    assert [count(svg, "circle", tone) for tone in ("b1", "b6", "b0")] == [2, 1, 2]
    assert count(svg, "line", "whisker") == 4
    assert count(svg, "line", "zero") == 1
    texts = words(svg)
    assert "+3.1 [+1.2, +5.0]" in texts
    assert f"0.0 [{MINUS}2.0, +2.0]" in texts
    assert {"+1.0", "\N{EN DASH}"} <= set(texts)


def test_sixty_rows_and_long_names_fit() -> None:
    rows = [IntervalRow(f"{i} " + "swimming pool " * 9, i, i - 1, i + 1) for i in range(60)]
    html = interval_chart(rows, Axis("points"))
    svg = checked(html)
    assert float(svg.get("viewBox", "").split()[3]) > 60 * 20
    assert sum(w.endswith("\N{HORIZONTAL ELLIPSIS}") for w in words(svg)) == 60
    assert float(svg.get("viewBox", "").split()[2]) == WIDTH


def test_the_front_gives_more_for_more() -> None:
    points = [
        Point("slow and bad", 3, 0.1),
        Point("fast", 1, 0.2),
        Point("best", 2, 0.4),
        Point("twin", 2, 0.4),
        Point("nowhere", NAN, 0.9),
        Point("as slow, worse", 2, 0.3),
    ]
    svg = checked(scatter_chart(points, Axis("s", "log10"), Axis("AP"), knee=2))
    assert count(svg, "circle", "knee") == 1
    assert count(svg, "circle", "hollow") == 3
    assert count(svg, "path", "front") == 1
    assert "best" in words(svg)
    assert "nowhere" not in words(svg)


def test_names_of_points_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    points = [Point(f"setting {i}", *rng.uniform(0, 1, 2).tolist()) for i in range(60)]
    svg = checked(scatter_chart(points, Axis("x"), Axis("y"), knee=3))
    shares = {"middle": 0.5, "end": 1.0}
    boxes = []
    for item in svg.iter("text"):
        if not (item.text or "").startswith("setting"):
            continue
        kind = item.get("class", "").split()
        width = 6.0 * len(item.text or "") * 0.9
        left = float(item.attrib["x"]) - width * shares.get(kind[0] if kind else "", 0.0)
        boxes.append((left, float(item.attrib["y"]), left + width))
    assert len(boxes) >= 30
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            assert abs(a[1] - b[1]) > 12 or a[2] <= b[0] or b[2] <= a[0]


def test_points_all_in_one_place() -> None:
    points = [Point(f"p{i}", 1, 0.5) for i in range(40)]
    svg = checked(scatter_chart(points, Axis("x"), Axis("y")))
    assert count(svg, "circle", "b1") == 40
    assert 1 <= sum(w.startswith("p") for w in words(svg)) < 40


def test_texts_are_escaped_and_equal_input_gives_equal_charts() -> None:
    axis = Axis(NASTY)

    def charts() -> list[str]:
        return [
            line_chart(
                [Line(NASTY, [1, 2], [1, 2]), Line("b", [], [])], axis, axis, marks=[Mark(1, NASTY)]
            ),
            histogram_chart([Bins(NASTY, [1]), Bins("b", [1])], [1, 2], axis, axis, title=NASTY),
            scatter_chart([Point(NASTY, 1, 1)], axis, axis, title=NASTY),
            stacked_bars([NASTY], [Part(NASTY, [1]), Part("b", [1])], axis, title=NASTY),
            interval_chart([IntervalRow(NASTY, 1, 0, 2)], axis, title=NASTY),
        ]

    for html in charts():
        checked(html)
        assert "<script" not in html
        assert "alert(1)" in html
    assert charts() == charts()
