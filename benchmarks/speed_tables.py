"""Tables of time, memory and size, in Markdown: of start, merge, pipeline, training, inference."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from typing import Any

from markdown_tables import markdown

LIKE = {"yolo11n": "ssd", "yolo11s": "retinanet"}
"""A peer's model to our method of about as many products."""


def start_table(report: dict[str, Any]) -> str:
    """Seconds to start and to detect, and the installed size."""
    names = {
        "start": "start and stop, doing nothing",
        "import": "`import foveate`",
        "help": "`foveate --help`",
        "detect": "detect in one 1080p picture, cold",
    }
    rows = [
        [row["system"], names[row["what"]], f"{row['seconds']:.2f} s"] for row in report["rows"]
    ]
    rows += [
        [row["system"], "installed, all it requires", f"{row['bytes'] / 1e6:,.0f} MB"]
        for row in report["install"]
    ]
    return markdown(["system", "what", "median"], rows)


def cluster_table(report: dict[str, Any]) -> str:
    """Pictures a second by workers of Ray, over those of one."""
    one = report["rows"][0]["pictures_per_second"]
    same = "the same" if report["same_boxes"] else "others"
    return markdown(
        ["workers", "pictures a second", "over one worker", "until all work", "boxes"],
        [
            [
                str(row["workers"]),
                f"{row['pictures_per_second']:.2f}",
                f"{row['pictures_per_second'] / one:.2f}",
                f"{row['start_seconds']:.1f} s",
                f"{same} as alone",
            ]
            for row in report["rows"]
        ],
    )


def gigapixel_table(report: dict[str, Any]) -> str:
    """One raster without a kill and with many: time, memory, and whether the results are alike."""
    raster, kills = report["raster"], report["kills"]
    same = "the same, byte for byte" if all(report["identical"].values()) else "others"
    size = f"{raster['width']:,} x {raster['height']:,}"
    most = max(*(kill["megabytes"] for kill in kills), report["megabytes_of_the_last"])
    together = sum(kill["seconds"] for kill in kills)
    boxes = f"{report['boxes']:,}"
    return markdown(
        ["raster", "run", "boxes", "time", "peak memory, all of the process", "files"],
        [
            [size, "at once", boxes, f"{report['seconds']:.0f} s",
             f"{report['megabytes']:,.0f} MB", "-"],
            [size, f"killed {report['killed_in_fact']} times", boxes,
             f"{together:.0f} s, and the last run", f"{most:,.0f} MB", same],
        ],
    )  # fmt: skip


def front_table(report: dict[str, Any]) -> str:
    """Merging boxes as they come, row of tiles by row of tiles, beside all at once."""
    return markdown(
        ["merge", "boxes", "as they come", "all at once", "most held", "results"],
        [
            [row["merge"], f"{row['boxes']:,}", f"{row['seconds']:.2f} s",
             f"{row['seconds_at_once']:.2f} s", f"{row['most_held']:,}",
             "the same" if row["identical"] else "others"]
            for row in report["merges"]
        ],
    )  # fmt: skip


def merge_table(report: dict[str, Any]) -> str:
    """Seconds of every merge by the number of boxes, and the most memory it took."""
    counts = sorted({row["boxes"] for row in report["rows"]})
    return pivot(report, counts, {(row["system"], row["merge"]) for row in report["rows"]})


def brief_merge_table(report: dict[str, Any]) -> str:
    """The same for the numbers and the merges that the README speaks of."""
    shown = {
        ("foveate", "seam"),
        ("foveate", "nms"),
        ("SAHI", "GreedyNMM, IoS"),
        ("SAHI", "NMS, IoU"),
        ("supervision", "with_nms"),
        ("torchvision", "batched_nms"),
    }
    return pivot(report, [20_000, 1_000_000], shown)


