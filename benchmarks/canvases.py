"""Large pictures in which objects are few, composed from real ones, with their labels.

`sky_canvases` lets a frame of a fixed camera's clip go on to all sides: to the left and right its
own mirror images, above them the upper half of the sky, up and down in turn. So nothing has a seam,
and land is where land is, at the bottom. In the mirror images the objects are gone: in their place
are the pixels of another frame of the clip, in which nothing was there. The frame itself lies
unchanged somewhere along the bottom, its objects at their native scale.

`Terrain` is ground without objects for rasters: pieces of real pictures that hold none, mirrored
without end, one melting into another; labelled pictures lie on it, their edges melting into it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from foveate.config import write_atomically
from foveate.data.images import load_image
from foveate.data.video import VideoReader
from foveate.structures import FloatArray, IntArray, Sample, UInt8Image

QUALITY = 95
OTHERS = 8
"""Frames of a clip, spread over it, whose pixels may take an object's place."""
AROUND = 12
"""Pixels around an object that go with it."""
MELTING = 24
"""Pixels over which the edge of a picture melts into the ground."""
PIECE = (72, 56)
"""Width and height of a piece of ground, pixels."""
SWING = (2900.0, 1900.0)
"""Pixels after which one piece has given way to the other and come back, along x and y."""


def sky_canvases(
    labels: Path, per_clip: int, size: tuple[int, int], out: Path, clips: int | None = None
) -> Path:
    """Compose canvases from frames of every clip, those of one clip in a folder of its own.

    Args:
        labels: COCO JSON of clips of fixed cameras, with `videos` and `frame_index`.
        per_clip: Canvases of each clip, from frames spread over it.
        size: Of a canvas, pixels.
        out: Folder to write to.
        clips: Only so many, spread over all.

    Returns:
        The COCO file.
    """
    content = json.loads(labels.read_text())
    by_clip: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for image in content["images"]:
        by_clip[image["file_name"]].append(image)
    boxes: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in content["annotations"]:
        boxes[one["image_id"]].append(one)
    report: dict[str, Any] = {"images": [], "annotations": []}
    for number, clip in enumerate(_spread(sorted(by_clip), clips or len(by_clip))):
        rng = np.random.default_rng(number)
        file = labels.parent / "videos" / clip
        for image, canvas, left, top in _of_clip(file, by_clip[clip], boxes, per_clip, size, rng):
            name = f"{Path(clip).stem}/{image['frame_index']:04}.jpg"
            write_picture(out / "images" / name, canvas)
            add_picture(report, name, size, [moved(b, left, top) for b in boxes[image["id"]]])
    target = out / "annotations.json"
    write_atomically(target, json.dumps(report | {"categories": content["categories"]}).encode())
    return target


