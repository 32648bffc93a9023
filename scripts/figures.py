"""Figures of the docs, drawn from the code and the benchmark results: one SVG file each.

`scripts/generate_docs.py` writes them with the pages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from foveate.reports.charts.axes import Axis
from foveate.reports.charts.frame import TONES, WIDTH, Mark, Tone
from foveate.reports.charts.lines import Line, line_chart
from foveate.reports.charts.scatter import Point, scatter_chart

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"
KEY_HEIGHT = 26
TITLE_HEIGHT = 22
GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)  # the figure's own in Lin 2017
SVG = re.compile(r'<svg class="plot" viewBox="0 0 \S+ (\S+)" [^>]*aria-label="([^"]*)">(.*)</svg>')


def focal_figure() -> str:
    """The focal loss of one anchor against the probability of the right answer."""
    import torch

    from foveate.losses import focal_loss

    right = np.linspace(0.01, 1, 100)  # ends at 1, where the loss is 0
    logits = torch.logit(torch.from_numpy(right), eps=1e-6)
    lines = []
    for gamma in GAMMAS:
        # Twice: half weighs positives and negatives alike, and no weight is wanted here.
        loss = 2 * focal_loss(logits, torch.ones_like(logits), gamma=gamma, alpha=0.5)
        name = "cross-entropy (gamma 0)" if gamma == 0 else f"gamma {gamma:g}"
        lines.append(Line(name, right, loss.numpy().round(4)))
    x = Axis("probability given to the right answer", low=0, high=1)
    return standalone(lines, x, Axis("loss", low=0, high=5))


def scale_figure() -> str:
    """AP of small and of large objects against how large pictures are shown; empty so far."""
    path = RESULTS / "article-cpu.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"series": {}}
    lines, marks = [], []
    for name, size, said in (
        ("scale-small", "small", "small objects (nuclei)"),
        ("scale-large", "large", "large objects (vhr10)"),
    ):
        series = report["series"].get(name)
        if series is None:
            continue
        lines.append(_curve(report, series, size, said))
        marks.append(Mark(series["advised_scale"], f"advised: {said}"))
    x = Axis("pictures enlarged, times", scale="log2")
    return standalone(lines, x, Axis("AP", low=0), marks)


def memory_figure() -> str:
    """Memory of a long video's run against frames done; empty so far."""
    path = RESULTS / "video.json"
    lines = []
    if path.is_file():
        memory = json.loads(path.read_text(encoding="utf-8"))["memory"]
        frames, used = (np.array(memory[name], float) for name in ("frames", "megabytes"))
        lines.append(Line("foveate detect --track", frames, used))
    return standalone(lines, Axis("frames done", low=0), Axis("MB in memory", low=0))


def speed_figure(only: Sequence[str] = ()) -> str:
    """AP of small objects against seconds a picture, a panel a set of pictures.

    Args:
        only: Names of some sets; none gives all.
    """
    path = RESULTS / "speed.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"parts": {}}
    panels = []
    for name, part in report["parts"].items():
        if only and name not in only:
            continue
        points = [
            Point(row["system"], row["seconds"], row["AP_small"], tone=_tone(row["system"]))
            for row in part["rows"]
            if "failed" not in row and row.get("width") == part["rows"][0].get("width")
        ]
        x = Axis("seconds in all" if "pictures" not in part else "seconds a picture", low=0)
        chart = scatter_chart(points, x, Axis("AP of small objects"))
        panels.append((f"{part['about']}: model {part['model']}", chart))
    nothing = scatter_chart([], Axis("seconds a picture"), Axis("AP of small objects"))
    return stacked(panels or [("", nothing)])


def _tone(system: str) -> Tone:
    """Blue for foveate; the others keep one colour each."""
    tones: dict[str, Tone] = {"foveate": "b1", "SAHI": "b2", "supervision": "b4"}
    return tones[system.partition(",")[0]]


def _curve(report: dict[str, Any], series: dict[str, Any], size: str, said: str) -> Line:
    points = [(float(label[1:]), key) for label, key in series["showings"].items()]
    values = [
        float(np.mean([row[f"AP_{size}"] for row in report["showings"][key]])) for _, key in points
    ]
    return Line(said, np.array([x for x, _ in points]), np.array(values))


def standalone(lines: list[Line], x: Axis, y: Axis, marks: list[Mark] | None = None) -> str:
    """A line chart as an SVG file that needs no page around it."""
    found = SVG.search(line_chart(lines, x, y, marks=marks or []))
    assert found is not None
    height, label, content = found.groups()
    key, left = [], 12.0
    for tone, line in zip(TONES, lines, strict=False):
        key.append(f'<path class="line {tone}" d="M{left:g},12H{left + 20:g}"/>'
                   f'<text x="{left + 26:g}" y="16">{escape(line.name)}</text>')  # fmt: skip
        left += 44 + 6.4 * len(line.name)
    inside = f'{"".join(key)}\n<g transform="translate(0 {KEY_HEIGHT})">{content}</g>'
    return _file(float(height) + KEY_HEIGHT, label, inside)


def stacked(panels: list[tuple[str, str]]) -> str:
    """Charts below each other, each with a title, as an SVG file that needs no page around it."""
    y, labels, parts = 0.0, [], []
    for title, chart in panels:
        found = SVG.search(chart)
        assert found is not None
        height, label, content = found.groups()
        parts.append(f'<text class="strong" x="12" y="{y + 16:g}">{escape(title)}</text>')
        parts.append(f'<g transform="translate(0 {y + TITLE_HEIGHT:g})">{content}</g>')
        labels.append(f"{escape(title)}: {label}" if title else label)
        y += TITLE_HEIGHT + float(height)
    return _file(y, "; ".join(labels), "\n".join(parts))


def _file(height: float, label: str, content: str) -> str:
    """An SVG file as wide as a chart; the label says what it shows, escaped."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {WIDTH:g} {height:g}" '
        f'role="img" aria-label="{label}">\n<style>\n{_style()}\n</style>\n'
        f'<rect class="paper" width="100%" height="100%"/>\n{content}\n</svg>\n'
    )


def _style() -> str:
    """What of the page's style a chart needs."""
    css = files("foveate.reports").joinpath("page.css").read_text(encoding="utf-8")
    head = css[: css.index("* {")]
    lines = [line for line in css.splitlines() if line.startswith((".plot", ".b", "path"))]
    kept = [line for line in lines if not line.startswith(".bars text")]
    font = ".plot { font-family: system-ui, sans-serif; } .plot .paper { fill: var(--paper); }"
    return re.sub(r" /\*.*?\*/", "", "\n".join([head.strip(), *kept, font]))
