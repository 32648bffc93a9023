"""Render the data set that the bundled `pitch` model learned from, in the layout `train` reads.

    python scripts/pitch_data.py data/pitch
    foveate train pitch --data data/pitch --out runs/pitch

With ``--frames 24`` the matches are clips of so many frames, for `pitch-motion`.

Training worlds have the seeds from 0, validation worlds from 1000: no camera, light, kit or play
is shared.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from foveate.data.pitch import write_dataset

FIRST_SEED = {"train": 0, "val": 1000}


def main() -> None:
    """Render both splits into one folder: ``train.json``, ``val.json``, ``images/``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=400, help="pictures to learn from")
    parser.add_argument("--val", type=int, default=40, help="pictures to report on")
    parser.add_argument("--frames", type=int, default=1, help="of each picture's clip, 25 a second")
    args = parser.parse_args()
    images = args.folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", args.train), ("val", args.val)):
        part = args.folder / f".{split}"
        labels = write_dataset(part, count, FIRST_SEED[split], frames=args.frames)
        for picture in sorted((part / "images").iterdir()):
            shutil.move(picture, images / picture.name)
        shutil.move(labels, args.folder / f"{split}.json")
        shutil.rmtree(part)
        print(f"{split}: {count} pictures")


if __name__ == "__main__":
    main()
