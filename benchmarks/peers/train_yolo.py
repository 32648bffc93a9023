"""Train the peer of the accuracy benchmark: YOLO11n from scratch, on the same pictures.

Runs in the benchmark-only environment (``benchmarks/requirements.txt``), never in foveate's own.

    python benchmarks/peers/train_yolo.py nuclei --size 384 --epochs 25 --out /tmp/peers
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path


def write_yolo_dataset(source: Path, target: Path) -> Path:
    """Write ``train`` and ``val`` of a COCO data set in YOLO layout (images are linked)."""
    names: list[str] = []
    for split in ("train", "val"):
        coco = json.loads((source / f"{split}.json").read_text())
        names = [c["name"] for c in coco["categories"]]
        index = {c["id"]: i for i, c in enumerate(coco["categories"])}
        images, labels = target / "images" / split, target / "labels" / split
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        lines: dict[int, list[str]] = {image["id"]: [] for image in coco["images"]}
        sizes = {image["id"]: (image["width"], image["height"]) for image in coco["images"]}
        for annotation in coco["annotations"]:
            x, y, w, h = annotation["bbox"]
            width, height = sizes[annotation["image_id"]]
            row = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
            label = index[annotation["category_id"]]
            lines[annotation["image_id"]].append(f"{label} " + " ".join(f"{v:.6f}" for v in row))
        for image in coco["images"]:
            link = images / image["file_name"]
            if not link.exists():
                link.symlink_to((source / "images" / image["file_name"]).resolve())
            (labels / link.with_suffix(".txt").name).write_text("\n".join(lines[image["id"]]))
    config = target / "data.yaml"
    config.write_text(
        f"path: {target.resolve()}\ntrain: images/train\nval: images/val\n"
        f"names: {json.dumps(names)}\n"
    )
    return config


def main() -> None:
    """Parse the command line, train, and leave ``NAME-yolo11n.pt`` and its facts in ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("/tmp/peers"))
    args = parser.parse_args()

    from ultralytics import YOLO

    data = Path(os.environ.get("FOVEATE_DATA", "../shared/data")) / args.dataset
    config = write_yolo_dataset(data, args.out / f"{args.dataset}-yolo")
    started = time.time()
    model = YOLO("yolo11n.yaml")
    model.train(
        data=str(config), imgsz=args.size, epochs=args.epochs, batch=args.batch, seed=args.seed,
        pretrained=False, device="cpu", workers=1, plots=False, amp=False, max_det=500,
        project=str(args.out), name=f"{args.dataset}-train", exist_ok=True,
    )  # fmt: skip
    best = args.out / f"{args.dataset}-train" / "weights" / "best.pt"
    target = args.out / f"{args.dataset}-yolo11n.pt"
    target.write_bytes(best.read_bytes())
    facts = {"size": args.size, "epochs": args.epochs, "seed": args.seed}
    facts["seconds"] = round(time.time() - started)
    target.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
