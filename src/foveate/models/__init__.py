"""Backbones, feature pyramids, and one file per detection method."""

from typing import TypeAlias

from foveate.models.anchors import AnchoredConfig
from foveate.models.center_point import CenterPoint, CenterPointConfig
from foveate.models.method import Decoded, Method, Targets
from foveate.models.retinanet import RetinaNet, RetinaNetConfig

METHODS: dict[str, type[Method]] = {"center-point": CenterPoint, "retinanet": RetinaNet}
"""Every detection method, by the name a recipe gives."""

MethodConfig: TypeAlias = CenterPointConfig | RetinaNetConfig
"""The settings of any of them, told apart by `name`."""

__all__ = [
    "METHODS",
    "AnchoredConfig",
    "CenterPoint",
    "CenterPointConfig",
    "Decoded",
    "Method",
    "MethodConfig",
    "RetinaNet",
    "RetinaNetConfig",
    "Targets",
]
