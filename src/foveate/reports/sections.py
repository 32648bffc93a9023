"""Sections of the HTML page for what was found: a summary, then picture by picture."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from foveate.reports.charts.sizes import SizeBars, size_chart
from foveate.reports.figures import (
    LONGEST,
    MOST_OUTLINES,
    Layer,
    Region,
    choose_regions,
    crop_svg,
    encode_picture,
    key_box,
    marks,
    outlines,
    picture_svg,
    shown_width,
)
from foveate.reports.page import Section, table_html
from foveate.reports.palette import class_colour, css
from foveate.reports.results import PictureResult, class_counts
from foveate.reports.tables import Table, counted, picture_row, pictures_table, skipped_tiles
from foveate.structures import Detections, ImageSource
from foveate.tiling import look

MOST_PICTURES = 20
"""Pictures shown on a page; further ones are counted only."""

_CROPS = 4
# Twenty pictures of these sizes, with their crops, stay below 8 MB as base64.
_FIRST_BYTES, _LATER_BYTES = 400_000, 150_000
_WELL_SHOWN = 3


class Gallery:
    """Collects what was found picture by picture; only the first ones keep their pixels.

    Args:
        class_names: In the order of the labels.
        most: Pictures shown; the table names all of them.
    """

    def __init__(self, class_names: Sequence[str], most: int = MOST_PICTURES) -> None:
        self._class_names = class_names
        self._most = most
        self._sections: list[Section] = []
        self._rows: list[tuple[str, ...]] = []
        self._capped_tiles = 0

    def add(self, source: ImageSource, result: PictureResult) -> None:
        """Add a picture.

        Args:
            source: Its pixels; read and encoded at once if it is shown, and not kept.
            result: What was found in it.
        """
        if len(self._rows) < self._most:
            budget = _FIRST_BYTES if len(self._rows) < _WELL_SHOWN else _LATER_BYTES
            self._sections.append(picture_section(source, result, self._class_names, budget))
        self._rows.append(picture_row(result))
        self._capped_tiles += result.capped_tiles

    def sections(self) -> list[Section]:
        """The summary, then a section a picture."""
        note = ""
        if len(self._rows) > self._most:
            note = (
                f'<p class="note">The first {self._most} of {len(self._rows)} pictures are '
                "shown below.</p>"
            )
        table = pictures_table(self._rows, self._capped_tiles)
        return [Section("", table_html(table) + note), *self._sections]


def picture_section(
    source: ImageSource,
    result: PictureResult,
    class_names: Sequence[str],
    most_bytes: int = _FIRST_BYTES,
) -> Section:
    """One picture: outlines, crops at full resolution, counts by class, histogram of sizes.

    Args:
        source: Its pixels; of a large one, only what is shown is read.
        result: What was found in it.
        class_names: In the order of the labels.
        most_bytes: Of the embedded picture before base64.
    """
    found = result.detections.in_order()[:MOST_OUTLINES]
    omitted = len(result.detections) - len(found)
    layers = class_layers(found)
    size = (result.width, result.height)
    regions = choose_regions(found.boxes, size, _CROPS)
    crops = [_crop(source, layers, region, number) for number, region in enumerate(regions, 1)]
    note = f'<p class="note">The best {len(found)} are outlined; {omitted} more are not.</p>'
    aside = (
        _counts(result.detections, class_names)
        + (note if omitted else "")
        + "<h3>Objects by size (side in pixels)</h3>"
        + size_chart([SizeBars("objects", result.detections.boxes)])
        + f'<p class="note">{_how(result)}</p>'
    )
    closer = f'<h3>At full resolution</h3><div class="crops">{"".join(crops)}</div>'
    picture = _picture(source, result, layers, regions, most_bytes)
    body = f'<div class="split">{picture}<aside>{aside}</aside></div>'
    return Section(result.name, body + (closer if crops else ""))


def class_layers(detections: Detections) -> list[Layer]:
    """One layer a class, in its colour."""
    return [
        Layer(
            detections.boxes[detections.labels == label],
            class_colour(label),
            scores=detections.scores[detections.labels == label],
        )
        for label in np.unique(detections.labels).tolist()
    ]


def class_key(class_names: Sequence[str]) -> str:
    """Which colour is which class."""
    items = [
        f"<span>{key_box(css(class_colour(label)))}{escape(name)}</span>"
        for label, name in enumerate(class_names)
    ]
    return f'<div class="key">{"".join(items)}</div>'


def _picture(
    source: ImageSource,
    result: PictureResult,
    layers: Sequence[Layer],
    regions: Sequence[Region],
    most_bytes: int,
) -> str:
    size = (result.width, result.height)
    width = shown_width(size)
    whole = (0, 0, *size)
    groups = [outlines(layers, whole, width, 'class="boxes"'), marks(regions, size[0] / width)]
    uri = encode_picture(look(source, whole, LONGEST), most_bytes)
    label = f"{result.name}: {len(result.detections)} objects"
    return (
        f'<figure style="max-width:{width:.0f}px">{picture_svg(uri, size, groups, label)}</figure>'
    )


def _crop(source: ImageSource, layers: Sequence[Layer], region: Region, number: int) -> str:
    svg = crop_svg(look(source, region), layers, region, f"Part {number}")
    side = f"{region[2] - region[0]} x {region[3] - region[1]} pixels"
    return f'<figure class="crop">{svg}<figcaption>{number}: {side}</figcaption></figure>'


def _counts(detections: Detections, class_names: Sequence[str]) -> str:
    rows = tuple((name, str(n)) for name, n in class_counts(detections, class_names).items())
    table = table_html(Table("", ("class", "objects"), rows))
    return table + (class_key(list(class_counts(detections, class_names))) if len(rows) > 1 else "")


def _how(result: PictureResult) -> str:
    tiles = counted(len(result.tiles), "tile")
    text = f"{result.width} x {result.height} pixels, {tiles}, {result.seconds:.2f} s."
    if result.skipped_tiles or result.expected_miss:
        text += f" {skipped_tiles(result)}."
    if result.capped_tiles:
        text += (
            f" {result.capped_tiles} of the tiles gave as many objects as the model can give "
            "one: some may be missing."
        )
    return text
