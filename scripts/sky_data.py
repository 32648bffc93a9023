"""Make the stills that the `sky` model learns from: every k-th frame of two sets of clips.

    python scripts/sky_data.py data/sky

Reads ``sky-visible`` and ``sky-ir`` (COCO JSON with ``videos`` and ``frame_index``) from the folder
that ``FOVEATE_DATA`` names and writes one data set of both: ``train.json``, ``val.json`` and
``images``. Clips keep their split. Consecutive frames are nearly alike, hence every k-th.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Iterator
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


def frames(clip: Path, wanted: set[int]) -> Iterator[tuple[int, UInt8Image]]:
    """The wanted frames of a clip, by index, BGR."""
    video = cv2.VideoCapture(str(clip))
    for index in range(max(wanted) + 1):
        if not video.grab():
            raise SystemExit(f"{clip}: ends before frame {index}")
        if index in wanted:
            yield index, np.asarray(video.retrieve()[1], np.uint8)
    video.release()


def stills(source: Path, split: str, every: int, out: Path, dataset: dict[str, Any]) -> None:
    """Write every k-th frame of a set's split and add its labels to `dataset`."""
    labels = json.loads((source / f"{split}.json").read_text())
    dataset["categories"] = labels["categories"]
    objects: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in labels["annotations"]:
        objects[annotation["image_id"]].append(annotation)
    clips: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for image in labels["images"]:
        if image["frame_index"] % every == 0:
            clips[image["file_name"]][image["frame_index"]] = image
    for clip, images in sorted(clips.items()):
        for index, pixels in frames(source / "videos" / clip, set(images)):
            name = f"{Path(clip).stem}-{index:04}.jpg"
            done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
            if not done:
                raise SystemExit(f"{clip}: frame {index} cannot become a JPEG")
            write_atomically(out / "images" / name, data.tobytes())
            number = len(dataset["images"]) + 1
            size = {key: images[index][key] for key in ("width", "height")}
            dataset["images"].append({"id": number, "file_name": name, **size})
            for annotation in objects[images[index]["id"]]:
                own = {"id": len(dataset["annotations"]) + 1, "image_id": number}
                dataset["annotations"].append({**annotation, **own})


def main() -> None:
    """Write the data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    data = Path(os.environ.get("FOVEATE_DATA", ROOT.parent / "shared" / "data"))
    for split, every in SPLITS.items():
        dataset: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
        for name in SETS:
            stills(data / name, split, every, args.out, dataset)
        write_atomically(args.out / f"{split}.json", json.dumps(dataset).encode())
        print(f"{split}: {len(dataset['images'])} stills")


if __name__ == "__main__":
    main()
