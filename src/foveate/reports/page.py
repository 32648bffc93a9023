"""One self-contained HTML page: nothing is loaded from elsewhere, so it can be mailed or archived.

`write_page` joins sections; `sections` makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

from foveate.config import write_atomically
from foveate.reports.tables import Table, showable


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page.

    Attributes:
        title: Plain text; may be empty.
        body: HTML, every text in it escaped.
    """

    title: str
    body: str


def write_page(
    path: str | Path,
    title: str,
    sections: Sequence[Section],
    *,
    subtitle: str = "",
    score_threshold: float | None = None,
) -> None:
    """Write a page: readable on its own, in light and dark, without any other file.

    Args:
        path: The HTML file.
        title: Plain text.
        sections: In order.
        subtitle: A line below the title: the model, the tile plan.
        score_threshold: Least score of what the sections show; with it the page has a slider to
            raise it.

    Raises:
        OSError: If the file cannot be written; an old one is then untouched.
    """
    write_atomically(path, page_html(title, sections, subtitle, score_threshold).encode())


def page_html(
    title: str,
    sections: Sequence[Section],
    subtitle: str = "",
    score_threshold: float | None = None,
) -> str:
    """The page as text; arguments as for `write_page`."""
    body = "".join(
        f"<section>{f'<h2>{escape(s.title)}</h2>' if s.title else ''}{s.body}</section>"
        for s in sections
    )
    # The policy makes the browser refuse any request, whatever a file name may hold.
    return showable(f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{_asset("page.css")}</style>
</head>
<body>
<header><h1>{escape(title)}</h1>{f"<p>{escape(subtitle)}</p>" if subtitle else ""}</header>
{_tools(score_threshold) if 'class="zoom' in body else ""}
<main>{body}</main>
<footer>Made by foveate. This page is one file and loads nothing from elsewhere.</footer>
<dialog aria-label="Picture"><p></p><button type="button">Close</button></dialog>
<script>{_asset("page.js")}</script>
</body>
</html>
""")


def table_html(table: Table) -> str:
    """A table, its title as caption and its note below."""
    classes = [' class="num"' if table.is_numeric(i) else "" for i in range(len(table.columns))]
    head = "".join(
        f"<th{kind}>{escape(name)}</th>" for name, kind in zip(table.columns, classes, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, classes, strict=True))
        + "</tr>"
        for row in table.rows
    )
    caption = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}"
    )


def _tools(score_threshold: float | None) -> str:
    slider = ""
    if score_threshold is not None:
        # The outlines are grouped in steps of .05.
        least = int(score_threshold * 20) / 20
        slider = (
            f'<label>least score <input id="score" type="range" min="{least:g}" max="1" '
            f'step="0.05" value="{least:g}"> <output id="score-text">{least:.2f}</output></label>'
        )
    return (
        '<div class="tools"><form><label><input id="boxes" type="checkbox" checked> outlines'
        f"</label>{slider}<span>Click a picture to enlarge it; there, the wheel zooms and "
        "dragging moves.</span></form></div>"
    )


def _asset(name: str) -> str:
    return files("foveate.reports").joinpath(name).read_text(encoding="utf-8")
