"""Write the benchmark tables of the README and the docs from ``benchmarks/results/*.json``.

    python benchmarks/tables.py           # write them again
    python benchmarks/tables.py --check   # only say, with exit code 1, which file is stale

A table stands between ``<!-- table:NAME -->`` and ``<!-- /table -->``; nothing there is written
by hand. A table whose JSON is not there yet says so.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import article_tables
import headline_tables
import pitch_tables
import sky_tables
import speed_tables
from claims import SERIES
from markdown_tables import markdown

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (
    "README.md",
    "docs/article.md",
    "docs/benchmarks.md",
    "docs/foreign-models.md",
    "docs/inspect.md",
    "docs/rasters.md",
    "docs/speed.md",
    "docs/video.md",
)
NOT_MEASURED = "*Not measured yet.*"
PLACE = re.compile(r"(<!-- table:(?P<name>[\w-]+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def main() -> None:
    """Write, or with ``--check`` only compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    check = parser.parse_args().check
    stale = [page for page in map(ROOT.joinpath, PAGES) if page.exists() and is_stale(page)]
    if not check:
        for page in stale:
            page.write_text(fill(page.read_text(encoding="utf-8"), RESULTS), encoding="utf-8")
    for page in stale:
        print(f"{page.relative_to(ROOT)}: {'stale; run make docs' if check else 'written'}")
    sys.exit(bool(stale and check))


def is_stale(page: Path) -> bool:
    """Whether a page's tables are not what the results say."""
    text = page.read_text(encoding="utf-8")
    return fill(text, RESULTS) != text


def fill(text: str, results: Path) -> str:
    """The same page with every table made from the results folder.

    Raises:
        KeyError: If a page names a table that is not in `TABLES`.
    """
    return PLACE.sub(lambda place: place[1] + table(place["name"], results) + place[3], text)


def table(name: str, results: Path) -> str:
    """One table in Markdown, or the line that says there is no result yet."""
    make, source = TABLES[name]
    path = results / source
    if not path.exists():
        return f"{NOT_MEASURED}\n"
    report = json.loads(path.read_text(encoding="utf-8"))
    return make(report) + origin(report, source)


def origin(report: dict[str, Any], source: str) -> str:
    """One line under a table: which file it was made from, on what machine and when."""
    facts = report["provenance"]
    machine = f"{facts['cpu']}, {facts['cores']} cores"
    return f"\n<sub>`benchmarks/results/{source}`, {facts['date']}, {machine}.</sub>\n"


def accuracy_table(report: dict[str, Any]) -> str:
    """Average precision of every system and setting, small objects with their interval."""
    head = ["system", "setting", "AP", "AP50", "AP small", "95 % interval", "CPU s / picture"]
    classes = report["rows"][0].get("AP50_by_class", {})
    if len(classes) > 1:
        head += [f"AP50 {name}" for name in classes]
    return markdown(head, [accuracy_row(row) for row in report["rows"]])


def brief_accuracy_table(report: dict[str, Any]) -> str:
    """The same for what the README speaks of: plain, the default, and the peer at its best."""
    shown = [
        row
        for row in report["rows"]
        if row["setting"] in ("plain", "SAHI, NMS") or row["setting"].endswith("(default)")
    ]
    return accuracy_table(report | {"rows": shown})


def accuracy_row(row: dict[str, Any]) -> list[str]:
    """One row of `accuracy_table`; with several classes, each one's own AP50 at the end."""
    classes = row.get("AP50_by_class", {})
    return [
        row["system"],
        row["setting"],
        *(f"{row[key]:.3f}" for key in ("AP", "AP50", "AP_small")),
        interval(row["interval_AP_small"]),
        f"{row['seconds_per_image']:.3f}",
        *(f"{value:.3f}" for value in classes.values() if len(classes) > 1),
    ]


def differences_table(report: dict[str, Any]) -> str:
    """Intervals of what one run has over another, on the same resampled pictures."""
    keys = ("AP", "AP50", "AP_small")
    return markdown(
        ["difference", "AP", "AP50", "AP small"],
        [
            [name, *(interval(d[key], "+.3f") for key in keys)]
            for name, d in report["differences"].items()
        ],
    )


def outcomes_table(report: dict[str, Any]) -> str:
    """Found, missed and false at the model's own threshold, by object size."""
    outcomes = report["outcomes"]
    rows = [("all", outcomes), *outcomes["by_size"].items()]
    threshold = f"at score {outcomes['threshold']:g}"
    return markdown(
        [f"objects, {threshold}", "found", "missed", "false"],
        [[name, *(str(row[key]) for key in ("found", "missed", "false"))] for name, row in rows],
    )


def interval(ends: Sequence[float | None] | None, form: str = ".3f") -> str:
    """Both ends of an interval; nothing where it cannot be told."""
    if not ends or any(end is None or math.isnan(end) for end in ends):
        return ""
    return " to ".join(f"{end:{form}}" for end in ends)


