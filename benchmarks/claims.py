"""What is trained, how it is shown pictures, and which claim of the article each pair judges.

A *trial* is one training; a *showing* is a trained model and the way it sees held-out pictures; a
*claim* sets a treatment beside a control that differs in that alone; a *series* is several showings
side by side. Published figures are facts from the papers, none is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from foveate.inference.settings import Options


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        recipe: A shipped recipe.
        data: Folder with `train.json` and `val.json`.
        settings: Over the recipe, and over what the scale of the benchmark says. `plain` is the
            side that whole pictures are squeezed into, network pixels, in place of tiles.
        base: Of a refiner, the trial whose small boxes it judges; its recipe is `mtgan`.
    """

    recipe: str
    data: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    base: str = ""


@dataclass(frozen=True)
class Showing:
    """A trained model and how it is shown the held-out pictures.

    Attributes:
        trial: Key of `TRIALS`.
        options: Over what the model file says.
    """

    trial: str
    options: Options = field(default_factory=Options)


@dataclass(frozen=True)
class Claim:
    """A treatment and its control.

    Attributes:
        says: What is claimed.
        published: Figures of the paper, control to treatment.
        control: Key of `SHOWINGS`.
        treatment: Likewise.
        gains: Whether the treatment is claimed to gain; if not, to bring nothing or to cost.
        changes: Settings that the treatment changes: one, but where the claim is of several.
    """

    says: str
    published: str
    control: str
    treatment: str
    gains: bool = True
    changes: int = 1


@dataclass(frozen=True)
class Series:
    """Several showings side by side.

    Attributes:
        says: What it is about.
        showings: Column or point to key of `SHOWINGS`.
    """

    says: str
    showings: Mapping[str, str]


PLAIN_SIDE = 256
"""Of the squeezed picture, network pixels, in the trials that show pictures whole."""


def _method(**settings: Any) -> dict[str, Any]:
    return {"method": settings}


def _scaled(scale: float) -> dict[str, Any]:
    return {"tile_plan": {"scale": scale}}


CROSS_ENTROPY = {"focal": {"gamma": 0.0, "alpha": 0.75}}
"""RetinaNet's control: of the alphas in the paper's table the best one [S: Lin 2017]."""

SCALES = (0.5, 1.0, 2.0, 4.0)
VHR10 = _scaled(0.5)
AERIAL = _scaled(1.5)

PLUS = {"regions": {"refinements": 1, "global_context": True}}
"""Of "+++": boxes moved and judged again, the whole tile's mean; several scales are a showing."""

REMOTE: dict[str, dict[str, Any]] = {
    "none": {
        **_method(anchors="default", small_anchors=False, fused=False, context=False),
        "sampling": {"repeat_below": 0.0}, "augment": {"any_turn": 0.0, "quarter_turn": 0.0},
    },
    "anchors": {"method": {"anchors": "auto"}},
    "fused": {"method": {"fused": True}},
    "context": {"method": {"context": True}},
    "balanced": {"sampling": {"repeat_below": 0.5}},
    "turned": {"augment": {"any_turn": 1.0}},
}  # fmt: skip
"""The changes of remote-rcnn in their order, each on top of those before it."""


CHANGES = {
    "anchors": "Small anchors, fitted to the data",
    "fused": "One fine map, fused from all",
    "context": "Regions judged with their surroundings",
    "balanced": "Pictures of rare classes drawn more often",
    "turned": "Pictures turned by any angle",
}
"""What each change after `none` is."""

ADDED = {"vhr10": tuple(REMOTE), "aerial": tuple(n for n in REMOTE if n != "balanced")}
"""Of one class none is rare."""

TURNS: dict[str, dict[str, Any]] = {
    "half": {"any_turn": 0.5},
    "ellipse": {"any_turn": 1.0, "turned_box": "ellipse"},
    "quarter": {"quarter_turn": 0.75},
}
"""Other ways to turn pictures: every other one, with tighter boxes, by right angles alone."""

