"""What foveate adds to the network's own time, and the memory that a raster takes.

    python benchmarks/pipeline.py --peer-python PEERS/bin/python --peer-model nuclei-yolo11n.pt

1. A picture of 4000 x 4000 pixels and a folder of 100 pictures of 1920 x 1080, decode to merged
   boxes, over the pure forward time of the same tiles in the same ONNX Runtime settings: a model of
   ours; a foreign float model, YOLO11n of 80 classes with random weights, which finds nothing; and
   `--peer-model`, which finds thousands of boxes that have to be merged. SAHI and supervision do
   the same pictures with the second model, as ONNX and as torch.
2. A tiled GeoTIFF of 30,000 x 30,000 pixels, and one twice as wide: peak memory above what was
   there with the model loaded. SAHI and supervision tile the first with a detector that finds
   nothing.
3. The boxes of batches of 1, 4 and 16, of one and two threads, and of tiles in another order.

Writes ``benchmarks/results/pipeline.json``. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from provenance import provenance

import foveate
from foveate.config import write_atomically
from foveate.data.pitch import render_still
from foveate.data.sources import open_source
from foveate.inference.foreign.detector import ForeignDetector
from foveate.inference.onnx_detector import OnnxDetector
from foveate.structures import Detections, Tile, UInt8Image
from foveate.tiling import TilePlan, plan_pyramid, plan_tiles, tile_batch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TILE, OVERLAP, SCORE, SEED, THREADS = 640, 0.2, 0.25, 0, 2
OPTIONS: dict[str, Any] = {"tile": TILE, "overlap": OVERLAP, "scale": 1, "threshold": SCORE}
PICTURES = 100
BUILD = """
import sys, torch
from ultralytics import YOLO
torch.manual_seed(0)
YOLO("yolo11n.yaml").save(sys.argv[1])
"""
ONNX = (
    "from ultralytics import YOLO; import sys; YOLO(sys.argv[1]).export(format='onnx', imgsz=640)"
)
Model = OnnxDetector | ForeignDetector


def large_picture(folder: Path) -> Path:
    """A JPEG of 4000 x 4000 pixels: six rendered stills side by side."""
    stills = [render_still(seed)[0] for seed in range(6)]
    rows = [np.concatenate(stills[i : i + 2], axis=1) for i in (0, 2, 4)]
    image = np.concatenate(rows)[:4000, :4000]
    return write_jpeg(folder / "large.jpg", image)


def small_pictures(folder: Path) -> list[Path]:
    """A hundred JPEGs of 1920 x 1080: ten rendered stills, each cut in ten places."""
    folder.mkdir()
    paths = []
    for seed in range(10):
        still = render_still(100 + seed)[0]
        for number in range(PICTURES // 10):
            x, y = 64 * number, 36 * number
            part = still[y : y + 1080, x : x + 1920]
            paths.append(write_jpeg(folder / f"{seed}-{number}.jpg", part))
    return paths


def write_jpeg(path: Path, image: UInt8Image) -> Path:
    """Write an RGB picture."""
    cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return path


def tiles_of(path: Path, detector: Model) -> UInt8Image:
    """What the network is shown of a picture, ``(N, H, W, 3)``."""
    source = open_source(path)
    multiple = detector.info.size_multiple
    tiles = plan_tiles(source.width, source.height, TilePlan(size=TILE, overlap=OVERLAP), multiple)
    return tile_batch([np.asarray(source.read(tile)) for tile in tiles], tiles, multiple)


def forward(detector: Model, tiles: UInt8Image, times: int = 1) -> Callable[[], float]:
    """Seconds of ONNX Runtime alone on these tiles, in the settings that foveate runs it with."""
    sessions = detector._sessions
    if isinstance(detector, ForeignDetector):
        feeds = [{detector._graph.image.name: detector._fill(tile).copy()} for tile in tiles]
    else:
        feeds = [{"images": tile[None]} for tile in tiles]

    def run() -> float:
        started = time.perf_counter()
        sessions.start(lambda session, feed: session.run(None, feed), feeds * times)()
        return time.perf_counter() - started

    return run


def ours(detector: Model, paths: Sequence[Path]) -> Callable[[], float]:
    """Seconds of foveate, decode to merged boxes."""

    def run() -> float:
        started = time.perf_counter()
        for _ in foveate.detect_all(paths, detector, **OPTIONS):
            pass
        return time.perf_counter() - started

    return run


def ratio_rows(
    what: str, detector: Model, name: str, paths: list[Path], runs: int
) -> dict[str, Any]:
    """Foveate and the pure forward time in turn; the first round is not counted."""
    pure = forward(detector, tiles_of(paths[0], detector), len(paths))
    whole = ours(detector, paths)
    found = sum(len(r.detections) for r in foveate.detect_all(paths, detector, **OPTIONS))
    rounds = [(pure(), whole()) for _ in range(runs)]
    row = {
        "what": what,
        "system": "foveate",
        "model": name,
        "tiles": len(tiles_of(paths[0], detector)) * len(paths),
        "boxes": found,
        "forward_seconds": statistics.median(forward for forward, _ in rounds),
        "seconds": statistics.median(seconds for _, seconds in rounds),
        "ratio": statistics.median(seconds / forward for forward, seconds in rounds),
        "runs": rounds,
    }
    print({key: row[key] for key in row if key != "runs"}, flush=True)
    return row


def peer_rows(
    what: str, args: argparse.Namespace, models: dict[str, Path], listed: Path, pure: float
) -> Iterator[dict[str, Any]]:
    """The peers on the same pictures."""
    script = ROOT / "benchmarks" / "peers" / "slice_pictures.py"
    systems = {
        "SAHI": ["sahi"],
        "supervision, one by one": ["supervision"],
        "supervision, batches of 8": ["supervision", "--batch", "8"],
    }
    for system, (peer, *flags) in systems.items():
        for kind, model in models.items():
            # The export takes one picture at a time; batches are for torch.
            if peer == "supervision" and (kind == "ONNX") == ("--batch" in flags):
                continue
            command = [args.peer_python, script, peer, model, listed, *flags]
            command += ["--tile", TILE, "--overlap", OVERLAP, "--threads", THREADS]
            done = subprocess.run(
                [str(part) for part in command], check=True, capture_output=True, text=True,
                env=os.environ | {"YOLO_OFFLINE": "true"},
            )  # fmt: skip
            found = json.loads(done.stdout)
            count = len(found["seconds"])
            # Of one picture the median of its runs; of a folder all of them.
            repeated = len(set(listed.read_text().split())) == 1
            seconds = statistics.median(found["seconds"]) if repeated else sum(found["seconds"])
            row = {"what": what, "system": system, "model": f"YOLO11n, {kind}",
                   "boxes": found["boxes"][0] if repeated else sum(found["boxes"]),
                   "pictures": 1 if repeated else count, "seconds": seconds,
                   "forward_seconds": pure, "ratio": seconds / pure}  # fmt: skip
            print(row, flush=True)
            yield row


def write_raster(path: Path, width: int, height: int) -> Path:
    """A tiled, compressed GeoTIFF of noise with bright squares, in UTM zone 32."""
    import rasterio
    from affine import Affine

    rng = np.random.default_rng(SEED)
    block = rng.integers(60, 90, (3, 1000, 1000), dtype=np.uint8)
    for x, y in rng.integers(0, 985, (20, 2)).tolist():
        block[:, y : y + 12, x : x + 12] = 230
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": "EPSG:32632",
               "transform": Affine(0.3, 0, 600_000, 0, -0.3, 5_300_000), "tiled": True,
               "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1,
               "BIGTIFF": "YES", "photometric": "rgb"}  # fmt: skip
    with rasterio.open(path, "w", width=width, height=height, **profile) as file:
        row = np.tile(block, (1, 1, width // 1000))
        for top in range(0, height, 1000):
            file.write(row, window=((top, top + 1000), (0, width)))
    return path


RASTER = """
import json, sys, time
sys.path.insert(0, sys.argv[5])
import numpy as np, foveate
from measuring import resident
detector = foveate.load(sys.argv[2], threads=2)
warm = np.zeros((1280, 1280, 3), np.uint8)
foveate.detect(warm, detector, tile=640, overlap=0.2, scale=1)
before, started = resident("VmRSS"), time.perf_counter()
shown = (lambda images: [foveate.Detections.empty()] * len(images)) if sys.argv[4] == "nothing" \\
    else detector
