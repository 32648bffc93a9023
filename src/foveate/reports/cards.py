"""What stands beside the charts: key figures, advice, a sheet of small crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest

import numpy as np

from foveate.reports.figures import Layer, encode_picture, outlines, picture_svg
from foveate.reports.palette import FOUND
from foveate.reports.tables import counted
from foveate.structures import FloatArray, UInt8Image

_LEAST_BYTES, _MOST_BYTES = 2_000, 14_000  # of one crop
_LEAST_SHOWN, _MOST_SHOWN = 48.0, 230.0  # width of one crop, CSS pixels


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A number to be seen first.

    Attributes:
        value: As text, with its unit: `11 px`, `62%`.
        caption: What it is: `lost at stride 16`.
        note: A line below, smaller; may be empty.
    """

    value: str
    caption: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """Something to do.

    Attributes:
        what: To do: `Tile at 640 pixels`.
        reason: Why, in a sentence.
        number: What it is worth, at the right: `62% of objects`; may be empty.
    """

    what: str
    reason: str
    number: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A small part of a picture.

    Attributes:
        image: ``(H, W, C)``; its pixels are shown as they are.
        caption: `5.2 px, name.jpg`.
        box: ``(4,)`` xyxy, pixels of the crop; outlined.
        factor: How many times larger than its pixels the page shows it, within 48 to 230 CSS
            pixels.
    """

    image: UInt8Image
    caption: str
    box: FloatArray | None = None
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class CropGroup:
    """A row of crops.

    Attributes:
        name: Of the class.
        crops: From left to right, the most telling first.
        note: Beside the name: `1,204 objects, median 9 px`; may be empty.
    """

    name: str
    crops: Sequence[Crop]
    note: str = ""


def key_figures(items: Sequence[KeyFigure]) -> str:
    """A row of large numbers, each with its caption; three to five read well.

    Args:
        items: From left to right.

    Returns:
        HTML; empty without items.
    """
    cells = "".join(
        f"<div><dt>{escape(one.caption)}"
        f"{f'<small>{escape(one.note)}</small>' if one.note else ''}</dt>"
        f"<dd>{escape(one.value)}</dd></div>"
        for one in items
    )
    return f'<dl class="figures">{cells}</dl>' if items else ""


def advice_list(items: Sequence[Advice]) -> str:
    """What to do, why, and what it is worth.

    Args:
        items: The most useful first.

    Returns:
        HTML; empty without items.
    """
    rows = "".join(
        f"<li><div><b>{escape(one.what)}</b><p>{escape(one.reason)}</p></div>"
        f"{f'<span>{escape(one.number)}</span>' if one.number else ''}</li>"
        for one in items
    )
    return f'<ol class="advice">{rows}</ol>' if items else ""


def contact_sheet(groups: Sequence[CropGroup], most_bytes: int = 1_500_000) -> str:
    """A row of small crops for each group, with captions and outlines.

    Args:
        groups: From top to bottom.
        most_bytes: Of all embedded pictures together, as they stand in the page. If they do not
            fit, every group loses its last crops first, and the sheet says so.

    Returns:
        HTML; empty without crops.
    """
    count = sum(len(group.crops) for group in groups)
    if count == 0:
        return ""
    # Base64 takes four letters for three bytes.
    each = int(np.clip(most_bytes * 3 // 4 // count, _LEAST_BYTES, _MOST_BYTES))
    rows: list[list[str]] = [[] for _ in groups]
    left = most_bytes
    for rank in zip_longest(*(group.crops for group in groups)):
        for row, crop in zip(rows, rank, strict=True):
            if crop is None or left <= 0:
                continue
            uri = encode_picture(crop.image, each)
            left -= len(uri)
            if left >= 0:
                row.append(_crop(crop, uri))
    body = "".join(_row(group, row) for group, row in zip(groups, rows, strict=True) if row)
    omitted = count - sum(map(len, rows))
    note = f'<p class="note">{counted(omitted, "crop")} more left out to keep the page small.</p>'
    return f'<div class="sheet">{body}</div>{note if omitted else ""}'


def _row(group: CropGroup, crops: Sequence[str]) -> str:
    note = f" <small>{escape(group.note)}</small>" if group.note else ""
    return f'<h3>{escape(group.name)}{note}</h3><div class="row">{"".join(crops)}</div>'


def _crop(crop: Crop, uri: str) -> str:
    height, width = crop.image.shape[:2]
    shown = float(np.clip(width * crop.factor, _LEAST_SHOWN, _MOST_SHOWN))
    layers = [] if crop.box is None else [Layer(crop.box.reshape(1, 4), FOUND)]
    group = outlines(layers, (0, 0, width, height), shown, 'class="boxes"')
    svg = picture_svg(uri, (width, height), [group], crop.caption, "pixels")
    return (
        f'<figure class="crop" style="width:{shown:.0f}px">{svg}'
        f"<figcaption>{escape(crop.caption)}</figcaption></figure>"
    )
