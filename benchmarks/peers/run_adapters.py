"""Run models of the real libraries twice: through foveate's adapter, and by the library alone.

Runs in the benchmark-only environment with foveate's sources on PYTHONPATH. For every model it
writes ``NAME.json``: for each picture what the adapter found, what the library found with the same
limits, set by its own options, and how many boxes it gives by its defaults from the same score up.

    PYTHONPATH=src python benchmarks/peers/run_adapters.py FOLDER PICTURE... [--ultralytics-model M]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import transformers as hf
from export_foreign import SCORING, as_found, lively, small_transformer, spread, to_pixels
from PIL import Image
from torch import nn
from torchvision.models import detection, get_model  # type: ignore[import-untyped]
from ultralytics import RTDETR, YOLO

from foveate.inference.adapters import (
    LibraryDetector,
    TorchvisionDetector,
    TransformersDetector,
    UltralyticsDetector,
    load_adapter,
)

LEAST_SCORE, MOST = 0.01, 1000
R_CNN = {
    "box_score_thresh": LEAST_SCORE,
    "box_detections_per_img": MOST,
    "rpn_pre_nms_top_n_test": MOST,
    "rpn_post_nms_top_n_test": MOST,
}
ONE_STAGE = {"score_thresh": LEAST_SCORE, "detections_per_img": MOST, "topk_candidates": MOST}
Found = dict[str, list[Any]]
Run = Callable[[Path], Found]
Made = tuple[LibraryDetector, Run, Run]
"""The adapter; the library with the same limits; the library by its defaults but the score."""


def main() -> None:
    """Run every model on every picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+", help="all of one size")
    parser.add_argument("--ultralytics-model", type=Path, help="a trained model, by its file")
    args = parser.parse_args()
    makers = dict(MODELS)
    if args.ultralytics_model:
        makers[f"{args.ultralytics_model.stem}, trained"] = lambda _: by_file(
            args.ultralytics_model
        )
    for name, make in makers.items():
        torch.manual_seed(0)
        detector, same, defaults = make(cv2.imread(str(args.pictures[0])))
        rows: list[dict[str, Any]] = [
            {
                "foveate": ours(detector, path),
                "library": same(path),
                "defaults": len(defaults(path)["boxes"]),
            }
            for path in args.pictures
        ]
        report = {"adapter": detector.info.method, "pictures": rows}
        (args.folder / f"{name}.json").write_text(json.dumps(report))
        print(name, [len(row["foveate"]["boxes"]) for row in rows], flush=True)


def ours(detector: LibraryDetector, path: Path) -> Found:
    """What the adapter finds."""
    (found,) = detector([np.array(Image.open(path).convert("RGB"))])
    return {
        "boxes": found.boxes.tolist(),
        "scores": found.scores.tolist(),
        "labels": found.labels.tolist(),
    }


def ultralytics(config: str) -> Callable[[Any], Made]:
    """A model of Ultralytics with random weights, by its configuration."""

    def make(image: Any) -> Made:
        if config.startswith("rtdetr"):
            return predicting(RTDETR(config), UltralyticsDetector)
        model = YOLO(config)
        lively(model.model, to_pixels(image).repeat(2, 1, 1, 1))
        head = model.model.model[-1]
        for branch in (*head.cv3, *(getattr(head, "one2one_cv3", None) or ())):
            nn.init.normal_(branch[-1].weight, std=0.3)
            nn.init.constant_(branch[-1].bias, -4.0)
        return predicting(model, UltralyticsDetector)

    return make


def by_file(path: Path) -> Made:
    """A trained model, loaded by its name as the command line does."""
    return predicting(YOLO(path), lambda _: load_adapter(f"ultralytics:{path}"))


def predicting(model: Any, adapt: Callable[[Any], LibraryDetector]) -> Made:
    """Ultralytics' own prediction from the picture's file."""

    def run(path: Path, **options: Any) -> Found:
        boxes = model.predict(path, verbose=False, **options)[0].boxes
        return as_found(boxes.xyxy, boxes.conf, boxes.cls)

    def same(path: Path) -> Found:
        width, height = Image.open(path).size
        return run(path, imgsz=(height, width), conf=LEAST_SCORE, max_det=MOST)

    return adapt(model), same, lambda path: run(path, conf=LEAST_SCORE)


