"""What the systems of `speed.py` are compared on: pictures to fit a glance on, others to time."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from canvases import Terrain, add_picture, laid, moved, sky_canvases, write_picture
from gigapixel import add_overviews, new_raster

from foveate.config import write_atomically
from foveate.data.formats import load_dataset
from foveate.data.images import load_image
from foveate.data.pitch import PitchConfig, write_dataset
from foveate.inference.bundled import resolve_model
from foveate.inference.onnx_file import read_model_info
from foveate.structures import Dataset, Sample
from foveate.tiling import plan_tiles

GROUND = (2048, 1024)
"""Width and height of a piece of terrain that may hold a picture, pixels."""
EVERY = 8
"""One such piece in so many holds one."""
TEST_SEED = 1000
"""Of rendered matches; those that the bundled model learned from have seeds below."""
SOME_TILES = 4
"""Tiles of a dense picture, at least: with one there is nothing to choose."""


@dataclass(frozen=True)
class SpeedScale:
    """How much is spent.

    Attributes:
        name: `smoke` or `cpu`.
        rounds: In which each system in turn does the timed pictures.
        timed: Pictures of a part, at most.
        matches: Rendered to fit a glance on, and held out.
        pitch: How they are rendered.
        canvas: Size of sky canvases, pixels.
        canvases: Of each clip to learn from, and of each held out.
        clips: Of each of the two, at most; None takes all.
        pixels: Of the raster, about.
        peer_pixels: Of the smaller one that other libraries do, too.
        fit: Further flags of ``foveate glance fit``.
        tried: Pictures on which ways to drive a peer are tried; with none the first way is taken.
    """

    name: str
    rounds: int
    timed: int
    matches: tuple[int, int]
    pitch: PitchConfig = field(default_factory=PitchConfig)
    canvas: tuple[int, int] = (3840, 2160)
    canvases: tuple[int, int] = (1, 2)
    clips: int | None = None
    pixels: float = 1e9
    peer_pixels: float = 1.5e8
    fit: tuple[str, ...] = ()
    tried: int = 2


SCALES = {
    "smoke": SpeedScale(
        "smoke", 1, 1, (6, 2), PitchConfig(width=960, height=540), (1280, 1024), (1, 1), 6,
        pixels=16e6, peer_pixels=4e6, fit=("--steps", "4"), tried=0,
    ),
    "cpu": SpeedScale("cpu", 3, 8, (64, 24)),
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Pictures.

    Attributes:
        model: A bundled one.
        about: What they are, in few words.
        train: COCO file of those that the glance is fitted on.
        test: COCO file of those held out.
        by: What of the former is held out as one to calibrate it: `picture` or `folder`.
        grouped: Whether the latter are drawn by folders for the intervals.
        one_class: Whether classes are not told apart when it is scored.
    """

    model: str
    about: str
    train: Path
    test: Path
    by: str = "picture"
    grouped: bool = False
    one_class: bool = False

    def groups(self, dataset: Dataset) -> dict[int, Hashable] | None:
        """What is drawn as a whole for the intervals; None draws each picture by itself."""
        if not self.grouped:
            return None
        return {one.image_id: one.path.parent.name for one in dataset.samples}


def aerial(data: Path, _: Path, __: SpeedScale) -> Part:
    """Real streets from above, as they are."""
    folder = data / "aerial"
    about = "streets from above, vehicles in most tiles"
    return Part("aerial", about, folder / "train.json", folder / "val.json")


def sky(data: Path, work: Path, scale: SpeedScale) -> Part:
    """Frames of clips that were held out, on canvases of sky."""

    def canvases(split: str, count: int) -> Path:
        labels = data / "sky-visible" / f"{split}.json"
        make = partial(sky_canvases, labels, count, scale.canvas, clips=scale.clips)
        return once(work / split, make)

    train, test = (canvases(*one) for one in zip(("train", "val"), scale.canvases, strict=True))
    about = "real sky, {} x {}, one frame of a clip in each".format(*scale.canvas)
    return Part("sky", about, train, test, by="folder", grouped=True, one_class=True)


