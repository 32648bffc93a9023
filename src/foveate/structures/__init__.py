"""Core types and pure box arithmetic; everything else is built on these."""

from foveate.structures.dataset import Annotations, Dataset, Sample
from foveate.structures.detections import Detections, canonical_order
from foveate.structures.geo import Coordinates, GeoReference
from foveate.structures.protocols import Detector, ImageSource
from foveate.structures.tile import Tile, TiledDetections
from foveate.structures.types import BoolArray, FloatArray, IntArray, UInt8Image

__all__ = [
    "Annotations",
    "BoolArray",
    "Coordinates",
    "Dataset",
    "Detections",
    "Detector",
    "FloatArray",
    "GeoReference",
    "ImageSource",
    "IntArray",
    "Sample",
    "Tile",
    "TiledDetections",
    "UInt8Image",
    "canonical_order",
]
