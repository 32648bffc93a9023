"""What ``foveate evaluate`` shows beyond figures: where AP is lost, by size and by cause."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from foveate.evaluation import ERROR_KINDS, Analysis, ErrorCounts, SeamCounts
from foveate.reports.cards import KeyFigure, key_figures
from foveate.reports.charts.axes import Axis
from foveate.reports.charts.bars import Part, stacked_bars
from foveate.reports.charts.lines import Line, line_chart
from foveate.reports.page import Section, table_html
from foveate.reports.results import Run
from foveate.reports.tables import NONE, Table, class_table, figure

_CRITERIA = {
    "iou": "IoU .5",
    "nwd": "NWD .5 (constant 12.8 px)",
    "centre": "centres nearer than half a side",
}
_SEAMS = {
    "cut": "cut: whole in no tile",
    "crossed": "crossed by an edge, whole in another tile",
    "near": "nearer to an edge than its side",
    "far": "far from every edge",
}
_EVERY_SIZE = "all"
_RECALLS = np.linspace(0, 1, 101)
_MOST_CLASSES = 40


def errors_table(run_name: str, analysis: Analysis) -> Table:
    """What each kind of error costs in AP50, in points, and how many there are, by size."""
    rows = tuple(
        (size, figure(counts.ap50), *(_cost(counts, kind) for kind in ERROR_KINDS))
        for size, counts in _by_size(analysis).items()
    )
    note = "Points of AP50 gained if that kind of error alone were mended, and how many (TIDE)."
    return Table(f"Where AP50 is lost, {run_name}", ("size", "AP50", *ERROR_KINDS), rows, note)


def analysis_sections(runs: Sequence[Run]) -> list[Section]:
    """Charts and tables of analysed runs on one data set; the last is the one that matters.

    Args:
        runs: Each with its analysis; others are left out.
    """
    analysed = {run.name: run.analysis for run in runs if run.analysis is not None}
    if not analysed:
        return []
    name, last = list(analysed.items())[-1]
    sections = [
        Section("By object size", _size_charts(analysed)),
        Section("Causes", _cause_charts(analysed) + table_html(errors_table(name, last))),
        Section("Precision and score", _score_charts(analysed) + table_html(_thresholds(last))),
        Section("How near is near enough", table_html(_criteria_table(analysed))),
        Section("Counting", table_html(_counting_table(analysed))),
    ]
    for run_name, analysis in analysed.items():
        if analysis.seams and _crossing(analysis.seams):
            table = _seams_table(analysis.seams)
            sections.append(Section(f"Edges of tiles, {run_name}", table_html(table)))
    if len(last.scores.by_class) > 1:
        run = next(run for run in runs if run.name == name)
        sections.append(Section(f"By class, {name}", table_html(class_table(run))))
    return sections


def headline(run: Run) -> str:
    """The figures to be seen first, of one analysed run."""
    analysis, scores = run.analysis, run.scores
    if analysis is None:
        return ""
    sizes = [label for label, objects in scores.objects_by_size.items() if objects]
    items = [_headed(run, "AP")]
    items += [_headed(run, f"AP_{label}") for label in sizes[:1]]
    outcomes = analysis.outcomes
    threshold = f"at a score of {analysis.score_threshold:g}"
    items.append(KeyFigure(_percent(outcomes.recall), "of the objects found", threshold))
    items.append(KeyFigure(_percent(outcomes.precision), "of what is shown is right", threshold))
    if analysis.best is not None:
        best = f"F1 {analysis.best.f1:.3f}, IoU .5"
        items.append(KeyFigure(f"{analysis.best.score:.2f}", "best score threshold", best))
    return key_figures(items)


def _headed(run: Run, metric: str) -> KeyFigure:
    interval = run.intervals.get(metric)
    value = run.scores.flat().get(metric, math.nan)
    ends = ""
    if interval is not None and not math.isnan(interval.low):
        ends = f"{interval.low:.3f} to {interval.high:.3f} (95 %)"
    return KeyFigure(figure(value), f"{metric.replace('_', ' ')}, {run.name}", ends)


def _percent(share: float) -> str:
    return NONE if math.isnan(share) else f"{share:.0%}"


def _by_size(analysis: Analysis) -> dict[str, ErrorCounts]:
    """All sizes, then each that has objects or errors."""
    errors = analysis.errors
    some = {
        label: counts
        for label, counts in errors.by_size.items()
        if sum(counts.counts.values()) or not math.isnan(counts.ap50)
    }
    return {_EVERY_SIZE: errors.overall, **some}


def _cost(counts: ErrorCounts, kind: str) -> str:
    gain = counts.gains[kind]
    points = NONE if math.isnan(gain) else f"{100 * gain:.1f}"
    return f"{points} ({counts.counts[kind]:,})"


def _size_charts(analysed: Mapping[str, Analysis]) -> str:
    charts = []
    for metric, title in (("AP50", "AP50"), ("AP", "AP"), ("AR", "recall (AR)")):
        lines = []
        for name, analysis in analysed.items():
            middles = [math.sqrt(window.low * window.high) for window in analysis.windows]
            spans = [window.figures[metric] for window in analysis.windows]
            lines.append(
                Line(
                    name,
                    middles,
                    [span.value for span in spans],
                    [span.low for span in spans],
                    [span.high for span in spans],
                )
            )
        axis = Axis("side of the object, pixels", "log2")
        charts.append(line_chart(lines, axis, _share(title), title=f"{title} against size"))
    note = (
        '<p class="note">Each point: objects within one octave of size, half of it on either '
        "side. Bands: 95 % intervals over resampled pictures.</p>"
    )
    return f'<div class="charts">{"".join(charts)}</div>{note}'


def _cause_charts(analysed: Mapping[str, Analysis]) -> str:
    charts = []
    for name, analysis in analysed.items():
        by_size = _by_size(analysis)
        parts = [
            Part(kind, [100 * np.nan_to_num(one.gains[kind]) for one in by_size.values()])
            for kind in ERROR_KINDS
        ]
        axis = Axis("points of AP50 that mending each kind would gain", low=0)
        charts.append(stacked_bars(list(by_size), parts, axis, title=name))
    return f'<div class="charts">{"".join(charts)}</div>'


def _score_charts(analysed: Mapping[str, Analysis]) -> str:
    curves = [
        Line(f"{name}, IoU {curve.iou:g}", _RECALLS, curve.mean)
        for name, analysis in analysed.items()
        for curve in analysis.curves
    ]
    reliability = [Line("perfect", [0.0, 1.0], [0.0, 1.0], tone="b0")]
    for name, analysis in analysed.items():
        bins = [one for one in analysis.calibration.bins if one["count"]]
        error = figure(analysis.calibration.error)
        reliability.append(
            Line(
                f"{name}, off by {error} on average",
                [one["score"] for one in bins],
                [one["right"] for one in bins],
            )
        )
    charts = [
        line_chart(
            curves, _share("recall"), _share("precision"), title="Precision against recall"
        ),
        line_chart(
            reliability, _share("score"), _share("share that is right"),
            title="Can scores be believed?",
        ),
    ]  # fmt: skip
    return f'<div class="charts">{"".join(charts)}</div>'


def _share(label: str) -> Axis:
    return Axis(label, low=0, high=1)


def _thresholds(analysis: Analysis) -> Table:
    """The best score threshold overall and by class."""
    best = {_EVERY_SIZE: analysis.best} if analysis.best else {}
    by_class = analysis.best_by_class if len(analysis.scores.by_class) > 1 else {}
    rows = tuple(
        (name, f"{one.score:.3f}", figure(one.f1), figure(one.precision), figure(one.recall))
        for name, one in [*best.items(), *by_class.items()][: _MOST_CLASSES + 1]
        if one is not None
    )
    columns = ("class", "best threshold", "F1", "precision", "recall")
    return Table("", columns, rows, "At IoU .5. Chosen on these pictures: a little flattering.")


def _criteria_table(analysed: Mapping[str, Analysis]) -> Table:
    """AP at one threshold, by what counts as a match."""
    rows = []
    sizes: tuple[str, ...] = ()
    for name, analysis in analysed.items():
        objects = analysis.scores.objects_by_size
        sizes = tuple(label for label, count in objects.items() if count)
        for criterion, by_size in analysis.criteria.items():
            shown = _CRITERIA.get(criterion, criterion)
            values = (figure(by_size[size]) for size in (_EVERY_SIZE, *sizes))
            rows.append((name, shown, *values))
    note = (
        "For objects of a few pixels IoU punishes what no eye sees: a shift by one pixel takes a "
        "third of the IoU of a 5-pixel box."
    )
    return Table("", ("run", "a match is", "AP", *(f"AP {s}" for s in sizes)), tuple(rows), note)


def _counting_table(analysed: Mapping[str, Analysis]) -> Table:
    rows = tuple(
        (
            name,
            f"{analysis.counting.mean_absolute:.3g}",
            f"{analysis.counting.bias:+.3g}",
            figure(analysis.counting.r_squared),
            f"{analysis.counting.true.mean():.3g}",
        )
        for name, analysis in analysed.items()
        if len(analysis.counting.true)
    )
    columns = ("run", "mean error a picture", "bias", "R2", "objects a picture")
    return Table("", columns, rows, "Detections from the score threshold on, against labels.")


def _crossing(seams: Mapping[str, SeamCounts]) -> bool:
    """Whether any object is not far from every edge."""
    return any(one.found + one.missed for kind, one in seams.items() if kind != "far")


def _seams_table(seams: Mapping[str, SeamCounts]) -> Table:
    rows = []
    for kind, one in seams.items():
        objects = one.found + one.missed
        recall = f"{one.found / objects:.1%}" if objects else NONE
        false = f"{one.false / objects:.2f}" if objects else NONE
        rows.append((_SEAMS[kind], f"{objects:,}", recall, f"{one.false:,}", false))
    columns = ("the object is", "objects", "found", "false there", "false an object")
    note = "If recall falls towards the top, raise the overlap; if false ones rise, mend the merge."
    return Table("", columns, tuple(rows), note)
