"""`ForeignDetector`: a model file of another tool as a `Detector`, without that tool."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foveate.errors import FoveateError
from foveate.inference.foreign import LAYOUTS, Frame, Graph, choose_layout
from foveate.inference.foreign.detr import PIXEL_MASK, TARGET_SIZES
from foveate.inference.foreign.graph import COLOURS
from foveate.inference.foreign.layout import LEAST_SCORE
from foveate.inference.model_info import ModelInfo
from foveate.inference.onnx_file import read_metadata
from foveate.inference.onnx_session import OnnxSessions
from foveate.inference.suppression import suppressed
from foveate.inference.tuning import Choice
from foveate.structures import Detections, UInt8Image
from foveate.structures.boxes import clip_boxes, valid_boxes
from foveate.tiling import TilePlan

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

MAX_DETECTIONS = 1000
"""Of one tile. Common defaults, 100 to 300, are made for pictures with few, large objects."""

FREE_SIZE = 640
"""Tile of a model that takes any size, network pixels."""
_FREE_MULTIPLE = 32
_SMALLEST, _LARGEST = 32, 8192
_OVERLAP = 0.2
_TASK = "detect"
_DTYPES = {"float": np.float32, "float16": np.float16}


class ForeignDetector:
    """A model file of another tool.

    Pixels are prepared, and boxes decoded and suppressed, as the family that made the file does
    it. Every picture is worked on by itself, several side by side (see `OnnxSessions`), so results
    do not depend on how pictures are grouped.

    Args:
        path: An ONNX file.
        threads: None takes as many as there are processors to run on. Results do not depend on it.
        layout: A row of `LAYOUTS`; recognised if left out.
        class_names: In the order of the labels; the file's own if left out, and none if it has
            none.
        runtime: What it runs on, a row of `RUNTIMES`, or ``auto``.

    Attributes:
        path: The file.
        info: What is known of it, in the terms of foveate's own model files.
        parallel: Pictures worked on side by side.
        runtime: What it runs on, a row of `RUNTIMES`.
        tuned: The choice of ``foveate benchmark`` that it follows; none without one.
        asked: The layout and the class names, as given.

    Raises:
        FoveateError: If the file is missing, damaged, of no known layout, or takes what foveate
            does not give.
        UsageError: If `threads`, `layout` or `runtime` cannot be.
    """

    def __init__(
        self,
        path: str | Path,
        threads: int | None = None,
        layout: str | None = None,
        class_names: Sequence[str] = (),
        runtime: str = "cpu",
    ) -> None:
        self.path, self.asked = Path(path), (layout, tuple(class_names))
        metadata = read_metadata(self.path)
        self._sessions = OnnxSessions(self.path, threads, runtime)
        self.parallel, self.runtime = self._sessions.parallel, self._sessions.runtime
        self.tuned: Choice | None = None
        graph = Graph.of(self._sessions.single, metadata)
        try:
            _require_detection(graph)
            name = choose_layout(graph, layout)
            names = _class_names(graph, LAYOUTS[name].class_count(graph), tuple(class_names))
            _require_known_inputs(graph)
            self.info = _describe(self.path, graph, name, names)
        except FoveateError as error:
            raise type(error)(f"{self.path}: {error}") from None
        self._graph, self._layout = graph, LAYOUTS[name]
        self._memory = threading.local()

    @property
    def max_detections(self) -> int:
        """The most boxes that one picture can give."""
        return self.info.max_detections

    def __call__(self, images: Sequence[UInt8Image]) -> list[Detections]:
        """Detect in a batch.

        Args:
            images: ``(H, W, 3)`` uint8 RGB each, no larger than the model's input if that is fixed.

        Returns:
            One `Detections` an image, best first, boxes in that image's pixels.

        Raises:
            FoveateError: If an image does not suit the model, or ONNX Runtime fails.
        """
        for image in images:
            self._require_suitable(image)
        return self._sessions.each(self._detect, images)

    def start(
        self, images: Sequence[UInt8Image], least_score: float = LEAST_SCORE
    ) -> Callable[[], list[Detections]]:
        """Begin to detect in a batch, and return at once.

        Args:
            images: As for a call. They must stay as they are until the results are there.
            least_score: Detections below are not asked for, and dropped before suppression, which
                they have no part in.

        Returns:
            Waits for the results.
        """
        for image in images:
            self._require_suitable(image)
        return self._sessions.start(partial(self._detect, least_score=least_score), images)

    def feed(self, image: UInt8Image) -> dict[str, NDArray[Any]]:
        """What the graph is given for one picture; valid until the same thread's next picture."""
        batch = self._fill(image)
        frame = Frame(*batch.shape[-2:])
        feed = {self._graph.image.name: batch.reshape(batch.shape[-len(self._graph.image.shape) :])}
        for port in self._graph.inputs[1:]:
            feed[port.name] = _side_input(port.name, len(batch), frame)
        return feed

    def _detect(
        self,
        session: onnxruntime.InferenceSession,
        image: UInt8Image,
        least_score: float = LEAST_SCORE,
    ) -> Detections:
        feed = self.feed(image)
        frame = Frame(*feed[self._graph.image.name].shape[-2:])
        names = [port.name for port in self._graph.outputs]
        arrays = self._sessions.run(session, names, feed, f"{frame.width}x{frame.height}")
        if self._layout.batched:
            arrays = [array[0] for array in arrays]
        try:
            found = self._layout.decode(
                dict(zip(names, map(_as_single, arrays), strict=True)), frame
            )
        except (ValueError, IndexError, StopIteration) as error:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise FoveateError(
                f"{self.path}: outputs of {shapes} are not as {self.info.method} lays them out; "
                "say which layout with --layout"
            ) from error
        return self._finished(found[found.scores >= least_score], image)

    def _fill(self, image: UInt8Image) -> NDArray[Any]:
        """The model's input with the picture in its corner, ``(N, 3, H, W)``; N is mostly 1.

        The memory is the thread's own, used again for the next picture.
        """
        height, width = image.shape[:2]
        shape = (
            self._graph.batch or 1,
            COLOURS,
            self._graph.size[0] or height,
            self._graph.size[1] or width,
        )
        batch: NDArray[Any] | None = getattr(self._memory, "batch", None)
        if batch is None or batch.shape != shape:
            batch = np.zeros(shape, _DTYPES[self._graph.image.dtype])
            self._memory.batch = batch
        if shape[2:] != (height, width):
            around = np.full((*shape[2:], COLOURS), self._layout.padding, np.uint8)
            self._layout.pixels.write(around, batch[0], self._channels(shape[2:]))
        channels = self._channels((height, width))
        self._layout.pixels.write(image, batch[0, :, :height, :width], channels)
        return batch

    def _channels(self, shape: tuple[int, ...]) -> list[UInt8Image]:
        """Scratch for the colours of a picture, the thread's own."""
        scratch: dict[tuple[int, ...], list[UInt8Image]] = vars(self._memory).setdefault(
            "channels", {}
        )
        if shape not in scratch:
            scratch.clear()
            scratch[shape] = [np.empty(shape, np.uint8) for _ in range(COLOURS)]
        return scratch[shape]

    def _finished(self, found: Detections, image: UInt8Image) -> Detections:
        """Cut to the picture, best first, each object once, no more than the most."""
        iou = self._layout.suppress
        found = found.in_order() if iou is None else suppressed(found, iou)
        boxes = clip_boxes(found.boxes, image.shape[1], image.shape[0])
        found = Detections(boxes, found.scores, found.labels)[valid_boxes(boxes)]
        found = found[: self.max_detections]
        highest = int(found.labels.max(initial=0))
        if self.info.class_names and highest >= len(self.info.class_names):
            raise FoveateError(
                f"{self.path}: gave label {highest}, and {len(self.info.class_names)} classes are "
                "named; name all with --classes"
            )
        return found

    def _require_suitable(self, image: UInt8Image) -> None:
        if np.ndim(image) != 3 or image.shape[2] != COLOURS or image.dtype != np.uint8:
            raise FoveateError(
                f"{self.path}: the model takes uint8 pictures of {COLOURS} channels, "
                f"got {image.dtype} {np.shape(image)}"
            )
        for side, most in zip(image.shape[:2], self._graph.size, strict=True):
            if most is not None and side > most:
                raise FoveateError(
                    f"{self.path}: the model takes {self._graph.size[1]}x{self._graph.size[0]} "
                    f"pixels, got {image.shape[1]}x{image.shape[0]}; "
                    f"choose --tile {min(n for n in self._graph.size if n)} or less"
                )