result = foveate.detect(sys.argv[1], shown, tile=640, overlap=0.2, scale=1, threshold=0.25)
seconds = time.perf_counter() - started
detecting = resident("VmHWM") - before
result.save(sys.argv[3])
print(json.dumps({"megabytes": (resident("VmHWM") - before) / 1e6,
                  "megabytes_detecting": detecting / 1e6, "seconds": seconds,
                  "tiles": len(result.tiles), "boxes": len(result.detections)}))
"""


def raster_rows(args: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Memory above the loaded model, detecting and writing the results, each in its own process."""
    for width in (30_000, 60_000):
        path = write_raster(folder / f"{width}.tif", width, 30_000)
        out = folder / "out"
        detector = [sys.executable, "-c", RASTER, path, args.model, out, "detector", HERE]
        nothing = [*detector[:-2], "nothing", HERE]
        runs: dict[str, list[Any]] = {"foveate, finding nothing": nothing}
        if width == 30_000:
            runs["foveate"] = detector
            script = ROOT / "benchmarks" / "peers" / "slice_raster.py"
            for peer in ("supervision", "SAHI"):
                runs[f"{peer}, finding nothing"] = [args.peer_python, script, peer.lower(), path]
        for system, command in runs.items():
            done = subprocess.run([str(part) for part in command], check=False,
                                  capture_output=True, text=True)  # fmt: skip
            row = {"system": system, "raster": f"{width:,} x 30,000"}
            if done.returncode:
                row["failed"] = (done.stderr.strip().splitlines() or ["killed"])[-1][:200]
            else:
                row |= json.loads(done.stdout.strip().splitlines()[-1])
            print(row, flush=True)
            yield row
        path.unlink()


