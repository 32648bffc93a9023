"""Tables, made once as text and shown three ways: terminal, Markdown, HTML page."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from foveate.evaluation import METRICS, Interval
from foveate.inference.model_info import ModelInfo
from foveate.inference.profile import Profile
from foveate.reports.results import PictureResult, Run, looked_share
from foveate.tiling import shown_pixels

NONE = "\N{EN DASH}"
"""Stands for a value that is not defined."""

_UNSHOWABLE = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufffe\\uffff]")
"""What names of files and classes may hold and neither terminal nor page should be given."""

_LONGEST_NUMBER = 32
"""Characters, interval included; a sentence may begin with a digit."""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of text.

    Attributes:
        title: May be empty.
        columns: Headings.
        rows: One cell a column.
        note: A line below the table; may be empty.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def is_numeric(self, column: int) -> bool:
        """Whether a column holds numbers, so that it is set flush right."""
        cells = [row[column] for row in self.rows if not row[column].startswith(NONE)]
        return bool(cells) and all(
            (cell[:1].isdigit() or cell[:1] in "+-") and len(cell) <= _LONGEST_NUMBER
            for cell in cells
        )


def showable(text: str) -> str:
    """The text with a replacement character for each control character and half character."""
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def to_rich(table: Table) -> RichTable:
    """For a terminal; cells are shown as they are, never read as markup."""
    shown = RichTable(
        title=Text(showable(table.title)) if table.title else None,
        title_justify="left",
        caption=Text(table.note) if table.note else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for index, name in enumerate(table.columns):
        justify = "right" if table.is_numeric(index) else "left"
        shown.add_column(Text(showable(name)), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in table.rows:
        shown.add_row(*(Text(showable(cell)) for cell in row))
    return shown


def to_markdown(table: Table) -> str:
    """For the docs: a heading line, the table and its note, without a trailing newline."""
    rule = ["---:" if table.is_numeric(i) else "---" for i in range(len(table.columns))]
    rows = [table.columns, tuple(rule), *table.rows]
    lines = ["| " + " | ".join(map(_markdown_cell, row)) + " |" for row in rows]
    above = [f"**{_markdown_cell(table.title)}**", ""] if table.title else []
    below = ["", table.note] if table.note else []
    return "\n".join([*above, *lines, *below])


def scores_table(
    runs: Sequence[Run], title: str = "", differences: Mapping[str, Interval] | None = None
) -> Table:
    """Runs side by side: outcomes, AP, AR and time, one column a run.

    Sizes without objects are left out. An interval, where there is one, stands in brackets.

    Args:
        runs: At least one, all on the same data set.
        title: Of the table.
        differences: From `paired_bootstrap`, second run less first; adds a column.
    """
    scores = runs[0].scores
    rows = [row for name in ("found", "missed", "false") for row in _outcome_row(runs, name)]
    metrics = [(name, name) for name in METRICS]
    for label, objects in scores.objects_by_size.items():
        shown = f"{label} ({objects})"
        metrics += [(f"{m}_{label}", f"{m} {shown}") for m in ("AP", "AR") if objects]
    rows += [(shown, *(_figure(run, name) for run in runs)) for name, shown in metrics]
    if any(run.seconds is not None for run in runs):
        times = (NONE if run.seconds is None else f"{run.seconds:.3f}" for run in runs)
        rows.append(("seconds a picture", *times))
    columns = ("", *(run.name for run in runs))
    if differences:
        names = {shown: name for name, shown in metrics}
        rows = [(*row, _difference(differences.get(names.get(row[0], "")))) for row in rows]
        columns = (*columns, "difference")
    return Table(title, columns, tuple(rows), _scores_note(runs, differences or {}))


def class_table(run: Run, title: str = "") -> Table:
    """AP and AR of every class of one run, with the number of its objects."""
    rows = tuple(
        (name, str(run.scores.objects_by_class[name]), *map(figure, metrics.values()))
        for name, metrics in run.scores.by_class.items()
    )
    return Table(title, ("class", "objects", "AP", "AP50", "AP75", "AR"), rows)


def models_table(models: Sequence[ModelInfo], file_bytes: Mapping[str, int] | None = None) -> Table:
    """What each model finds, its input, size, licence and measured AP.

    Args:
        models: As their files say.
        file_bytes: Size of the file of each, by name; without it the column is left out.
    """
    columns = ["model", "finds", "tile", "licence", "measured"]
    rows = [[m.name, _finds(m), _input(m), _licences(m), _measured(m)] for m in models]
    if file_bytes is not None:
        columns.insert(3, "file")
        for model, row in zip(models, rows, strict=True):
            row.insert(3, f"{file_bytes[model.name] / 1e6:.1f} MB")
    return Table("", tuple(columns), tuple(map(tuple, rows)))


def skipped_tiles(picture: PictureResult) -> str:
    """What of a picture was not looked at and why, and what that may cost; a clause."""
    empty = picture.skipped_tiles - picture.uniform_tiles - picture.unselected_tiles
    reasons = [
        f"{count} {why}"
        for count, why in (
            (empty, "without anything in it"),
            (picture.uniform_tiles, "all alike"),
            (picture.unselected_tiles, "not selected"),
        )
        if count
    ]
    text = f"{counted(picture.skipped_tiles, 'tile')} not looked at ({', '.join(reasons)})"
    if picture.expected_miss is None:
        return text
    share = f"{looked_share(picture):.0%} of all tiles' pixels looked at"
    return f"{share}, {_miss(picture.expected_miss)}"


class Looks:
    """Counts at how much of many pictures a glance let be looked at."""

    def __init__(self) -> None:
        self._looked = self._planned = 0
        self._miss = 0.0

    def add(self, picture: PictureResult) -> None:
        """Count a picture."""
        self._looked += shown_pixels(picture.tiles)
        self._planned += picture.planned_pixels
        self._miss = max(self._miss, picture.expected_miss or 0.0)

    def __str__(self) -> str:
        """In words, with what that may cost."""
        share = self._looked / self._planned if self._planned else 1.0
        return f"looked at {share:.0%} of all tiles' pixels, {_miss(self._miss)}"


def _miss(miss: float) -> str:
    return f"for which by calibration at most {100 * miss:.3g} % of the objects are missed"


def picture_row(picture: PictureResult) -> tuple[str, ...]:
    """A picture's row of `pictures_table`: name, size, tiles, objects, time."""
    selected = picture.expected_miss is not None
    share = f" ({looked_share(picture):.0%})" if selected else ""
    return (
        picture.name,
        f"{picture.width} x {picture.height}",
        f"{len(picture.tiles)}{share}",
        str(len(picture.detections)),
        f"{picture.seconds:.2f}",
    )


