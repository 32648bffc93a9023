"""Tile plans that were tried: a table, and accuracy against time."""

from __future__ import annotations

from collections.abc import Sequence

from foveate.inspection.trade_off import Tried
from foveate.reports.charts.axes import Axis
from foveate.reports.charts.scatter import Point, scatter_chart
from foveate.reports.page import Section, table_html
from foveate.reports.tables import Table, figure


def sweep_table(tried: Sequence[Tried], metric: str) -> Table:
    """Plans, quickest first; the knee is the one beyond which time buys least."""
    metrics = list(dict.fromkeys([metric, "AP", "AP50"]))
    rows = tuple(
        (
            one.name + (" (knee)" if one.knee else ""),
            _plan(one),
            *(figure(one.metrics.get(name, float("nan"))) for name in metrics),
            f"{one.seconds:.3f}",
        )
        for one in sorted(tried, key=lambda one: one.seconds)
    )
    note = "Knee: the plan beyond which time buys least."
    return Table("Sweep", ("", "shown", *metrics, "seconds a picture"), rows, note)


def sweep_sections(tried: Sequence[Tried], metric: str) -> list[Section]:
    """The sweep for the page; nothing if there was none."""
    if not tried:
        return []
    chart = scatter_chart(
        [Point(one.name, one.seconds, one.metrics.get(metric, float("nan"))) for one in tried],
        Axis("seconds a picture", "log2"),
        Axis(metric),
        knee=next((row for row, one in enumerate(tried) if one.knee), None),
    )
    return [Section("Accuracy against time", chart + table_html(sweep_table(tried, metric)))]


def _plan(one: Tried) -> str:
    plan = one.plan
    if plan.plain:
        return f"squeezed into {plan.size}"
    also = ", whole too" if plan.full_image else ""
    return f"{plan.size} overlapping {plan.overlap_pixels}, x{plan.scale:g}{also}"
