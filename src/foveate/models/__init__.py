"""Backbones, feature pyramids, and one file per detection method."""

from foveate.models.center_point import CenterPoint
from foveate.models.method import Decoded, Method, Targets

METHODS: dict[str, type[Method]] = {"center-point": CenterPoint}
"""Every detection method, by the name a recipe gives."""

__all__ = ["METHODS", "CenterPoint", "Decoded", "Method", "Targets"]