def pictures_table(
    rows: Sequence[tuple[str, ...]], capped_tiles: int = 0, most: int = 200
) -> Table:
    """What was found in many pictures.

    Args:
        rows: From `picture_row`; at most `most` are shown, and the note says so.
        capped_tiles: Tiles, of all pictures, that gave as many boxes as the model can give one.
        most: Rows shown.
    """
    notes = [f"The first {most} of {len(rows)} pictures."] if len(rows) > most else []
    if capped_tiles:
        notes.append(
            f"{counted(capped_tiles, 'tile')} gave as many objects as the model can give one: "
            "some may be missing. Use smaller tiles."
        )
    columns = ("picture", "pixels", "tiles", "objects", "seconds")
    return Table("", columns, tuple(rows[:most]), " ".join(notes))


_RARE = ("glance", "refine")
"""Stages that are told of only where they were."""


def profile_lines(profile: Profile) -> str:
    """Where the time of a run went, a line a stage."""
    rows = [
        f"  {name:<8} {seconds:8.2f} s {100 * seconds / profile.wall:5.0f} %"
        + (_each(seconds, profile.refined) if name == "refine" else "")
        for name, seconds in profile.busy.items()
        if seconds or name not in _RARE
    ]
    idle = profile.wall - profile.busy["network"]
    return "\n".join(
        [
            f"{profile.wall:.2f} s in all, the stages at the same time:",
            *rows,
            f"for {idle:.2f} s the network had nothing to do",
            *([f"the network ran on {profile.runs_on}"] if profile.runs_on else []),
        ]
    )


def _each(seconds: float, boxes: int) -> str:
    return f"  {counted(boxes, 'box', 'boxes')}, {1000 * seconds / boxes:.2f} ms each"


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number and its noun, in the plural unless it is one."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"


def figure(value: float) -> str:
    """Three decimals, or a dash for what is not defined."""
    return NONE if math.isnan(value) else f"{value:.3f}"


def _figure(run: Run, name: str) -> str:
    value = run.scores.flat().get(name, math.nan)
    interval = run.intervals.get(name)
    if interval is None or math.isnan(interval.low):
        return figure(value)
    return f"{figure(value)} ({interval.low:.3f} to {interval.high:.3f})"


def _difference(interval: Interval | None) -> str:
    if interval is None or math.isnan(interval.value):
        return NONE
    ends = "" if math.isnan(interval.low) else f" ({interval.low:+.3f} to {interval.high:+.3f})"
    return f"{interval.value:+.3f}{ends}"


def _outcome_row(runs: Sequence[Run], name: str) -> list[tuple[str, ...]]:
    if all(run.outcomes is None for run in runs):
        return []
    cells = (str(getattr(run.outcomes, name)) if run.outcomes else NONE for run in runs)
    return [(name, *cells)]


def _scores_note(runs: Sequence[Run], differences: Mapping[str, Interval]) -> str:
    scores = runs[0].scores
    notes = [f"{counted(scores.objects, 'object')} in {counted(scores.images, 'picture')}."]
    intervals = [interval for run in runs for interval in run.intervals.values()]
    levels = {f"{interval.level:.0%}" for interval in (*intervals, *differences.values())}
    if levels:
        notes.append(f"In brackets: {', '.join(levels)} interval over resampled pictures.")
    for run in runs:
        if run.scores.capped_images:
            notes.append(
                f"{run.name}: only the best {run.scores.max_detections} detections of a class "
                f"counted, in {counted(run.scores.capped_images, 'picture')}."
            )
    return " ".join(notes)


def _finds(model: ModelInfo) -> str:
    return model.description or ", ".join(model.class_names)


def _input(model: ModelInfo) -> str:
    scale = f" at x{model.tile_plan.scale:g}" if model.tile_plan.scale != 1 else ""
    channels = "" if model.channels == 3 else f", {model.channels} channels"
    return f"{model.tile_plan.size} px{scale}{channels}"


def _licences(model: ModelInfo) -> str:
    return f"{model.licence}; data {model.data_licence}" if model.data_licence else model.licence


def _measured(model: ModelInfo) -> str:
    """Its last measurement, the one to be named first."""
    if not model.measured:
        return NONE
    shown = model.measured[-1]
    names = [name for name in ("AP", "AP50", "AP_small") if name in shown.metrics]
    return ", ".join(f"{name} {shown.metrics[name]:.3f}" for name in names) + f" on {shown.dataset}"


def _markdown_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
