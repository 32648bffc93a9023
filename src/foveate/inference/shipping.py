"""Detectors on their way to other machines: a model's file travels, and is loaded again there.

ONNX Runtime's sessions and threads cannot be sent. What has no file, any other callable, is sent as
it is, with whatever serialises objects between workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from foveate.data.files import read_file
from foveate.inference.flips import FlippedDetector
from foveate.inference.foreign.detector import ForeignDetector
from foveate.inference.glance import OnnxGlance
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.refine import OnnxRefiner
from foveate.inference.settings import Options
from foveate.structures import Detector


class Shipped(Protocol):
    """Something that was made ready to be sent."""

    def unpacked(self, folder: Path, threads: int) -> Any:
        """The same again.

        Args:
            folder: Where files may be put; they must stay as long as it is used.
            threads: Tiles that it works on side by side.
        """
        ...


@dataclass(frozen=True, slots=True)
class ShippedFile:
    """What is made from a file.

    Attributes:
        kind: Called with the file, the threads and the arguments.
        name: Of the file.
        data: Its content.
        arguments: What else it was made with.
    """

    kind: type
    name: str
    data: bytes
    arguments: tuple[Any, ...] = ()

    def unpacked(self, folder: Path, threads: int) -> Any:
        """Write the file, and make it again."""
        path = folder / f"{self.kind.__name__}-{self.name}"
        path.write_bytes(self.data)
        return self.kind(path, threads, *self.arguments)


@dataclass(frozen=True, slots=True)
class ShippedFlips:
    """A detector that shows tiles mirrored, too.

    Attributes:
        detector: The one within.
        iou: As of `FlippedDetector`.
    """

    detector: Shipped
    iou: float

    def unpacked(self, folder: Path, threads: int) -> FlippedDetector:
        """The same again."""
        return FlippedDetector(self.detector.unpacked(folder, threads), self.iou)


@dataclass(frozen=True, slots=True)
class ShippedObject:
    """A callable that has no file.

    Attributes:
        detector: The callable itself.
    """

    detector: Detector

    def unpacked(self, folder: Path, threads: int) -> Detector:
        """The same, which uses what threads it likes."""
        return self.detector


def shipped(detector: Detector | OnnxRefiner | OnnxGlance) -> Shipped:
    """A detector, refiner or glance, ready to be sent.

    Raises:
        FoveateError: If its file cannot be read any more.
    """
    if isinstance(detector, FlippedDetector):
        return ShippedFlips(shipped(detector.detector), detector.iou)
    if isinstance(detector, ForeignDetector):
        return _file(detector, detector.path, detector.asked)
    if isinstance(detector, (OnnxDetector, OnnxRefiner, OnnxGlance)):
        return _file(detector, detector.path)
    return ShippedObject(detector)


def shipped_options(options: Options) -> dict[str, Any]:
    """The options of a run with its refiner and glance ready to be sent.

    Raises:
        FoveateError: If one of their files cannot be read.
        UsageError: If one cannot be what it should.
    """
    sent = dict(options)
    for name, kind in (("refine", OnnxRefiner), ("glance", OnnxGlance)):
        asked = sent.get(name)
        if asked is not None:
            sent[name] = shipped(asked if isinstance(asked, kind) else kind(Path(str(asked))))
    return sent


def unpacked_options(sent: dict[str, Any], folder: Path, threads: int) -> Options:
    """What `shipped_options` sent."""
    options = {
        name: value.unpacked(folder, threads) if isinstance(value, ShippedFile) else value
        for name, value in sent.items()
    }
    return cast("Options", options)


def _file(thing: object, path: Path, arguments: tuple[Any, ...] = ()) -> ShippedFile:
    return ShippedFile(type(thing), path.name, read_file(path), arguments)
