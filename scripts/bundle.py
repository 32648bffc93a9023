"""Turn a run folder into a bundled model: export, measure on held-out pictures, write its card.

    python scripts/bundle.py runs/nuclei ../shared/data/nuclei/val.json

The default score threshold becomes the one with the best F1 on those pictures, at IoU .5.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from foveate.data.formats import load_dataset
from foveate.data.formats.coco_video import load_clips
from foveate.evaluation import SIZE_BINS, count_outcomes, evaluate_detections
from foveate.export.onnx import export_run, load_run, rewrite_info
from foveate.inference.bundled import BUNDLED_FOLDER
from foveate.inference.clips import labelled_sources
from foveate.inference.model_info import Measured, ModelInfo
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.pipeline import detect_image
from foveate.structures import Dataset, Detections, UInt8Image
from foveate.tiling import TilePlan, plan_tiles, tile_batch
from foveate.training.loader import Part
from foveate.training.recipe import Recipe

LEAST_SCORE = 0.01
PARITY_TILES = 6
"""Real tiles on which the file is compared with torch."""
KEPT = ("AP", "AP50", "AP_small", "AP_medium", "AR_small")


def real_tiles(part: Part, recipe: Recipe, plan: TilePlan, multiple: int) -> list[UInt8Image]:
    """The first tile of some pictures, as the network is shown them."""
    dataset = part.dataset
    few = dataset.samples[:: max(1, len(dataset) // PARITY_TILES)][:PARITY_TILES]
    tiles = []
    for _, source in labelled_sources(replace(dataset, samples=few), part.clips, recipe.motion):
        tile = plan_tiles(source.width, source.height, plan, multiple)[0]
        region = source.read(tile)
        assert region is not None  # a picture has pixels everywhere
        tiles.append(tile_batch([region], [tile], multiple)[0])
    return tiles


def predict(
    part: Part, detector: OnnxDetector, plan: TilePlan, info: ModelInfo
) -> dict[int, Detections]:
    """Detections of every picture, by image id."""
    return {
        sample.image_id: detect_image(
            source, detector, plan, info.merge,
            score_threshold=LEAST_SCORE, size_multiple=info.size_multiple,
        ).detections
        for sample, source in labelled_sources(part.dataset, part.clips, info.motion)
    }  # fmt: skip


def measure(dataset: Dataset, setting: str, found: Mapping[int, Detections]) -> Measured:
    """AP overall and by size, for the card."""
    scores = evaluate_detections(dataset, found, SIZE_BINS["coco"])
    flat = scores.flat()
    metrics = {name: round(flat[name], 4) for name in KEPT if name in flat}
    if len(dataset.class_names) > 1:
        classes = scores.by_class.items()
        metrics |= {f"AP50_{name}": round(own["AP50"], 4) for name, own in classes}
    metrics = {name: value for name, value in metrics.items() if not math.isnan(value)}
    return Measured(dataset=f"{dataset.name} ({len(dataset)} pictures)", setting=setting,
                    metrics=metrics)  # fmt: skip


def best_threshold(dataset: Dataset, found: Mapping[int, Detections]) -> float:
    """The score threshold with the best F1 at IoU .5."""
    best = (0.0, 0.3)
    for threshold in np.arange(0.1, 0.7, 0.05).round(2).tolist():
        outcomes = count_outcomes(dataset, found, score_threshold=threshold)
        wrong = outcomes.missed + outcomes.false
        best = max(best, (2 * outcomes.found / max(1, 2 * outcomes.found + wrong), threshold))
    return best[1]


def main() -> None:
    """Export, measure, and write ``src/foveate/bundled/NAME.onnx``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("labels", type=Path, nargs="+", help="held-out pictures, COCO JSON; the "
                        "first sets the threshold, all are measured")  # fmt: skip
    parser.add_argument("--any-class", action="store_true", help="merge boxes across classes")
    parser.add_argument(
        "--size", type=int, help="tile size at run time; the training's if left out"
    )
    parser.add_argument("--overlap", type=float, help="of tiles at run time, likewise")
    parser.add_argument("--scale", type=float, help="enlargement at run time, likewise")
    parser.add_argument("--out", type=Path, default=BUNDLED_FOLDER)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        method, recipe, _ = load_run(args.run)
        asked = {"size": args.size, "overlap": args.overlap, "scale": args.scale}
        given = {name: value for name, value in asked.items() if value is not None}
        plan = TilePlan.from_dict(recipe.tile_plan.model_dump() | given)
        first, *others = (
            Part(load_dataset(path), load_clips(path)).drawn(recipe) for path in args.labels
        )
        pictures = real_tiles(first, recipe, plan, method.size_multiple)
        draft = export_run(args.run, Path(folder) / "draft.onnx", pictures=tuple(pictures))
        detector = OnnxDetector(draft)
        info = detector.info
        if args.any_class:
            merge = info.merge.model_copy(update={"class_aware": False})
            info = info.model_copy(update={"merge": merge})
        words = (
            f"tiles of {plan.size} px, overlap {plan.overlap_pixels} px, enlarged x{plan.scale:g}"
        )
        squeezed = plan.model_copy(update={"plain": True})
        measured = []
        for shown in (*others, first):  # the list of models shows the last
            plain, tiled = (predict(shown, detector, one, info) for one in (squeezed, plan))
            measured += [
                measure(shown.dataset, "plain", plain),
                measure(shown.dataset, words, tiled),
            ]
            if shown is first:
                threshold = best_threshold(first.dataset, tiled)
        info = info.model_copy(
            update={
                "tile_plan": plan,
                "small_object": plan.overlap_pixels / plan.scale,
                "score_threshold": threshold,
                "measured": tuple(measured),
            }
        )
        target = rewrite_info(draft, info, args.out / f"{info.name}.onnx")
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB, threshold {info.score_threshold}")
    for one in info.measured:
        print(f"  {one.dataset}, {one.setting}: {one.metrics}")


if __name__ == "__main__":
    main()
