"""Time and memory on this machine, measured in a process of its own: a tile, a picture, training.

A process of its own, because a process's peak memory is that of all that it ever did.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foveate.errors import FoveateError
from foveate.structures import Dataset, UInt8Image
from foveate.tiling import TilePlan

_MODEL = "aerial"
"""Of the library's default method and size."""
_ROUNDS = 3
_PEAK = "VmHWM"


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took.

    Attributes:
        seconds: Wall time.
        megabytes: Peak memory of the whole process; None where the system does not tell.
    """

    seconds: float
    megabytes: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        memory = None if self.megabytes is None else round(self.megabytes, 1)
        return {"seconds": round(self.seconds, 4), "peak_megabytes": memory}


def image_cost(plan: TilePlan, width: int, height: int) -> Cost:
    """One picture of this size, shown by this plan to the library's default network.

    Raises:
        FoveateError: If there is not enough memory for it.
    """
    return _in_a_process(_detect, plan, width, height)


def epoch_cost(recipe_text: str, dataset: Dataset, network_pixels: float) -> Cost:
    """Training on as many pixels as all pictures have at network scale, steps being measured.

    Args:
        recipe_text: YAML of the recipe.
        dataset: Training pictures.
        network_pixels: A picture, millions.

    Raises:
        FoveateError: If there is not enough memory for it, or a picture cannot be read.
    """
    step = _in_a_process(_train, recipe_text, dataset)
    return Cost(step.seconds * network_pixels * 1e6 * len(dataset), step.megabytes)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run a model file.

    Attributes:
        path: The file.
        runtime: A row of `RUNTIMES`.
        threads: Tiles worked on side by side.
        batch_size: Tiles handed to the detector at once.
        layout: Of another tool's file.
        class_names: Likewise.
    """

    path: Path
    runtime: str
    threads: int
    batch_size: int
    layout: str | None = None
    class_names: tuple[str, ...] = ()


def tile_cost(way: Way, tiles: Sequence[UInt8Image], seconds: float) -> Cost:
    """A tile's share of the time that a model takes for many, two batches being under way.

    Args:
        way: How it is run.
        tiles: ``(H, W, C)`` each, taken in turn.
        seconds: How long to measure.

    Raises:
        FoveateError: If there is not enough memory, or the runtime cannot be used.
    """
    return _in_a_process(_tile_seconds, way, list(tiles), seconds)


def _tile_seconds(way: Way, tiles: list[UInt8Image], seconds: float) -> float:
    from foveate.api import LibraryDetector, load

    detector = load(way.path, way.threads, way.layout, way.class_names, way.runtime)
    assert not isinstance(detector, LibraryDetector)
    endless = itertools.cycle(tiles)
    under_way: deque[Callable[[], object]] = deque()
    detector.start(list(itertools.islice(endless, way.batch_size)))()  # the first takes longer
    began, batches = time.perf_counter(), 0
    while time.perf_counter() - began < seconds or not batches:
        under_way.append(detector.start(list(itertools.islice(endless, way.batch_size))))
        if len(under_way) > 1:
            under_way.popleft()()
        batches += 1
    while under_way:
        under_way.popleft()()
    return (time.perf_counter() - began) / (batches * way.batch_size)


def _detect(plan: TilePlan, width: int, height: int) -> float:
    from foveate.data.images import ArraySource
    from foveate.inference.bundled import bundled_path
    from foveate.inference.onnx_detector import OnnxDetector
    from foveate.inference.settings import plan_options, run_settings, runner

    detector = OnnxDetector(bundled_path(_MODEL))
    run = runner(detector, run_settings(detector, plan_options(plan)))
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    source = ArraySource("noise", noise)
    run(source)
    return float(np.median([run(source).seconds for _ in range(_ROUNDS)]))


def _train(recipe_text: str, dataset: Dataset) -> float:
    """Seconds for a network pixel."""
    import yaml

    from foveate.training.recipe import Recipe
    from foveate.training.timing import step_seconds

    recipe = Recipe.from_dict(yaml.safe_load(recipe_text))
    side = recipe.sampling.tile or recipe.tile_plan.size
    return step_seconds(recipe, dataset) / (recipe.batch_size * side**2)


def _in_a_process(function: Callable[..., float], *arguments: Any) -> Cost:
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            seconds, memory = pool.submit(_with_peak, function, *arguments).result()
    except BrokenProcessPool:
        raise FoveateError("the measurement was ended by the system: not enough memory") from None
    return Cost(seconds, memory)


def _with_peak(function: Callable[..., float], *arguments: Any) -> tuple[float, float | None]:
    seconds = function(*arguments)
    return seconds, _peak_megabytes()


def _peak_megabytes() -> float | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    rows = (line.split() for line in status.read_text().splitlines())
    return next((int(row[1]) * 1024 / 1e6 for row in rows if row[0] == f"{_PEAK}:"), None)


def duration(seconds: float) -> str:
    """``0.25 s``, ``42 s``, ``3 min``, ``2.5 h``."""
    if seconds < 120:
        return f"{seconds:.3g} s" if seconds < 10 else f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
