"""Crops that teach SOD-MTGAN: what a base detector finds in labelled pictures, cut out and kept.

A crop is the square surroundings of a found box. Where the square has enough pixels of its own the
crop is *real*: it is kept at high resolution, with its reduction to a quarter. All others are kept
at low resolution only, as the network will meet them. Labels and boxes come from the data set.

Shapes: N = crops, R = real ones, S = side of a real crop, L = S / 4, C = channels.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch.nn import functional

from foveate.config import Config, write_atomically
from foveate.data.images import open_image
from foveate.errors import FoveateError
from foveate.inference.bundled import resolve_model
from foveate.inference.folder import Runner
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.settings import Options, run_settings, runner
from foveate.structures import (
    Annotations,
    Dataset,
    Detections,
    FloatArray,
    ImageSource,
    IntArray,
    Sample,
    UInt8Image,
)
from foveate.structures.boxes import box_area, box_intersection, box_iou
from foveate.tiling.surroundings import cut_out, surroundings

REDUCTION = 4
"""Side of a real crop over that of its reduction: the generator has two up-samplings [M]."""
BACKGROUND = -1
"""Label of a crop that holds no object."""
_HEADER = "crops.json"
_LOADED_WRONGLY = (zipfile.BadZipFile, ValueError, KeyError, OSError, EOFError)


class CropConfig(Config):
    """Which of the boxes found are cut out, and how.

    Attributes:
        size: Side of a real crop, pixels, a multiple of 4 (128 [D]; smaller for a processor).
        margin: Context on every side, as a share of the box's longer side [D].
        small: Boxes with a side (root of the area) below this, picture pixels, are what will be
            refined. A crop at low resolution, a quarter of `size`, shows a box of an eighth of it
            and the default margin without loss; of much larger ones it shows less than the base
            saw, and judging them again costs more than it brings (measured: docs/article.md).
        real_side: A crop is real if its square has at least this share of `size` in picture
            pixels [D]; below 1 real crops are slightly enlarged, for data with few large objects.
        positive: Least IoU with a labelled box of a crop that holds it.
        negative: Greatest IoU with any labelled box of a crop that holds none.
        least_score: Of the base, for a positive.
        hard_score: Of the base, for a negative: it is hard because the base was sure.
        negatives: At most this many in a picture, those the base was surest of.
    """

    size: int = Field(default=128, ge=16, le=512, multiple_of=4)
    margin: float = Field(default=0.5, ge=0, le=4)
    small: float = Field(default=16.0, gt=0)
    real_side: float = Field(default=1.0, gt=0, le=2)
    positive: float = Field(default=0.5, gt=0, lt=1)
    negative: float = Field(default=0.3, gt=0, lt=1)
    least_score: float = Field(default=0.05, ge=0, le=1)
    hard_score: float = Field(default=0.1, ge=0, le=1)
    negatives: int = Field(default=20, ge=0)


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Cut-out boxes and what they are; boxes are xyxy shares of the crop's side.

    Attributes:
        low: ``(N, L, L, C)`` uint8.
        high: ``(R, S, S, C)`` uint8; row ``high_row[i]`` belongs to crop i.
        high_row: ``(N,)`` int64; -1 where a crop is not real.
        labels: ``(N,)`` int64 in the base's order of classes, or `BACKGROUND`.
        found: ``(N, 4)`` float32: the base's box.
        boxes: ``(N, 4)`` float32: the labelled box; that of the base where there is none.
        scores: ``(N,)`` float32: the base's.
        sides: ``(N,)`` float32: root of the found box's area, picture pixels.
    """

    low: UInt8Image
    high: UInt8Image
    high_row: IntArray
    labels: IntArray
    found: FloatArray
    boxes: FloatArray
    scores: FloatArray
    sides: FloatArray

    def __len__(self) -> int:
        """Number of crops."""
        return len(self.labels)

    @classmethod
    def concatenate(cls, parts: list[Crops]) -> Crops:
        """All crops of all parts, at least one, in their order."""
        joined = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)}
        before = np.cumsum([0, *(len(part.high) for part in parts[:-1])])
        shift = np.repeat(before, [len(part) for part in parts])
        rows = joined["high_row"]
        return cls(**joined | {"high_row": np.where(rows >= 0, rows + shift, -1)})


@dataclass(frozen=True, slots=True, eq=False)
class Mined:
    """The crops of a data set, and whose they are.

    Attributes:
        crops: Of all pictures.
        class_names: The base's.
        fingerprint: Of base, data and settings.
        padding: The base's value outside a picture.
    """

    crops: Crops
    class_names: tuple[str, ...]
    fingerprint: str
    padding: int


