"""`OnnxSessions`: one model file, loaded to work on several images side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from foveate.errors import FoveateError, UsageError
from foveate.inference.tuning import cache_folder

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

T = TypeVar("T")
R = TypeVar("R")

RUNTIMES = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
"""ONNX Runtime's providers by the name that is asked for, best first."""
AUTO = "auto"
"""CUDA where ONNX Runtime has it, else the CPU; never TensorRT, which builds an engine first."""

_FATAL = 4
"""ONNX Runtime's severity above its errors, which reach the user as exceptions instead."""


class OnnxSessions:
    """Sessions of one model.

    Several images are worked on side by side, each by one thread: tiles need nothing of each
    other, so this wastes less than sharing every layer of one image among all threads (a quarter
    of the processor time, measured on 2 cores). A single image does get all threads.

    Args:
        path: An ONNX file.
        threads: None takes as many as there are processors to run on.
        runtime: A row of `RUNTIMES`, or ``auto``.

    Attributes:
        path: The file.
        parallel: Images worked on side by side.
        runtime: The row of `RUNTIMES` that is used.
        single: The session of one thread.

    Raises:
        FoveateError: If ONNX Runtime cannot load the file, or has not the runtime asked for.
        UsageError: If `threads` is below 1, or there is no such runtime.
    """

    def __init__(self, path: Path, threads: int | None = None, runtime: str = "cpu") -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be at least 1, got {threads}")
        self.path = path
        self.parallel = threads or processors()
        self.runtime, self.single = _first_session(path, runtime)
        self._pool = ThreadPoolExecutor(self.parallel, "foveate-onnx")

    def each(
        self, work: Callable[[onnxruntime.InferenceSession, T], R], items: Sequence[T]
    ) -> list[R]:
        """``work(session, item)`` of every item, in their order; each by itself."""
        if len(items) == 1:
            return [work(self._shared, items[0])]
        return self.start(work, items)()

    def start(
        self, work: Callable[[onnxruntime.InferenceSession, T], R], items: Sequence[T]
    ) -> Callable[[], list[R]]:
        """Begin ``work(session, item)`` of every item, each by one thread.

        Returns:
            Waits for all of them, and gives their results in order.
        """
        futures = [self._pool.submit(work, self.single, item) for item in items]

        def results() -> list[R]:
            wait(futures)  # all: after an error, too, none may still use its item
            return [future.result() for future in futures]

        return results

    def run(
        self,
        session: onnxruntime.InferenceSession,
        outputs: list[str],
        feed: dict[str, Any],
        size: str,
    ) -> list[Any]:
        """One run of the model.

        Raises:
            FoveateError: If it fails, naming the file and the `size` of what it was shown.
        """
        try:
            results: list[Any] = session.run(outputs, feed)
        except Exception as error:  # ONNX Runtime has no public base class for its errors
            raise FoveateError(
                f"{self.path}: the model failed on {size} pixels: {_first_line(error)}"
            ) from error
        return results

    @cached_property
    def _shared(self) -> onnxruntime.InferenceSession:
        """All threads on one image."""
        if self.parallel == 1 or self.runtime != "cpu":
            return self.single
        return _open_session(self.path, self.parallel, self.runtime)


def runtimes_offered() -> list[str]:
    """The rows of `RUNTIMES` that this ONNX Runtime was built with, the plainest first."""
    import onnxruntime

    offered = onnxruntime.get_available_providers()
    return [name for name, providers in RUNTIMES.items() if providers[0] in offered]


def processors() -> int:
    """Processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _first_session(path: Path, asked: str) -> tuple[str, onnxruntime.InferenceSession]:
    """The runtime that works, and its session of one thread."""
    if asked not in (AUTO, *RUNTIMES):
        raise UsageError(f"runtime: expected {', '.join((AUTO, *RUNTIMES))}, got {asked!r}")
    offered = runtimes_offered()
    if asked == AUTO:
        for name in ("cuda",) if "cuda" in offered else ():
            session = _open_session(path, 1, name)
            if _works(session, name):
                return name, session
        asked = "cpu"
    if asked not in offered:
        raise FoveateError(
            f"this ONNX Runtime has no {asked} (it has {', '.join(offered)}): pip uninstall "
            "onnxruntime, then pip install onnxruntime-gpu"
        )
    session = _open_session(path, 1, asked)
    if not _works(session, asked):
        raise FoveateError(
            f"{asked} cannot be used here: ONNX Runtime has it, and its driver or libraries are "
            "missing; see the CUDA and cuDNN that it asks for, or take --runtime cpu"
        )
    return asked, session


def _works(session: onnxruntime.InferenceSession, runtime: str) -> bool:
    """Whether the runtime is there: ONNX Runtime falls back to the CPU without a word."""
    return RUNTIMES[runtime][0] in session.get_providers()


def _open_session(path: Path, threads: int, runtime: str) -> onnxruntime.InferenceSession:
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
    if runtime != "cpu" and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # those of CUDA that came as Python packages
    providers: list[Any] = list(RUNTIMES[runtime])
    if runtime == "tensorrt":
        folder = cache_folder() / "tensorrt"
        folder.mkdir(parents=True, exist_ok=True)
        kept = {"trt_engine_cache_enable": "True", "trt_engine_cache_path": str(folder)}
        providers[0] = (providers[0], kept)
    try:
        return onnxruntime.InferenceSession(str(path), sess_options=options, providers=providers)
    except Exception as error:
        raise FoveateError(
            f"{path}: ONNX Runtime cannot load this model: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__
