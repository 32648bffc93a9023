"""``foveate benchmark``: the fastest way to run a model on this machine."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from foveate.api import LibraryDetector, load
from foveate.cli.arguments import Calibrating, ClassNames, Layout, Pixels, parse
from foveate.cli.measuring import Cost, Way, tile_cost
from foveate.cli.pictures import named_pictures
from foveate.cli.terminal import note, progress, show_json, show_table
from foveate.data.sources import open_source
from foveate.errors import FoveateError, UsageError
from foveate.inference.bundled import resolve_model
from foveate.inference.calibration_tiles import calibration_tiles
from foveate.inference.foreign.classes import parse_class_names
from foveate.inference.onnx_session import processors, runtimes_offered
from foveate.inference.settings import Options, run_settings
from foveate.inference.tuning import Choice, forget, remember
from foveate.reports.tables import Table, counted
from foveate.structures import UInt8Image

_TILES = 8
"""Different tiles shown, in turn."""
_ROUNDS = 2
"""Times that each way is measured, all in turn; the faster counts."""
_NEARLY = 0.97
"""Of the most tiles a second: the plainest way that reaches it is chosen."""
_BUSY = 0.5
"""Of the processors: more than this taken by others, and the figures cannot be relied on."""
_UNASKED = "tensorrt"
"""Builds an engine for minutes before its first tile, so it is tried if it is named."""


@dataclass(frozen=True)
class Benchmark:
    """Find the fastest way to run a model on this machine, and remember it.

    Tries what ONNX Runtime can run on, threads and batches, each in a process of its own, on tiles
    of the model's own size. The best is kept in the user's cache folder, and followed whenever this
    very file is run on this machine with neither --threads nor --runtime.

    Attributes:
        model: A bundled model's name, or the path of a model.onnx.
        images: Pictures or a data set to take the tiles from; noise by default.
        also: Further files of the same model, such as its int8 one, to stand beside it.
        tile: Side of a tile, in pixels as the network sees them.
        runtimes: What to run on; by default all that there is but tensorrt, which is slow to start.
        seconds: How long to measure each way, twice.
        layout: How another tool's model file is laid out, if it is not recognised.
        classes: Names that another tool's file lacks: a,b,c; a text file; coco or coco-91.
        forget: Measure nothing; drop what is remembered of the model.
        json: Print the results as JSON on stdout.
    """

    model: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="NAME|PATH")]]
    images: Calibrating = None
    also: tuple[str, ...] = ()
    tile: Pixels = None
    runtimes: tuple[Literal["cpu", "cuda", "tensorrt"], ...] = ()
    seconds: float = 1.0
    layout: Layout = None
    classes: ClassNames = None
    forget: bool = False
    json: bool = False


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    flags = parse(Benchmark, "benchmark", arguments)
    if not 0 < flags.seconds <= 3600:
        raise UsageError(f"--seconds must be above 0 and at most 3600, got {flags.seconds:g}")
    if flags.forget:
        paths = [resolve_model(name) for name in (flags.model, *flags.also)]
        dropped = sum(map(forget, paths))
        note(f"forgotten: {dropped}" if dropped else "nothing was remembered")
        return
    names = parse_class_names(flags.classes) if flags.classes is not None else ()
    known = partial(load, threads=1, layout=flags.layout, class_names=names, runtime="cpu")
    detectors = [known(name) for name in (flags.model, *flags.also)]
    tiles = _tiles(detectors, flags)
    ways = _ways(detectors, flags, names)
    busy = _load()
    costs = _measured(ways, tiles, flags.seconds)
    chosen = {path: chosen_way(costs, path) for path in dict.fromkeys(way.path for way in costs)}
    kept = [remember(path, _choice(way, costs[way])) for path, way in chosen.items()]
    if flags.json:
        show_json(_report(flags.model, tiles, costs, chosen, kept))
        return
    show_table(ways_table(costs, list(chosen.values()), tiles[0]))
    _tell(flags.model, costs, chosen)
    if busy > _BUSY * processors():
        note(
            f"other work kept {busy:.1f} processors busy meanwhile: measure again when there is "
            "none, for it decides what is best"
        )


def _load() -> float:
    """Processors that other work keeps busy, over the last minute; 0 where that is not known."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def _tiles(detectors: Sequence[Any], flags: Benchmark) -> list[UInt8Image]:
    """What every file is shown.

    Raises:
        UsageError: If a model is no file, or the files are not of one model.
        FoveateError: If there are no pictures.
    """
    for detector in detectors:
        if isinstance(detector, LibraryDetector):
            raise UsageError("benchmark is for ONNX files; libraries choose what they run on")
        if detector.info.channels != detectors[0].info.channels:
            raise UsageError(
                f"{detector.path} takes {detector.info.channels} channels and "
                f"{detectors[0].path} {detectors[0].info.channels}: no files of one model"
            )
    info = detectors[0].info
    settings = run_settings(detectors[0], Options(tile=flags.tile))
    if flags.images is None:
        multiple = settings.size_multiple
        side = -(-settings.plan.size // multiple) * multiple
        shape = (_TILES, side, side, info.channels)
        return list(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    if info.motion is not None:
        raise UsageError(
            f"{info.name} sees motion, which pictures have none of: leave --images out"
        )
    _, paths = named_pictures(flags.images, None)
    opened = partial(open_source, reading=settings.reading)
    tiles = list(calibration_tiles(paths, opened, settings, _TILES, note))
    if not tiles:
        raise FoveateError(f"{flags.images}: there is no tile to look at in these pictures")
    return tiles


def _ways(detectors: Sequence[Any], flags: Benchmark, names: tuple[str, ...]) -> list[Way]:
    """What is tried, the plainest first."""
    offered = (name for name in runtimes_offered() if name != _UNASKED)
    runtimes: tuple[str, ...] = flags.runtimes or tuple(offered)
    most = processors()
    threads = sorted({most, *(2**k for k in range(most.bit_length()) if 2**k <= most)})
    return [
        Way(detector.path, runtime, count, factor * count, flags.layout, names)
        for detector in detectors
        for runtime in runtimes
        for count in threads
        for factor in (1, 2)
    ]


def _measured(ways: Sequence[Way], tiles: list[UInt8Image], seconds: float) -> dict[Way, Cost]:
    """What each way takes; a runtime that cannot be used is told of, and left out.

    Raises:
        FoveateError: If none can be used.
    """
    costs: dict[Way, Cost] = {}
    unusable: dict[str, str] = {}
    with progress("ways", _ROUNDS * len(ways)) as step:
        for way in _ROUNDS * list(ways):
            if way.runtime not in unusable:
                try:
                    cost = tile_cost(way, tiles, seconds)
                    costs[way] = min(costs.get(way, cost), cost, key=lambda one: one.seconds)
                except FoveateError as error:
                    unusable[way.runtime] = str(error)
            step()
    if not costs:
        raise FoveateError(next(iter(unusable.values())))
    for runtime, message in unusable.items():
        note(f"{runtime} is left out: {message}")
    return {way: cost for way, cost in costs.items() if way.runtime not in unusable}


def chosen_way(costs: dict[Way, Cost], path: Path) -> Way:
    """The plainest way of a file that is nearly as fast as its fastest."""
    own = {way: cost.seconds for way, cost in costs.items() if way.path == path}
    fastest = min(own.values())
    return next(way for way, seconds in own.items() if fastest >= _NEARLY * seconds)


def _choice(way: Way, cost: Cost) -> Choice:
    return Choice(
        runtime=way.runtime,
        threads=way.threads,
        batch_size=way.batch_size,
        tiles_per_second=1 / cost.seconds,
        created=datetime.date.today().isoformat(),
    )


def ways_table(costs: dict[Way, Cost], chosen: Sequence[Way], tile: UInt8Image) -> Table:
    """A row a way, the chosen ones marked."""
    rows = [
        (
            way.path.name,
            way.runtime,
            str(way.threads),
            str(way.batch_size),
            f"{1 / cost.seconds:.1f}",
            f"{1000 * cost.seconds:.1f}",
            "-" if cost.megabytes is None else f"{cost.megabytes:.0f} MB",
            "best" if way in chosen else "",
        )
        for way, cost in costs.items()
    ]
    columns = ("file", "on", "threads", "batch", "tiles a second", "ms a tile", "memory", "")
    told = (
        f"Tiles of {tile.shape[1]}x{tile.shape[0]} pixels; memory of the whole process at its "
        f"most. Best is the plainest way within {1 - _NEARLY:.0%} of the fastest of its file."
    )
    return Table("", columns, tuple(rows), told)


def _tell(model: str, costs: dict[Way, Cost], chosen: dict[Path, Way]) -> None:
    """What is remembered, and which file is the fastest."""
    for path, way in chosen.items():
        note(
            f"{path.name} from now on: {way.runtime}, {counted(way.threads, 'thread')}, batches of "
            f"{way.batch_size}, unless --threads or --runtime is given"
        )
    note(f"'foveate benchmark {model} --forget' drops it")
    first, *others = chosen.values()
    for way in others:
        ratio = costs[first].seconds / costs[way].seconds
        note(
            f"{way.path.name} is {ratio:.2f} times as fast as {first.path.name}; what it costs in "
            f"AP, 'foveate evaluate {way.path} DATASET' says"
        )


def _report(
    model: str,
    tiles: Sequence[UInt8Image],
    costs: dict[Way, Cost],
    chosen: dict[Path, Way],
    kept: Sequence[Path],
) -> dict[str, Any]:
    """For ``--json``."""

    def facts(way: Way) -> dict[str, Any]:
        return {
            "file": str(way.path),
            "runtime": way.runtime,
            "threads": way.threads,
            "batch_size": way.batch_size,
            "tiles_per_second": round(1 / costs[way].seconds, 3),
            **costs[way].to_dict(),
        }

    return {
        "model": model,
        "tile": [tiles[0].shape[1], tiles[0].shape[0]],
        "ways": [facts(way) for way in costs],
        "best": [facts(way) for way in chosen.values()],
        "remembered": [str(path) for path in kept],
    }
