"""Tables of what `benchmarks/speed.py` measured, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from article_tables import Rows

ALL, SELECTIVE, PEER = "foveate, all tiles", "foveate, selective", "SAHI"
BRIEF = (PEER, "supervision", ALL, SELECTIVE, "foveate, int8, selective")
PAIRS = {SELECTIVE: ALL, "foveate, int8, selective": "foveate, int8, all tiles"}
RASTER = "raster"
WORDS = {
    "aerial": "aerial",
    "sky": "sky, sparse",
    "pitch": "pitch",
    "dense": "nuclei, dense",
    RASTER: "raster",
}
"""Each part."""


def speed_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """AP, time and memory of every system on every set of pictures."""
    head = ["pictures", "system", "AP", "AP small", "less all tiles, points", "95 % interval",
            "recall small", "tiles / picture", "s / picture", f"times as fast as {PEER}",
            "memory"]  # fmt: skip
    rows = []
    for name, part in _parts(report):
        peer = _row(part, PEER)
        for row in part["rows"]:
            apart = part["differences"].get(row["system"], {}).get("AP_small")
            rows.append(
                [
                    WORDS[name], row["system"], f"{row['AP']:.3f}", f"{row['AP_small']:.3f}",
                    *_points(apart), f"{row['AR_small']:.3f}", f"{row['tiles_per_picture']:.1f}",
                    f"{row['seconds']:.3f}", _times(peer, row), f"{row['megabytes']:,.0f} MB",
                ]
            )  # fmt: skip
    return head, rows


def brief_speed_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """For the README: how many times as fast as the first peer, and AP of small objects."""
    rows = []
    for name, part in _parts(report):
        peer = _row(part, PEER)
        told = [_row(part, system) for system in BRIEF]
        rows.append(
            [
                WORDS[name],
                *(f"{_times(peer, row)} ({row['AP_small']:.3f})" if row else "-" for row in told),
            ]
        )
    return ["pictures", *BRIEF], rows


def glance_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """What was asked of each glance, what fitting it took, and what it saved and cost."""
    head = ["pictures", "system", "asked", "kept of those held out", "held out to calibrate",
            "fitted in", "pixels looked at", "time of all tiles"]  # fmt: skip
    rows = []
    for name, part in report["parts"].items():
        glance = part["glance"]
        held = f"{glance['held_out']} {glance['by']}s"
        told = [glance["select"], f"{glance['kept']:.1%}", held, f"{glance['fit_seconds']:.0f} s"]
        for selective, all_tiles in PAIRS.items():
            own, whole = _row(part, selective), _row(part, all_tiles)
            if own and whole:
                looked = "-"
                if own.get("network_pixels"):
                    looked = f"{own['network_pixels'] / whole['network_pixels']:.1%}"
                time = f"{own['seconds'] / whole['seconds']:.2f}"
                rows.append([WORDS[name], selective, *told, looked, time])
    return head, rows


def stages_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """Where foveate's time went, milliseconds a picture; stages run side by side."""
    stages = ("decode", "glance", "tiles", "network", "boxes", "merge")
    rows = []
    for name, part in _parts(report):
        for row in part["rows"]:
            if row["stages"]:
                spent = [f"{1000 * row['stages'].get(stage, 0):.1f}" for stage in stages]
                wall = f"{1000 * row['seconds']:.1f}"
                rows.append([WORDS[name], row["system"], *spent, wall])
    return ["pictures", "system", *stages, "in all"], rows


def ways_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """How each peer drove ONNX Runtime: the fastest of the ways that were tried."""
    rows = [
        [WORDS[name], row["system"], row["way"]]
        for name, part in report["parts"].items()
        for row in part["rows"]
        if row.get("way")
    ]
    return ["pictures", "system", "ONNX Runtime"], rows


def raster_speed_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """One raster by every system: time, tiles, memory, and AP where it came to an end."""
    head = ["raster", "system", "AP small", "recall small", "tiles", "seconds", "memory"]
    rows = []
    for row in report["parts"].get(RASTER, {"rows": []})["rows"]:
        size = f"{row['width']:,} x {row['height']:,}"
        told = (
            [row["failed"], *["-"] * 4]
            if "failed" in row
            else [
                f"{row['AP_small']:.3f}", f"{row['AR_small']:.3f}", f"{row['tiles']:,}",
                f"{row['seconds']:.1f}", f"{row['megabytes']:,.0f} MB",
            ]
        )  # fmt: skip
        rows.append([size, row["system"], *told])
    return head, rows


def _parts(report: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Those of many pictures."""
    return ((name, part) for name, part in report["parts"].items() if name != RASTER)


def _row(part: Mapping[str, Any], system: str) -> Mapping[str, Any] | None:
    """The last of a system: of rasters the largest."""
    found = [row for row in part["rows"] if row["system"] == system and "failed" not in row]
    return found[-1] if found else None


def _points(apart: list[float | None] | None) -> list[str]:
    if apart is None or apart[0] is None:
        return ["-", "-"]
    value, *ends = (math.nan if one is None else 100 * one for one in apart)
    known = all(map(math.isfinite, ends))
    return [f"{value:+.2f}", " to ".join(f"{end:+.2f}" for end in ends) if known else "-"]


def _times(peer: Mapping[str, Any] | None, row: Mapping[str, Any]) -> str:
    return "-" if peer is None else f"{peer['seconds'] / row['seconds']:.2f}"