def torchvision(name: str) -> Callable[[Any], Made]:
    """A detector of torchvision with random weights."""

    def make(image: Any) -> Made:
        built = {"weights": None, "weights_backbone": None}
        model = get_model(name, **built).eval()
        pixels = to_pixels(image)[0]
        lively(model.backbone, pixels.repeat(2, 1, 1, 1))
        for part, module in model.named_modules():
            if SCORING.search(part) and isinstance(module, (nn.Conv2d, nn.Linear)):
                spread(module, lambda: model([pixels]))
            if part.endswith("bbox_pred"):
                spread(module, lambda: model([pixels]), deviation=0.2)
        limits = R_CNN if hasattr(model, "roi_heads") else ONE_STAGE
        sides = image.shape[:2]
        own = {} if name.startswith("ssd") else {"min_size": min(sides), "max_size": max(sides)}
        score = {key: value for key, value in limits.items() if value == LEAST_SCORE}
        usual, lifted = (get_model(name, **built, **o).eval() for o in (score, own | limits))
        for copied in (usual, lifted):
            copied.load_state_dict(model.state_dict())
        labels = 1 if isinstance(model, BACKGROUND) else 0
        names = ["__background__"] * labels + [f"class {n}" for n in range(labels, 91)]
        return TorchvisionDetector(model, names), calling(lifted, labels), calling(usual, labels)

    return make


BACKGROUND = (detection.FasterRCNN, detection.ssd.SSD)


def calling(model: Any, first: int) -> Run:
    """The library's own call; labels count from `first`."""

    def run(path: Path) -> Found:
        with torch.inference_mode():
            found = model([to_pixels(cv2.imread(str(path)))[0]])[0]
        return as_found(found["boxes"], found["scores"], found["labels"] - first)

    return run


def transformers(kind: str) -> Callable[[Any], Made]:
    """A small model of transformers with random weights, and a processor for the picture's size."""

    def make(image: Any) -> Made:
        side = image.shape[0]
        model, processor = small_yolos(side) if kind == "yolos" else small_transformer(kind)
        processor.size = (
            {"height": side, "width": side}
            if kind == "rt-detr"
            else {"shortest_edge": side, "longest_edge": 2 * side}
        )
        model.eval()
        detector = TransformersDetector(model, processor)
        processed = processing(model, processor)
        return detector, processed, processed

    return make


def small_yolos(side: int) -> tuple[nn.Module, Any]:
    """YOLOS of two layers."""
    config = hf.YolosConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        image_size=[side, side], num_detection_tokens=100, num_labels=7,
    )  # fmt: skip
    model = hf.YolosForObjectDetection(config)
    last = model.class_labels_classifier.layers[-1]
    nn.init.normal_(last.weight, std=0.3)
    nn.init.constant_(last.bias[-1:], -3.0)
    return model, hf.YolosImageProcessor()


def processing(model: Any, processor: Any) -> Run:
    """A processor's own preparation and reading of a picture."""

    def run(path: Path) -> Found:
        image = Image.open(path).convert("RGB")
        with torch.inference_mode():
            outputs = model(**processor(images=image, return_tensors="pt"))
        found = processor.post_process_object_detection(
            outputs, threshold=LEAST_SCORE, target_sizes=[image.size[::-1]]
        )[0]
        return as_found(found["boxes"], found["scores"], found["labels"])

    return run


MODELS: dict[str, Callable[[Any], Made]] = {
    "yolo11n": ultralytics("yolo11n.yaml"),
    "yolo26n": ultralytics("yolo26n.yaml"),
    "rtdetr-l": ultralytics("rtdetr-l.yaml"),
    "fasterrcnn_mobilenet_v3_large_320_fpn": torchvision("fasterrcnn_mobilenet_v3_large_320_fpn"),
    "maskrcnn_resnet50_fpn": torchvision("maskrcnn_resnet50_fpn"),
    "retinanet_resnet50_fpn": torchvision("retinanet_resnet50_fpn"),
    "fcos_resnet50_fpn": torchvision("fcos_resnet50_fpn"),
    "ssdlite320_mobilenet_v3_large": torchvision("ssdlite320_mobilenet_v3_large"),
    "DETR, small": transformers("detr"),
    "RT-DETR, small": transformers("rt-detr"),
    "YOLOS, small": transformers("yolos"),
}

if __name__ == "__main__":
    main()