def evaluation_table(report: dict[str, Any]) -> str:
    """Seconds and memory of evaluating."""
    return markdown(
        ["what", "system", "seconds", "memory of the process"],
        [
            [row["what"], row["system"], f"{row['seconds']:.2f}", f"{row['megabytes']:,} MB"]
            for row in report["rows"]
        ],
    )


def inspected_table(report: dict[str, Any]) -> str:
    """What is advised for each data set, and what is wrong with it."""
    head = [
        "data", "objects", "median side", "lost at 16, plain", "advised", "lost at 16, advised",
        "anchors' mean IoU", "wrong with the data", "seconds",
    ]  # fmt: skip
    lines = []
    for name, row in report["inspected"].items():
        plan, lost, anchors = row["plan"], row["lost_at_16"], row["anchors_mean_iou"]
        wrong = [f"{one['kind']} ({one['count']:,})" for one in row["findings"]]
        lines.append(
            [
                name,
                f"{row['objects']:,}",
                f"{row['median_side']:.3g} px",
                f"{lost['plain']:.0%}",
                f"{plan['size']} px, overlap {plan['overlap']:g}, x{plan['scale']:g}",
                f"{lost['advised']:.0%}",
                f"{anchors['default']:.2f} to {anchors['fitted']:.2f}",
                ", ".join(wrong) or "nothing",
                f"{row['seconds']:.1f}",
            ]
        )
    return markdown(head, lines)


def advice_table(report: dict[str, Any]) -> str:
    """Accuracy and time of pictures shown plain, by default and as advised."""
    head = ["data", "shown", "AP small", "95 % interval", "AP", "AP50", "CPU s / picture"]
    lines = []
    for name, result in report["datasets"].items():
        for row in result["rows"]:
            plan = row["tile_plan"]
            tiles = f"tiles of {plan['size']}, x{plan['scale']:g}"
            shown = f"whole, in {plan['size']}" if plan["plain"] else tiles
            interval = row["interval_AP_small"]
            lines.append(
                [
                    name,
                    f"{row['way']}: {shown}",
                    f"{row['AP_small']:.3f}",
                    f"{interval[0]:.3f} to {interval[1]:.3f}",
                    f"{row['AP']:.3f}",
                    f"{row['AP50']:.3f}",
                    f"{row['seconds_per_image']:.3f}",
                ]
            )
    return markdown(head, lines)


def advice_gains_table(report: dict[str, Any]) -> str:
    """What following the advice gains, in points, with intervals over the same pictures."""
    head = ["data", "advised against", "AP small", "AP", "AP50"]
    lines = []
    for name, result in report["datasets"].items():
        for against, gains in result["differences"].items():
            cells = [
                f"{100 * value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
                for value, low, high in (gains[metric] for metric in ("AP_small", "AP", "AP50"))
            ]
            lines.append([name, against.removeprefix("advised - "), *cells])
    return markdown(head, lines)


def figures_table(report: dict[str, Any]) -> str:
    """How far COCO's twelve figures are from the peers'."""
    return markdown(
        ["beside", "its AP", "largest difference of twelve figures"],
        [[row["system"], f"{row['AP']:.4f}", f"{row['largest']:.2g}"] for row in report["figures"]],
    )


def foreign_table(report: dict[str, Any]) -> str:
    """How far foveate's boxes are from the vendor's own, for each exported model."""
    return markdown(
        ["model", "layout", "boxes", "without a partner", "largest px", "largest score"],
        [
            [
                row["model"],
                f"`{row['layout']}`",
                str(row["vendor_boxes"]),
                str(row["unpaired"]),
                f"{row['largest_pixels']:.4f}",
                f"{row['largest_score']:.5f}",
            ]
            for row in report["rows"]
        ],
    )


def adapters_table(report: dict[str, Any]) -> str:
    """How far an adapter's boxes are from the library's own, and how many that gives by default."""
    head = ["model", "adapter", "boxes", "by the library's limits", "without a partner"]
    return markdown(
        [*head, "largest px", "largest score"],
        [
            [
                row["model"],
                f"`{row['adapter']}`",
                str(row["foveate_boxes"]),
                str(row["default_boxes"]),
                str(row["unpaired"]),
                f"{row['largest_pixels']:.4f}",
                f"{row['largest_score']:.5f}",
            ]
            for row in report["rows"]
        ],
    )


def round_trips_table(report: dict[str, Any]) -> str:
    """What a turn to another library and back changes."""
    return markdown(
        ["library", "boxes", "largest px", "largest score", "labels changed"],
        [
            [
                row["library"],
                str(row["boxes"]),
                f"{row['largest_pixels']:.4f}",
                f"{row['largest_score']:.5f}",
                str(row["labels_changed"]),
            ]
            for row in report["round_trips"]
        ],
    )


def article(
    make: Callable[..., tuple[list[str], article_tables.Rows]], *names: str
) -> tuple[Callable[[dict[str, Any]], str], str]:
    """A row of `TABLES` from a function of `article_tables`, for one claim or series if named."""

    def table(report: dict[str, Any]) -> str:
        judged = report["claims"].keys() | report["series"].keys()
        return markdown(*make(report, *names)) if judged.issuperset(names) else NOT_MEASURED + "\n"

    return table, "article-cpu.json"


