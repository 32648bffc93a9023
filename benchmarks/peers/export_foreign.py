"""Export small models with random weights by the real libraries, and keep what those find.

Runs in the benchmark-only environment; for every model it writes ``NAME.onnx`` and ``NAME.json``:
the boxes, scores and labels of the vendor's own post-processing on ``picture.png``.

    python benchmarks/peers/export_foreign.py picture.png FOLDER
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import torch
from torch import Tensor, nn

LEAST_SCORE = 0.05
SCORING = re.compile(r"(cls_logits|cls_score|classification_head\.module_list\.\d+\.1)$")
"""Names of torchvision's layers that give class scores."""
MOST = 1000
Found = dict[str, list[Any]]


def main() -> None:
    """Export every model; one that fails is named, and the others are still made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path, help="square, its side a multiple of 32")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", help="names of models")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    image = cv2.imread(str(args.picture))
    for name, make in MODELS.items():
        if args.only and name not in args.only:
            continue
        torch.manual_seed(0)
        try:
            found = make(image, args.folder / f"{name}.onnx")
        except Exception as error:
            traceback.print_exc()
            found = {"failed": [f"{type(error).__name__}: {error}"]}
        (args.folder / f"{name}.json").write_text(json.dumps(found))
        print(name, len(found.get("boxes", [])), "boxes", *found.get("failed", []), flush=True)


def lively(model: nn.Module, pixels: Tensor) -> None:
    """Give random weights something to say: normalise every layer to the picture at hand."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    model.train()
    with torch.no_grad():
        model(pixels)
    model.eval()


def spread(layer: Any, run: Callable[[], Any], deviation: float = 2.0) -> None:
    """Scale a layer until what it gives in `run` varies so much."""
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, __, output: seen.append(output.flatten()))
    with torch.no_grad():
        run()
        layer.weight.mul_(deviation / torch.cat(seen).std())
        layer.bias.zero_()
    hook.remove()


def to_pixels(image: Any) -> Tensor:
    """``(1, 3, H, W)`` RGB from 0 to 1."""
    rgb = np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))
    return torch.from_numpy(rgb)[None].float() / 255


def as_found(boxes: Tensor, scores: Tensor, labels: Tensor) -> Found:
    """Plain lists."""
    return {
        "boxes": boxes.detach().float().tolist(),
        "scores": scores.detach().float().tolist(),
        "labels": labels.long().tolist(),
    }


def ultralytics(config: str, **options: Any) -> Callable[[Any, Path], Found]:
    """A model of Ultralytics by its configuration."""

    def make(image: Any, target: Path) -> Found:
        from ultralytics import YOLO

        model = YOLO(config)
        lively(model.model, to_pixels(image).repeat(2, 1, 1, 1))
        head = model.model.model[-1]
        for branch in (*head.cv3, *(getattr(head, "one2one_cv3", None) or ())):
            last = branch[-1]
            nn.init.normal_(last.weight, std=0.3)
            nn.init.constant_(last.bias, -4.0)
        with tempfile.TemporaryDirectory() as folder:
            model.ckpt_path = str(Path(folder) / "model.pt")
            model.model.pt_path = model.ckpt_path
            exported = model.export(format="onnx", imgsz=image.shape[0], verbose=False, **options)
            shutil.move(exported, target)
        # The vendor's own runtime over the exported file.
        found = (
            YOLO(target, task="detect")
            .predict(image, imgsz=image.shape[0], conf=LEAST_SCORE, max_det=MOST, verbose=False)[0]
            .boxes
        )
        return as_found(found.xyxy, found.conf, found.cls)

    return make


def torchvision(name: str) -> Callable[[Any, Path], Found]:
    """A detector of torchvision, at the picture's own size."""

    def make(image: Any, target: Path) -> Found:
        from torchvision.models import detection  # type: ignore[import-untyped]

        size = image.shape[0]
        own = {} if name.startswith("ssd") else {"min_size": size, "max_size": size}
        model = getattr(detection, name)(weights=None, weights_backbone=None, **own)
        pixels = to_pixels(image)
        backbone = model.backbone
        lively(backbone, pixels.repeat(2, 1, 1, 1))
        model.eval()
        for part, module in model.named_modules():
            if SCORING.search(part) and isinstance(module, (nn.Conv2d, nn.Linear)):
                spread(module, lambda: model([pixels[0]]))
            if part.endswith("bbox_pred"):  # or boxes become slivers that rounding moves
                spread(module, lambda: model([pixels[0]]), deviation=0.2)
        with torch.no_grad():
            found = model([pixels[0]])[0]
        torch.onnx.export(model, ([pixels[0]],), str(target), opset_version=18, dynamo=False)
        kept = found["scores"] >= LEAST_SCORE
        return as_found(found["boxes"][kept], found["scores"][kept], found["labels"][kept])

    return make


def transformers(kind: str) -> Callable[[Any, Path], Found]:
    """A small model of transformers, through its processor's own post-processing."""

    def make(image: Any, target: Path) -> Found:
        model, processor = small_transformer(kind)
        model.eval()
        pixels = to_pixels(image)
        if kind == "detr":
            pixels = (pixels - torch.tensor(processor.image_mean)[:, None, None]) / torch.tensor(
                processor.image_std
            )[:, None, None]
        names = ["logits", "pred_boxes"]
        torch.onnx.export(
            Named(model), (pixels,), str(target), input_names=["pixel_values"],
            output_names=names, opset_version=18, dynamo=False,
        )  # fmt: skip
        # Queries are chosen by rank inside, which the last digit decides: so from the file's own.
        session = onnxruntime.InferenceSession(str(target))
        raw = session.run(names, {"pixel_values": pixels.numpy()})
        outputs = SimpleNamespace(logits=torch.from_numpy(raw[0]),
                                  pred_boxes=torch.from_numpy(raw[1]))  # fmt: skip
        found = processor.post_process_object_detection(
            outputs, threshold=LEAST_SCORE, target_sizes=[image.shape[:2]]
        )[0]
        return as_found(found["boxes"], found["scores"], found["labels"])

    return make


