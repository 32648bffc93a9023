"""foveate, doing one job a line; `peers/slice_onnx.py` does the same with other libraries.

What it is to do comes as JSON in the first argument: `model`, `options` (as `foveate.detect` takes
them), `threads`, and for rasters `raster`. Jobs and answers are as there; ``stages`` says
where the time went.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import foveate
from foveate.inference.profile import Profile
from foveate.structures import Detections, FloatArray
from foveate.tiling import shown_pixels


class Done(NamedTuple):
    """A picture or a raster.

    Attributes:
        found: What is there.
        tiles: That were looked at.
        pixels: Of the network, that they showed it; None of a raster.
    """

    found: Detections
    tiles: int
    pixels: int | None


def pictures(
    paths: Sequence[str], detector: Any, options: dict[str, Any], profile: Profile
) -> Iterable[Done]:
    """Detect in a folder's pictures."""
    for result in foveate.detect_all(paths, detector, profile=profile, **options):
        yield Done(result.detections, len(result.tiles), shown_pixels(result.tiles))


def rasters(
    paths: Sequence[str], detector: Any, options: dict[str, Any], profile: Profile
) -> Iterable[Done]:
    """Detect in rasters, one after the other, with a journal."""
    for path in paths:
        with tempfile.TemporaryDirectory() as out:
            result = foveate.detect_raster(path, detector, out, profile=profile, **options)
            yield Done(result.whole.detections, result.found.counts.looked, None)


def rows(found: Detections) -> list[list[float]]:
    """Each box with its score and label."""
    parts = [found.boxes, found.scores[:, None], found.labels[:, None].astype(np.float32)]
    table: FloatArray = np.concatenate(parts, axis=1)
    return [[float(value) for value in row] for row in table]


def main() -> None:
    """Answer jobs until there are no more."""
    job = json.loads(sys.argv[1])
    detector = foveate.load(job["model"], threads=job["threads"])
    options = dict(job["options"])
    if "glance" in options:
        options["glance"] = foveate.load_glance(options["glance"], threads=job["threads"])
    print("{}", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        profile, began, cpu = Profile(), time.perf_counter(), time.process_time()
        run = rasters if job["raster"] else pictures
        done = list(run(asked["paths"], detector, options, profile))
        answer: dict[str, Any] = {
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - cpu,
            "tiles": sum(one.tiles for one in done),
            "pixels": None if job["raster"] else sum(one.pixels or 0 for one in done),
            "boxes": sum(len(one.found) for one in done),
            "stages": {name: round(took, 4) for name, took in profile.busy.items() if took},
        }
        if asked["out"] is not None:
            Path(asked["out"]).write_text(json.dumps([rows(one.found) for one in done]))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
