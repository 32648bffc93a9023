"""The systems that are compared, each in a process of its own that answers jobs in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import resident

from foveate.inference.model_info import ModelInfo
from foveate.inference.settings import plan_options

HERE = Path(__file__).resolve().parent
PEER, OURS = HERE / "peers" / "slice_onnx.py", HERE / "speed_worker.py"
SCORE, THREADS = 0.1, 2
"""Least score: the lowest at which SAHI keeps the merge that it has by default."""
ALL, SELECTIVE = "foveate, all tiles", "foveate, selective"
INT8, BOTH = "foveate, int8, all tiles", "foveate, int8, selective"
PEERS: dict[str, dict[str, Any]] = {
    "SAHI": {"system": "sahi", "merge": ["GREEDYNMM", "IOS"]},
    "supervision": {"system": "supervision", "batch": 1},
    "supervision, batches of 4": {"system": "supervision", "batch": 4},
}
"""What each peer is told beside what all are."""


@dataclass(frozen=True)
class System:
    """One way to detect.

    Attributes:
        command: Starts its process; what it is told comes last.
        job: What it is told.
    """

    command: tuple[str, ...]
    job: Mapping[str, Any]


class WorkerError(Exception):
    """A process ended before its answer; the text is the last line that it said."""


class Worker:
    """A system's process.

    Args:
        system: What it is.

    Raises:
        WorkerError: If it does not start.
    """

    def __init__(self, system: System) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [*system.command, json.dumps(system.job)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(THREADS)},
        )  # fmt: skip
        self._answer()
        self._before = resident("VmRSS", self._process.pid)

    def ask(self, paths: Sequence[Path], out: Path | None = None) -> dict[str, Any]:
        """Let it do pictures, one after the other.

        Args:
            paths: Of the pictures.
            out: File for what is found.

        Raises:
            WorkerError: If it ends meanwhile.
        """
        job = {"paths": list(map(str, paths)), "out": None if out is None else str(out)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def memory(self) -> dict[str, float]:
        """Most resident memory, megabytes: of the process, and above that before the first job."""
        most = resident("VmHWM", self._process.pid)
        return {
            "megabytes": round(most / 1e6, 1),
            "megabytes_above": round(max(0, most - self._before) / 1e6, 1),
        }

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._said.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._said.seek(0)
            said = self._said.read().strip().splitlines()
            raise WorkerError(said[-1][:200] if said and code > 0 else f"ended by signal {-code}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def ours(
    info: ModelInfo, model: Path, glance: Path | None, select: str, *, raster: bool = False
) -> System:
    """Detect with a model file, looking at all tiles or at those that a glance chooses.

    Args:
        info: Of the model file that says the geometry: the same for a quantised one.
        model: The file.
        glance: Its file; None looks at all tiles.
        select: As ``--select`` takes it.
        raster: Whether its jobs are rasters.
    """
    score = least_score(info, raster=raster)
    options: dict[str, Any] = {**plan_options(info.tile_plan), "threshold": score}
    if glance is not None:
        options |= {"glance": str(glance), "select": select}
    job = {"model": str(model), "options": options, "threads": THREADS, "raster": raster}
    return System((sys.executable, str(OURS)), job)


def least_score(info: ModelInfo, *, raster: bool) -> float:
    """Of a box that is taken: in pictures for the curve of AP, over a raster as one would."""
    return info.score_threshold if raster else SCORE


def peers(
    python: Path | None,
    info: ModelInfo,
    model: Path,
    names: Sequence[str],
    tried: int,
    *,
    raster: bool = False,
) -> dict[str, System]:
    """Other libraries, showing the same file tiles of the same size, overlap and scale.

    Args:
        python: Of their environment; without it there are none.
        info: Says the geometry.
        model: The file.
        names: Which of `PEERS`.
        tried: Pictures on which ways to drive each are tried.
        raster: Whether its jobs are rasters.
    """
    if python is None:
        return {}
    plan = info.tile_plan
    common = {
        "model": str(model), "tried": tried, "score": least_score(info, raster=raster),
        "scale": plan.scale,
        "tile": round(plan.size / plan.scale), "overlap": round(plan.overlap_pixels / plan.scale),
    }  # fmt: skip
    # Not resolved: the environment is where its symbolic link lies.
    command = (str(python.absolute()), str(PEER))
    return {name: System(command, common | PEERS[name]) for name in names}