def pivot(report: dict[str, Any], counts: Sequence[int], shown: Container[tuple[str, str]]) -> str:
    """One row a merge, one column a number of boxes."""
    cells: dict[tuple[str, str], dict[int, str]] = {}
    megabytes: dict[tuple[str, str], float] = {}
    for row in report["rows"]:
        key = row["system"], row["merge"]
        cells.setdefault(key, {})[row["boxes"]] = f"{row['seconds']:.3g} s"
        megabytes[key] = max(megabytes.get(key, 0), row["megabytes"])
    limits = report["limits"]
    over = {"time": f"over {limits['seconds']} s", "memory": f"over {limits['bytes'] / 1e9:g} GB"}
    for row in report["unfinished"]:
        cells.setdefault((row["system"], row["merge"]), {})[row["boxes"]] = over[row["why"]]
    head = ["system", "merge", *(f"{count:,} boxes" for count in counts), "most memory"]
    return markdown(
        head,
        [
            [*key, *(times.get(n, "-") for n in counts), f"{megabytes.get(key, math.nan):,.0f} MB"]
            for key, times in cells.items()
            if key in shown
        ],
    )


def cases_table(report: dict[str, Any]) -> str:
    """Which merge gets which small case right."""
    names = [name for name in report["micro_cases"][0] if name not in ("system", "merge")]
    return markdown(
        ["system", "merge", *names],
        [
            [row["system"], row["merge"], *("yes" if row[name] else "no" for name in names)]
            for row in report["micro_cases"]
        ],
    )


def pipeline_table(report: dict[str, Any]) -> str:
    """Wall time, decode to merged boxes, over the network's own time on the same tiles."""
    return markdown(
        ["what", "system", "model", "boxes", "seconds", "network alone", "ratio"],
        [
            [
                row["what"],
                row["system"],
                row["model"],
                f"{row['boxes']:,}",
                f"{row['seconds']:.2f}",
                f"{row['forward_seconds']:.2f}",
                f"{row['ratio']:.3f}",
            ]
            for row in report["rows"]
        ],
    )


def brief_pipeline_table(report: dict[str, Any]) -> str:
    """The same for what the README speaks of."""
    shown = ("foveate", "SAHI", "supervision, one by one")
    one = [row for row in report["rows"] if row["what"].startswith("one")]
    return pipeline_table({"rows": [row for row in one if row["system"] in shown]})


def same_table(report: dict[str, Any]) -> str:
    """How far results are from those of one thread and batches of one."""
    return markdown(
        ["model", "", "boxes", "largest px", "largest score"],
        [
            [
                row["model"],
                row["variant"],
                str(row["boxes"]),
                *(f"{row[name]:.2g}" if row["same_labels"] else "-"
                  for name in ("largest_pixels", "largest_score")),
            ]
            for row in report["same"]
        ],
    )  # fmt: skip


def raster_table(report: dict[str, Any]) -> str:
    """Memory and time of a raster."""
    return markdown(
        ["raster", "system", "tiles", "boxes", "memory"],
        [
            [
                row["raster"],
                row["system"],
                *(("-", "-", row["failed"]) if "failed" in row else
                  (f"{row['tiles']:,}", f"{row.get('boxes', 0):,}", f"{row['megabytes']:,.0f} MB")),
            ]
            for row in report["raster"]
        ],
    )  # fmt: skip