def pitch(_: Path, work: Path, scale: SpeedScale) -> Part:
    """Rendered matches."""

    def matches(split: str, count: int, seed: int) -> Path:
        jobs = max(1, min(os.cpu_count() or 1, count // 8))
        make = partial(write_dataset, count=count, seed=seed, config=scale.pitch, jobs=jobs)
        return once(work / split, make)

    train, test = matches("train", scale.matches[0], 0), matches("val", scale.matches[1], TEST_SEED)
    about = f"rendered football, {scale.pitch.width} x {scale.pitch.height}"
    return Part("pitch", about, train, test)


def dense(data: Path, work: Path, _: SpeedScale) -> Part:
    """Microscopy of which every tile is full."""
    train, test = (
        once(work / split, partial(of_some_tiles, data / "nuclei", split))
        for split in ("train", "val")
    )
    about = f"cell nuclei, pictures of {SOME_TILES} tiles and more"
    return Part("nuclei", about, train, test)


PARTS: dict[str, Callable[[Path, Path, SpeedScale], Part]] = {
    "aerial": aerial,
    "sky": sky,
    "pitch": pitch,
    "dense": dense,
}
"""Makes what a part needs, in a folder of its own, from the folder of data sets."""


def once(folder: Path, make: Callable[[Path], object]) -> Path:
    """The label file in a folder, made by `make` unless it is there: whole, or not at all."""
    if not folder.is_dir():
        started = time.perf_counter()
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        make(part)
        part.rename(folder)
        print(f"{folder}: made in {time.perf_counter() - started:.0f} s", flush=True)
    return folder / "annotations.json"


def of_some_tiles(source: Path, split: str, out: Path) -> None:
    """Write the labels of the pictures that take several tiles."""
    info = read_model_info(resolve_model("nuclei"))
    content = json.loads((source / f"{split}.json").read_text())
    content["images"] = [
        one for one in content["images"]
        if len(plan_tiles(one["width"], one["height"], info.tile_plan)) >= SOME_TILES
    ]  # fmt: skip
    kept = {one["id"] for one in content["images"]}
    boxes = content["annotations"]
    content["annotations"] = [one for one in boxes if one["image_id"] in kept]
    out.mkdir(parents=True)
    (out / "images").symlink_to((source / "images").resolve())
    write_atomically(out / "annotations.json", json.dumps(content).encode())


def terrain_canvases(labels: Path, out: Path) -> None:
    """Pieces of terrain to fit a raster's glance on: for each picture one with it and one without.

    Args:
        labels: COCO file.
        out: Folder to write to; the pieces of one picture share a folder.
    """
    dataset = load_dataset(labels)
    terrain, rng = Terrain.of(dataset.samples), np.random.default_rng(0)
    report: dict[str, Any] = {"images": [], "annotations": []}
    for number, sample in enumerate(dataset.samples):
        for filled in (True, False):
            x, y = (int(n) for n in rng.integers(0, 100_000, 2))
            piece = terrain.part(x, y, *GROUND)
            boxes = placed(piece, sample, dataset, rng, (0, 0)) if filled else []
            name = f"{number:03}/{'filled' if filled else 'empty'}.jpg"
            write_picture(out / "images" / name, piece[..., ::-1])
            add_picture(report, name, GROUND, boxes)
    write_labels(out / "annotations.json", report, dataset)


def terrain_raster(labels: Path, pixels: float, out: Path) -> None:
    """Write ``raster.tif`` and its labels: terrain, on one piece in eight of it a real picture."""
    dataset = load_dataset(labels)
    terrain, rng = Terrain.of(dataset.samples), np.random.default_rng(0)
    width, height = GROUND
    columns = max(1, round(math.sqrt(pixels) / width))
    rows = max(1, round(pixels / (columns * width * height)))
    whole = columns * width, rows * height
    boxes: list[dict[str, Any]] = []
    out.mkdir(parents=True)
    with new_raster(out / "raster.tif", *whole) as file:
        for row in range(rows):
            strip = terrain.part(0, row * height, whole[0], height)
            for column in np.flatnonzero(rng.integers(0, EVERY, columns) == 0).tolist():
                sample = dataset.samples[int(rng.integers(len(dataset)))]
                x = column * width
                corner = x, row * height
                boxes += placed(strip[:, x : x + width], sample, dataset, rng, corner)
            window = ((row * height, (row + 1) * height), (0, whole[0]))
            file.write(strip.transpose(2, 0, 1), window=window)
    add_overviews(out / "raster.tif")
    report: dict[str, Any] = {"images": [], "annotations": []}
    add_picture(report, "raster.tif", whole, boxes)
    write_labels(out / "annotations.json", report, dataset)


def placed(
    piece: Any, sample: Sample, dataset: Dataset, rng: np.random.Generator, corner: tuple[int, int]
) -> list[dict[str, Any]]:
    """Lay a picture somewhere on a piece of terrain, in place.

    Args:
        piece: ``(H, W, 3)``, RGB.
        sample: The picture.
        dataset: That it is of.
        rng: Where.
        corner: Of the piece in what it is a part of, pixels.

    Returns:
        Its objects there, as COCO has them.
    """
    picture, annotations = load_image(sample.path), sample.annotations
    x, y = (int(rng.integers(0, free + 1)) for free in
            (piece.shape[1] - picture.shape[1], piece.shape[0] - picture.shape[0]))  # fmt: skip
    laid(piece, picture, x, y)
    sizes = annotations.boxes[:, 2:] - annotations.boxes[:, :2]
    rows = zip(annotations.boxes, sizes, annotations.labels, annotations.ignore, strict=True)
    return [
        moved(
            {
                "bbox": [*map(float, box[:2]), *map(float, size)],
                "area": float(size[0] * size[1]),
                "category_id": dataset.category_ids[int(label)],
                "iscrowd": int(ignore),
            },
            x + corner[0], y + corner[1],
        )
        for box, size, label, ignore in rows
    ]  # fmt: skip


def write_labels(path: Path, report: dict[str, Any], dataset: Dataset) -> None:
    """Write a COCO file with a data set's classes."""
    pairs = zip(dataset.category_ids, dataset.class_names, strict=True)
    categories = [{"id": number, "name": name} for number, name in pairs]
    write_atomically(path, json.dumps(report | {"categories": categories}).encode())
