"""Model files of other tools: recognised by what they declare, read as their makers read them."""

from __future__ import annotations

from collections.abc import Mapping

from foveate.errors import FoveateError, UsageError
from foveate.inference.foreign.detr import DETR
from foveate.inference.foreign.graph import Graph
from foveate.inference.foreign.layout import Frame, Layout
from foveate.inference.foreign.torchvision import TORCHVISION
from foveate.inference.foreign.yolo import YOLO

__all__ = ["LAYOUTS", "Frame", "Graph", "Layout", "choose_layout"]

LAYOUTS: Mapping[str, Layout] = YOLO | TORCHVISION | DETR
"""Every layout that is read, by the name that ``--layout`` takes."""


def choose_layout(graph: Graph, asked: str | None = None) -> str:
    """The row of `LAYOUTS` that a file is read by.

    Args:
        graph: What the file declares.
        asked: A name, instead of recognition.

    Raises:
        UsageError: If there is no such name.
        FoveateError: If the file does not suit the layout asked for, or fits none or several; the
            message gives the file's own inputs and outputs, and the layouts there are.
    """
    if asked is not None:
        if asked not in LAYOUTS:
            raise UsageError(f"no layout {asked!r}; known are {', '.join(LAYOUTS)}")
        if not graph.takes_one_picture or not LAYOUTS[asked].accepts(graph):
            raise FoveateError(f"not of layout {asked} ({LAYOUTS[asked].summary}): it has {graph}")
        return asked
    claims = [name for name, layout in LAYOUTS.items() if layout.claims(graph)]
    if len(claims) == 1 and graph.takes_one_picture:
        return claims[0]
    if claims and graph.takes_one_picture:
        raise FoveateError(f"may be of layout {' or '.join(claims)}: say which with --layout. "
                           f"It has {graph}")  # fmt: skip
    raise FoveateError(
        f"of no layout that foveate knows. It has {graph}. "
        f"Known: {'; '.join(f'{name} ({row.summary})' for name, row in LAYOUTS.items())}. "
        "If it is one of them after all, say --layout NAME"
    )