BACKBONES = {
    name: {"name": timm, "weights": "none"}
    for name, timm in {
        "lite0": "tf_efficientnet_lite0", "resnet18": "resnet18", "inception": "inception_v2_050",
    }.items()
}  # fmt: skip
"""All from random weights: only one has others that install."""


def laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings with others in their place, key by key."""
    merged = dict(base)
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = laid_over(base[key], value) if nested else value
    return merged


BASES = {"nuclei": "retinanet", "faces": "tiny-faces", "vhr10": "vhr10-retinanet"}
"""Whose small boxes are super-resolved."""

BOUNDS = {"vhr10": {"crops": {"small": 32.0}}}
"""Below 16 px there is next to nothing to refine."""

_PUBLISHED_WEIGHTS: dict[str, Any] = {"weights": {"pixels": 1.0}}
REFINED: dict[str, dict[str, Any]] = {
    "plain": {"inputs": "plain", **_PUBLISHED_WEIGHTS},
    "bicubic": {"inputs": "bicubic", **_PUBLISHED_WEIGHTS},
    "generated": {"inputs": "generated", **_PUBLISHED_WEIGHTS},
}
"""What the judge of SOD-MTGAN is shown: the method, and its controls."""

_AS_PUBLISHED: dict[str, Any] = {
    "learning_rate": 1e-4, "last_learning_rate": 1e-5, "generator": {"width": 64},
    "crops": {"small": 32.0}, **_PUBLISHED_WEIGHTS,
}  # fmt: skip
REMEDIES: dict[str, dict[str, Any]] = {
    "published": _AS_PUBLISHED,
    "published-bicubic": {**_AS_PUBLISHED, "inputs": "bicubic"},
    "larger-bicubic": {"inputs": "bicubic", "crops": {"small": 32.0}, **_PUBLISHED_WEIGHTS},
    "unopposed": {"weights": {"pixels": 1.0, "adversarial": 0.0}},
    "pixels": {"weights": {"pixels": 100.0}},
    "relativistic": {"weights": {"pixels": 100.0}, "relativistic": True},
}
"""Other ways to train judge and generator; `pixels` is what the defaults are now."""


def _plus(change: str) -> str:
    return "plain" if change == "none" else f"+ {CHANGES[change].lower()}"


def _added_up(data: str, settings: Mapping[str, Any]) -> dict[str, Trial]:
    """`remote-rcnn` without its changes, and with one more each time."""
    trials = {}
    for name in ADDED[data]:
        settings = laid_over(settings, REMOTE[name])
        trials[f"{data}-remote-{name}"] = Trial("remote-rcnn", data, settings)
    return trials


def _unturned(over: Mapping[str, Any]) -> Trial:
    """`remote-rcnn` on vhr10 with all changes but the turning, and others laid over."""
    settings = _added_up("vhr10", VHR10)["vhr10-remote-balanced"].settings
    return Trial("remote-rcnn", "vhr10", laid_over(settings, over))


TRIALS: dict[str, Trial] = {
    "retinanet": Trial("retinanet", "nuclei"),
    "retinanet-ce": Trial("retinanet", "nuclei", _method(**CROSS_ENTROPY)),
    "retinanet-anchors": Trial("retinanet", "nuclei", _method(anchors_per_level=9)),
    "retinanet-default": Trial(
        "retinanet", "nuclei", _method(anchors="default", anchors_per_level=9)
    ),
    "yolov3": Trial("yolov3", "nuclei"),
    "yolov3-focal": Trial("yolov3", "nuclei", _method(class_loss="focal")),
    "yolov3-ball": Trial("yolov3", "tennis-ball"),
    "yolov3-ball-default": Trial("yolov3", "tennis-ball", _method(anchors="default")),
    "yolov3-ball-single": Trial("yolov3", "tennis-ball", _method(anchors_per_level=1)),
    "yolov3-ball-lenient": Trial("yolov3", "tennis-ball", _method(ignore_iou=0.5)),
    "ssd": Trial("ssd", "nuclei"),
    "ssd-flat": Trial("ssd", "nuclei", _method(smoothing=True)),
    "ssd-pyramid": Trial("ssd", "nuclei", _method(smoothing=True, top_down=True)),
    "ssd-focal": Trial("ssd", "nuclei", _method(class_loss="focal")),
    "ssd-inception": Trial("ssd-inception", "nuclei"),
    "tiny-faces": Trial("tiny-faces", "faces"),
    "tiny-faces-no-context": Trial("tiny-faces", "faces", _method(context=False)),
    "retinanet-plain": Trial("retinanet", "nuclei", {"plain": PLAIN_SIDE}),
    "retinanet-plain-double": Trial("retinanet", "nuclei", {"plain": 2 * PLAIN_SIDE}),
    "yolov3-plain": Trial("yolov3", "nuclei", {"plain": PLAIN_SIDE}),
    **{f"retinanet-x{s:g}": Trial("retinanet", "nuclei", _scaled(s)) for s in SCALES if s != 1},
    "vhr10-retinanet": Trial("retinanet", "vhr10", VHR10),
    "vhr10-retinanet-ce": Trial("retinanet", "vhr10", VHR10 | _method(**CROSS_ENTROPY)),
    "vhr10-yolov3": Trial("yolov3", "vhr10", VHR10),
    "vhr10-ssd-inception": Trial("ssd-inception", "vhr10", VHR10),
    **{f"vhr10-retinanet-x{s:g}": Trial("retinanet", "vhr10", _scaled(s)) for s in SCALES[1:]},
    "faster-rcnn": Trial("faster-rcnn", "nuclei"),
    "faster-rcnn-plus": Trial("faster-rcnn", "nuclei", _method(**PLUS)),
    "fpn": Trial("faster-rcnn-fpn", "nuclei"),
    "fpn-no-top-down": Trial("faster-rcnn-fpn", "nuclei", _method(top_down=False)),
    "fpn-no-lateral": Trial("faster-rcnn-fpn", "nuclei", _method(lateral=False)),
    "fpn-finest": Trial("faster-rcnn-fpn", "nuclei", _method(finest_only=True)),
    "multiscale": Trial("multiscale-rcnn", "nuclei"),
    "multiscale-plain": Trial("multiscale-rcnn", "nuclei", _method(scales="plain")),
    "vhr10-faster-rcnn": Trial("faster-rcnn", "vhr10", VHR10),
    "vhr10-faster-rcnn-plus": Trial("faster-rcnn", "vhr10", VHR10 | _method(**PLUS)),
    **_added_up("vhr10", VHR10),
    **_added_up("aerial", AERIAL),
    **{
        f"vhr10-remote-{name}": _unturned(_method(backbone=backbone))
        for name, backbone in BACKBONES.items()
    },
    **{f"vhr10-remote-{name}": _unturned({"augment": how}) for name, how in TURNS.items()},
    **{
        f"{data}-mtgan-{name}": Trial(
            "mtgan", data, laid_over(BOUNDS.get(data, {}), settings), base
        )
        for data, base in BASES.items()
        for name, settings in (REFINED | (REMEDIES if data == "nuclei" else {})).items()
    },
}
"""Every training, by name."""

SHOWINGS: dict[str, Showing] = {
    **{name: Showing(name) for name in TRIALS},
    "retinanet-plain-tiled": Showing("retinanet-plain", Options(plain=False, scale=1)),
    "yolov3-plain-tiled": Showing("yolov3-plain", Options(plain=False, scale=1)),
    "ball-plain": Showing("yolov3-ball-single", Options(plain=True)),
    **{
        f"ball-x{scale:g}": Showing("yolov3-ball-single", Options(scale=scale))
        for scale in (0.5, 1.5, 2.0)
    },
    "tiny-faces-one-scale": Showing("tiny-faces", Options(scale=1)),
    "retinanet-pyramid": Showing("retinanet", Options(scales=(0.5, 1, 2))),
    "vhr10-faster-rcnn-plus-pyramid": Showing(
        "vhr10-faster-rcnn-plus", Options(scales=(0.25, 0.5, 1))
    ),
    "faster-rcnn-plus-pyramid": Showing("faster-rcnn-plus", Options(scales=(0.5, 1, 2))),
    "retinanet-twice": Showing("retinanet", Options(scale=2)),
    "retinanet-four-times": Showing("retinanet", Options(scale=4)),
    "tiny-faces-twice": Showing("tiny-faces", Options(scale=2)),
    "tiny-faces-four-times": Showing("tiny-faces", Options(scale=4)),
    "vhr10-retinanet-twice": Showing("vhr10-retinanet", Options(scale=1)),
    "vhr10-retinanet-four-times": Showing("vhr10-retinanet", Options(scale=2)),
}
"""Every trained model as its recipe shows it, and some in another way."""

CLAIMS: dict[str, Claim] = {
    "focal-retinanet": Claim(
        "Focal loss beats balanced cross-entropy in a dense one-stage detector.",
        "AP 31.1 → 34.0 (Lin 2017, COCO)", "retinanet-ce", "retinanet",
    ),
    "focal-yolov3": Claim(
        "Focal loss does not help YOLOv3.",
        "AP down by about 2 (Redmon 2018, COCO)", "yolov3", "yolov3-focal", gains=False,
    ),
    "focal-ssd": Claim(
        "Focal loss beats SSD's hard negatives.",
        "none", "ssd", "ssd-focal",
    ),
    "focal-classes": Claim(
        "Focal loss helps the classes that are hard, where there are many.",
        "none by class", "vhr10-retinanet-ce", "vhr10-retinanet",
    ),
    "anchors-retinanet": Claim(
        "Anchors fitted to the data beat the default ones (nine a level, both).",
        "none", "retinanet-default", "retinanet-anchors",
    ),
    "anchors-yolov3": Claim(
        "Anchors fitted to the data beat the default ones (three a level, both).",
        "none", "yolov3-ball-default", "yolov3-ball",
    ),
    "pyramid-ssd": Claim(
        "A feature pyramid beats SSD's hierarchy at equal cost: only the top-down sums differ.",
        "AP 24.9 → 33.9, AP small 10.9 → 17.8 (Lin 2017, Faster R-CNN without and with them, COCO)",
        "ssd-flat", "ssd-pyramid",
    ),
    "context": Claim(
        "Context far beyond the object finds small ones.",
        "figure only (Hu and Ramanan 2017, WIDER FACE)", "tiny-faces-no-context", "tiny-faces",
    ),
    "image-pyramid": Claim(
        "Templates spread over an image pyramid find more than one scale.",
        "figure only (Hu and Ramanan 2017, WIDER FACE)", "tiny-faces-one-scale", "tiny-faces",
    ),
    "several-scales": Claim(
        "Several scales at test are dear, but effective.",
        "AP 34.9 with two other changes (He 2016, Faster R-CNN+++, COCO)",
        "retinanet", "retinanet-pyramid",
    ),
    "resolution": Claim(
        "Resolution buys small objects: the picture squeezed into twice the pixels.",
        "AP small 11.2 → 18.9 from 400 to 800 px (Lin 2017, RetinaNet, COCO)",
        "retinanet-plain", "retinanet-plain-double",
    ),
    "tiles-test-retinanet": Claim(
        "Tiles at test help a model trained on squeezed pictures.",
        "AP50 25.8 → 31.0 (SAHI 2022, FCOS, VisDrone)", "retinanet-plain", "retinanet-plain-tiled",
    ),
    "tiles-both-retinanet": Claim(
        "Tiles in training and at test help more.",
        "AP50 25.8 → 38.5 (SAHI 2022, FCOS, VisDrone)", "retinanet-plain", "retinanet",
    ),
    "tiles-test-yolov3": Claim(
        "Tiles at test help a model trained on squeezed pictures.",
        "AP50 29.4 → 34.7 (SAHI 2022, TOOD, VisDrone)", "yolov3-plain", "yolov3-plain-tiled",
    ),
    "tiles-both-yolov3": Claim(
        "Tiles in training and at test help more.",
        "AP50 29.4 → 43.5 (SAHI 2022, TOOD, VisDrone)", "yolov3-plain", "yolov3",
    ),
    "fpn": Claim(
        "A feature pyramid beats the single map in Faster R-CNN.",
        "AP 31.6 → 33.9, AP small 13.2 → 17.8 (Lin 2017, COCO)", "faster-rcnn", "fpn",
    ),
    "fpn-top-down": Claim(
        "Of the pyramid, what comes from the top counts.",
        "AP 24.9 → 33.9, AP small 10.9 → 17.8 (Lin 2017, COCO)", "fpn-no-top-down", "fpn",
    ),
    "fpn-lateral": Claim(
        "Of the pyramid, what comes from the side counts.",
        "AP 31.3 → 33.9, AP small 13.3 → 17.8 (Lin 2017, COCO)", "fpn-no-lateral", "fpn",
    ),
    "fpn-levels": Claim(
        "All levels of the pyramid beat its finest alone.",
        "AP 33.4 → 33.9, AP small 17.3 → 17.8 (Lin 2017, COCO)", "fpn-finest", "fpn",
    ),
    "plus": Claim(
        "Boxes judged again, global context and several scales help Faster R-CNN (+++).",
        "AP 34.9 with all three (He 2016, COCO)", "faster-rcnn", "faster-rcnn-plus-pyramid",
        changes=3,
    ),
    "multiscale": Claim(
        "Regions read from three depths beat those of the coarsest map.",
        "AP +.1 (the article, after Hu 2018)", "multiscale-plain", "multiscale",
    ),
    **{
        f"{data}-{change}": Claim(
            f"{CHANGES[change]} help.", "none by itself (Ren 2018)",
            f"{data}-remote-{before}", f"{data}-remote-{change}",
        )
        for data, changes in ADDED.items()
        for before, change in pairwise(changes)
    },
    **{
        f"{data}-mtgan": Claim(
            "Small boxes super-resolved and judged again beat the detector alone.",
            "AP small 25.1 with it, about +1.5 AP (Bai 2018, COCO)",
            base, f"{data}-mtgan-generated",
        )
        for data, base in BASES.items()
    },
    **{
        f"{data}-mtgan-generator": Claim(
            "Of that, the generator is worth more than bicubic enlargement.",
            "none", f"{data}-mtgan-bicubic", f"{data}-mtgan-generated",
        )
        for data in BASES
    },
    **{
        f"{data}-mtgan-enlarged": Claim(
            "And bicubic enlargement more than none.",
            "none", f"{data}-mtgan-plain", f"{data}-mtgan-bicubic",
        )
        for data in BASES
    },
}  # fmt: skip
"""Every claim, by name."""

SERIES: dict[str, Series] = {
    "scale-small": Series(
        "Pictures shown larger and smaller, in training and at test: small objects (nuclei).",
        {f"x{s:g}": "retinanet" if s == 1 else f"retinanet-x{s:g}" for s in SCALES},
    ),
    "scale-large": Series(
        "Pictures shown larger and smaller, in training and at test: large objects (vhr10).",
        {f"x{s:g}": "vhr10-retinanet" + ("" if s == 0.5 else f"-x{s:g}") for s in SCALES},
    ),
    "anchors-ball": Series(
        "YOLOv3's anchors where all objects are alike (tennis-ball).",
        {"default, 3 a level": "yolov3-ball-default", "fitted, 3 a level": "yolov3-ball",
         "fitted, 1 a level": "yolov3-ball-single",
         "fitted, 3 a level, silent from IoU .5": "yolov3-ball-lenient"},
    ),
    "scale-ball": Series(
        "The ball by how large pictures are shown at test (tennis-ball, trained at x1).",
        {"whole picture in one tile": "ball-plain", "x0.5": "ball-x0.5",
         "x1": "yolov3-ball-single", "x1.5": "ball-x1.5", "x2": "ball-x2"},
    ),
    "baselines-nuclei": Series(
        "The baselines by object size, nuclei.",
        {"YOLOv3": "yolov3", "SSD": "ssd", "SSD, Inception-like": "ssd-inception",
         "RetinaNet": "retinanet", "Faster R-CNN": "faster-rcnn",
         "Faster R-CNN+++": "faster-rcnn-plus-pyramid", "Faster R-CNN, FPN": "fpn"},
    ),
    "baselines-vhr10": Series(
        "The baselines by object size, vhr10.",
        {"YOLOv3": "vhr10-yolov3", "SSD, Inception-like": "vhr10-ssd-inception",
         "RetinaNet": "vhr10-retinanet", "Faster R-CNN": "vhr10-faster-rcnn",
         "Faster R-CNN+++": "vhr10-faster-rcnn-plus-pyramid",
         "Modified Faster R-CNN": "vhr10-remote-turned",
         "Modified Faster R-CNN, not turned": "vhr10-remote-balanced"},
    ),
    **{
        f"remote-{data}": Series(
            f"Faster R-CNN with the changes for remote sensing, one more each time ({data}).",
            {_plus(name): f"{data}-remote-{name}" for name in changes},
        )
        for data, changes in ADDED.items()
    },
    "turns": Series(
        "Ways to turn pictures, with the other changes for remote sensing (vhr10).",
        {"not at all": "vhr10-remote-balanced",
         "always, box of the turned box": "vhr10-remote-turned",
         "every other, box of the turned box": "vhr10-remote-half",
         "always, box of the turned ellipse": "vhr10-remote-ellipse",
         "by right angles alone": "vhr10-remote-quarter"},
    ),
    "backbones": Series(
        "Backbones from random weights, and from ImageNet's, with all changes but turning (vhr10).",
        {"EfficientNet-Lite0, ImageNet": "vhr10-remote-balanced",
         "EfficientNet-Lite0": "vhr10-remote-lite0", "ResNet-18": "vhr10-remote-resnet18",
         "Inception-v2, half as wide": "vhr10-remote-inception"},
    ),
    **{
        f"mtgan-{data}": Series(
            f"Small boxes judged again, and what larger tiles bring ({data}).",
            {"the detector alone": base, "judged again": f"{data}-mtgan-plain",
             "judged again, bicubic x4": f"{data}-mtgan-bicubic",
             "judged again, generated x4 (SOD-MTGAN)": f"{data}-mtgan-generated",
             "tiles at twice the scale": f"{base}-twice",
             "tiles at four times the scale": f"{base}-four-times"},
        )
        for data, base in BASES.items()
    },
    "mtgan-remedies": Series(
        "Other ways to train judge and generator (nuclei).",
        {"published learning rates, boxes below 32 px; bicubic": "nuclei-mtgan-published-bicubic",
         "the same, generated": "nuclei-mtgan-published",
         "learning rates 5 and 10 times as high; bicubic": "nuclei-mtgan-larger-bicubic",
         "and only boxes below 16 px; bicubic": "nuclei-mtgan-bicubic",
         "generated": "nuclei-mtgan-generated",
         "generated, no adversary": "nuclei-mtgan-unopposed",
         "generated, pixels weigh 100 times as much": "nuclei-mtgan-pixels",
         "and told from real ones by comparison": "nuclei-mtgan-relativistic"},
    ),
}  # fmt: skip
"""Every series, by name."""