def clips(
    make: Callable[[dict[str, Any]], tuple[list[str], article_tables.Rows]],
    part: str,
    source: str = "pitch-cpu.json",
) -> tuple[Callable[[dict[str, Any]], str], str]:
    """A row of `TABLES` on clips, once its part of the results is measured."""

    def table(report: dict[str, Any]) -> str:
        return markdown(*make(report)) if report[part] else NOT_MEASURED + "\n"

    return table, source


def headline(
    make: Callable[[dict[str, Any]], tuple[list[str], article_tables.Rows]],
) -> tuple[Callable[[dict[str, Any]], str], str]:
    """A row of `TABLES` on speed, once there is something to show."""

    def table(report: dict[str, Any]) -> str:
        head, rows = make(report)
        return markdown(head, rows) if rows else NOT_MEASURED + "\n"

    return table, "speed.json"


TABLES: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "nuclei": (accuracy_table, "nuclei.json"),
    "nuclei-brief": (brief_accuracy_table, "nuclei.json"),
    "nuclei-differences": (differences_table, "nuclei.json"),
    "nuclei-outcomes": (outcomes_table, "nuclei.json"),
    "aerial": (accuracy_table, "aerial.json"),
    "aerial-differences": (differences_table, "aerial.json"),
    "aerial-outcomes": (outcomes_table, "aerial.json"),
    "sky": (accuracy_table, "sky.json"),
    "sky-differences": (differences_table, "sky.json"),
    "sky-outcomes": (outcomes_table, "sky.json"),
    "pitch": (accuracy_table, "pitch.json"),
    "pitch-outcomes": (outcomes_table, "pitch.json"),
    "match-modes": clips(pitch_tables.modes_table, "detectors"),
    "match-gate": clips(pitch_tables.gate_table, "detectors"),
    "match-motion": clips(pitch_tables.motion_table, "motion"),
    "sky-motion": clips(sky_tables.fixed_table, "fixed", "sky-motion-cpu.json"),
    "sky-starts": clips(sky_tables.starts_table, "starts", "sky-motion-cpu.json"),
    "sky-moving": clips(sky_tables.moving_table, "moving", "sky-motion-cpu.json"),
    "sky-bundled": clips(sky_tables.bundled_table, "clips", "sky-bundled.json"),
    "speed": headline(headline_tables.speed_table),
    "speed-brief": headline(headline_tables.brief_speed_table),
    "speed-glances": headline(headline_tables.glance_table),
    "speed-stages": headline(headline_tables.stages_table),
    "speed-ways": headline(headline_tables.ways_table),
    "speed-raster": headline(headline_tables.raster_speed_table),
    "merge": (speed_tables.merge_table, "merge.json"),
    "merge-brief": (speed_tables.brief_merge_table, "merge.json"),
    "merge-cases": (speed_tables.cases_table, "merge.json"),
    "inspected": (inspected_table, "advice.json"),
    "advice": (advice_table, "advice.json"),
    "advice-gains": (advice_gains_table, "advice.json"),
    "evaluation": (evaluation_table, "evaluation.json"),
    "evaluation-figures": (figures_table, "evaluation.json"),
    "foreign": (foreign_table, "foreign.json"),
    "adapters": (adapters_table, "adapters.json"),
    "round-trips": (round_trips_table, "adapters.json"),
    "pipeline": (speed_tables.pipeline_table, "pipeline.json"),
    "pipeline-brief": (speed_tables.brief_pipeline_table, "pipeline.json"),
    "same": (speed_tables.same_table, "pipeline.json"),
    "raster": (speed_tables.raster_table, "pipeline.json"),
    "start": (speed_tables.start_table, "start.json"),
    "cluster": (speed_tables.cluster_table, "cluster.json"),
    "gigapixel": (speed_tables.gigapixel_table, "gigapixel.json"),
    "front": (speed_tables.front_table, "gigapixel.json"),
    "training": (speed_tables.training_table, "training.json"),
    "video": (speed_tables.video_table, "video.json"),
    "precision": (speed_tables.precision_table, "precision.json"),
    "precision-types": (speed_tables.types_table, "precision.json"),
    "openvino": (speed_tables.openvino_table, "precision.json"),
    "inference": (speed_tables.inference_table, "inference.json"),
    "article-claims": article(article_tables.claims_table),
    "article-classes": article(article_tables.classes_table, "focal-classes"),
    **{f"article-{name}": article(article_tables.series_table, name) for name in SERIES},
    **{
        f"article-{name}": article(article_tables.refiner_table, name)
        for name in SERIES
        if name.startswith("mtgan-")
    },
    "article-remote-classes": article(article_tables.series_classes_table, "remote-vhr10"),
    "article-turns-classes": article(article_tables.series_classes_table, "turns"),
    "article-agreement": article(article_tables.agreement_table),
}

if __name__ == "__main__":
    main()
