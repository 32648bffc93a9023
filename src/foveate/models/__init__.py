"""Backbones, feature pyramids, and one file per detection method."""

from typing import TypeAlias

from foveate.models.anchors import AnchoredConfig
from foveate.models.center_point import CenterPoint, CenterPointConfig
from foveate.models.faster_rcnn import FasterRCNN, FasterRCNNConfig
from foveate.models.faster_rcnn_fpn import FasterRCNNFPN, FasterRCNNFPNConfig
from foveate.models.inception import InceptionV2
from foveate.models.method import Decoded, Method, Targets
from foveate.models.multiscale_rcnn import MultiscaleRCNN, MultiscaleRCNNConfig
from foveate.models.remote_rcnn import RemoteRCNN, RemoteRCNNConfig
from foveate.models.retinanet import RetinaNet, RetinaNetConfig
from foveate.models.ssd import SSD, SSDConfig
from foveate.models.tiny_faces import TinyFaces, TinyFacesConfig
from foveate.models.yolov3 import YOLOv3, YOLOv3Config

METHODS: dict[str, type[Method]] = {
    "center-point": CenterPoint,
    "faster-rcnn": FasterRCNN,
    "faster-rcnn-fpn": FasterRCNNFPN,
    "multiscale-rcnn": MultiscaleRCNN,
    "remote-rcnn": RemoteRCNN,
    "retinanet": RetinaNet,
    "ssd": SSD,
    "tiny-faces": TinyFaces,
    "yolov3": YOLOv3,
}
"""Every detection method, by the name a recipe gives."""

MethodConfig: TypeAlias = (
    CenterPointConfig
    | FasterRCNNConfig
    | FasterRCNNFPNConfig
    | MultiscaleRCNNConfig
    | RemoteRCNNConfig
    | RetinaNetConfig
    | SSDConfig
    | TinyFacesConfig
    | YOLOv3Config
)
"""The settings of any of them, told apart by `name`."""

__all__ = [
    "METHODS",
    "SSD",
    "AnchoredConfig",
    "CenterPoint",
    "CenterPointConfig",
    "Decoded",
    "FasterRCNN",
    "FasterRCNNConfig",
    "FasterRCNNFPN",
    "FasterRCNNFPNConfig",
    "InceptionV2",
    "Method",
    "MethodConfig",
    "MultiscaleRCNN",
    "MultiscaleRCNNConfig",
    "RemoteRCNN",
    "RemoteRCNNConfig",
    "RetinaNet",
    "RetinaNetConfig",
    "SSDConfig",
    "Targets",
    "TinyFaces",
    "TinyFacesConfig",
    "YOLOv3",
    "YOLOv3Config",
]
