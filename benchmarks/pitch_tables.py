"""Tables of what `benchmarks/pitch.py` measured, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from article_tables import Rows, difference, figure

WORDS = {
    "plain": "plain: the whole picture in one tile",
    "2x2": "2 x 2 tiles",
    "3x2": "3 x 2 tiles",
    "4x3": "4 x 3 tiles",
    "4x3-full": "4 x 3 tiles and the whole picture",
    "4x3-gated": "4 x 3 tiles, gated by motion",
}
"""Each mode of showing."""


def modes_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """What each detector finds in each mode, and how fast."""
    head = ["detector", "shown", "AP player", "far", "near", "AP50 ball", "95 % interval",
            "tiles looked at", "frames a second"]  # fmt: skip
    rows = []
    for detector, judged in report["detectors"].items():
        for mode, showing in judged["showings"].items():
            seeds = report["showings"][showing]
            figures = [_mean(seeds, f"AP{size}@player") for size in ("", "_far", "_near")]
            rows.append([detector, WORDS[mode], *figures, *_ball(seeds), *_speed(seeds)])
    return head, rows


def motion_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """What each mode of motion finds, and by how much more than none."""
    head = ["motion", "AP50 ball", "95 % interval", "more than without", "times that",
            "AP ball within 10 px", "more than without", "AP player",
            "more than without"]  # fmt: skip
    rows = []
    for mode, judged in report["motion"].items():
        seeds = report["showings"][judged["showing"]]
        apart = judged["minus_none"]
        told = [difference(apart[m]) if apart else "-" for m in ("AP50@ball", "AP@player")]
        none = _value(report["showings"][judged["control"]], "AP50@ball")
        own = _value(seeds, "AP50@ball")
        times = f"{own / none:.1f}" if apart and own is not None and none else "-"
        player = _mean(seeds, "AP@player")
        rows.append([_mode(mode), *_ball(seeds), told[0], times, *_near(judged), player, told[1]])
    return head, rows


def _mode(name: str) -> str:
    mode, fine, _ = name.partition("-fine")
    return f"{mode}, enlarged 1.5 times" if fine else mode


def _near(judged: Mapping[str, Any]) -> list[str]:
    """AP of the ball by its place, and how much more than without motion."""
    seeds = judged["near_ball"]
    apart = [
        [one["value"], one["low"], one["high"]] for seed in seeds if (one := seed["minus_none"])
    ]
    mean = fmean(seed["AP"]["value"] for seed in seeds)
    return [f"{mean:.3f}", difference(apart) if apart else "-"]


def gate_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """What the gate costs and saves, beside all tiles."""
    head = ["detector", "AP player, less", "AP50 ball, less", "pixels looked at", "times as fast"]
    rows = []
    for detector, judged in report["detectors"].items():
        seeds = [report["showings"][judged["showings"][mode]] for mode in ("4x3", "4x3-gated")]
        slow, quick = (fmean(row["wall_seconds_per_image"] for row in side) for side in seeds)
        whole, part = (fmean(row["network_pixels_per_image"] for row in side) for side in seeds)
        lost = [difference(judged["gated_minus_all"][m]) for m in ("AP@player", "AP50@ball")]
        rows.append([detector, *lost, f"{part / whole:.0%}", f"{slow / quick:.1f}"])
    return head, rows


def _ball(seeds: Sequence[Mapping[str, Any]]) -> list[str]:
    lows = [row["AP50@ball"][1] for row in seeds if row["AP50@ball"][1] is not None]
    highs = [row["AP50@ball"][2] for row in seeds if row["AP50@ball"][2] is not None]
    hull = f"{min(lows):.3f} to {max(highs):.3f}" if lows and highs else "-"
    return [_mean(seeds, "AP50@ball"), hull]


def _speed(seeds: Sequence[Mapping[str, Any]]) -> list[str]:
    tiles = fmean(row["tiles_per_image"] for row in seeds)
    seconds = fmean(row["wall_seconds_per_image"] for row in seeds)
    return [f"{tiles:.1f}", f"{1 / seconds:.2f}"]


def _value(seeds: Sequence[Mapping[str, Any]], metric: str) -> float | None:
    """Mean over the seeds; None where nothing is defined."""
    known = [row[metric][0] for row in seeds if row[metric][0] is not None]
    return fmean(known) if known else None


def _mean(seeds: Sequence[Mapping[str, Any]], metric: str) -> str:
    return figure([{metric: row[metric][0]} for row in seeds], metric)
