"""Which of ONNX Runtime's providers is used; those of GPUs are played by the CPU's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime  # type: ignore[import-untyped]
import pytest

from foveate.errors import FoveateError, UsageError
from foveate.inference import onnx_session
from foveate.inference.onnx_session import OnnxSessions, runtimes_offered

CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
Offer = Callable[..., list[list[Any]]]


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Pretend that ONNX Runtime offers providers, of which some work; what sessions ask for."""
    real = onnxruntime.InferenceSession

    def pretend(*offered: str, working: tuple[str, ...] | None = None) -> list[list[Any]]:
        asked: list[list[Any]] = []

        class Session:
            def __init__(self, path: str, sess_options: Any, providers: list[Any]) -> None:
                asked.append(providers)
                self._real = real(path, sess_options, providers=["CPUExecutionProvider"])
                named = [one if isinstance(one, str) else one[0] for one in providers]
                works = offered if working is None else working
                self._providers = [one for one in named if one in works or one.startswith("CPU")]

            def get_providers(self) -> list[str]:
                return self._providers

            def __getattr__(self, name: str) -> Any:
                return getattr(self._real, name)

        every = [*offered, "CPUExecutionProvider"]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: every)
        monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
        return asked

    return pretend


def test_the_cpu_alone(blob_model: Path, offer: Offer) -> None:
    offer()
    assert runtimes_offered() == ["cpu"]
    assert OnnxSessions(blob_model, 1, "auto").runtime == "cpu"


def test_auto_takes_cuda_and_never_tensorrt(blob_model: Path, offer: Offer) -> None:
    asked = offer(TENSORRT, CUDA)
    assert runtimes_offered() == ["cpu", "cuda", "tensorrt"]
    sessions = OnnxSessions(blob_model, 2, "auto")
    assert (sessions.runtime, sessions.parallel) == ("cuda", 2)
    assert asked == [[CUDA, "CPUExecutionProvider"]]
    assert sessions._shared is sessions.single  # a GPU's work is not shared among threads


def test_auto_without_a_driver_is_the_cpu(blob_model: Path, offer: Offer) -> None:
    offer(CUDA, working=())
    assert OnnxSessions(blob_model, 1, "auto").runtime == "cpu"


def test_asked_for_and_without_a_driver_is_one_line(blob_model: Path, offer: Offer) -> None:
    offer(CUDA, working=())
    with pytest.raises(FoveateError, match="cuda cannot be used here"):
        OnnxSessions(blob_model, 1, "cuda")


def test_tensorrt_keeps_its_engines(
    blob_model: Path, offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOVEATE_CACHE", str(tmp_path))
    asked = offer(TENSORRT, CUDA)
    assert OnnxSessions(blob_model, 1, "tensorrt").runtime == "tensorrt"
    name, kept = asked[0][0]
    assert (name, asked[0][1:]) == (TENSORRT, [CUDA, "CPUExecutionProvider"])
    assert kept["trt_engine_cache_path"] == str(tmp_path / "tensorrt")
    assert (tmp_path / "tensorrt").is_dir()


def test_not_offered_is_one_line(blob_model: Path, offer: Offer) -> None:
    offer()
    with pytest.raises(FoveateError, match="has no cuda"):
        OnnxSessions(blob_model, 1, "cuda")


def test_no_such_runtime(blob_model: Path) -> None:
    with pytest.raises(UsageError, match="runtime: expected auto, cpu, cuda, tensorrt, got 'npu'"):
        OnnxSessions(blob_model, 1, "npu")
    assert onnx_session.AUTO not in onnx_session.RUNTIMES
