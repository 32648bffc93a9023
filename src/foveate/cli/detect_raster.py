"""``foveate detect`` for a raster larger than memory, or with ``--resume``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foveate.api.output import OutputFolder
from foveate.api.raster import RasterResult
from foveate.api.raster import detect_raster as run_raster
from foveate.cli.terminal import note, running, show_json, show_table
from foveate.data.rasters import RasterSource
from foveate.errors import FoveateError
from foveate.inference.cluster import Cluster
from foveate.inference.found_file import FOUND
from foveate.inference.model_info import ModelInfo
from foveate.inference.profile import Profile
from foveate.inference.raster_run import State
from foveate.inference.settings import Options, RunSettings
from foveate.inference.video import Pace
from foveate.reports.page import page_html
from foveate.reports.results import detection_summary, picture_summary
from foveate.reports.sections import Gallery
from foveate.reports.tables import counted, picture_row, pictures_table, profile_lines
from foveate.structures import Detector

if TYPE_CHECKING:
    from foveate.cli.detect import Detect

_NAMED_BLOCKS = 4


def detect_raster(
    flags: Detect,
    raster: RasterSource,
    model: tuple[Detector, ModelInfo],
    settings: RunSettings,
    out: OutputFolder,
    *,
    wants_geo: bool,
) -> None:
    """Run the command for one raster.

    Args:
        flags: What was asked for.
        raster: The source.
        model: The detector, and what its file says.
        settings: Of the run.
        out: Where results go.
        wants_geo: Whether coordinates were asked for.

    Raises:
        FoveateError: If it cannot be done, or not in full; what was done stays.
        KeyboardInterrupt: When interrupted, with what was done.
    """
    profile = Profile()
    detector, info = model
    options = flags.run.options() | Options(plain=flags.plain or None)
    cluster = flags.cluster.cluster(flags.run.threads)
    result = _with_progress(raster, detector, out, profile, cluster, options)
    failures = _failures(result, wants_geo=wants_geo)
    with profile.stage("write"):
        out.write_raster(result)
        out.write("index.html", _page(result, info, settings).encode())
    profile.stop()
    for text in result.shown.notes:
        note(f"{result.name}: {text}")
    if flags.json:
        show_json(_summary(flags, result, info, settings, profile, failures))
    else:
        name, size, tiles, _, seconds = picture_row(result.shown)
        row = (name, size, tiles, str(result.found.boxes), seconds)
        show_table(pictures_table([row], result.found.counts.capped))
        note(f"detections.json, {FOUND}, annotated/ and index.html are in {out.path}")
    if flags.profile:
        note(profile_lines(profile))
    if failures:
        raise FoveateError("; ".join(failures))


def _with_progress(
    raster: RasterSource,
    detector: Detector,
    out: OutputFolder,
    profile: Profile,
    cluster: Cluster | None,
    options: Options,
) -> RasterResult:
    """Run, telling how far it is."""
    pace: Pace | None = None
    states: list[State] = []
    with running("tiles") as tell:

        def told(state: State) -> None:
            nonlocal pace
            if pace is None:
                pace = Pace(state.of)
                pace.done = state.tiles
            while pace.done < state.tiles:
                pace.step()
            states[:] = [state]
            tell(_Line(pace, state))

        try:
            return run_raster(
                raster,
                detector,
                out.path,
                on_state=told,
                on_note=note,
                profile=profile,
                cluster=cluster,
                **options,
            )
        except KeyboardInterrupt:
            done = f"{states[0].tiles} of {states[0].of}" if states else "no"
            raise KeyboardInterrupt(
                f"{done} tiles are done; the same command goes on from there"
            ) from None


class _Line:
    """How far it is, made into text only when it is shown."""

    def __init__(self, pace: Pace, state: State) -> None:
        self._pace, self._state = pace, state

    def __str__(self) -> str:
        """Such as ``120 of 3000, 4.1 a second, 12 min left, 517 objects so far``."""
        return f"{self._pace}, {counted(self._state.found, 'object')} so far"


def _failures(result: RasterResult, *, wants_geo: bool) -> list[str]:
    """What was not done."""
    failures = []
    found = result.found
    if found.unread or found.counts.unreadable:
        failures.append(_unread(result))
    if wants_geo and result.geo is None:
        failures.append(
            f"{result.name} says nowhere where it lies: its boxes have no coordinates; "
            "the rest is done"
        )
    return failures


def _unread(result: RasterResult) -> str:
    """Which parts could not be read, and what that cost."""
    found = result.found
    blocks = [
        f"row {y1}, column {x1} ({x2 - x1} x {y2 - y1} pixels)" for x1, y1, x2, y2 in found.unread
    ]
    more = f" and {len(blocks) - _NAMED_BLOCKS} more" if len(blocks) > _NAMED_BLOCKS else ""
    tiles = counted(found.counts.unreadable, "tile")
    return (
        f"{result.name}: {counted(len(blocks), 'block')} could not be read, at "
        f"{'; '.join(blocks[:_NAMED_BLOCKS])}{more}; {tiles} in which they lie "
        f"{'was' if found.counts.unreadable == 1 else 'were'} left out; all else is done"
    )


def _page(result: RasterResult, info: ModelInfo, settings: RunSettings) -> str:
    gallery = Gallery(info.class_names)
    gallery.add(result.shown.source, result.shown)
    return page_html(
        result.name,
        gallery.sections(),
        f"Model {info.name}, {settings}",
        settings.score_threshold,
    )


def _summary(
    flags: Detect,
    result: RasterResult,
    info: ModelInfo,
    settings: RunSettings,
    profile: Profile,
    failures: list[str],
) -> dict[str, Any]:
    """For ``--json``, with every box."""
    return detection_summary(
        [picture_summary(result.whole, info.class_names)],
        info.class_names,
        model=str(flags.model),
        settings=settings.to_dict(),
        seconds=profile.wall,
        failures={result.name: "; ".join(failures)} if failures else None,
    )
