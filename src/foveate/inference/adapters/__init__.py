"""Models of Python libraries as detectors: Ultralytics, torchvision, transformers.

Each adapter takes a model object, one's own for instance, and works on a copy of it; each row of
`ADAPTERS` loads one by name, as ``--model torchvision:NAME`` does. The libraries are the user's
to install, and are imported when they are asked for. Their defaults that are hard on small
objects are lifted: a tile is shown at its own size, gives up to 1,000 boxes, and scores count
from .01 up, so that the run's threshold decides.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout

from foveate.errors import FoveateError, UsageError
from foveate.inference.adapters.base import LibraryDetector
from foveate.inference.adapters.torchvision import TorchvisionDetector, load_torchvision
from foveate.inference.adapters.transformers import TransformersDetector, load_transformers
from foveate.inference.adapters.ultralytics import UltralyticsDetector, load_ultralytics
from foveate.libraries import one_line

__all__ = [
    "ADAPTERS",
    "LibraryDetector",
    "TorchvisionDetector",
    "TransformersDetector",
    "UltralyticsDetector",
    "load_adapter",
    "split_adapter",
]

ADAPTERS: dict[str, Callable[[str], LibraryDetector]] = {
    "torchvision": load_torchvision,
    "transformers": load_transformers,
    "ultralytics": load_ultralytics,
}
"""How to load a detector, by what stands before the colon."""


def split_adapter(model: str) -> tuple[str, str] | None:
    r"""``("ultralytics", "yolo11n.pt")`` of ``ultralytics:yolo11n.pt``; None of all else.

    A path of Windows, ``C:\model.onnx``, is no adapter's, nor is what begins with another word.
    """
    adapter, colon, name = model.partition(":")
    return (adapter, name) if colon and adapter in ADAPTERS else None


def load_adapter(model: str) -> LibraryDetector:
    """Load a detector through a library, by ``torchvision:NAME`` for instance.

    What the library prints meanwhile goes to the standard error.

    Args:
        model: A row of `ADAPTERS`, a colon, and what that row takes.

    Raises:
        UsageError: If it does not begin so, or names nothing.
        FoveateError: If the library is missing, or cannot load the model: one line in any case.
    """
    adapter, name = split_adapter(model) or ("", "")
    if not name:
        expected = ", ".join(f"{row}:NAME" for row in ADAPTERS)
        raise UsageError(f"{model!r} names no model of a library; expected {expected}")
    try:
        # Results go to the standard output; Ultralytics' log stays with what it finds at import.
        with redirect_stdout(sys.stderr):
            return ADAPTERS[adapter](name)
    except FoveateError:
        raise
    except Exception as error:  # a library may raise anything
        raise FoveateError(
            f"{model}: {adapter} cannot load it: {one_line(error)}; for a model object of your "
            f"own, foveate.inference.adapters has {adapter.capitalize()}Detector"
        ) from error
