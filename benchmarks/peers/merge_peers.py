"""Merge boxes with SAHI, supervision and torchvision, on the same file as foveate does.

Runs in the benchmark-only environment (``benchmarks/requirements.txt``), started by
``benchmarks/merge.py``, with ``benchmarks/`` on ``PYTHONPATH``.

    python benchmarks/peers/merge_peers.py time "SAHI" "GreedyNMM, IoS" boxes.npz
    python benchmarks/peers/merge_peers.py boxes "SAHI" "GreedyNMM, IoS" boxes.npz
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sized
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from measuring import measure
from numpy.typing import NDArray

THRESHOLD = 0.5

Rows = NDArray[np.float64]
"""``(N, 6)``: x1, y1, x2, y2, score, class."""

Peer = Callable[[Rows], tuple[Callable[[], Sized], Callable[[Any], Rows]]]
"""From the boxes, what to time, and how to read boxes out of what that returns."""


def sahi_objects(name: str, metric: str, rows: Rows) -> tuple[Any, Any]:
    """What `get_sliced_prediction` calls at its end; its objects are made before the clock runs."""
    from sahi.postprocess import combine
    from sahi.prediction import ObjectPrediction

    merge = getattr(combine, name)(
        match_threshold=THRESHOLD, match_metric=metric, class_agnostic=False
    )
    objects = [
        ObjectPrediction(bbox=row[:4], category_id=int(row[5]), category_name="", score=row[4])
        for row in rows.tolist()
    ]

    def read(found: Any) -> Rows:
        return np.array(
            [(*o.bbox.to_xyxy(), o.score.value, o.category.id) for o in found], np.float64
        ).reshape(-1, 6)

    return lambda: merge(objects), read


def sahi_arrays(name: str, metric: str, rows: Rows) -> tuple[Any, Any]:
    """The step inside that finds which boxes belong together, without building objects."""
    from sahi.postprocess import combine

    merge = getattr(combine, name)
    return lambda: merge(rows, metric, THRESHOLD), lambda found: rows[list(found)]


def supervision_boxes(name: str, rows: Rows) -> tuple[Any, Any]:
    """`Detections.with_nms` or `Detections.with_nmm`."""
    import supervision

    found = supervision.Detections(
        xyxy=rows[:, :4], confidence=rows[:, 4], class_id=rows[:, 5].astype(int)
    )

    def read(merged: Any) -> Rows:
        return np.column_stack([merged.xyxy, merged.confidence, merged.class_id])

    return lambda: getattr(found, name)(threshold=THRESHOLD), read


def torchvision_boxes(rows: Rows) -> tuple[Any, Any]:
    """`torchvision.ops.batched_nms`."""
    import torch

    batched_nms = import_module("torchvision.ops").batched_nms
    torch.set_num_threads(1)
    boxes, scores = (torch.from_numpy(rows[:, part]).float() for part in (slice(4), 4))
    classes = torch.from_numpy(rows[:, 5]).long()
    return (
        lambda: batched_nms(boxes, scores, classes, THRESHOLD),
        lambda kept: rows[kept.numpy()],
    )


PEERS: dict[tuple[str, str], Peer] = {
    ("SAHI", "GreedyNMM, IoS"): partial(sahi_objects, "GreedyNMMPostprocess", "IOS"),
    ("SAHI", "GreedyNMM, IoS, indices only"): partial(sahi_arrays, "batched_greedy_nmm", "IOS"),
    ("SAHI", "NMS, IoU"): partial(sahi_objects, "NMSPostprocess", "IOU"),
    ("SAHI", "NMS, IoU, indices only"): partial(sahi_arrays, "batched_nms", "IOU"),
    ("supervision", "with_nms"): partial(supervision_boxes, "with_nms"),
    ("supervision", "with_nmm"): partial(supervision_boxes, "with_nmm"),
    ("torchvision", "batched_nms"): torchvision_boxes,
}


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["time", "boxes"])
    parser.add_argument("system")
    parser.add_argument("merge")
    parser.add_argument("file", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    peer = PEERS[args.system, args.merge]
    rows = read_rows(args.file)
    run, read = peer(rows)
    if args.what == "boxes":
        print(json.dumps(read(run()).tolist()))
        return
    peer(rows[:500])[0]()  # imports and caches
    try:
        print(json.dumps(measure(run, args.runs)))
    except MemoryError:
        sys.exit("memory")


def read_rows(path: Path) -> Rows:
    """The boxes of all tiles, as every library but foveate takes them: without their tiles."""
    with np.load(path, allow_pickle=False) as file:
        columns = [file["boxes"], file["scores"][:, None], file["labels"][:, None]]
    return np.concatenate(columns, axis=1).astype(np.float64)


if __name__ == "__main__":
    main()