class Named(nn.Module):
    """The two outputs that a transformers export has."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and boxes."""
        outputs = self.model(pixel_values=pixel_values)
        return outputs.logits, outputs.pred_boxes


def small_transformer(kind: str) -> tuple[nn.Module, Any]:
    """A model with random weights and the processor that belongs to it."""
    import transformers as hf

    if kind == "detr":
        backbone = hf.ResNetConfig(
            embedding_size=16, hidden_sizes=[16, 32, 64, 64], depths=[1, 1, 1, 1],
            layer_type="basic", out_features=["stage4"],
        )  # fmt: skip
        config = hf.DetrConfig(
            use_timm_backbone=False, backbone_config=backbone, backbone=None, d_model=64,
            encoder_layers=1, decoder_layers=1, encoder_ffn_dim=64, decoder_ffn_dim=64,
            encoder_attention_heads=4, decoder_attention_heads=4, num_queries=100, num_labels=7,
        )  # fmt: skip
        model = hf.DetrForObjectDetection(config)
        nn.init.normal_(model.class_labels_classifier.weight, std=0.3)
        nn.init.constant_(model.class_labels_classifier.bias[-1:], -3.0)
        return model, hf.DetrImageProcessor()
    config = hf.RTDetrConfig(num_labels=7, encoder_layers=1, decoder_layers=1, num_queries=300)
    model = hf.RTDetrForObjectDetection(config)
    return model, hf.RTDetrImageProcessor()


def yolox(image: Any, target: Path) -> Found:
    """YOLOX-nano as its own export leaves it, undecoded; its own decoding and suppression."""
    from yolox.exp import get_exp
    from yolox.utils import postprocess
    from yolox.utils.demo_utils import demo_postprocess

    model = get_exp(exp_name="yolox-nano").get_model().eval()
    pixels = to_pixels(image[..., ::-1]) * 255
    lively(model.backbone, pixels.repeat(2, 1, 1, 1))
    for layer in (*model.head.cls_preds, *model.head.obj_preds):
        spread(layer, lambda: model(pixels))
    model.head.decode_in_inference = False
    torch.onnx.export(model, (pixels,), str(target), input_names=["images"],
                      output_names=["output"], opset_version=18, dynamo=False)  # fmt: skip
    with torch.no_grad():
        raw = model(pixels).numpy()
    rows = torch.from_numpy(demo_postprocess(raw, image.shape[:2]))
    found = postprocess(rows, 80, conf_thre=LEAST_SCORE, nms_thre=0.45)[0]
    found = found[(-found[:, 4] * found[:, 5]).argsort()[:MOST]]
    return as_found(found[:, :4], found[:, 4] * found[:, 5], found[:, 6])


def rfdetr(image: Any, target: Path) -> Found:
    """RF-DETR nano of six classes; its own decoding of what the file gives."""
    from rfdetr import RFDETRNano
    from rfdetr.export._runtime.decode import decode_detections

    size = image.shape[0]
    model = RFDETRNano(pretrain_weights=None, num_classes=6, resolution=size, device="cpu")
    scores = model.model.model.class_embed
    nn.init.normal_(scores.weight, std=0.2)
    nn.init.constant_(scores.bias, -2.0)
    with tempfile.TemporaryDirectory() as folder:
        exported = model.export(output_dir=folder, shape=(size, size), verbose=False)
        shutil.move(str(exported), target)
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    session = onnxruntime.InferenceSession(str(target))
    dets, labels = session.run(
        ["dets", "labels"], {"input": ((to_pixels(image) - mean) / std).numpy()}
    )
    found = decode_detections(dets[0], labels[0], (size, size), threshold=LEAST_SCORE)
    return as_found(*map(torch.from_numpy, (found.xyxy, found.confidence, found.class_id)))


MODELS: dict[str, Callable[[Any, Path], Found]] = {
    "yolov5nu": ultralytics("yolov5n.yaml"),
    "yolov8n": ultralytics("yolov8n.yaml"),
    "yolo11n": ultralytics("yolo11n.yaml"),
    "yolo11n-half": ultralytics("yolo11n.yaml", half=True),
    "yolo11n-dynamic": ultralytics("yolo11n.yaml", dynamic=True),
    "yolo11n-nms": ultralytics("yolo11n.yaml", nms=True, conf=LEAST_SCORE, max_det=MOST),
    "yolo26n": ultralytics("yolo26n.yaml", end2end=False),
    "yolo26n-end2end": ultralytics("yolo26n.yaml", end2end=True),
    "yolov10n-end2end": ultralytics("yolov10n.yaml", end2end=True),
    "fasterrcnn": torchvision("fasterrcnn_mobilenet_v3_large_320_fpn"),
    "retinanet": torchvision("retinanet_resnet50_fpn"),
    "fcos": torchvision("fcos_resnet50_fpn"),
    "ssdlite": torchvision("ssdlite320_mobilenet_v3_large"),
    "detr": transformers("detr"),
    "yolox-nano": yolox,
    "rf-detr-nano": rfdetr,
    "rt-detr-transformers": transformers("rt-detr"),
}

if __name__ == "__main__":
    main()