def _as_single(array: NDArray[Any]) -> NDArray[Any]:
    """Floats as float32, whatever precision the model has."""
    return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array


def _side_input(name: str, count: int, frame: Frame) -> NDArray[np.int64]:
    if name == TARGET_SIZES:
        return np.tile(np.array([[frame.width, frame.height]], np.int64), (count, 1))
    return np.ones((count, *frame), np.int64)  # pixel_mask: the picture is everywhere


def _require_detection(graph: Graph) -> None:
    """See that a file which names its task is a detector."""
    task = graph.metadata.get("task", _TASK)
    if task != _TASK:
        raise FoveateError(f"says that its task is {task}; only boxes ({_TASK}) are read")


def _require_known_inputs(graph: Graph) -> None:
    unknown = [port for port in graph.inputs[1:] if port.name not in (TARGET_SIZES, PIXEL_MASK)]
    if unknown:
        raise FoveateError(f"needs the input {unknown[0]}, which foveate does not know")
    if graph.image.dtype not in _DTYPES:
        raise FoveateError(
            f"takes {graph.image.dtype} pictures; foveate gives {' or '.join(_DTYPES)}"
        )
    for length in graph.size:
        if length is not None and not _SMALLEST <= length <= _LARGEST:
            raise FoveateError(
                f"takes pictures of {length} pixels a side; "
                f"from {_SMALLEST} to {_LARGEST} can be worked with"
            )


def _class_names(graph: Graph, count: int | None, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The names asked for, else the file's own, checked against what its outputs show."""
    names = asked or graph.class_names()
    if names and count is not None and len(names) != count:
        whose = "--classes names" if asked else "its metadata names"
        raise FoveateError(
            f"{whose} {len(names)} classes and its output has {count}; "
            f"give {count} names with --classes"
        )
    return names


def _describe(path: Path, graph: Graph, layout: str, names: tuple[str, ...]) -> ModelInfo:
    """What is known of the file, in the terms of foveate's own."""
    row = LAYOUTS[layout]
    fixed = [length for length in graph.size if length is not None]
    size = min(fixed, default=FREE_SIZE)
    return ModelInfo(
        name=path.stem,
        description=graph.metadata.get("description", "").strip(),
        method=layout,
        class_names=names,
        channels=COLOURS,
        # A fixed input costs the same however little it shows.
        size_multiple=size if fixed else _FREE_MULTIPLE,
        strides=(),
        max_detections=MAX_DETECTIONS,
        mean=tuple(value / 255 for value in row.pixels.mean),
        std=tuple(value / 255 for value in row.pixels.std),
        padding=row.padding,
        tile_plan=TilePlan(size=size, overlap=_OVERLAP),
        score_threshold=row.score_threshold,
        licence=graph.metadata.get("license", ""),
    )
