"""Rasters larger than memory, with more boxes than fit into it: results are on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

from foveate.api.result import Result
from foveate.data.rasters import RasterSource
from foveate.data.remote import Location, RemoteFile, location_of
from foveate.errors import FoveateError
from foveate.inference.cluster import Cluster
from foveate.inference.flips import FlippedDetector
from foveate.inference.found_file import read_found
from foveate.inference.profile import Profile
from foveate.inference.raster_run import OnState, RasterFound, RasterRun
from foveate.inference.settings import (
    NO_MOTION,
    Options,
    RunSettings,
    class_names_of,
    model_info,
    run_settings,
)
from foveate.structures import Detections, Detector

SHOWN = 100_000
"""The best so many detections are drawn, and counted on the page."""


@dataclass(frozen=True, eq=False)
class RasterResult:
    """What was found in a raster; its boxes are in ``found.jsonl``.

    Attributes:
        found: Where they are, and how it was done.
        shown: The best of them as a result like any other, at most 100,000.
    """

    found: RasterFound
    shown: Result

    @property
    def name(self) -> str:
        """File name."""
        return self.shown.name

    @property
    def geo(self) -> Any:
        """Where the raster lies, if it says so."""
        return self.shown.geo

    def parts(self) -> Iterator[Result]:
        """All boxes, from top to bottom, some ten thousands at a time; one part at least."""
        empty = True
        for part in read_found(self.found.path):
            empty = False
            yield replace(self.shown, detections=part)
        if empty:
            yield replace(self.shown, detections=Detections.empty())

    @cached_property
    def whole(self) -> Result:
        """All boxes in memory, best first."""
        if self.found.boxes == len(self.shown.detections):
            return self.shown
        every = Detections.concatenate([part.detections for part in self.parts()])
        return replace(self.shown, detections=every.in_order())


def detect_raster(
    source: str | Path | RasterSource,
    detector: Detector,
    out: str | Path,
    *,
    on_state: OnState | None = None,
    on_note: Callable[[str], None] | None = None,
    profile: Profile | None = None,
    cluster: Cluster | None = None,
    **options: Unpack[Options],
) -> RasterResult:
    """Detect objects in one raster of any size, with a journal in `out`.

    The same call goes on where a run was killed or interrupted, and its result is the same to the
    last bit; of a run that is finished it gives the result again. ``out/found.jsonl`` holds what is
    final, and can be read meanwhile.

    Args:
        source: What `detect` reads by windows, or its address; larger than 64 megapixels or not.
        detector: From `load`, or any callable ``images -> list[Detections]``.
        out: Folder for the journal and the boxes.
        on_state: Told how far the run is; what it raises ends the run.
        on_note: Told what was lost of a run before, if its journal was damaged.
        profile: Where times are added to; not those of a cluster's workers.
        cluster: Workers of Ray that share the tiles, and read the raster themselves; the result is
            the same, and either goes on where the other was killed.
        **options: As for `detect`.

    Raises:
        FoveateError: If the raster cannot be read, or `out` holds a run of another raster, model or
            other settings.
        UsageError: If an option cannot be.
    """
    settings = run_settings(detector, options)
    raster = (
        source
        if isinstance(source, RasterSource)
        else RasterSource(location_of(source), settings.reading)
    )
    facts = _facts(raster, detector, settings)
    looks = None
    if cluster is not None:
        # Late: most runs need none of it.
        from foveate.api.cluster import looks_on_cluster

        looks = looks_on_cluster(raster, detector, cluster, options)
    run = RasterRun(raster, detector, settings, Path(out), facts, profile, looks)
    if run.damage is not None and on_note is not None:
        on_note(run.damage)
    found = run(on_state)
    return RasterResult(found, _shown(raster, detector, settings, found))


def _shown(
    raster: RasterSource, detector: Detector, settings: RunSettings, found: RasterFound
) -> Result:
    best = Detections.empty()
    for part in read_found(found.path):
        best = Detections.concatenate([best, part]).in_order()[:SHOWN]
    chosen = found.chosen
    notes = [] if settings.motion is None else [NO_MOTION]
    if found.boxes > SHOWN:
        notes.append(f"the picture and the page show the best {SHOWN:,} of {found.boxes:,} objects")
    if chosen.tiles and not found.counts.looked and not found.counts.unreadable:
        notes.append("has nothing to look at: no tile holds a valid pixel, or all are alike")
    return Result(
        name=raster.name,
        width=raster.width,
        height=raster.height,
        detections=best,
        class_names=class_names_of(detector),
        tiles=found.tiles,
        seconds=found.seconds,
        capped_tiles=found.counts.capped,
        skipped_tiles=max(0, chosen.planned - len(found.tiles)),
        uniform_tiles=found.counts.uniform,
        unselected_tiles=max(0, chosen.planned - len(chosen.tiles)),
        expected_miss=chosen.expected_miss,
        planned_pixels=chosen.planned_pixels,
        geo=raster.geo,
        source=raster,
        remarks=tuple(notes),
    )


def _facts(raster: RasterSource, detector: Detector, settings: RunSettings) -> dict[str, Any]:
    """What decides the result."""
    from foveate import __version__

    parts = [_stamp(path) for path in (raster.path, *raster.parts)]
    size, modified = parts[0]
    return {
        "raster": {
            "name": raster.name,
            "bytes": size,
            "modified": modified,
            "width": raster.width,
            "height": raster.height,
            "parts": hashlib.sha256(json.dumps(parts[1:]).encode()).hexdigest()[:16],
        },
        "model": _model(detector),
        "flips": isinstance(detector, FlippedDetector),
        "settings": settings.to_dict(),
        "foveate": __version__,
    }


def _stamp(path: Location) -> tuple[int, int]:
    """Bytes, and when it was changed, nanoseconds."""
    if isinstance(path, RemoteFile):
        return path.stamp()
    try:
        about = path.stat()
    except OSError:
        raise FoveateError(f"{path} cannot be read: there is no such file") from None
    return about.st_size, about.st_mtime_ns


def _model(detector: Detector) -> str:
    """A hash of the model's file; of a detector without one, of what it says of itself."""
    path = getattr(detector, "path", None)
    if path is not None:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    info = model_info(detector)
    names = class_names_of(detector)
    about = f"{type(detector).__qualname__} {names}" if info is None else info.model_dump_json()
    return hashlib.sha256(about.encode()).hexdigest()[:16]