def mine(
    base: Path,
    dataset: Dataset,
    config: CropConfig,
    cache: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Mined:
    """Cut out what a base detector finds in labelled pictures.

    Each picture's crops are kept in `cache` as soon as they are cut, so that a stopped run goes on;
    what another base, other data or other settings left there is replaced.

    Args:
        base: A run folder with ``model.onnx``, or the file.
        dataset: Labelled pictures, of the base's classes in any order.
        config: Which boxes, and how.
        cache: A folder of its own.
        progress: Called with pictures done and in all.

    Raises:
        FoveateError: If classes differ, or a picture or the base cannot be read.
    """
    path = resolve_model(base)
    detector = OnnxDetector(path)
    info = detector.info
    if info.motion is not None:
        raise FoveateError(f"the base {path} sees motion, and a refiner judges still crops: "
                           "take a base without")  # fmt: skip
    order = _class_order(dataset, info.class_names, path)
    fingerprint = _fingerprint(path, dataset, config)
    _prepare(cache, fingerprint, config)
    run = runner(detector, run_settings(detector, Options(threshold=config.least_score)))
    cutter = _Cutter(config, run, order, info.channels, info.padding)
    parts = []
    for index, sample in enumerate(dataset.samples):
        part = cache / f"{index:06}.npz"
        crops = _load(part)
        if crops is None:
            crops = cutter(sample)
            _save(part, crops)
        parts.append(crops)
        progress(index + 1, len(dataset))
    crops = Crops.concatenate(parts) if parts else cutter.none()
    return Mined(crops, info.class_names, fingerprint, info.padding)


def reduced(high: UInt8Image) -> UInt8Image:
    """Bicubic reductions to a quarter, ``(N, S, S, C)`` to ``(N, S / 4, S / 4, C)`` uint8.

    Low-passed as the literature's reductions are, so that they do not alias.
    """
    if not len(high):
        return np.zeros((0, high.shape[1] // REDUCTION, high.shape[2] // REDUCTION, high.shape[3]),
                        np.uint8)  # fmt: skip
    values = torch.from_numpy(high).permute(0, 3, 1, 2).float()
    small = functional.interpolate(
        values, scale_factor=1 / REDUCTION, mode="bicubic", antialias=True
    )
    return small.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """Detections of a picture that teach, and what: the labelled box and class of each."""

    detections: Detections
    boxes: FloatArray
    labels: IntArray


def choose(detections: Detections, annotations: Annotations, config: CropConfig) -> _Choice:
    """Positives by IoU with a labelled box of any class, and hard negatives; others are left out.

    A box that the base gave the wrong class is a positive of the right one. What lies by half or
    more on an ignored region teaches nothing.
    """
    detections = detections.in_order()
    known, ignored = ~annotations.ignore, annotations.boxes[annotations.ignore]
    boxes, classes = annotations.boxes[known], annotations.labels[known]
    iou = box_iou(detections.boxes, boxes)  # (D, M)
    best = iou.max(axis=1, initial=0.0)
    covered = box_intersection(detections.boxes, ignored).max(axis=1, initial=0.0)
    neutral = covered >= 0.5 * box_area(detections.boxes)
    positive = best >= config.positive
    sure = detections.scores >= config.hard_score
    hard = np.flatnonzero((best < config.negative) & sure & ~neutral & ~positive)
    chosen = np.sort(np.concatenate([np.flatnonzero(positive), hard[: config.negatives]]))
    kept = detections[chosen]
    if not len(boxes):
        return _Choice(kept, kept.boxes, np.full(len(kept), BACKGROUND, np.int64))
    holds, nearest = positive[chosen], iou.argmax(axis=1)[chosen]
    return _Choice(
        kept,
        np.where(holds[:, None], boxes[nearest], kept.boxes),
        np.where(holds, classes[nearest], BACKGROUND),
    )


class _Cutter:
    """Finds and cuts out the crops of one picture.

    Args:
        config: Which boxes, and how.
        run: The base.
        order: ``(classes of the data,)``: their numbers in the base.
        channels: C.
        padding: Value outside the picture.
    """

    def __init__(
        self, config: CropConfig, run: Runner, order: IntArray, channels: int, padding: int
    ) -> None:
        self.config, self.run, self.order = config, run, order
        self.channels, self.padding = channels, padding

    def __call__(self, sample: Sample) -> Crops:
        """The crops of a picture."""
        source = open_image(sample.path)
        choice = choose(self.run(source).detections, sample.annotations, self.config)
        return self._cut(source, choice) if len(choice.labels) else self.none()

    def _cut(self, source: ImageSource, choice: _Choice) -> Crops:
        size, margin = self.config.size, self.config.margin
        low_size, low, rows = size // REDUCTION, [], []
        high: list[UInt8Image] = []
        for box in choice.detections.boxes:
            tile = surroundings(box, margin, size)
            if tile.width >= self.config.real_side * size:
                rows.append(len(high))
                high.append(cut_out(source, tile, self.channels, self.padding))
                low.append(reduced(high[-1][None])[0])
            else:
                rows.append(-1)
                tile = surroundings(box, margin, low_size)
                low.append(cut_out(source, tile, self.channels, self.padding))
        empty = np.zeros((0, size, size, self.channels), np.uint8)
        holds = choice.labels != BACKGROUND
        return Crops(
            np.stack(low),
            np.stack(high) if high else empty,
            np.array(rows, np.int64),
            np.where(holds, self.order[choice.labels], BACKGROUND),
            self._shares(choice.detections.boxes, choice.detections.boxes),
            self._shares(choice.detections.boxes, choice.boxes),
            choice.detections.scores,
            np.sqrt(box_area(choice.detections.boxes)),
        )

    def _shares(self, around: FloatArray, boxes: FloatArray) -> FloatArray:
        """Each box as shares of the side of the square around another."""
        pairs = zip(around, boxes, strict=True)
        moved = [surroundings(a, self.config.margin, 1).to_tile(b[None]) for a, b in pairs]
        return np.concatenate(moved)

    def none(self) -> Crops:
        """A picture without crops."""
        size, low = self.config.size, self.config.size // REDUCTION
        one, box = np.zeros(0, np.float32), np.zeros((0, 4), np.float32)
        none = np.zeros(0, np.int64)
        return Crops(
            np.zeros((0, low, low, self.channels), np.uint8),
            np.zeros((0, size, size, self.channels), np.uint8),
            none, none, box, box, one, one,
        )  # fmt: skip


def _class_order(dataset: Dataset, names: tuple[str, ...], path: Path) -> IntArray:
    if set(dataset.class_names) != set(names):
        raise FoveateError(
            f"{dataset.name} has the classes {', '.join(dataset.class_names)} and the base {path} "
            f"finds {', '.join(names)}: train on the data of the base, or another base"
        )
    return np.array([names.index(name) for name in dataset.class_names], np.int64)


def require_lessons(crops: Crops, config: CropConfig, base: Path, dataset: Dataset) -> None:
    """See that there is something to learn from.

    Raises:
        FoveateError: If the base finds no labelled object, or there are no small crops, or no
            real ones.
    """
    positive = crops.labels != BACKGROUND
    if not positive.any():
        raise FoveateError(
            f"the base {base} finds none of the objects of {dataset.name} (IoU of at least "
            f"{config.positive:g}, score of at least {config.least_score:g}): train it longer"
        )
    if not (crops.sides[positive] < config.small).any():
        raise FoveateError(
            f"{dataset.name}: none of the objects that the base finds is below {config.small:g} "
            "px: there is nothing to refine; raise --crops.small, or do without"
        )
    if not (positive & (crops.high_row >= 0)).any():
        raise FoveateError(
            f"{dataset.name}: no object fills a crop of {config.size} px with pixels of its own, "
            "which the generator learns from: lower --crops.size or --crops.real-side"
        )


def _fingerprint(base: Path, dataset: Dataset, config: CropConfig) -> str:
    """SHA-256 of all that decides the crops; of pictures, size and time stand for the pixels."""
    digest = hashlib.sha256(base.read_bytes())
    digest.update(config.model_dump_json().encode())
    digest.update(json.dumps(dataset.class_names).encode())
    for sample in dataset.samples:
        state = sample.path.stat()
        digest.update(f"{sample.path}|{state.st_size}|{state.st_mtime_ns}|".encode())
        for array in (sample.annotations.boxes, sample.annotations.labels,
                      sample.annotations.ignore):  # fmt: skip
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _prepare(cache: Path, fingerprint: str, config: CropConfig) -> None:
    header = cache / _HEADER
    try:
        if json.loads(header.read_text())["fingerprint"] == fingerprint:
            return
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        for stale in cache.glob("*.npz"):
            stale.unlink()
        facts = {"fingerprint": fingerprint, "settings": config.model_dump(mode="json")}
        write_atomically(header, json.dumps(facts, indent=1).encode())
    except OSError as error:
        raise FoveateError(f"{cache}: cannot be written ({error.strerror})") from None


def _save(path: Path, crops: Crops) -> None:
    memory = io.BytesIO()
    arrays: dict[str, NDArray[np.generic]] = {f.name: getattr(crops, f.name) for f in fields(crops)}
    np.savez(memory, allow_pickle=False, **arrays)
    try:
        write_atomically(path, memory.getvalue())
    except OSError as error:
        raise FoveateError(f"{path}: cannot be written ({error.strerror})") from None


def _load(path: Path) -> Crops | None:
    """A picture's crops; None where they are not there or cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Crops(**{f.name: arrays[f.name] for f in fields(Crops)})
    except _LOADED_WRONGLY:
        return None
