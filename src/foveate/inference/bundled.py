"""The models that ship inside the package, and finding a model by name or path."""

from __future__ import annotations

import difflib
from pathlib import Path

from foveate.errors import FoveateError, UsageError
from foveate.inference.model_info import ModelInfo
from foveate.inference.onnx_file import read_model_info

BUNDLED_FOLDER = Path(__file__).parent.parent / "bundled"
_RUN_MODEL = "model.onnx"


def bundled_names() -> list[str]:
    """Names of the bundled models, sorted."""
    return sorted(path.stem for path in BUNDLED_FOLDER.glob("*.onnx"))


def bundled_path(name: str) -> Path:
    """The file of a bundled model."""
    return BUNDLED_FOLDER / f"{name}.onnx"


def bundled_models() -> list[ModelInfo]:
    """What each bundled model says of itself, sorted by name; no model is loaded for it."""
    return [read_model_info(bundled_path(name)) for name in bundled_names()]


def choices() -> str:
    """One clause that says which models are bundled and how to bring one's own."""
    names = bundled_names()
    listed = f"bundled: {', '.join(names)}" if names else "none is bundled"
    return f"{listed}; your own: the path of a model.onnx, made by 'foveate export' or another tool"


def resolve_model(name_or_path: str | Path) -> Path:
    """The file of a bundled model's name, of a path, or of a run folder with a ``model.onnx``.

    A bundled name wins over a file of the same name; write ``./name`` for the file.

    Raises:
        UsageError: If it is neither, with the bundled names in the message.
        FoveateError: If it is a path with no model behind it.
    """
    text = str(name_or_path)
    if text in bundled_names():
        return bundled_path(text)
    path = Path(name_or_path)
    if path.is_dir():
        if (path / _RUN_MODEL).is_file():
            return path / _RUN_MODEL
        raise FoveateError(f"{path}: no {_RUN_MODEL} in this folder; make it with 'foveate export'")
    if path.exists():
        return path
    if path.suffix or len(path.parts) > 1:
        raise FoveateError(f"{path}: no such model file ({choices()})")
    near = difflib.get_close_matches(text, bundled_names(), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"no model is named {text!r}{hint} ({choices()})")
