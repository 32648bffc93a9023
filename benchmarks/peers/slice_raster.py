"""Memory that SAHI or supervision takes to tile a raster, with a detector that finds nothing.

Runs in the benchmark-only environment and prints one JSON: ``{"megabytes": peak above that before,
"seconds": ..., "tiles": ...}``.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np


def sahi(path: str, tile: int, overlap: float) -> int:
    """SAHI, which reads the picture whole."""
    import logging

    from PIL import Image
    from sahi.models.base import DetectionModel
    from sahi.predict import get_sliced_prediction

    Image.MAX_IMAGE_PIXELS = None
    logging.getLogger("sahi").setLevel(logging.ERROR)
    shown = 0

    class Nothing(DetectionModel):  # type: ignore[misc]
        """Looks, and finds nothing."""

        def load_model(self) -> None:
            """There is none."""
            self.model = object()

        def perform_inference(self, image: Any) -> None:
            """Count a tile."""
            nonlocal shown
            shown += 1 if np.ndim(image) == 3 else len(image)

        def _create_object_prediction_list_from_original_predictions(
            self, *_: Any, **__: Any
        ) -> None:
            self._object_prediction_list_per_image: list[list[Any]] = [[]]

    model = Nothing(model_path="none", category_mapping={"0": "thing"}, device="cpu")
    ratio = {"overlap_height_ratio": overlap, "overlap_width_ratio": overlap}
    get_sliced_prediction(
        path, model, slice_height=tile, slice_width=tile, verbose=0,
        perform_standard_pred=False, **ratio,
    )  # fmt: skip
    return shown


def supervision(path: str, tile: int, overlap: float) -> int:
    """supervision, given an open dataset, which it reads by windows."""
    import rasterio
    import supervision as sv

    shown = 0

    def look(image: Any) -> Any:
        nonlocal shown
        shown += 1
        return sv.Detections.empty()

    slicer = sv.InferenceSlicer(look, slice_wh=tile, overlap_wh=round(overlap * tile))
    with rasterio.open(path) as dataset:
        slicer(dataset)
    return shown


def memory(key: str) -> int:
    """A line of the process's status, bytes; Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def main() -> None:
    """Measure one system."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", choices=["sahi", "supervision"])
    parser.add_argument("raster")
    parser.add_argument("--tile", type=int, default=640)
    parser.add_argument("--overlap", type=float, default=0.2)
    args = parser.parse_args()
    import_module("sahi.predict" if args.system == "sahi" else "supervision")
    before = memory("VmRSS")
    started = time.perf_counter()
    tiles = {"sahi": sahi, "supervision": supervision}[args.system](
        args.raster, args.tile, args.overlap
    )
    seconds = time.perf_counter() - started
    megabytes = (memory("VmHWM") - before) / 1e6
    print(json.dumps({"megabytes": megabytes, "seconds": seconds, "tiles": tiles}))


if __name__ == "__main__":
    main()
