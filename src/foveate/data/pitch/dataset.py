"""Whole data sets of rendered matches, as COCO."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from foveate.config import write_atomically
from foveate.data.pitch.config import CLASS_NAMES, PitchConfig
from foveate.data.pitch.render import Frame, encode_frame, render_frames
from foveate.errors import UsageError

LICENCE = "Apache-2.0"


def write_dataset(
    folder: str | Path,
    count: int,
    seed: int = 0,
    config: PitchConfig | None = None,
    *,
    frames: int = 1,
    fps: float = 25,
    jobs: int = 1,
) -> Path:
    """Render matches into ``folder``: pictures in ``images/`` and one COCO file.

    The folder appears when all is done, or not at all. Keep the seeds of training and test sets
    apart: every seed is a world of its own. The pictures are, to the bit, what `render_clip`
    gives: JPEG at the configuration's quality, or PNG where that is 0.

    Args:
        folder: Must not exist yet, or be empty.
        count: Number of matches, with the seeds ``seed`` to ``seed + count - 1``.
        seed: First seed.
        config: Size of the pictures and strength of the noise.
        frames: Pictures of each match: 1 for stills, more for clips.
        fps: Frames a second of clips.
        jobs: Processes. With more than 1, call from under ``if __name__ == "__main__":``.

    Returns:
        The COCO file, ``folder/annotations.json``. Beside COCO's own keys each picture has
        ``seed`` and ``frame``, and each annotation ``visibility`` (share seen, 0 to 1),
        ``track_id`` (the same person throughout a clip; -1 is the ball) and ``ignore``. Clips are
        ``videos``, and their pictures have ``video_id`` and ``frame_index``.

    Raises:
        UsageError: If the folder holds something, or a number is too small.
    """
    folder, config = Path(folder), config or PitchConfig()
    for name, value in (("count", count), ("frames", frames), ("jobs", jobs)):
        if value < 1:
            raise UsageError(f"{name}: must be at least 1, got {value}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: exists and is not an empty folder; choose another")
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        (work / "images").mkdir()
        render = partial(_render_match, work / "images", config, frames, fps)
        rows = [row for match in _spread(render, range(seed, seed + count), jobs) for row in match]
        coco = _coco(rows, config)
        if frames > 1:
            coco["videos"] = [
                {"id": match, "name": f"{match:06d}", "length": frames, "fps": fps,
                 "width": config.width, "height": config.height}
                for match in range(seed, seed + count)
            ]  # fmt: skip
        content = json.dumps(coco, indent=None, separators=(",", ":"))
        write_atomically(work / "annotations.json", content.encode())
        work.chmod(0o755)
        work.replace(folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return folder / "annotations.json"


def _spread(
    render: partial[list[dict[str, Any]]], seeds: range, jobs: int
) -> Iterator[list[dict[str, Any]]]:
    """Render in this process or in several; in the order of the seeds either way."""
    if jobs == 1:
        yield from map(render, seeds)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(render, seeds)


def _render_match(
    folder: Path, config: PitchConfig, frames: int, fps: float, seed: int
) -> list[dict[str, Any]]:
    """Write one match's pictures; returns a COCO picture with its annotations for each."""
    raw = config.model_copy(update={"jpeg_quality": 0})
    rows = []
    for index, frame in enumerate(render_frames(seed, frames, fps, raw)):
        suffix = "jpg" if config.jpeg_quality else "png"
        name = f"{seed:06d}.{suffix}" if frames == 1 else f"{seed:06d}_{index:05d}.{suffix}"
        (folder / name).write_bytes(encode_frame(frame.image, config.jpeg_quality))
        picture = {
            "file_name": name,
            "width": config.width,
            "height": config.height,
            "license": 1,
            "seed": seed,
            "frame": index,
        }
        if frames > 1:
            picture |= {"video_id": seed, "frame_index": index}
        rows.append({"picture": picture, "annotations": _annotations(frame)})
    return rows


def _annotations(frame: Frame) -> list[dict[str, Any]]:
    known = frame.annotations
    boxes = known.boxes.astype(np.float64)
    rows = []
    for box, label, ignore, visible, who in zip(
        boxes, known.labels, known.ignore, frame.visible, frame.people, strict=True
    ):
        x, y, width, height = (round(float(v), 2) for v in (*box[:2], *(box[2:] - box[:2])))
        rows.append(
            {
                "category_id": int(label) + 1,
                "bbox": [x, y, width, height],
                "area": round(width * height, 2),
                "iscrowd": int(ignore),
                "ignore": int(ignore),
                "visibility": round(float(visible), 3),
                "track_id": int(who),
            }
        )
    return rows


def _coco(rows: list[dict[str, Any]], config: PitchConfig) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, row in enumerate(rows, 1):
        images.append({"id": image_id, **row["picture"]})
        for annotation in row["annotations"]:
            own = {"id": len(annotations) + 1, "image_id": image_id}
            annotations.append({**own, **annotation, "segmentation": []})
    return {
        "info": {
            "description": "Football matches rendered by foveate: people and ball, exact boxes.",
            "contributor": "made by foveate",
            "licence": LICENCE,
            "config": config.model_dump(mode="json"),
        },
        "licenses": [
            {"id": 1, "name": LICENCE, "url": "https://www.apache.org/licenses/LICENSE-2.0"}
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(CLASS_NAMES, 1)],
        "images": images,
        "annotations": annotations,
    }
