"""Sections of the HTML page for one picture: judged by its labels, or two runs with a slider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from foveate.evaluation import match_detections
from foveate.reports.charts.sizes import SizeBars, size_chart
from foveate.reports.figures import (
    Layer,
    Region,
    choose_regions,
    content_id,
    crop_svg,
    encode_picture,
    key_box,
    marks,
    outlines,
    picture_svg,
    shown_width,
)
from foveate.reports.page import Section, table_html
from foveate.reports.palette import FALSE, FOUND, MISSED, css
from foveate.reports.results import PictureResult
from foveate.reports.sections import class_key, class_layers
from foveate.reports.tables import NONE, Table, counted
from foveate.structures import Annotations, FloatArray, IntArray, UInt8Image

_PAIRS = 6
_MISTAKES = 6
_JUDGED = ("found", "missed", "false")
_PICTURE_BYTES = 500_000


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """One of the two runs on one picture.

    Attributes:
        name: Of the run, such as `plain` or `tiled`.
        result: What was found.
        layers: How it is drawn.
        rows: What the table says of it.
        found: Boxes of the right detections, or of all where there are no labels.
        hits: Objects, by their place in the labels, that were found.
    """

    name: str
    result: PictureResult
    layers: list[Layer]
    rows: dict[str, str]
    found: FloatArray
    hits: IntArray

    @property
    def scale(self) -> float | None:
        """Network pixels a picture pixel; None where no network was shown it in this run."""
        if not self.result.tiles:
            return None
        tile = self.result.tiles[0]
        return tile.out_width / tile.width


def comparison_section(
    image: UInt8Image,
    first: PictureResult,
    second: PictureResult,
    class_names: Sequence[str],
    annotations: Annotations | None = None,
    names: tuple[str, str] = ("plain", "tiled"),
    iou: float = 0.5,
) -> Section:
    """Two runs on one picture, with crops of what only the second found.

    Args:
        image: ``(H, W, C)``.
        first: Such as the whole picture squeezed into the network.
        second: Such as in tiles.
        class_names: In the order of the labels.
        annotations: Labels; with them outlines mean found, missed and false. Without, the
            second run's detections stand for the objects in choosing the crops.
        names: Of the runs.
        iou: Least intersection over union of a match.
    """
    found = second.detections
    truth = annotations or Annotations(found.boxes, found.labels, np.zeros(len(found), bool))
    sides = [
        _side(name, result, truth, iou, judged=annotations is not None)
        for name, result in zip(names, (first, second), strict=True)
    ]
    gained = truth.boxes[np.setdiff1d(sides[1].hits, sides[0].hits)]
    bars = [SizeBars(names[0], sides[0].found, "b2"), SizeBars(names[1], sides[1].found, "b1")]
    if annotations:
        bars.insert(0, SizeBars("labelled", truth.boxes[~truth.ignore], "b0"))
    aside = (
        table_html(_table(sides))
        + (match_key() if annotations else class_key(class_names))
        + f"<h3>{'Found' if annotations else 'Objects'} by size (side in pixels)</h3>"
        + size_chart(bars)
    )
    slider = _slider(image, sides, f"{second.name}: {names[0]} left, {names[1]} right")
    body = f'<div class="split">{slider}<aside>{aside}</aside></div>'
    return Section(second.name, body + _closer(image, sides, gained))


def judged_section(
    image: UInt8Image, result: PictureResult, annotations: Annotations, iou: float = 0.5
) -> Section:
    """One run on one labelled picture: what is found, missed and false, and crops of mistakes.

    Args:
        image: ``(H, W, C)``.
        result: What was found.
        annotations: Labels.
        iou: Least intersection over union of a match.
    """
    side = _side("", result, annotations, iou, judged=True)
    size = (result.width, result.height)
    width = shown_width(size)
    wrong = np.concatenate([layer.boxes for layer in side.layers[1:]])
    regions = choose_regions(wrong, size, _MISTAKES)
    groups = [
        outlines(side.layers, (0, 0, *size), width, 'class="boxes"'),
        marks(regions, size[0] / width),
    ]
    svg = picture_svg(encode_picture(image, _PICTURE_BYTES), size, groups, result.name)
    rows = tuple((name, value) for name, value in side.rows.items() if name in _JUDGED)
    aside = table_html(Table("", ("", "objects"), rows)) + match_key()
    crops = "".join(
        f'<figure class="crop">{crop_svg(image[y1:y2, x1:x2], side.layers, (x1, y1, x2, y2), "")}'
        f"<figcaption>{number}</figcaption></figure>"
        for number, (x1, y1, x2, y2) in enumerate(regions, 1)
    )
    picture = f'<figure style="max-width:{width:.0f}px">{svg}</figure>'
    body = f'<div class="split">{picture}<aside>{aside}</aside></div>'
    return Section(result.name, body + (f'<div class="crops">{crops}</div>' if crops else ""))


def match_key() -> str:
    """What the outlines of a judged picture mean."""
    items = [
        f"<span>{key_box(css(FOUND))}found</span>",
        f"<span>{key_box(css(MISSED), 'ring')}missed</span>",
        f"<span>{key_box(css(FALSE), 'brackets')}false</span>",
    ]
    return f'<div class="key">{"".join(items)}</div>'


def _side(name: str, result: PictureResult, truth: Annotations, iou: float, judged: bool) -> _Side:
    detections = result.detections
    match = match_detections(detections, truth, iou)
    rows = {"objects": str(len(detections))}
    layers, found = class_layers(detections), detections.boxes
    if judged:
        found = detections.boxes[match.found]
        layers = [
            Layer(found, FOUND),
            Layer(truth.boxes[match.missed], MISSED, "ring"),
            Layer(detections.boxes[match.false], FALSE, "brackets"),
        ]
        counts = (len(match.found), len(match.missed), len(match.false))
        rows = dict(zip(_JUDGED, map(str, counts), strict=True))
    if result.tiles:
        rows["tiles"] = str(len(result.tiles))
        rows["seconds"] = f"{result.seconds:.2f}"
    return _Side(name, result, layers, rows, found, match.matched_to[match.found])


def _table(sides: Sequence[_Side]) -> Table:
    named = dict.fromkeys(name for side in sides for name in side.rows)
    rows = [(name, *(side.rows.get(name, NONE) for side in sides)) for name in named]
    if any(side.scale for side in sides):
        rows.append(("shown to the network at", *(_enlarged(side) or NONE for side in sides)))
    return Table("", ("", *(side.name for side in sides)), tuple(rows))


def _slider(image: UInt8Image, sides: Sequence[_Side], label: str) -> str:
    """One picture under two sets of outlines, each clipped to its side of a movable line."""
    size = (sides[0].result.width, sides[0].result.height)
    shown = shown_width(size)
    middle = size[0] / 2
    groups = []
    for place, side in enumerate(sides):
        drawn = outlines(side.layers, (0, 0, *size), shown, 'class="boxes"')
        name = content_id(f"{label} {side.name} {drawn}")
        x, width = (0.0, middle) if place == 0 else (middle, float(size[0]))
        groups.append(
            f'<clipPath id="{name}"><rect x="{x:g}" y="0" width="{width:g}" height="{size[1]}"/>'
            f'</clipPath><g clip-path="url(#{name})">{drawn}</g>'
        )
    groups.append(f'<line class="divider" x1="{middle:g}" x2="{middle:g}" y1="0" y2="{size[1]}"/>')
    svg = picture_svg(encode_picture(image, _PICTURE_BYTES), size, groups, label)
    names = "".join(f"<b>{escape(side.name)}</b>" for side in sides)
    return (
        f'<figure style="max-width:{shown:.0f}px"><div class="compare">{svg}{names}</div>'
        '<input class="slide" type="range" min="0" max="100" step="0.2" value="50" '
        f'aria-label="Move the line: {escape(label)}"/></figure>'
    )


def _closer(image: UInt8Image, sides: Sequence[_Side], gained: FloatArray) -> str:
    """Crops of what only the second run found, as each shows it to the network."""
    size = (sides[0].result.width, sides[0].result.height)
    regions = choose_regions(gained, size, _PAIRS)
    if not regions:
        return ""
    pairs = "".join(_pair(image, sides, region) for region in regions)
    only = f"{counted(len(gained), 'object')} found by {escape(sides[1].name)} only"
    also = ". Some of them, as each shows them to the network" if sides[0].scale else ""
    return f'<h3>{only}{also}</h3><div class="pairs">{pairs}</div>'


def _pair(image: UInt8Image, sides: Sequence[_Side], region: Region) -> str:
    x1, y1, x2, y2 = region
    crops = []
    for side in sides:
        svg = crop_svg(image[y1:y2, x1:x2], side.layers, region, side.name, side.scale or 1.0)
        name = ", ".join(filter(None, (escape(side.name), _enlarged(side))))
        crops.append(f"<div>{svg}<figcaption>{name}</figcaption></div>")
    return f'<figure class="pair crop">{"".join(crops)}</figure>'


def _enlarged(side: _Side) -> str:
    return f"{side.scale:.2f}x" if side.scale else ""
