"""Paste copies of a tile's small objects onto its free ground (Kisantal 2019 [S]).

Donors are drawn class by class, so that a rare class is copied as often as a common one, and an
object may be copied more than once. The originals stay. A copy is blended through a soft
ellipse, so that no rectangle gives it away.
"""

from __future__ import annotations

import cv2
import numpy as np

from foveate.structures import FloatArray, IntArray, UInt8Image
from foveate.structures.boxes import box_intersection

MAX_COPIES = 6
LARGEST_SIDE = 64
_TRIES = 8


def paste_objects(
    tile: UInt8Image,
    boxes: FloatArray,
    labels: IntArray,
    ignore: FloatArray,
    rng: np.random.Generator,
) -> tuple[UInt8Image, FloatArray, IntArray]:
    """Copy a few whole, small objects of the tile to places where nothing lies.

    Args:
        tile: ``(H, W, C)`` uint8.
        boxes: ``(G, 4)`` network pixels.
        labels: ``(G,)``.
        ignore: ``(M, 4)``: also kept free.
        rng: The tile's own generator.

    Returns:
        New tile, boxes and labels; the arguments are not changed.
    """
    height, width = tile.shape[:2]
    side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) if len(boxes) else np.zeros(0)
    inside = (boxes[:, :2] > 1).all(1) & (boxes[:, 2] < width - 1) & (boxes[:, 3] < height - 1)
    donors = np.flatnonzero(inside & (side <= LARGEST_SIDE) & (side >= 2))
    if not len(donors):
        return tile, boxes, labels
    tile, new_boxes, new_labels = tile.copy(), [boxes], [labels]
    taken = np.concatenate([boxes, ignore])
    _, kind, counts = np.unique(labels[donors], return_inverse=True, return_counts=True)
    chance = 1 / (len(counts) * counts[kind])
    for donor in rng.choice(donors, size=min(MAX_COPIES, 2 * len(donors)), p=chance):
        place = _free_place(boxes[donor], taken, width, height, rng)
        if place is None:
            continue
        mirrored = rng.random() < 0.5
        _blend(tile, boxes[donor], place, mirrored)
        copy = boxes[donor] + np.array([*place, *place], np.float32)
        taken = np.concatenate([taken, copy[None]])
        new_boxes.append(copy[None])
        new_labels.append(labels[donor : donor + 1])
    return tile, np.concatenate(new_boxes), np.concatenate(new_labels)


def _free_place(
    box: FloatArray, taken: FloatArray, width: int, height: int, rng: np.random.Generator
) -> tuple[int, int] | None:
    """A whole-pixel shift that puts the box, with a margin, where nothing is; or none found."""
    margin = np.array([-2, -2, 2, 2], np.float32)
    for _ in range(_TRIES):
        dx = int(rng.integers(int(2 - box[0]), max(int(width - 2 - box[2]), int(2 - box[0])) + 1))
        dy = int(rng.integers(int(2 - box[1]), max(int(height - 2 - box[3]), int(2 - box[1])) + 1))
        moved = box + np.array([dx, dy, dx, dy], np.float32)
        if not box_intersection((moved + margin)[None], taken).any():
            return dx, dy
    return None


def _blend(tile: UInt8Image, box: FloatArray, shift: tuple[int, int], mirrored: bool) -> None:
    """Write a copy of the box's pixels, moved by `shift`, into `tile`."""
    x1, y1 = (np.floor(box[:2]) - 1).astype(int)
    x2, y2 = (np.ceil(box[2:]) + 1).astype(int)
    dx, dy = shift
    # The shift keeps the box two pixels inside, the margin of one therefore too.
    x1, y1 = max(x1, -dx, 0), max(y1, -dy, 0)
    patch = tile[y1:y2, x1:x2].astype(np.float32)
    target = tile[y1 + dy : y2 + dy, x1 + dx : x2 + dx]
    patch = patch[: target.shape[0], : target.shape[1]]
    alpha = np.zeros(patch.shape[:2], np.float32)
    middle = ((patch.shape[1] - 1) / 2, (patch.shape[0] - 1) / 2)
    cv2.ellipse(alpha, (middle, (patch.shape[1], patch.shape[0]), 0), 1.0, -1)
    soft = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 0.8))[..., None]
    patch = patch[:, ::-1] if mirrored else patch
    target[:] = (soft * patch + (1 - soft) * target).round().astype(np.uint8)
