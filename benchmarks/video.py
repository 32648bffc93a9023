"""What video costs beside inference, and whether memory stays flat over many frames.

    python benchmarks/video.py                    # ten minutes; nothing else on the machine
    python benchmarks/video.py --frames 4 --long 200

A rendered match of 2560 x 1440 is detected in twice in turn, by the bundled `pitch`: by the whole
command, which decodes, draws and encodes; and the same frames decoded beforehand, with nothing
drawn or written. Then a long small video goes through the command with `--track` while the
process's resident memory is read. Writes ``benchmarks/results/video.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance

from foveate.cli import run
from foveate.config import write_atomically
from foveate.data.pitch import PitchConfig, render_clip
from foveate.data.video import VideoReader
from foveate.data.video_writer import VideoWriter
from foveate.inference.bundled import resolve_model
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.settings import Options, frame_runner, run_settings
from foveate.inference.video import VideoDetector
from foveate.structures import UInt8Image

ROOT = Path(__file__).resolve().parent.parent
MODEL = "pitch"
WAYS = {"tiled": [], "whole frame in one tile": ["--plain"]}
"""How frames are shown, to flags."""
LONG_WIDTH, LONG_HEIGHT, LONG_OBJECTS = 640, 360, 12
RATE = 25
SEED = 0


def main() -> None:
    """Measure, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=24, help="of the match")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--long", type=int, default=10_000, help="frames of the long video")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "video.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        match = write_match(work / "match.mp4", args.frames)
        rows = [overhead(match, way, args.runs, work) for way in WAYS]
        memory = memory_over(write_long(work / "long.mp4", args.long), work)
    report = {"model": MODEL, "frames": args.frames, "runs": args.runs, "overhead": rows,
              "memory": memory, "provenance": provenance(SEED)}  # fmt: skip
    write_atomically(args.out, (json.dumps(report, indent=1) + "\n").encode())
    print(json.dumps(rows, indent=1))


def write_match(path: Path, frames: int) -> Path:
    """A rendered match as a video."""
    with VideoWriter(path) as writer:
        for index, frame in enumerate(render_clip(SEED, frames, RATE, PitchConfig())):
            writer.write(frame[0], Fraction(index, RATE))
    return path


def write_long(path: Path, frames: int) -> Path:
    """Small bright objects that wander over noise, as a video."""
    rng = np.random.default_rng(SEED)
    noise = rng.integers(60, 90, (LONG_HEIGHT, LONG_WIDTH, 3), np.uint8)
    places = rng.random((LONG_OBJECTS, 2))
    steps = rng.normal(0, 0.004, (LONG_OBJECTS, 2))
    with VideoWriter(path) as writer:
        for index in range(frames):
            writer.write(_with_objects(noise, (places + index * steps) % 1), Fraction(index, RATE))
    return path


def _with_objects(ground: UInt8Image, places: np.ndarray) -> UInt8Image:
    frame = ground.copy()
    for x, y in places:
        left, top = int(x * (LONG_WIDTH - 8)), int(y * (LONG_HEIGHT - 8))
        frame[top : top + 8, left : left + 8] = 230
    return frame


def overhead(match: Path, way: str, runs: int, work: Path) -> dict[str, Any]:
    """Median seconds a frame of the command and of inference alone, taken in turn."""
    whole, alone, tiles = [], [], 0
    for number in range(runs + 1):
        out = work / f"{way}-{number}"
        whole_seconds = _command(match, WAYS[way], out)
        alone_seconds, tiles = _inference(match, way)
        if number:  # the first is a warm-up
            whole.append(whole_seconds)
            alone.append(alone_seconds)
    ratios = [a / b for a, b in zip(whole, alone, strict=True)]
    return {
        "way": way,
        "tiles": tiles,
        "command_seconds": statistics.median(whole),
        "inference_seconds": statistics.median(alone),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


def _command(match: Path, flags: list[str], out: Path) -> float:
    """Seconds of the command, without those that Python takes to start."""
    arguments = ["detect", str(match), "--model", MODEL, "--out", str(out), *flags]
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = run(arguments)
    if code:
        raise SystemExit(f"{' '.join(arguments)}: exit code {code}")
    return time.perf_counter() - started


def _inference(match: Path, way: str) -> tuple[float, int]:
    """Seconds of detecting in frames that are there, the model's loading included; tiles each."""
    with VideoReader(str(match)) as reader:
        frames = list(reader)
    started = time.perf_counter()
    detector = OnnxDetector(resolve_model(Path(MODEL)))
    settings = run_settings(detector, Options(plain=True) if WAYS[way] else Options())
    video = VideoDetector(frame_runner(detector, settings), settings.motion)
    results = [result for _, result in video.over(frames)]
    return time.perf_counter() - started, results[0].tiles


def memory_over(video: Path, work: Path) -> dict[str, Any]:
    """Resident memory of the command against frames done."""
    out = work / "long"
    command = [sys.executable, "-m", "foveate", "detect", str(video), "--model", "sky", "--plain",
               "--track", "--out", str(out)]  # fmt: skip
    status, log = "/proc/{}/status", out / "frames.jsonl"
    frames, megabytes = [], []
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        time.sleep(1)
        used = _resident(Path(status.format(process.pid)))
        if log.is_file() and used:
            with log.open("rb") as lines:
                frames.append(sum(1 for _ in lines))
            megabytes.append(used)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return {"frames": frames, "megabytes": megabytes,
            "seconds": time.perf_counter() - started}  # fmt: skip


def _resident(status: Path) -> float:
    """Megabytes; 0 once the process is gone."""
    with contextlib.suppress(OSError):
        for line in status.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return round(int(line.split()[1]) * 1024 / 1e6, 1)
    return 0.0


if __name__ == "__main__":
    main()
