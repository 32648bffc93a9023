"""`OnnxDetector`: run a one-file model with ONNX Runtime, on the CPU, without torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foveate.errors import FoveateError, UsageError
from foveate.inference.model_info import ModelInfo
from foveate.inference.onnx_file import read_model_info
from foveate.structures import Detections, UInt8Image

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

_FATAL = 4
"""ONNX Runtime's severity above its errors, which reach the user as exceptions instead."""

_INPUT = ("images", "tensor(uint8)", 4)
_OUTPUTS = (
    ("boxes", "tensor(float)", 3),
    ("scores", "tensor(float)", 2),
    ("labels", "tensor(int64)", 2),
)


class OnnxDetector:
    """A model file as a `Detector`.

    Several images are worked on side by side, each by one thread: tiles need nothing of each
    other, so this wastes less than sharing every layer of one image among all threads (a quarter
    of the processor time, measured on 2 cores). A single image does get all threads. As every
    image goes through the network alone, results do not depend on how images are grouped.

    Args:
        path: A model made by ``foveate export``.
        threads: None takes as many as there are processors to run on. Results do not depend on it.

    Attributes:
        path: The file.
        info: What it says of itself.
        parallel: Images worked on side by side.

    Raises:
        FoveateError: If the file is missing, damaged, foreign or breaks the model contract.
        UsageError: If `threads` is below 1.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be at least 1, got {threads}")
        self.path = Path(path)
        self.info: ModelInfo = read_model_info(self.path)
        self.parallel = threads or _processors()
        self._single = _open_session(self.path, 1)
        _check_graph(self._single, self.path, self.info)

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
        if self.parallel == 1:
            return [self._detect(self._single, image) for image in images]
        if len(images) == 1:
            return [self._detect(self._shared, images[0])]
        return list(self._pool.map(partial(self._detect, self._single), images))

    @cached_property
    def _shared(self) -> onnxruntime.InferenceSession:
        """All threads on one image."""
        return _open_session(self.path, self.parallel)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.parallel, "foveate-onnx")

    def _detect(self, session: onnxruntime.InferenceSession, image: UInt8Image) -> Detections:
        feed = {"images": np.ascontiguousarray(image)[None]}
        try:
            boxes, scores, labels = session.run(["boxes", "scores", "labels"], feed)
        except Exception as error:  # ONNX Runtime has no public base class for its errors
            size = f"{image.shape[1]}x{image.shape[0]}"
            raise FoveateError(
                f"{self.path}: the model failed on {size} pixels: {_first_line(error)}"
            ) from error
        used = scores[0] > 0
        return Detections(boxes[0][used], scores[0][used], labels[0][used])

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


def _processors() -> int:
    """Processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = threads
    # Threads that wait for the next layer sleep instead of spinning: as fast, for less work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise FoveateError(
            f"{path}: ONNX Runtime cannot load this model: {_first_line(error)}"
        ) from error


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


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__
