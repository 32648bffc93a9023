"""Tables of what `sky_motion.py` and `sky_bundled.py` measured, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from article_tables import Rows, difference, figure, verdict

WORDS = {
    "none": "none",
    "difference": "difference to 1 and 3 frames before",
    "difference-long": "difference to 5 and 15 frames before",
    "mog2": "mixture of Gaussians",
    "median": "difference to the running median",
    "grey-stack": "three grey frames",
}
"""Each mode."""


WORDED = {"AP": "AP", "AP50": "AP50", "AP_small": "AP small", "AR_small": "recall small"}
"""Figures of the bundled models."""
DEFAULT_START = "sky-ir-difference"
"""What other ways to begin are compared with."""


def fixed_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """What each mode finds in clips of fixed cameras, and by how much more than none."""
    head = ["clips", "motion", "AP", "below 16 px", "AP small", "AP medium", "difference of AP",
            "of AP small", "gains"]  # fmt: skip
    return head, [
        [*_names(name), *_row(report, judged, "AP_medium")]
        for name, judged in sorted(report["fixed"].items(), key=_place)
    ]


def moving_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """What the same models find where the camera moves, plainly and aligned."""
    head = ["clips", "motion", "frames", "AP", "below 16 px", "AP small", "difference of AP",
            "of AP small", "gains"]  # fmt: skip
    rows = []
    for name, judged in sorted(report["moving"].items(), key=_place):
        trained, aligned = name.split("-moving")
        how = "aligned" if aligned else "as they are"
        rows.append([*_names(trained), how, *_row(report, judged)])
    return head, rows


def starts_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """Ways in which the weights of the new channels begin, beside the default."""
    head = ["new channels begin", "AP", "below 16 px", "AP small", "difference of AP",
            "of AP small", "gains"]  # fmt: skip
    default = {"showing": DEFAULT_START, "minus_none": {}}
    rows = [["as half the mean of the others", *_row(report, default)]]
    for name, judged in report["starts"].items():
        one = {"showing": judged["showing"], "minus_none": judged["minus_default"]}
        rows.append([{"zero": "as zero"}.get(name.split("-")[-1], "at random"), *_row(report, one)])
    return head, rows


def bundled_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """`sky` and `sky-motion` on each file of clips."""
    head = ["clips", "frames", "figure", "sky", "sky-motion", "difference"]
    cameras = {"sky-visible-val": "fixed camera", "sky-visible-moving": "moving camera"}
    return head, [
        [cameras[name], str(told["pictures"]), WORDED[one["metric"]],
         *(f"{one[side]:.3f}" for side in "ab"),
         difference([[one["delta"][end] for end in ("value", "low", "high")]])]
        for name, told in report["clips"].items()
        for one in told["differences"] if one["metric"] in WORDED
    ]  # fmt: skip


def _names(trained: str) -> list[str]:
    """Set and mode of a training such as `sky-ir-difference-long`."""
    sky, which, mode = trained.split("-", 2)
    return [f"{sky}-{which}", WORDS[mode]]


def _place(entry: tuple[str, Any]) -> tuple[str, int, str]:
    """Sets apart, modes in the order of `WORDS`."""
    name = entry[0]
    sky, which, mode = name.split("-moving")[0].split("-", 2)
    return f"{sky}-{which}", list(WORDS).index(mode), name


def _row(report: Mapping[str, Any], judged: Mapping[str, Any], *more: str) -> list[str]:
    seeds = report["showings"][judged["showing"]]
    metrics = ("AP", "AP_tiny", "AP_small", *more)
    figures = [figure([{m: row[m][0]} for row in seeds], m) for m in metrics]
    apart = judged["minus_none"]
    if not apart:
        return [*figures, "-", "-", "-"]
    told = [difference(apart[metric]) for metric in ("AP", "AP_small")]
    return [*figures, *told, verdict(apart["AP_small"], gains=True)]
