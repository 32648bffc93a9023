"""SAHI or supervision around ONNX Runtime, running a model file made by foveate; a job a line.

Runs in the benchmark-only environment. What it is to do comes as JSON in the first argument; then
every line of standard input is a job, ``{"paths": [...], "out": FILE or null}``, and is answered by
a line: ``{"seconds", "cpu_seconds", "tiles", "boxes"}``, from the picture's file to merged boxes.
``out`` becomes a list of ``[x1, y1, x2, y2, score, label]`` for each picture.

The network is shown what foveate shows it: a tile is enlarged `scale` times, bilinearly, and padded
with zeros to a multiple of 32. Each system has several ways to drive ONNX Runtime; the one
that is fastest on the first job's first pictures is taken, and named in the answer to it.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

Found = NDArray[np.float32]
"""``(N, 6)``: x1, y1, x2, y2, score, label."""
Run = Callable[[str], Found]
MULTIPLE, TURNS = 32, 2


class Network:
    """The model file.

    Args:
        job: `model`, `scale` and `score`.
        threads: Of one run.
        spinning: Whether they wait for the next layer awake.

    Attributes:
        tiles: Shown so far.
    """

    def __init__(self, job: dict[str, Any], threads: int, *, spinning: bool = True) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
        providers = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(job["model"], options, providers=providers)
        self._scale, self._score = job["scale"], job["score"]
        self.tiles = 0

    def __call__(self, tiles: Sequence[NDArray[np.uint8]]) -> list[Found]:
        """Boxes in each tile's pixels; one run if all are of one size. Tiles are RGB."""
        self.tiles += len(tiles)
        canvases = [self._canvas(tile) for tile in tiles]
        if len({canvas.shape for canvas in canvases}) > 1:
            return [self._run(c[None], [t])[0] for c, t in zip(canvases, tiles, strict=True)]
        return self._run(np.stack(canvases), tiles)

    def _canvas(self, tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = (round(side * self._scale) for side in tile.shape[:2])
        shown = tile if self._scale == 1 else cv2.resize(tile, (width, height))
        down, right = -height % MULTIPLE, -width % MULTIPLE
        return np.pad(shown, ((0, down), (0, right), (0, 0)))

    def _run(self, images: NDArray[np.uint8], tiles: Sequence[NDArray[np.uint8]]) -> list[Found]:
        parts = self._session.run(["boxes", "scores", "labels"], {"images": images})
        found = []
        for tile, boxes, scores, labels in zip(tiles, *parts, strict=True):
            height, width = tile.shape[:2]
            boxes = np.clip(boxes / self._scale, 0, [width, height, width, height])
            used = (scores >= self._score) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            row = np.concatenate([boxes, scores[:, None], labels[:, None]], axis=1)
            found.append(row[used].astype(np.float32))
        return found


def sahi(job: dict[str, Any]) -> dict[str, tuple[Run, Network]]:
    """SAHI's own sliced prediction, by each way of driving the network."""
    from PIL import Image
    from sahi.models.base import DetectionModel
    from sahi.predict import get_sliced_prediction
    from sahi.prediction import ObjectPrediction

    logging.getLogger("sahi").setLevel(logging.ERROR)
    Image.MAX_IMAGE_PIXELS = None

    class OnnxModel(DetectionModel):  # type: ignore[misc]
        """SAHI's contract around a `Network`."""

        def set_model(self, model: Any, **_: Any) -> None:
            self.model = model

        def perform_inference(self, image: Any) -> None:
            self._original_predictions = self.model([image])

        def perform_batch_inference(self, images: list[Any]) -> None:
            self._original_predictions = self.model(images)

        def _create_object_prediction_list_from_original_predictions(
            self, shift_amount_list: Any = ((0, 0),), full_shape_list: Any = None
        ) -> None:
            self._object_prediction_list_per_image = [
                [
                    ObjectPrediction(
                        bbox=row[:4], score=row[4], category_id=int(row[5]),
                        category_name=str(int(row[5])), shift_amount=shift,
                        full_shape=full_shape_list[place] if full_shape_list else None,
                    )
                    for row in found.tolist()
                ]
                for place, (found, shift) in enumerate(
                    zip(self._original_predictions, shift_amount_list, strict=True)
                )
            ]  # fmt: skip

    def run(path: str, model: Any, batch: int) -> Found:
        # Half a pixel more, for the ratio is multiplied and cut to an integer again.
        ratio = (job["overlap"] + 0.5) / job["tile"]
        result = get_sliced_prediction(
            path, model, slice_height=job["tile"], slice_width=job["tile"], verbose=0,
            overlap_height_ratio=ratio, overlap_width_ratio=ratio, perform_standard_pred=False,
            postprocess_type=job["merge"][0], postprocess_match_metric=job["merge"][1],
            batch_size=batch,
        )  # fmt: skip
        rows = [[*p.bbox.to_xyxy(), p.score.value, p.category.id]
                for p in result.object_prediction_list]  # fmt: skip
        return np.array(rows, np.float32).reshape(-1, 6)

    ways: dict[str, tuple[Run, Network]] = {}
    for name, spinning, batch in (
        ("tile by tile, 2 threads", False, 1),
        ("tile by tile, 2 spinning threads", True, 1),
        ("batches of 4, 2 threads", False, 4),
    ):
        network = Network(job, 2, spinning=spinning)
        model = OnnxModel(model=network, device="cpu", confidence_threshold=job["score"])
        ways[name] = partial(run, model=model, batch=batch), network
    return ways


def supervision(job: dict[str, Any]) -> dict[str, tuple[Run, Network]]:
    """The slicer of supervision, by each way of driving the network; a raster is read by tiles."""
    import rasterio
    import supervision as sv

    def detections(found: Found) -> Any:
        return sv.Detections(found[:, :4], confidence=found[:, 4], class_id=found[:, 5].astype(int))

    def run(path: str, slicer: Any) -> Found:
        if path.endswith(".tif"):
            with rasterio.open(path) as dataset:
                merged = slicer(dataset)
        else:
            merged = slicer(cv2.imread(path, cv2.IMREAD_COLOR_RGB))
        if merged.is_empty():
            return np.zeros((0, 6), np.float32)
        return np.column_stack([merged.xyxy, merged.confidence, merged.class_id])

    def one(network: Network, tile: Any) -> Any:
        return detections(network([tile])[0])

    def several(network: Network, tiles: Any) -> Any:
        return [detections(found) for found in network(tiles)]

    batched = (("workers 1, 2 threads", 1, 2), ("workers 2, 1 thread each", 2, 1))
    single = (("workers 2, 1 thread each", 2, 1), ("workers 2, 2 threads each", 2, 2))
    ways: dict[str, tuple[Run, Network]] = {}
    for name, workers, threads in batched if job["batch"] > 1 else single:
        network = Network(job, threads, spinning=False)
        slicer = sv.InferenceSlicer(
            partial(several if job["batch"] > 1 else one, network),
            slice_wh=job["tile"], overlap_wh=job["overlap"], overlap_filter="non_max_suppression",
            thread_workers=workers, batch_size=job["batch"],
        )  # fmt: skip
        ways[name] = partial(run, slicer=slicer), network
    return ways


def fastest(ways: dict[str, tuple[Run, Network]], paths: Sequence[str]) -> str:
    """The way that took least on a few pictures, each after one that is not counted."""
    if not paths:
        return next(iter(ways))
    took = dict.fromkeys(ways, math.inf)
    for run, _ in ways.values():
        run(paths[0])
    for _ in range(TURNS):
        for name, (run, _) in ways.items():
            started = time.perf_counter()
            for path in paths:
                run(path)
            took[name] = min(took[name], time.perf_counter() - started)
    return min(took, key=took.__getitem__)


def done(way: tuple[Run, Network], paths: Sequence[str], out: str | None) -> dict[str, Any]:
    """Do a job, and say how long it took."""
    run, network = way
    network.tiles, began, cpu = 0, time.perf_counter(), time.process_time()
    found = [run(path) for path in paths]
    answer = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    if out is not None:
        Path(out).write_text(json.dumps([rows.tolist() for rows in found]))
    return answer | {"tiles": network.tiles, "boxes": sum(map(len, found))}


def main() -> None:
    """Answer jobs until there are no more."""
    answers, sys.stdout = sys.stdout, sys.stderr  # the libraries print there, too
    job = json.loads(sys.argv[1])
    import torch

    torch.set_num_threads(2)
    ways = {"sahi": sahi, "supervision": supervision}[job["system"]](job)
    print("{}", file=answers, flush=True)
    way = ""
    for line in sys.stdin:
        asked = json.loads(line)
        way = way or fastest(ways, asked["paths"][: job["tried"]])
        answer = done(ways[way], asked["paths"], asked["out"]) | {"way": way}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
