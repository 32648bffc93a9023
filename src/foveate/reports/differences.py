"""What ``foveate compare`` shows: each figure of two runs, its difference, and a verdict."""

from __future__ import annotations

import math

from foveate.evaluation import Comparison, Difference
from foveate.reports.cards import KeyFigure, key_figures
from foveate.reports.charts.axes import Axis
from foveate.reports.charts.bars import IntervalRow, interval_chart
from foveate.reports.page import Section, table_html
from foveate.reports.tables import Table, counted, figure

_MOST_ROWS = 40


def verdict(comparison: Comparison, names: tuple[str, str]) -> str:
    """One sentence on AP, and what else is better or worse.

    Args:
        comparison: Of `b` with `a`.
        names: Of `a` and `b`.
    """
    of = {one.metric: one for one in comparison.differences}
    if "AP" not in of:
        return "There is no labelled object to compare on."
    parts = [f"{names[1]} against {names[0]}: {of['AP'].text}, {of['AP'].verdict}"]
    for kind in ("better", "worse"):
        texts = [one.text for name, one in of.items() if one.verdict == kind and _is_new(name, of)]
        if texts:
            further = f" and {len(texts) - 4} more" if len(texts) > 4 else ""
            parts.append(f"{kind} too: {', '.join(texts[:4])}{further}")
    return "; ".join(parts) + "."


def _is_new(name: str, of: dict[str, Difference]) -> bool:
    """Whether a figure says more than AP itself: that of the only class does not."""
    classes = [metric for metric in of if metric.startswith("AP@")]
    return name != "AP" and not (len(classes) == 1 and name == classes[0])


def differences_table(
    comparison: Comparison, names: tuple[str, str], title: str = "", classes: bool = True
) -> Table:
    """Both figures, the difference in points with its interval, and a verdict; a row a figure.

    Args:
        comparison: Of `b` with `a`.
        names: Of `a` and `b`.
        title: Of the table.
        classes: Also the figures by class.
    """
    shown = [one for one in comparison.differences if classes or "@" not in one.metric]
    rows = [
        (one.metric, figure(one.a), figure(one.b), *_change(one), one.verdict)
        for one in shown[:_MOST_ROWS]
    ]
    if comparison.outcomes is not None:
        a, b = comparison.outcomes
        for name in ("found", "missed", "false"):
            counts = getattr(a, name), getattr(b, name)
            change = f"{counts[1] - counts[0]:+,}"
            rows.append((name, f"{counts[0]:,}", f"{counts[1]:,}", change, "", ""))
    further = f" {len(shown) - _MOST_ROWS} further figures." if len(shown) > _MOST_ROWS else ""
    note = (
        "Difference in points (x 100), with its 95 % interval over "
        f"{counted(comparison.pictures, 'picture')} resampled together for both. Of twenty "
        f"figures alike in truth, one looks different.{further}"
    )
    return Table(title, ("", *names, "difference", "interval", "verdict"), tuple(rows), note)


def comparison_sections(comparison: Comparison, names: tuple[str, str]) -> list[Section]:
    """The page: headline, forest plots, table."""
    first = {one.metric: one for one in comparison.differences}
    shown = [first[name] for name in ("AP", "AP50", "AR") if name in first]
    shown += [one for name, one in first.items() if name.startswith("AP_")][:2]
    cards = [KeyFigure(f"{100 * one.delta.value:+.1f}", one.metric, _range(one)) for one in shown]
    groups = {
        "Overall": [one for one in comparison.differences if one.metric.isalnum()],
        "By size": [one for one in comparison.differences if "_" in one.metric.partition("@")[0]],
        "By class": [one for one in comparison.differences if "@" in one.metric],
    }
    charts = "".join(
        interval_chart([_row(one) for one in rows[:_MOST_ROWS]], Axis("points"), title=title)
        for title, rows in groups.items()
        if rows
    )
    return [
        Section(verdict(comparison, names), key_figures(cards)),
        Section("Differences", f'<div class="charts">{charts}</div>'),
        Section("Figures", table_html(differences_table(comparison, names))),
    ]


def _change(one: Difference) -> tuple[str, str]:
    return f"{100 * one.delta.value:+.1f}", _range(one)


def _range(one: Difference) -> str:
    if math.isnan(one.delta.low):
        return ""
    return f"[{100 * one.delta.low:+.1f}, {100 * one.delta.high:+.1f}]"


def _row(one: Difference) -> IntervalRow:
    delta = one.delta
    return IntervalRow(one.metric, 100 * delta.value, 100 * delta.low, 100 * delta.high)
