from __future__ import annotations

import dataclasses
import io
import math

import pytest
from reports_data import result
from rich.console import Console

from foveate.evaluation import SIZE_BINS, Interval, Outcomes, Scores
from foveate.inference.model_info import Measured, ModelInfo
from foveate.reports import (
    Run,
    Table,
    class_table,
    models_table,
    picture_row,
    pictures_table,
    scores_table,
    to_markdown,
    to_rich,
)
from foveate.tiling import TilePlan


def metrics(value: float) -> dict[str, float]:
    return {"AP": value, "AP50": value + 0.1, "AP75": value - 0.1, "AR": value + 0.2}


def scores(value: float, capped: int = 0) -> Scores:
    return Scores(
        overall=metrics(value),
        by_size={"small": metrics(value / 2), "medium": metrics(math.nan), "large": metrics(0.9)},
        by_class={"ball": metrics(value), "player": metrics(math.nan)},
        bins=SIZE_BINS["coco"],
        objects_by_size={"small": 40, "medium": 0, "large": 2},
        objects_by_class={"ball": 42, "player": 0},
        images=3,
        objects=42,
        ignored=1,
        detections=50,
        max_detections=500,
        capped_images=capped,
    )


UNKNOWN = Interval(math.nan, math.nan, math.nan, 0.95, 0)
PLAIN = Run("plain", scores(0.3), Outcomes(10, 32, 1, {}), {}, 0.05)
TILED = Run(
    "tiled", scores(0.5), Outcomes(40, 2, 3, {}), {"AP": Interval(0.5, 0.45, 0.56, 0.95, 200)}
)


def rows(table: Table) -> dict[str, tuple[str, ...]]:
    return {row[0]: row[1:] for row in table.rows}


def shown(table: Table, width: int = 120) -> str:
    output = io.StringIO()
    Console(file=output, width=width, color_system=None).print(to_rich(table))
    return output.getvalue()


def test_runs_stand_side_by_side() -> None:
    table = scores_table([PLAIN, TILED])
    assert table.columns == ("", "plain", "tiled")
    cells = rows(table)
    assert cells["found"] == ("10", "40")
    assert cells["missed"] == ("32", "2")
    assert cells["AP"] == ("0.300", "0.500 (0.450 to 0.560)")
    assert cells["AP small (40)"] == ("0.150", "0.250")
    assert cells["seconds a picture"] == ("0.050", "\N{EN DASH}")
    assert not any("medium" in name for name in cells)  # no objects, no row
    assert "42 objects in 3 pictures." in table.note
    assert "95% interval" in table.note


def test_undefined_is_a_dash_never_minus_one() -> None:
    table = class_table(PLAIN)
    assert rows(table)["player"] == ("0", *["\N{EN DASH}"] * 4)
    assert rows(table)["ball"] == ("42", "0.300", "0.400", "0.200", "0.500")
    assert "-1" not in to_markdown(table)
    assert "nan" not in shown(table)


def test_differences_have_a_column() -> None:
    difference = {
        "AP": Interval(0.2, 0.15, 0.27, 0.95, 200),
        "AP_small": UNKNOWN,
    }
    table = scores_table([PLAIN, TILED], differences=difference)
    assert rows(table)["AP"][2] == "+0.200 (+0.150 to +0.270)"
    assert rows(table)["AP small (40)"][2] == "\N{EN DASH}"
    assert rows(table)["found"][2] == "\N{EN DASH}"
    assert table.columns[-1] == "difference"


def test_a_cap_is_told() -> None:
    capped = dataclasses.replace(TILED, scores=scores(0.5, capped=2))
    note = scores_table([PLAIN, capped]).note
    assert "tiled: only the best 500 detections of a class counted, in 2 pictures." in note


def test_runs_without_counts_or_times() -> None:
    cells = rows(scores_table([Run("one", scores(0.3))]))
    assert "found" not in cells
    assert "seconds a picture" not in cells


def test_markdown_is_a_table() -> None:
    table = Table("Title", ("name", "value"), (("a|b", "1"), ("c\nd", "2.5")), "Note.")
    assert to_markdown(table).splitlines() == [
        "**Title**", "", "| name | value |", "| --- | ---: |", "| a\\|b | 1 |", "| c d | 2.5 |",
        "", "Note.",
    ]  # fmt: skip


def test_terminal_shows_names_as_they_are() -> None:
    text = shown(Table("[b]t[/b]", ("[red]x", "n"), (("[green]a[/green].png", "7"),), "[i]note"))
    for part in ("[b]t[/b]", "[red]x", "[green]a[/green].png", "[i]note"):
        assert part in text


def test_terminal_table_fits_a_narrow_window() -> None:
    text = shown(scores_table([PLAIN, TILED]), width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert "0.300" in text


def model(name: str, **changes: object) -> ModelInfo:
    base = ModelInfo(
        name=name,
        method="center-point",
        class_names=("nucleus", "other"),
        strides=(4,),
        max_detections=500,
        mean=(0.5,),
        std=(0.2,),
        tile_plan=TilePlan(size=384, scale=1.5),
    )
    return base.model_copy(update=changes)


def test_models_say_what_they_find_and_how_well() -> None:
    measured = (
        Measured(dataset="nuclei val", setting="plain", metrics={"AP": 0.5, "AP50": 0.8}),
        Measured(dataset="nuclei val", setting="tiled", metrics={"AP": 0.534, "AP_small": 0.494}),
    )
    first = model("a", measured=measured, data_licence="CC0-1.0", description="Cell nuclei")
    table = models_table([first, model("b", channels=5, tile_plan=TilePlan())])
    assert rows(table)["a"] == (
        "Cell nuclei",
        "384 px at x1.5",
        "Apache-2.0; data CC0-1.0",
        "AP 0.534, AP_small 0.494 on nuclei val",
    )
    assert rows(table)["b"] == (
        "nucleus, other", "640 px, 5 channels", "Apache-2.0", "\N{EN DASH}",
    )  # fmt: skip
    with_size = models_table([first], {"a": 3_600_000})
    assert with_size.columns.index("file") == 3
    assert with_size.rows[0][3] == "3.6 MB"


def test_pictures_table_is_cut_and_says_so() -> None:
    table = pictures_table([picture_row(result(f"{i}.png")) for i in range(9)], 3, most=5)
    assert len(table.rows) == 5
    assert table.rows[0] == ("0.png", "320 x 240", "1", "30", "0.50")
    assert table.note.startswith("The first 5 of 9 pictures. 3 tiles gave as many objects")
    assert pictures_table([]).note == ""


@pytest.mark.parametrize(
    ("cells", "numeric"),
    [
        (("1", "+2", "-3.5", "\N{EN DASH}"), True),
        (("1", "x"), False),
        (("\N{EN DASH}",), False),
        ((), False),
    ],
)
def test_numbers_are_set_flush_right(cells: tuple[str, ...], numeric: bool) -> None:
    assert Table("", ("c",), tuple((cell,) for cell in cells)).is_numeric(0) is numeric
