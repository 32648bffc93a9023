"""What ``foveate inspect`` shows: short tables for the terminal, and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from foveate.inspection.advice import Recommendation
from foveate.inspection.findings import Finding, number, plural
from foveate.inspection.sizes import SizeSummary, View, network_sides
from foveate.inspection.smallest import SmallObject
from foveate.inspection.summary import ADVISED, PLAIN, TILES, Inspection
from foveate.reports.cards import (
    Advice,
    Crop,
    CropGroup,
    KeyFigure,
    advice_list,
    contact_sheet,
    key_figures,
)
from foveate.reports.charts.axes import Axis
from foveate.reports.charts.bars import Part, stacked_bars
from foveate.reports.charts.frame import Mark
from foveate.reports.charts.histogram import Bins, histogram_chart, octave_edges
from foveate.reports.page import Section, table_html
from foveate.reports.tables import NONE, Table

ENLARGED = 8
"""Times the smallest objects are shown larger than they are."""

_MARKED_STRIDES = (4, 8, 16, 32)
_MOST_CLASSES = 40
_SEVERITIES = ("error", "warning", "note")


def sizes_table(inspection: Inspection) -> Table:
    """Object sides as each way of showing makes them, and what its strides lose."""
    rows = tuple(
        (_named(view), *_sizes(view.overall), _tiles(inspection, view)) for view in inspection.views
    )
    note = (
        "Side: square root of the area, in pixels as the network sees them; lost: less than one "
        "cell of that stride."
    )
    return Table(_title(inspection), _columns(inspection, "shown"), rows, note)


def classes_table(inspection: Inspection, view_name: str = TILES) -> Table:
    """The same for each class, for one way of showing; most objects first."""
    view = next(view for view in inspection.views if view.name == view_name)
    ordered = sorted(view.by_class.items(), key=lambda item: -item[1].objects)
    rows = tuple((name, str(one.objects), *_sizes(one)) for name, one in ordered[:_MOST_CLASSES])
    more = len(ordered) - _MOST_CLASSES
    note = f"The {_MOST_CLASSES} with most objects; {more} further classes." if more > 0 else ""
    columns = ("class", "objects", *_columns(inspection, "")[1:-1])
    return Table(f"By class, {_named(view)}", columns, rows, note)


def advice_table(recommendations: Sequence[Recommendation]) -> Table:
    """What to do and why."""
    rows = tuple((one.topic, one.advice, one.reason) for one in recommendations)
    return Table("Advice", ("", "do", "because"), rows)


def findings_table(findings: Sequence[Finding], examples: int = 2) -> Table:
    """What is wrong, the worst first."""
    ordered = sorted(findings, key=lambda one: _SEVERITIES.index(one.severity))
    rows = tuple(
        (one.severity, f"{one.count:,}", one.message, "; ".join(one.examples[:examples]))
        for one in ordered
    )
    return Table("Health", ("", "how many", "what", "such as"), rows)


def anchors_table(inspection: Inspection) -> Table:
    """How well anchors suit the data, before and after they are fitted."""
    advice = inspection.advice
    fits = {"YOLOv3's own": advice.default_anchors, **advice.anchors}
    rows = tuple(
        (
            name,
            f"{fit.mean_iou:.3f}",
            f"{fit.recall:.1%}",
            ", ".join(f"{w:.0f}x{h:.0f}" for w, h in fit.anchors),
        )
        for name, fit in fits.items()
        if fit is not None
    )
    columns = ("anchors", "mean IoU", "best possible recall", "width x height, network pixels")
    note = "Recall: no side differs by more than 4 times. Fitted at the advised scale."
    return Table("", columns, rows, note)


def inspection_sections(
    inspection: Inspection,
    findings: Sequence[Finding],
    smallest: Sequence[SmallObject],
    tables: Mapping[str, Table],
) -> list[Section]:
    """The page.

    Args:
        inspection: From the labels.
        findings: From the checks.
        smallest: To be looked at.
        tables: Title to further tables: what was measured on this machine.
    """
    sections = [
        Section("", key_figures(_key_figures(inspection))),
        Section("What to do", advice_list(_cards(inspection.advice.recommendations))),
        Section("How small the objects are", _size_charts(inspection)),
    ]
    if len(inspection.views[0].by_class) > 1:
        sections.append(Section("By class", table_html(classes_table(inspection))))
    if smallest:
        sections.append(Section("The smallest objects", _sheet(inspection, smallest)))
    if inspection.advice.anchors:
        sections.append(Section("Anchors", table_html(anchors_table(inspection))))
    sections.append(Section("Together and apart", table_html(_crowding_table(inspection))))
    sections += [Section(title, table_html(table)) for title, table in tables.items()]
    healthy = '<p class="note">Nothing was found to be wrong.</p>'
    health = table_html(findings_table(findings, examples=5)) if findings else healthy
    # What makes scores wrong is to be read before anything else is believed.
    place = 1 if any(one.severity == "error" for one in findings) else len(sections)
    sections.insert(place, Section("Health of the data", health))
    return sections


def _title(inspection: Inspection) -> str:
    objects, pictures = len(inspection.objects), len(inspection.objects.image_sizes)
    return f"{inspection.name}: {plural(objects, 'object')} in {plural(pictures, 'picture')}"


def _named(view: View) -> str:
    plan = view.plan
    if plan.plain:
        return f"plain, squeezed into {plan.size} px"
    scale = f", x{plan.scale:g}" if plan.scale != 1 else ""
    also = " and whole" if plan.full_image else ""
    name = "advised: " if view.name == ADVISED else ""
    return f"{name}tiles of {plan.size} px{scale}{also}"


def _columns(inspection: Inspection, first: str) -> tuple[str, ...]:
    strides = next((tuple(v.overall.lost) for v in inspection.views if v.overall.lost), ())
    lost = (f"lost at {stride}" for stride in strides)
    return (first, "5 %", "median", "95 %", *lost, "tiles a picture")


def _sizes(one: SizeSummary) -> list[str]:
    if not one.objects:
        return [NONE] * 3
    return [
        *(number(one.quantiles[share]) for share in (0.05, 0.5, 0.95)),
        *(f"{share:.1%}" for share in one.lost.values()),
    ]


def _tiles(inspection: Inspection, view: View) -> str:
    return number(inspection.coverage[view.name].tiles)


def _key_figures(inspection: Inspection) -> list[KeyFigure]:
    objects = inspection.objects
    if not len(objects):
        return [KeyFigure("0", "objects", "there is nothing to inspect")]
    plain, _, advised = (view.overall for view in inspection.views)
    squeezed = inspection.views[0].plan.size
    sides = objects.sides
    return [
        KeyFigure(f"{len(objects):,}", "objects", f"in {len(objects.image_sizes):,} pictures"),
        KeyFigure(f"{np.median(sides):.3g} px", "median object", "side, as labelled"),
        KeyFigure(f"{(sides < 32).mean():.0%}", "are small", "under 32 px, COCO's bound"),
        KeyFigure(
            f"{plain.lost.get(16, 0):.0%}",
            "lost at stride 16",
            f"pictures squeezed into {squeezed} px",
        ),
        KeyFigure(f"{advised.lost.get(16, 0):.0%}", "lost at stride 16", "shown as advised"),
    ]


def _cards(recommendations: Sequence[Recommendation]) -> list[Advice]:
    return [Advice(_capital(one.advice), one.reason, one.topic) for one in recommendations]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _size_charts(inspection: Inspection) -> str:
    sides = {
        _named(view): network_sides(inspection.objects, view.plan) for view in inspection.views
    }
    table = table_html(sizes_table(inspection))
    if not len(inspection.objects):
        return table
    edges = octave_edges(np.concatenate(list(sides.values())))
    histogram = histogram_chart(
        [Bins.of(name, values, edges) for name, values in sides.items()],
        edges,
        Axis("side of an object, network pixels", "log2"),
        Axis("objects"),
        marks=[Mark(stride, f"stride {stride}") for stride in _MARKED_STRIDES],
        title="Objects by size, as the network sees them",
    )
    strides = list(inspection.views[0].overall.lost)
    share = {view.name: view.overall.lost for view in inspection.views}
    lost = stacked_bars(
        [f"stride {stride}: {name}" for stride in strides for name in (PLAIN, TILES, ADVISED)],
        [
            Part("lost", [share[n][s] for s in strides for n in (PLAIN, TILES, ADVISED)], "b6"),
            Part("seen", [1 - share[n][s] for s in strides for n in (PLAIN, TILES, ADVISED)], "b0"),
        ],
        Axis("objects that cover less than one cell", low=0, high=1, percent=True),
        title="What each stride loses",
    )
    return f'<div class="charts">{histogram}{lost}</div>{table}'


def _sheet(inspection: Inspection, smallest: Sequence[SmallObject]) -> str:
    counts = np.bincount(
        inspection.objects.labels, minlength=len(inspection.objects.class_names)
    ).tolist()
    number = dict(zip(inspection.objects.class_names, counts, strict=True))
    groups = [
        CropGroup(
            name,
            [
                Crop(one.crop, f"{one.side:.3g} px, {one.path.name}", one.box, ENLARGED)
                for one in objects
            ],
            f"{number[name]:,} objects",
        )
        for name, objects in groupby(smallest, key=lambda one: one.class_name)
    ]
    note = f'<p class="note">At most {ENLARGED} times enlarged, pixels as they are.</p>'
    return contact_sheet(groups) + note


def _relative(inspection: Inspection) -> str:
    shares = (inspection.relative.get(share) for share in (0.05, 0.5, 0.95))
    return " / ".join(f"{share:.2%}" for share in shares if share is not None) or NONE


def _crowding_table(inspection: Inspection) -> Table:
    crowding, coverage = inspection.crowding, inspection.coverage[TILES]
    mean, median, most = crowding.per_image
    aspect = " / ".join(f"{value:.2f}" for value in crowding.aspect) or NONE
    over = crowding.overlapping
    rows = (
        ("objects a picture: mean, median, most", f"{mean:.3g}, {median:.3g}, {most}"),
        ("pictures without objects", str(crowding.empty_images)),
        (
            "objects a tile: mean, most",
            f"{coverage.mean_in_a_tile:.3g}, {coverage.most_in_a_tile}",
        ),
        ("width over height: 5 %, median, 95 %", aspect),
        ("side over the picture's side: 5 %, median, 95 %", _relative(inspection)),
        ("objects whose box meets another's", f"{crowding.touching:.1%}"),
        *(
            (f"objects that overlap one of their class by IoU {iou:g}", f"{share:.2%}")
            for iou, share in over.items()
        ),
    )
    return Table("", ("", "value"), rows)