def _of_clip(
    file: Path,
    images: Sequence[dict[str, Any]],
    boxes: Mapping[int, Sequence[dict[str, Any]]],
    count: int,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Iterator[tuple[dict[str, Any], UInt8Image, int, int]]:
    """A clip's canvases, BGR, each with what its frame is called and where it lies."""
    chosen = _spread(images, count)
    others = _spread(images, OTHERS)
    wanted = {one["frame_index"]: one for one in (*chosen, *others)}
    with VideoReader(str(file)) as video:
        pixels = {one.index: one.image[..., ::-1] for one in video if one.index in wanted}
    regions = {index: _regions(boxes[one["id"]]) for index, one in wanted.items()}
    for image in chosen:
        index = image["frame_index"]
        apart = sorted(
            {one["frame_index"] for one in others} - {index}, key=lambda i: abs(i - index)
        )
        clean = without_objects(
            pixels[index], regions[index], [(pixels[i], regions[i]) for i in apart]
        )
        height, width = clean.shape[:2]
        left, top = int(rng.integers(0, size[0] - width + 1)), size[1] - height
        yield image, extended(pixels[index], clean, size, left), left, top


def without_objects(
    frame: UInt8Image, regions: IntArray, others: Sequence[tuple[UInt8Image, IntArray]]
) -> UInt8Image:
    """A frame with each object's pixels from another frame of the fixed camera.

    Args:
        frame: ``(H, W, 3)``.
        regions: ``(N, 4)`` xyxy pixels, where its objects are.
        others: Frames with their own, the best first. Where all of them have something there, too,
            the place is filled from around it.
    """
    clean = frame.copy()
    for x1, y1, x2, y2 in regions.tolist():
        mask = np.zeros(frame.shape[:2], np.uint8)
        mask[max(y1, 0) : y2, max(x1, 0) : x2] = 255
        free = [other for other, theirs in others if not _meets(theirs, (x1, y1, x2, y2))]
        if free:
            weight = cv2.GaussianBlur(mask, (0, 0), AROUND / 4)[..., None] / np.float32(255)
            mixed = clean + weight * (free[0].astype(np.float32) - clean)
            clean = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
        else:
            clean = np.asarray(cv2.inpaint(clean, mask, 5, cv2.INPAINT_TELEA), np.uint8)
    return clean


def extended(frame: UInt8Image, clean: UInt8Image, size: tuple[int, int], left: int) -> UInt8Image:
    """The frame at the bottom of a canvas, mirrored to all sides without its objects.

    Args:
        frame: ``(H, W, 3)``.
        clean: The same without objects.
        size: Width and height of the canvas, pixels.
        left: Where the frame begins along x.
    """
    height, width = frame.shape[:2]
    top = size[1] - height
    columns = there_and_back(np.arange(size[0]) - left, width)
    rows = np.arange(size[1]) - top
    rows = np.where(rows < 0, there_and_back(rows, height // 2), rows)
    canvas = clean[rows][:, columns]
    canvas[top:, left : left + width] = frame
    return canvas


def there_and_back(at: IntArray, length: int) -> IntArray:
    """Positions along a line that is mirrored at both ends without end: 0 1 2 2 1 0 0 1 2."""
    around = at % (2 * length)
    return np.where(around < length, around, 2 * length - 1 - around)


class Terrain(NamedTuple):
    """Ground without objects, of any size, and always the same.

    Attributes:
        pieces: Two, each mirrored without end.
    """

    pieces: tuple[UInt8Image, UInt8Image]

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Terrain:
        """The greenest pieces without objects of the first and of the middle picture."""
        chosen = [samples[0], samples[len(samples) // 2]]
        a, b = (greenest(load_image(s.path), s.annotations.boxes) for s in chosen)
        return cls((a, b))

    def part(self, x: int, y: int, width: int, height: int) -> UInt8Image:
        """A region of it, ``(H, W, 3)``."""
        columns, rows = np.arange(x, x + width), np.arange(y, y + height)
        a, b = (
            piece[there_and_back(rows, piece.shape[0])][:, there_and_back(columns, piece.shape[1])]
            for piece in self.pieces
        )
        swing = np.sin(2 * np.pi * rows / SWING[1])[:, None] + np.sin(
            2 * np.pi * columns / SWING[0]
        )
        weight = np.clip(0.5 + 2 * swing, 0, 1)[..., None].astype(np.float32)
        mixed = a + weight * (b.astype(np.float32) - a)
        return np.asarray(np.rint(mixed), np.uint8)


def greenest(image: UInt8Image, boxes: FloatArray) -> UInt8Image:
    """The piece of a picture, RGB, without an object whose least green part is greenest."""
    width, height = PIECE
    grown = boxes + np.array([-AROUND, -AROUND, AROUND, AROUND])
    red, green, blue = (image[..., channel].astype(np.int64) for channel in range(3))
    excess = 2 * green - red - blue
    found = []
    for y in range(0, image.shape[0] - height + 1, 8):
        for x in range(0, image.shape[1] - width + 1, 8):
            if not _meets(grown, (x, y, x + width, y + height)):
                part = excess[y : y + height, x : x + width]
                found.append((float(np.percentile(part, 5)), y, x))
    if not found:
        raise SystemExit("no piece of the picture is without objects")
    _, y, x = max(found)
    return image[y : y + height, x : x + width].copy()


def laid(ground: UInt8Image, picture: UInt8Image, x: int, y: int) -> None:
    """Lay a picture on the ground, in place, its edges melting into it."""
    height, width = picture.shape[:2]
    edge = [np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)) / MELTING for n in (height, width)]
    weight = np.minimum(np.clip(edge[0], 0, 1)[:, None], np.clip(edge[1], 0, 1))[..., None]
    under = ground[y : y + height, x : x + width]
    mixed = under + weight.astype(np.float32) * (picture.astype(np.float32) - under)
    under[...] = np.rint(mixed).astype(np.uint8)


def write_picture(path: Path, bgr: UInt8Image) -> None:
    """Write a JPEG."""
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise SystemExit(f"{path}: cannot become a JPEG")
    write_atomically(path, data.tobytes())


def add_picture(
    report: dict[str, Any], name: str, size: tuple[int, int], boxes: Sequence[dict[str, Any]]
) -> None:
    """Add a picture and its objects, as COCO has them, to a COCO report, in place."""
    image = len(report["images"]) + 1
    width, height = size
    report["images"].append({"id": image, "file_name": name, "width": width, "height": height})
    for one in boxes:
        number = len(report["annotations"]) + 1
        report["annotations"].append({**one, "id": number, "image_id": image})


def moved(one: dict[str, Any], x: int, y: int) -> dict[str, Any]:
    """A COCO annotation, further to the right and down."""
    left, top, width, height = one["bbox"]
    return {**one, "bbox": [left + x, top + y, width, height]}


def _regions(annotations: Sequence[dict[str, Any]]) -> IntArray:
    boxes = np.array([one["bbox"] for one in annotations], np.float64).reshape(-1, 4)
    corners = np.concatenate([boxes[:, :2] - AROUND, boxes[:, :2] + boxes[:, 2:] + AROUND], axis=1)
    return np.asarray(np.rint(corners), np.int64)


def _meets(boxes: NDArray[Any], region: tuple[int, int, int, int]) -> bool:
    x1, y1, x2, y2 = region
    inside = (boxes[:, 0] < x2) & (boxes[:, 2] > x1) & (boxes[:, 1] < y2) & (boxes[:, 3] > y1)
    return bool(inside.any())


def _spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most so many of them, evenly."""
    count = min(count, len(items))
    return [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]
