"""Results of a video on disk, a line a frame, such that a run that was killed goes on.

``frames.jsonl`` is appended to, a line at a time; what a kill leaves of a line is cut off when the
run goes on. ``run.json``, written first, says what the results are of.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foveate.config import write_atomically
from foveate.data.files import read_json, reason_of
from foveate.errors import FoveateError
from foveate.inference.video import FrameResult

FRAMES, RUN = "frames.jsonl", "run.json"


class FrameLog:
    """Appends results of frames to a folder's ``frames.jsonl``.

    Args:
        folder: Made if it is missing.
        run: Plain data that decides the results: source, model, settings.

    Attributes:
        path: The file.
        done: Results of a run before, of the first frames.

    Raises:
        FoveateError: If the folder holds results of something else, or cannot be written to.
    """

    def __init__(self, folder: str | Path, run: Mapping[str, Any]) -> None:
        folder = Path(folder)
        self.path = folder / FRAMES
        wanted = json.loads(json.dumps(run))
        try:
            if self.path.exists() and (folder / RUN).exists():
                _require_same(folder, read_json(folder / RUN), wanted)
                self.done, size = _read(self.path)
            else:
                self.done, size = [], 0
                write_atomically(folder / RUN, json.dumps(wanted, indent=1).encode())
            self._file = self.path.open("ab")
            self._file.truncate(size)
        except OSError as error:
            raise FoveateError(f"{folder}: cannot be written to ({reason_of(error)})") from None

    def __enter__(self) -> FrameLog:
        """Itself; closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def append(self, result: FrameResult) -> None:
        """Write the next frame's result.

        Raises:
            FoveateError: If it cannot be written.
        """
        line = json.dumps(result.to_dict(), separators=(",", ":")).encode() + b"\n"
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise FoveateError(f"{self.path}: cannot be written ({reason_of(error)})") from None

    def close(self) -> None:
        """See that all is on disk; may be called twice."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()


def read_frames(path: str | Path) -> list[FrameResult]:
    """The results in a ``frames.jsonl``, up to the last whole line."""
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[list[FrameResult], int]:
    """Results of whole lines, and how many bytes they take."""
    results: list[FrameResult] = []
    size = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                result = FrameResult.from_dict(json.loads(line))
            except ValueError:
                raise FoveateError(
                    f"{path}: line {number} is no result of a frame; begin in another folder"
                ) from None
            results.append(result)
            size += len(line)
    return results, size


def _require_same(folder: Path, found: Any, wanted: dict[str, Any]) -> None:
    known = found if isinstance(found, dict) else {}
    differ = [key for key in wanted if known.get(key) != wanted[key]]
    if differ:
        raise FoveateError(
            f"{folder} holds results of another run ({', '.join(differ)} differ); "
            "choose another folder with --out"
        )
