"""A raster of a gigapixel, unattended: killed at random moments, in bounded memory.

    python benchmarks/gigapixel.py

1. Composes a GeoTIFF, tiled, compressed and with overviews: rendered stills of the pitch scene,
   one in four places, on plain ground.
2. Runs ``foveate detect --resume`` over it in a process of its own: time, and peak memory of the
   whole process, interpreter and model included.
3. Runs it again into another folder, and kills that with SIGKILL at `--kills` random moments; each
   time the same command goes on. What it has written in the end is compared with the first run's,
   byte for byte.
4. Merges a million boxes as they come, row of tiles by row of tiles, beside all at once.

Writes ``benchmarks/results/gigapixel.json``. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measuring import resident
from merge import scattered
from provenance import provenance

from foveate.config import write_atomically
from foveate.data.pitch import render_still
from foveate.inference.found_file import FOUND
from foveate.inference.raster_run import JOURNAL, STEP
from foveate.merge import MERGES, MergeConfig, merge_tiles
from foveate.merge.front import FrontMerge
from foveate.structures import Detections, TiledDetections

ROOT = Path(__file__).resolve().parent.parent
SEED, BLOCK, STILLS, EMPTY = 0, 512, 4, 3
START, SPREAD = 1, 1.5
"""Seconds that a process takes to begin; of 2, killed runs would do all the work between them."""
POLL = 0.02
"""Seconds between two looks at a process."""
GROUND = 90
"""Grey value of places without a still."""
COMPARED = (FOUND, "detections.json", "geo/raster.geojson", "annotated/raster.jpg")


class Ended(NamedTuple):
    """A process that is over.

    Attributes:
        code: Its exit status; negative, the signal that ended it.
        seconds: Wall time.
        megabytes: Most resident memory it had.
        said: What it wrote on stderr.
    """

    code: int
    seconds: float
    megabytes: float
    said: str


@contextmanager
def new_raster(path: Path, width: int, height: int) -> Iterator[Any]:
    """An RGB GeoTIFF to write to: tiled, compressed, in UTM zone 32."""
    import rasterio
    from affine import Affine

    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": "EPSG:32632",
               "transform": Affine(0.3, 0, 600_000, 0, -0.3, 5_300_000), "tiled": True,
               "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate", "zlevel": 1,
               "BIGTIFF": "YES", "photometric": "rgb",
               "width": width, "height": height}  # fmt: skip
    with rasterio.Env(GDAL_CACHEMAX=256 << 20), rasterio.open(path, "w", **profile) as file:
        yield file


def add_overviews(path: Path) -> None:
    """Add the raster reduced two to sixteen times."""
    import rasterio
    from rasterio.enums import Resampling

    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8, 16], Resampling.average)


def compose(path: Path, pixels: float) -> dict[str, Any]:
    """Write the raster.

    Args:
        path: The GeoTIFF.
        pixels: About how many it shall have.

    Returns:
        `width`, `height`, `bytes`, `stills`.
    """
    stills = [render_still(seed)[0] for seed in range(STILLS)]
    height, width, _ = stills[0].shape
    columns = max(1, round(math.sqrt(pixels * height / width) / height))
    rows = max(1, round(pixels / (columns * width * height)))
    places, rng = 0, np.random.default_rng(SEED)
    size = {"width": columns * width, "height": rows * height}
    with new_raster(path, **size) as file:
        for row in range(rows):
            strip = np.full((height, columns * width, 3), GROUND, np.uint8)
            for column in np.flatnonzero(rng.integers(0, EMPTY + 1, columns) == 0).tolist():
                chosen = stills[int(rng.integers(STILLS))]
                strip[:, column * width : (column + 1) * width] = chosen
                places += 1
            window = ((row * height, (row + 1) * height), (0, columns * width))
            file.write(strip.transpose(2, 0, 1), window=window)
    add_overviews(path)
    return {**size, "bytes": path.stat().st_size, "stills": places}


def detect(
    args: argparse.Namespace, raster: Path, out: Path, kill_after: float = math.inf
) -> Ended:
    """Run the command, or kill it after so many seconds."""
    command = [sys.executable, "-m", "foveate", "detect", raster, "--model", args.model]
    command += ["--scale", args.scale, "--threads", args.threads, "--resume", "--out", out]
    started, bytes_ = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=said
        )
        while process.poll() is None:
            # Not what `wait4` tells, which counts the memory of this process from before exec.
            with suppress(KeyError, OSError):
                bytes_ = max(bytes_, resident("VmHWM", process.pid))
            if time.perf_counter() - started > kill_after:
                process.send_signal(signal.SIGKILL)
                process.wait()
            time.sleep(POLL)
        seconds = time.perf_counter() - started
        said.seek(0)
        return Ended(process.returncode, seconds, bytes_ / 1e6, said.read())


def killed_again_and_again(
    args: argparse.Namespace, raster: Path, out: Path, whole: Ended
) -> tuple[list[dict[str, Any]], Ended]:
    """Each kill, and the run that came to its end.

    Moments are spread evenly at random over the time that a run takes that is never killed, each
    counted from where the one before had come to.
    """
    rng, kills = random.Random(SEED), []
    for _ in range(args.kills):
        ended = detect(
            args, raster, out, rng.uniform(0, SPREAD * whole.seconds / args.kills) + START
        )
        kills.append(
            {
                "seconds": round(ended.seconds, 2),
                "killed": ended.code == -signal.SIGKILL,
                "megabytes": round(ended.megabytes, 1),
                "boxes_on_disk": _lines(out / FOUND),
                "journal_bytes": _size(out / JOURNAL),
            }
        )
        print(kills[-1], flush=True)
    return kills, detect(args, raster, out)


def merged_as_they_come(count: int) -> list[dict[str, Any]]:
    """Every merge of so many boxes with a front, beside all at once."""
    scene = scattered(count, SEED)
    order = np.argsort(scene.tile_index, kind="stable")
    starts = np.searchsorted(scene.tile_index[order], np.arange(len(scene.regions) + 1))
    by_height = np.argsort(scene.regions[:, 1], kind="stable")
    chunks = [by_height[n : n + STEP] for n in range(0, len(by_height), STEP)]
    rows = []
    for method in MERGES:
        config = MergeConfig.from_dict({"method": method})
        front, out, most = FrontMerge(config, scene.image_size), [], 0
        began = time.perf_counter()
        for number, tiles in enumerate(chunks):
            front.add(_of_tiles(scene, tiles, order, starts))
            most = max(most, len(front))
            if number + 1 < len(chunks):
                out.append(front.advance(scene.regions[chunks[number + 1][0], 1]))
        out.append(front.finish())
        seconds = time.perf_counter() - began
        began = time.perf_counter()
        at_once = merge_tiles(scene, config)
        rows.append(
            {
                "merge": method,
                "boxes": count,
                "seconds": round(seconds, 3),
                "seconds_at_once": round(time.perf_counter() - began, 3),
                "most_held": most,
                "results": len(at_once),
                "identical": _same([part for part in out if part is not None], at_once),
            }
        )
        print(rows[-1], flush=True)
    return rows


def _of_tiles(scene: TiledDetections, tiles: Any, order: Any, starts: Any) -> TiledDetections:
    rows = np.concatenate([order[starts[tile] : starts[tile + 1]] for tile in tiles])
    counts = starts[tiles + 1] - starts[tiles]
    return TiledDetections(
        scene.detections[rows], np.repeat(np.arange(len(tiles)), counts), scene.regions[tiles],
        scene.image_size,
    )  # fmt: skip


def _same(parts: list[Detections], whole: Detections) -> bool:
    found = Detections.concatenate(parts).in_order()
    return all(
        np.array_equal(getattr(found, name), getattr(whole, name))
        for name in ("boxes", "scores", "labels")
    )


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def measured(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything about one raster."""
    raster = folder / "raster.tif"
    facts = compose(raster, args.pixels)
    print(facts, flush=True)
    whole = detect(args, raster, folder / "whole")
    if whole.code:
        sys.exit(f"the run that was not killed failed: {whole.said}")
    print(whole[:3], flush=True)
    kills, last = killed_again_and_again(args, raster, folder / "killed", whole)
    if last.code:
        sys.exit(f"the run that was killed failed: {last.said}")
    same = {
        name: (folder / "whole" / name).read_bytes() == (folder / "killed" / name).read_bytes()
        for name in COMPARED
    }
    return {
        "raster": facts,
        "settings": {"model": args.model, "scale": args.scale, "threads": args.threads},
        "boxes": _lines(folder / "whole" / FOUND),
        "seconds": round(whole.seconds, 2),
        "megabytes": round(whole.megabytes, 1),
        "kills": kills,
        "killed_in_fact": sum(kill["killed"] for kill in kills),
        "megabytes_of_the_last": round(last.megabytes, 1),
        "identical": same,
    }


def main() -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pixels", type=float, default=1e9, help="of the raster, about")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--model", default="pitch")
    parser.add_argument("--scale", type=float, default=0.5, help="coarse, so that it takes less")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--boxes", type=int, default=1_000_000, help="merged as they come")
    parser.add_argument("--work", type=Path, help="folder for the raster; a temporary one if not")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/gigapixel.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        report = {"provenance": provenance(SEED), **measured(args, Path(folder))}
    report["merges"] = merged_as_they_come(args.boxes)
    write_atomically(args.out, (json.dumps(report, indent=2) + "\n").encode())
    identical = [*report["identical"].values(), *(row["identical"] for row in report["merges"])]
    if not all(identical):
        sys.exit("what was killed, or merged as it came, is not identical")


if __name__ == "__main__":
    main()
