"""Backbones, feature pyramids, and one file per detection method."""

from typing import TypeAlias

from foveate.models.anchors import AnchoredConfig
from foveate.models.center_point import CenterPoint, CenterPointConfig
from foveate.models.inception import InceptionV2
from foveate.models.method import Decoded, Method, Targets
from foveate.models.retinanet import RetinaNet, RetinaNetConfig
from foveate.models.ssd import SSD, SSDConfig
from foveate.models.tiny_faces import TinyFaces, TinyFacesConfig
from foveate.models.yolov3 import YOLOv3, YOLOv3Config

METHODS: dict[str, type[Method]] = {
    "center-point": CenterPoint,
    "retinanet": RetinaNet,
    "ssd": SSD,
    "tiny-faces": TinyFaces,
    "yolov3": YOLOv3,
}
"""Every detection method, by the name a recipe gives."""

MethodConfig: TypeAlias = (
    CenterPointConfig | RetinaNetConfig | SSDConfig | TinyFacesConfig | YOLOv3Config
)
"""The settings of any of them, told apart by `name`."""

__all__ = [
    "METHODS",
    "SSD",
    "AnchoredConfig",
    "CenterPoint",
    "CenterPointConfig",
    "Decoded",
    "InceptionV2",
    "Method",
    "MethodConfig",
    "RetinaNet",
    "RetinaNetConfig",
    "SSDConfig",
    "Targets",
    "TinyFaces",
    "TinyFacesConfig",
    "YOLOv3",
    "YOLOv3Config",
]