def likes(row: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Method and precision of ours that a peer's row is compared with, and a note for the table."""
    method = LIKE.get(row["method"])
    if method is None:
        return [(row["method"], row["precision"], "")]
    names = {"32-true": "float32", "bf16-mixed": "bf16"}
    return [(method, precision, f" ({method}, {name})") for precision, name in names.items()]


def training_table(report: dict[str, Any]) -> str:
    """Images a second in training, and ours over each peer's of the same method and precision."""
    rows = report["rows"]
    own = {
        (row["method"], row["precision"]): row["images_per_second"]
        for row in rows
        if row["system"] == "foveate" and row["tiles"] == "in memory"
    }
    extents = {(row["system"], row["method"]): row for row in rows if "products" in row}
    lines = []
    for row in rows:
        speed = row["images_per_second"]
        compared = [
            f"{own[method, precision] / speed:.2f}" + note
            for method, precision, note in likes(row)
            if (method, precision) in own and row["system"] != "foveate"
        ]
        extent = extents[row["system"], row["method"]]
        lines.append(
            [
                row["method"],
                row["system"],
                {"32-true": "float32", "bf16-mixed": "bf16"}[row["precision"]],
                row["tiles"],
                f"{extent['parameters'] / 1e6:.1f} M",
                f"{extent['products'] / 1e9:.2f} G",
                f"{row['seconds']:.3f}",
                f"{speed:.2f}",
                ", ".join(compared),
            ]
        )
    head = ["method", "system", "precision", "tiles", "parameters", "products a tile",
            "seconds a step", "images a second", "foveate over it"]  # fmt: skip
    return markdown(head, sorted(lines))


def inference_table(report: dict[str, Any]) -> str:
    """Tiles a second, and over the peer's of the same method."""
    rows = report["rows"]
    peer = {r["method"]: r["tiles_per_second"] for r in rows if r["system"] == "torchvision"}
    lines = []
    for row in rows:
        speed = row["tiles_per_second"]
        ratio = f"{speed / peer[row['method']]:.2f}" if row["system"] == "foveate" else ""
        boxes = f"{row['boxes_per_tile']:.0f}" if "boxes_per_tile" in row else "-"
        lines.append([row["method"], row["system"], row["by"], boxes, f"{speed:.1f}", ratio])
    head = ["method", "system", "by", "boxes a tile", "tiles a second", "over torchvision"]
    return markdown(head, sorted(lines))


def precision_table(report: dict[str, Any]) -> str:
    """AP, time and size of each model's files."""
    head = ["model", "file", "AP", "AP small", "AP gained, 95 % interval", "ms a tile",
            "times as fast", "size"]  # fmt: skip
    lines = []
    for name, model in report["models"].items():
        for row in model["rows"]:
            ends = (row["difference"] or {}).get("AP")
            lines.append(
                [
                    name,
                    row["variant"],
                    f"{row['AP']:.3f}",
                    f"{row['AP_small']:.3f}" if "AP_small" in row else "-",
                    f"{ends[0]:+.3f} to {ends[1]:+.3f}" if ends else "",
                    f"{row['milliseconds']:.1f}",
                    f"{row['ratio']:.2f}",
                    f"{row['megabytes']:.1f} MB",
                ]
            )
    shown = "; ".join(f"{model['dataset']}, tile {model['tile']}"
                      for model in report["models"].values())  # fmt: skip
    return f"{markdown(head, lines)}\nMeasured on {shown}.\n"


def types_table(report: dict[str, Any]) -> str:
    """What ONNX Runtime's CPU provider makes of a convolution in a narrower float."""
    return markdown(["type of the arithmetic", "a convolution in it is"],
                    [[name, said] for name, said in report["types"].items()])  # fmt: skip


def openvino_table(report: dict[str, Any]) -> str:
    """OpenVINO beside ONNX Runtime, one thread on one tile."""
    rows = report["openvino"]["rows"]
    base = {row["model"]: row["milliseconds"] for row in rows if "float32" in row["by"]
            and "ONNX" in row["by"]}  # fmt: skip
    return markdown(
        ["model", "by", "ms a tile", "times as fast"],
        [
            [
                row["model"],
                row["by"],
                f"{row['milliseconds']:.1f}",
                f"{base[row['model']] / row['milliseconds']:.2f}",
            ]
            for row in rows
        ],
    )


def video_table(report: dict[str, Any]) -> str:
    """What decoding, drawing and encoding add to inference."""
    head = ["frames shown", "tiles a frame", "the command: s a frame", "inference alone",
            "the command over it"]  # fmt: skip
    frames = report["frames"]
    return markdown(
        head,
        [
            [
                row["way"],
                str(row["tiles"]),
                *(f"{row[f'{name}_seconds'] / frames:.3f}" for name in ("command", "inference")),
                f"{row['ratio']:.3f}",
            ]
            for row in report["overhead"]
        ],
    )