def shuffled(*args: Any) -> list[Tile]:
    """The tiles of a plan in another order."""
    tiles = plan_pyramid(*args)
    random.Random(SEED).shuffle(tiles)
    return tiles


def sameness(path: Path, models: dict[str, str | Path]) -> list[dict[str, Any]]:
    """How far boxes and scores are from those of one thread and batches of one."""
    rows = []
    for name, model in models.items():
        loose = OPTIONS | {"threshold": 0.05}
        two, one = foveate.load(model, threads=2), foveate.load(model, threads=1)
        base = foveate.detect(path, one, batch_size=1, **loose).detections
        variants: dict[str, Detections] = {
            f"batches of {size}, {threads} threads":
                foveate.detect(path, detector, batch_size=size, **loose).detections
            for size in (1, 4, 16) for threads, detector in ((1, one), (2, two))
        }  # fmt: skip
        with patch("foveate.inference.pipeline.plan_pyramid", shuffled):
            variants["tiles in another order"] = foveate.detect(path, two, **loose).detections
        for variant, found in variants.items():
            same = len(found) == len(base) and bool((found.labels == base.labels).all())
            rows.append({
                "model": name, "variant": variant, "boxes": len(found), "same_labels": same,
                "largest_pixels": float(np.abs(found.boxes - base.boxes).max(initial=0))
                if same else None,
                "largest_score": float(np.abs(found.scores - base.scores).max(initial=0))
                if same else None,
            })  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def in_peers(args: argparse.Namespace, program: str, path: Path) -> None:
    """Run a few lines in the peers' environment."""
    command = [str(args.peer_python), "-c", program, str(path)]
    environment = os.environ | {"YOLO_OFFLINE": "true"}
    subprocess.run(command, check=True, cwd=path.parent, stdout=subprocess.DEVNULL, env=environment)


def times(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Times of pictures, and how far results are from each other."""
    torch_file, trained = folder / "yolo11n.pt", folder / "trained.pt"
    in_peers(args, BUILD, torch_file)
    trained.write_bytes(args.peer_model.read_bytes())
    for path in (torch_file, trained):
        in_peers(args, ONNX, path)
    onnx_file = torch_file.with_suffix(".onnx")
    large, small = large_picture(folder), small_pictures(folder / "small")
    models = {
        args.model: args.model,
        "YOLO11n, trained": trained.with_suffix(".onnx"),
        "YOLO11n, ONNX": onnx_file,
    }
    rows = []
    for what, paths, runs in (
        ("one picture of 4000 x 4000", [large], args.runs),
        (f"{PICTURES} pictures of 1920 x 1080", small, 2),
    ):
        for label, model in models.items():
            detector = foveate.load(model, threads=THREADS)
            assert isinstance(detector, Model)
            rows.append(ratio_rows(what, detector, label, paths, runs))
        listed = folder / "list.txt"
        repeats = [large] * 3 if len(paths) == 1 else paths
        listed.write_text("\n".join(map(str, repeats)))
        files = {"ONNX": onnx_file, "torch": torch_file}
        rows += peer_rows(what, args, files, listed, rows[-1]["forward_seconds"])
    same = sameness(large, {name: models[name] for name in (args.model, "YOLO11n, trained")})
    return {"rows": rows, "same": same}


def main() -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pitch", help="ours")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--peer-python", type=Path, required=True)
    parser.add_argument("--peer-model", type=Path, required=True, help="YOLO11n weights, a .pt")
    parser.add_argument("--only-raster", action="store_true", help="keep all former other figures")
    parser.add_argument("--no-raster", action="store_true", help="keep the former raster figures")
    args = parser.parse_args()
    args.peer_python = args.peer_python.absolute()  # its symbolic link is the environment
    target = ROOT / "benchmarks" / "results" / "pipeline.json"
    report = json.loads(target.read_text()) if args.only_raster or args.no_raster else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not args.only_raster:
            report |= {"tile": TILE, "overlap": OVERLAP, **times(args, folder)}
            report["provenance"] = provenance(SEED, args.peer_python)
        if not args.no_raster:
            report["raster"] = list(raster_rows(args, folder))
            report["raster_provenance"] = provenance(SEED, args.peer_python)
    write_atomically(target, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
