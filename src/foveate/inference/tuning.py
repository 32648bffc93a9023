"""What ``foveate benchmark`` found best for a model file on this machine, and remembers.

A small JSON file each, in the user's cache folder, named by the model file's SHA-256 and by the
machine: another model, processor or ONNX Runtime asks anew. It touches speed alone; only another
runtime (CUDA in place of the CPU) changes results, by the noise of its arithmetic.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import Field

from foveate.config import Config, write_atomically
from foveate.errors import FoveateError
from foveate.structures import Detector

CACHE_VARIABLE = "FOVEATE_CACHE"
"""Environment variable that names another cache folder."""


class Choice(Config):
    """The fastest way to run a model, of those tried.

    Attributes:
        runtime: A row of `RUNTIMES`.
        threads: Tiles worked on side by side.
        batch_size: Tiles handed to the detector at once.
        tiles_per_second: As it was measured.
        created: ISO date.
    """

    runtime: str
    threads: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    tiles_per_second: float = Field(gt=0)
    created: str


def cache_folder() -> Path:
    """Where foveate keeps what can be made anew: ``FOVEATE_CACHE``, or the platform's own place."""
    asked = os.environ.get(CACHE_VARIABLE)
    if asked:
        return Path(asked)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "foveate"


def remembered(path: Path) -> Choice | None:
    """The choice for a model file on this machine, if one was made; never an error."""
    if not _folder().is_dir():
        return None
    try:
        text = _file(path).read_text(encoding="utf-8")
        return Choice.model_validate_json(text)
    except (OSError, ValueError):  # none, or damaged: then it is as if it had not been asked
        return None


def remember(path: Path, choice: Choice) -> Path:
    """Keep a choice, in place of an earlier one.

    Returns:
        The file it is kept in.

    Raises:
        FoveateError: If the cache folder cannot be written to.
    """
    kept = _file(path)
    try:
        write_atomically(kept, choice.model_dump_json().encode())
    except OSError as error:
        raise FoveateError(
            f"{kept.parent}: cannot be written to ({error.strerror}), so the choice is not "
            f"remembered; {CACHE_VARIABLE} names another folder"
        ) from None
    return kept


def forget(path: Path) -> bool:
    """Drop the choice for a model file on this machine; whether there was one."""
    kept = _file(path)
    if not kept.exists():
        return False
    kept.unlink()
    return True


def choice_of(detector: Detector) -> Choice | None:
    """The choice that a detector follows."""
    choice = getattr(detector, "tuned", None)
    return choice if isinstance(choice, Choice) else None


def runs_on(detector: Detector) -> str:
    """What a detector runs on, in words; empty where it does not say."""
    runtime, parallel = getattr(detector, "runtime", None), getattr(detector, "parallel", None)
    if not isinstance(runtime, str) or not isinstance(parallel, int):
        return ""
    words = f"{runtime}, {parallel} tiles side by side" if parallel > 1 else f"{runtime}, by itself"
    choice = choice_of(detector)
    if choice is None:
        return words
    return f"{words}, batches of {choice.batch_size}, as foveate benchmark chose {choice.created}"


def _folder() -> Path:
    return cache_folder() / "tuned"


def _file(path: Path) -> Path:
    with path.open("rb") as file:
        model = hashlib.file_digest(file, "sha256").hexdigest()
    return _folder() / f"{model[:32]}-{machine()[:16]}.json"


def machine() -> str:
    """SHA-256 of what decides speed: processors, how many may be used, and ONNX Runtime."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = (platform.machine(), _processor(), usable, *map(_version, _RUNTIME_PACKAGES))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


_RUNTIME_PACKAGES = ("onnxruntime", "onnxruntime-gpu")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    if not listed.exists():
        return platform.processor()
    rows = (line.partition(":") for line in listed.read_text(errors="replace").splitlines())
    # The numbers, too: clouds give many processors one name.
    wanted = ("model name", "cpu family", "model", "stepping")
    return repr(sorted({(key.strip(), value.strip()) for key, _, value in rows
                        if key.strip() in wanted}))  # fmt: skip
