"""Detect small objects in pictures far larger than the network's input.

import foveate

detector = foveate.load("nuclei")
result = foveate.detect("slide.png", detector, tile=640, overlap=0.2)
result.detections.boxes
result.save("out")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foveate.api import (
        Cluster,
        FlippedDetector,
        Result,
        detect,
        detect_all,
        load,
        load_glance,
        load_refiner,
    )
    from foveate.api.raster import RasterResult, detect_raster
    from foveate.api.video import VideoResult, detect_video
    from foveate.errors import FoveateError, UsageError
    from foveate.structures import Detections

__version__ = "0.1.0"

__all__ = [
    "Cluster",
    "Detections",
    "FlippedDetector",
    "FoveateError",
    "RasterResult",
    "Result",
    "UsageError",
    "VideoResult",
    "__version__",
    "detect",
    "detect_all",
    "detect_raster",
    "detect_video",
    "load",
    "load_glance",
    "load_refiner",
]

# Imported at first use, so that `import foveate` stays fast (PEP 562).
_HOMES = {
    "Cluster": "foveate.inference.cluster",
    "Detections": "foveate.structures",
    "FlippedDetector": "foveate.api",
    "FoveateError": "foveate.errors",
    "RasterResult": "foveate.api.raster",
    "Result": "foveate.api",
    "UsageError": "foveate.errors",
    "VideoResult": "foveate.api.video",
    "detect": "foveate.api",
    "detect_all": "foveate.api",
    "detect_raster": "foveate.api.raster",
    "detect_video": "foveate.api.video",
    "load": "foveate.api",
    "load_glance": "foveate.api",
    "load_refiner": "foveate.api",
}


if not TYPE_CHECKING:  # a type checker shall see the names above, and no others

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
