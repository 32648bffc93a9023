"""`OnnxDetector`: run a one-file model with ONNX Runtime, without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foveate.errors import FoveateError
from foveate.inference.model_info import ModelInfo
from foveate.inference.onnx_file import read_model_info
from foveate.inference.onnx_session import OnnxSessions
from foveate.inference.suppression import suppressed
from foveate.inference.tuning import Choice
from foveate.structures import Detections, UInt8Image

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

_INPUT = ("images", "tensor(uint8)", 4)
_OUTPUTS = (
    ("boxes", "tensor(float)", 3),
    ("scores", "tensor(float)", 2),
    ("labels", "tensor(int64)", 2),
)


class OnnxDetector:
    """A model file as a `Detector`.

    Every image goes through the network alone, several side by side (see `OnnxSessions`): results
    do not depend on how images are grouped.

    Args:
        path: A model made by ``foveate export``.
        threads: None takes as many as there are processors to run on. Results do not depend on it.
        runtime: What it runs on, a row of `RUNTIMES`, or ``auto``.

    Attributes:
        path: The file.
        info: What it says of itself.
        parallel: Images worked on side by side.
        runtime: What it runs on, a row of `RUNTIMES`.
        tuned: The choice of ``foveate benchmark`` that it follows; none without one.

    Raises:
        FoveateError: If the file is missing, damaged, foreign or breaks the model contract.
        UsageError: If `threads` is below 1, or there is no such runtime.
    """

    def __init__(self, path: str | Path, threads: int | None = None, runtime: str = "cpu") -> None:
        self.path = Path(path)
        self.info: ModelInfo = read_model_info(self.path)
        self._sessions = OnnxSessions(self.path, threads, runtime)
        self.parallel, self.runtime = self._sessions.parallel, self._sessions.runtime
        self.tuned: Choice | None = None
        _check_graph(self._sessions.single, self.path, self.info)

    @property
    def max_detections(self) -> int:
        """The most boxes that one image can give."""
        return self.info.max_detections

    def __call__(self, images: Sequence[UInt8Image]) -> list[Detections]:
        """Detect in a batch.

        Args:
            images: ``(H, W, C)`` uint8 each, H and W multiples of the model's `size_multiple`;
                contiguous ones, such as rows of an array, are used without a copy.

        Returns:
            One `Detections` an image, best first, boxes in that image's pixels.

        Raises:
            FoveateError: If an image does not suit the model, or ONNX Runtime fails.
        """
        for image in images:
            self._require_suitable(image)
        return self._sessions.each(self._detect, images)

    def start(
        self, images: Sequence[UInt8Image], least_score: float = 0.0
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
        """What the graph is given for one image."""
        return {"images": np.ascontiguousarray(image)[None]}

    def _detect(
        self, session: onnxruntime.InferenceSession, image: UInt8Image, least_score: float = 0.0
    ) -> Detections:
        size = f"{image.shape[1]}x{image.shape[0]}"
        boxes, scores, labels = self._sessions.run(
            session, ["boxes", "scores", "labels"], self.feed(image), size
        )
        used = (scores[0] > 0) & (scores[0] >= least_score)
        found = Detections(boxes[0][used], scores[0][used], labels[0][used])
        return suppressed(found, self.info.suppression)[: self.max_detections]

    def _require_suitable(self, image: UInt8Image) -> None:
        shape = np.shape(image)
        channels = shape[2] if len(shape) == 3 else 1
        if len(shape) != 3 or channels != self.info.channels:
            raise FoveateError(
                f"{self.path}: the model takes pictures of {self.info.channels} channels, "
                f"got {channels}"
            )
        multiple = self.info.size_multiple
        if shape[0] % multiple or shape[1] % multiple:
            raise FoveateError(
                f"{self.path}: the model takes sides that are multiples of {multiple}, "
                f"got {shape[1]}x{shape[0]}; foveate.detect takes pictures of any size"
            )
        if image.dtype != np.uint8:
            raise FoveateError(f"images: expected uint8, got {image.dtype}")


def _check_graph(session: onnxruntime.InferenceSession, path: Path, info: ModelInfo) -> None:
    """Hold the graph's inputs and outputs against the model contract."""
    inputs = [(node.name, node.type, len(node.shape)) for node in session.get_inputs()]
    if inputs != [_INPUT]:
        raise FoveateError(f"{path}: expected one input {_INPUT}, got {inputs}; export it again")
    outputs = {node.name: (node.name, node.type, len(node.shape)) for node in session.get_outputs()}
    for expected in _OUTPUTS:
        if outputs.get(expected[0]) != expected:
            got = outputs.get(expected[0], f"outputs {sorted(outputs)}")
            raise FoveateError(f"{path}: expected an output {expected}, got {got}; export it again")
    channels = session.get_inputs()[0].shape[3]
    if isinstance(channels, int) and channels != info.channels:
        raise FoveateError(
            f"{path}: its metadata says {info.channels} channels and its graph takes {channels}; "
            f"export it again"
        )
