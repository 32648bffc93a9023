"""What is trained, how it is shown pictures, and which claim of the article each pair judges.

A *trial* is one training; a *showing* is a trained model and the way it sees held-out pictures; a
*claim* sets a treatment beside a control that differs in that alone; a *series* is several showings
side by side. Published figures are facts from the papers, none is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """

    recipe: str
    data: str
    settings: Mapping[str, Any] = field(default_factory=dict)


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
    """

    says: str
    published: str
    control: str
    treatment: str
    gains: bool = True


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
}
"""Every training, by name."""

SHOWINGS: dict[str, Showing] = {
    **{name: Showing(name) for name in TRIALS},
    "retinanet-plain-tiled": Showing("retinanet-plain", Options(plain=False, scale=1)),
    "yolov3-plain-tiled": Showing("yolov3-plain", Options(plain=False, scale=1)),
    "tiny-faces-one-scale": Showing("tiny-faces", Options(scale=1)),
    "retinanet-pyramid": Showing("retinanet", Options(scales=(0.5, 1, 2))),
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
    "baselines-nuclei": Series(
        "The baselines by object size, nuclei.",
        {"YOLOv3": "yolov3", "SSD": "ssd", "SSD, Inception-like": "ssd-inception",
         "RetinaNet": "retinanet"},
    ),
    "baselines-vhr10": Series(
        "The baselines by object size, vhr10.",
        {"YOLOv3": "vhr10-yolov3", "SSD, Inception-like": "vhr10-ssd-inception",
         "RetinaNet": "vhr10-retinanet"},
    ),
}  # fmt: skip
"""Every series, by name."""
