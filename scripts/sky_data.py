"""Make the stills that the `sky` model learns from: every k-th frame of two sets of clips.

    python scripts/sky_data.py data/sky

Reads ``sky-visible`` and ``sky-ir`` (COCO JSON with ``videos`` and ``frame_index``) from the folder
that ``FOVEATE_DATA`` names and writes one data set of both: ``train.json``, ``val.json`` and
``images``; and of each alone ``sky-visible-val.json`` and the like. Clips keep their split.
Consecutive frames are nearly alike, hence every k-th. With ``--before 3`` the three frames before
each are written, too, as clips to learn motion from: with lags of 1 and 3, training draws those
frames alone that have three before them, which are the same k-th ones. With ``--moving`` the clips
of moving cameras are written as well, of which nothing is to be learned.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from foveate.config import write_atomically
from foveate.structures import UInt8Image

ROOT = Path(__file__).resolve().parent.parent
SETS = ("sky-visible", "sky-ir")
SPLITS = {"train": 8, "val": 16}
"""Every so manieth frame."""
MOVING = "moving"


def frames(clip: Path, wanted: set[int]) -> Iterator[tuple[int, UInt8Image]]:
    """The wanted frames of a clip, by index, BGR."""
    video = cv2.VideoCapture(str(clip))
    for index in range(max(wanted) + 1):
        if not video.grab():
            raise SystemExit(f"{clip}: ends before frame {index}")
        if index in wanted:
            yield index, np.asarray(video.retrieve()[1], np.uint8)
    video.release()


def stills(source: Path, split: str, every: int, out: Path, before: int = 0) -> dict[str, Any]:
    """Write every k-th frame of a set's split, and give its labels as COCO JSON.

    Args:
        source: Folder of the set.
        split: `train`, `val` or `moving`.
        every: Which frames.
        out: Where ``images`` are written to.
        before: So many frames before each as well; then the labels have `videos`.
    """
    labels = json.loads((source / f"{split}.json").read_text())
    kept = [image for image in labels["images"] if -image["frame_index"] % every <= before]
    clips: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for image in kept:
        clips[image["file_name"]][image["frame_index"]] = image
    for clip, images in sorted(clips.items()):
        for index, pixels in frames(source / "videos" / clip, set(images)):
            done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
            if not done:
                raise SystemExit(f"{clip}: frame {index} cannot become a JPEG")
            write_atomically(out / "images" / still_name(images[index]), data.tobytes())
    ids = {image["id"] for image in kept}
    size = ("id", "width", "height", *(("video_id", "frame_index") if before else ()))
    return {
        **({"videos": labels["videos"]} if before else {}),
        "images": [
            {"file_name": still_name(image), **{key: image[key] for key in size}} for image in kept
        ],
        "annotations": [one for one in labels["annotations"] if one["image_id"] in ids],
        "categories": labels["categories"],
    }


def still_name(image: dict[str, Any]) -> str:
    """The file of a frame."""
    return f"{Path(image['file_name']).stem}-{image['frame_index']:04}.jpg"


def joined(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Data sets of the same categories as one, with ids of its own."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: list[dict[str, Any]] = []
    videos: list[dict[str, Any]] = []
    for part in parts:
        own = {video["id"]: i for i, video in enumerate(part.get("videos", ()), len(videos) + 1)}
        videos += [{**video, "id": own[video["id"]]} for video in part.get("videos", ())]
        first_image, first_annotation = len(images), len(annotations)
        number = {image["id"]: i for i, image in enumerate(part["images"], first_image + 1)}
        images += [
            {**image, "id": number[image["id"]]}
            | ({"video_id": own[image["video_id"]]} if own else {})
            for image in part["images"]
        ]
        annotations += [
            {**one, "id": i, "image_id": number[one["image_id"]]}
            for i, one in enumerate(part["annotations"], first_annotation + 1)
        ]
        categories = part["categories"]
    both = {"images": images, "annotations": annotations, "categories": categories}
    return both | ({"videos": videos} if videos else {})


def main() -> None:
    """Write the data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--before", type=int, default=0, help="frames before each, for motion")
    parser.add_argument("--every", type=int, nargs=2, default=[*SPLITS.values()],
                        metavar=tuple(SPLITS), help="of the frames, for either split")  # fmt: skip
    parser.add_argument("--moving", action="store_true", help="moving cameras, too, as val")
    args = parser.parse_args()
    data = Path(os.environ.get("FOVEATE_DATA", ROOT.parent / "shared" / "data"))
    apart = dict(zip(SPLITS, args.every, strict=True))
    for split, every in (apart | ({MOVING: args.every[1]} if args.moving else {})).items():
        parts = {name: stills(data / name, split, every, args.out, args.before) for name in SETS}
        both = joined(parts.values())
        for name, part in {"": both, **parts}.items():
            file = args.out / f"{name}{'-' if name else ''}{split}.json"
            write_atomically(file, json.dumps(part).encode())
        print(f"{split}: {len(both['images'])} frames")


if __name__ == "__main__":
    main()
