"""``foveate detect``: pictures in, boxes out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

import tyro

from foveate.api import Failure, Options, Result, detect_all
from foveate.api.output import OutputFolder
from foveate.cli.arguments import (
    ClusterFlags,
    ClusterOptions,
    ModelChoice,
    OptionalCrs,
    OptionalFolder,
    RunFlags,
    RunOptions,
    VideoFlags,
    VideoOptions,
    parse,
    with_ray_address,
)
from foveate.cli.terminal import note, progress, progress_of, show_json, show_table
from foveate.data.rasters import RasterSource
from foveate.data.remote import Location
from foveate.data.sources import WHOLE_PIXELS, find_sources, is_raster
from foveate.data.video import is_video
from foveate.errors import FoveateError, UsageError
from foveate.inference.bundled import choices
from foveate.inference.model_info import ModelInfo
from foveate.inference.profile import Profile
from foveate.inference.settings import RunSettings, run_settings
from foveate.reports.exports import EXPORTS, Export
from foveate.reports.geo import GEO_EXPORTS, geo_formats_installed
from foveate.reports.page import page_html
from foveate.reports.results import detection_summary, picture_summary
from foveate.reports.sections import Gallery
from foveate.reports.tables import Looks, counted, picture_row, pictures_table, profile_lines

_DEFAULT_OUT = Path("out")
_SEVERAL = "SOURCE [SOURCE ...]"
_ROWS = 40
_MAX_SCALE = 16
_NAMED_BLOCKS = 4
ExportFormat = Literal["csv", "cvat", "geojson", "geopackage", "label-studio", "voc", "yolo"]
"""The rows of `EXPORTS` and of `GEO_EXPORTS`."""


@dataclass(frozen=True)
class Detect:
    """Detect small objects in pictures of any size, and in videos.

    Writes OUT/detections.json (COCO results), OUT/annotated/NAME.jpg and OUT/index.html; of
    georeferenced rasters also OUT/geo/NAME.geojson and OUT/geo/NAME.gpkg. Of a video
    OUT/frames.jsonl and OUT/annotated/NAME.mp4; of a raster above 64 megapixels also
    OUT/found.jsonl, which grows meanwhile. Of these two, the same command goes on where it was
    interrupted or killed.

    Attributes:
        source: Pictures, rasters, folders, or glob patterns in quotes, also behind addresses such
            as s3://BUCKET/FOLDER; or one video file, an address such as rtsp://HOST/STREAM, or
            camera:0.
        model: A bundled model's name (see 'foveate models'), or the path of a model.onnx.
        run: How it is done.
        cluster: Who else works.
        video: What is asked for of a video.
        plain: Show only the whole picture squeezed into one tile: what tiling is compared with.
        out: Folder for the results; 'out', or nowhere with --json.
        formats: Also write OUT in these formats, for labelling and training tools.
        resume: Keep a journal of a raster's tiles, and go on from it; always above 64 megapixels.
        crops: Also write every detection as a picture of its own.
        annotated_scale: Enlarge the annotated pictures, so that small objects are plain to see.
        crs: Coordinates of the geojson and geopackage, such as EPSG:4326; a raster's own if not.
        profile: Print where the time went.
        json: Print the results as JSON on stdout.
    """

    source: tyro.conf.Positional[
        Annotated[tuple[str, ...], tyro.conf.arg(metavar=_SEVERAL, help_behavior_hint="")]
    ]
    model: ModelChoice = None
    run: RunOptions = field(default_factory=RunFlags)
    cluster: ClusterOptions = field(default_factory=ClusterFlags)
    video: VideoOptions = field(default_factory=VideoFlags)
    plain: bool = False
    out: OptionalFolder = None
    formats: tuple[ExportFormat, ...] = ()
    resume: bool = False
    crops: bool = False
    annotated_scale: float = 1.0
    crs: OptionalCrs = None
    profile: bool = False
    json: bool = False


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    flags = parse(Detect, "detect", with_ray_address(arguments))
    if not flags.source:
        raise UsageError("SOURCE is missing (see 'foveate detect --help')")
    if flags.model is None:
        raise UsageError(f"say which model: --model NAME|PATH ({choices()})")
    videos = [source for source in flags.source if is_video(source)]
    if videos:
        if len(flags.source) > 1:
            raise UsageError(f"a video is taken alone; {len(flags.source)} sources are named")
        if flags.cluster != ClusterFlags():
            raise UsageError("--ray is for pictures and rasters; a video's frames need each other")
        # Late: pictures need none of it.
        from foveate.cli.detect_video import detect_video

        detect_video(flags, videos[0])
        return
    if flags.video != VideoFlags():
        raise UsageError(
            "--track, --ball, --stride, --stabilise and --gate are for videos; "
            f"{flags.source[0]} is none by its name"
        )
    _detect_pictures(flags, flags.model)


def _detect_pictures(flags: Detect, model: str) -> None:
    """Run the command for what is no video."""
    cluster = flags.cluster.cluster(flags.run.threads)
    if cluster is not None and flags.profile:
        raise UsageError("--profile tells of one process; leave it out with --ray")
    detector, info = flags.run.load(model)
    options = flags.run.options() | Options(plain=flags.plain or None)
    settings = run_settings(detector, options)
    paths = _sources(flags.source)
    folder = _folder(flags, info)
    wants_geo = flags.crs is not None or bool(GEO_EXPORTS.keys() & set(flags.formats))
    raster = _journaled(flags, paths, settings, folder)
    if raster is not None:
        assert folder is not None
        # Late: pictures need none of it.
        from foveate.cli.detect_raster import detect_raster

        detect_raster(flags, raster, (detector, info), settings, folder, wants_geo=wants_geo)
        return
    job = _Job(paths, info, settings, folder, wants_geo, flags.json)
    profile = Profile()
    try:
        with progress_of("tiles") as on_tiles:
            alone = on_tiles if len(paths) == 1 else None
            draw = folder.drawing if folder is not None else None
            results = detect_all(
                paths, detector, job.fail, alone, profile, cluster, draw, **options
            )
            job.run(results, profile)
    except KeyboardInterrupt:
        job.close()
        raise KeyboardInterrupt(f"{len(job.rows)} of {len(paths)} pictures are done") from None
    finally:
        # Also when interrupted: what is done stays, and is listed.
        job.finish()
    profile.stop()
    if flags.json:
        show_json(job.summary(model, profile))
    elif job.rows:
        job.show()
    if flags.profile:
        note(profile_lines(profile))
    job.require_complete()


def _sources(named: Sequence[str]) -> list[Location]:
    """What is to be looked at, each file once."""
    return list(dict.fromkeys(path for source in named for path in find_sources(source)))


def _journaled(
    flags: Detect, paths: Sequence[Location], settings: RunSettings, folder: OutputFolder | None
) -> RasterSource | None:
    """The raster that is done with a journal, if that is how it is done.

    It is one source alone, with results that go to a folder, and of more than 64 megapixels or with
    ``--resume``.

    Raises:
        UsageError: If ``--resume`` is asked for of something else.
    """
    alone = len(paths) == 1 and folder is not None
    if alone and is_raster(paths[0], settings.reading):
        raster = RasterSource(paths[0], settings.reading)
        if flags.resume or raster.width * raster.height > WHOLE_PIXELS:
            return raster
    elif flags.resume:
        raise UsageError("--resume is for one raster, whose results go to a folder (--out DIR)")
    return None


def _folder(flags: Detect, info: ModelInfo) -> OutputFolder | None:
    """Where results go, if anywhere."""
    if not 0 < flags.annotated_scale <= _MAX_SCALE:
        raise UsageError(
            f"--annotated-scale must be above 0 and at most {_MAX_SCALE}, "
            f"got {flags.annotated_scale:g}"
        )
    out = flags.out or (None if flags.json else _DEFAULT_OUT)
    if out is None:
        if flags.formats or flags.crops or flags.crs or flags.annotated_scale != 1:
            raise UsageError("say where to write what was asked for: --out DIR")
        return None
    exports = [EXPORTS[name](info.class_names) for name in flags.formats if name in EXPORTS]
    return OutputFolder(
        out, exports + _geo_exports(flags, info), crops=flags.crops, scale=flags.annotated_scale
    )


def _geo_exports(flags: Detect, info: ModelInfo) -> list[Export]:
    """Those asked for; without a wish, both, wherever they can be."""
    asked = [name for name in flags.formats if name in GEO_EXPORTS]
    if not asked and flags.crs is None and not geo_formats_installed():
        return []
    return [GEO_EXPORTS[name](info.class_names, flags.crs) for name in asked or GEO_EXPORTS]


class _Job:
    """One run over pictures, and what has come of it so far."""

    def __init__(
        self,
        paths: Sequence[Location],
        info: ModelInfo,
        settings: RunSettings,
        out: OutputFolder | None,
        wants_geo: bool,
        wants_json: bool,
    ) -> None:
        self.paths = paths
        self.info = info
        self.settings = settings
        self.out = out
        self.wants_geo = wants_geo
        self.wants_json = wants_json
        self.gallery = Gallery(info.class_names)
        self.rows: list[tuple[str, ...]] = []
        self.summaries: list[dict[str, Any]] = []
        self.capped_tiles = 0
        self._looks = Looks()
        self.failures: dict[str, str] = {}
        self._writing = Lock()
        self._closed = False

    def run(self, results: Iterable[Result], profile: Profile) -> None:
        """Take the results as they come; one is written while the next is worked on."""
        with (
            ThreadPoolExecutor(1, "foveate-write") as writer,
            progress("pictures", len(self.paths)) as self._step,
        ):

            def write(result: Result) -> None:
                with profile.stage("write"):
                    self._write(result)

            written: Future[None] | None = None
            for result in results:
                if written is not None:
                    written.result()
                written = writer.submit(write, result)
                self._step()
            if written is not None:
                written.result()

    def fail(self, failure: Failure) -> None:
        """Report a picture that could not be done."""
        self._failed(str(failure.path), failure.message)
        if len(self.paths) > 1:
            self._step()

    def close(self) -> None:
        """Wait for the picture being written, and let no other begin.

        Leaving the pool does not do: a Ctrl-C while it starts its thread makes it forget that.
        """
        with self._writing:
            self._closed = True

    def finish(self) -> None:
        """Write what sums up the pictures that were done."""
        if self.out is None or not self.rows:
            return
        self.out.write_json("detections.json")
        self.out.write_exports()
        page = page_html(
            f"{len(self.rows)} pictures" if len(self.rows) > 1 else self.rows[0][0],
            self.gallery.sections(),
            f"Model {self.info.name}, {self.settings}",
            self.settings.score_threshold,
        )
        self.out.write("index.html", page.encode())

    def summary(self, model: str, profile: Profile) -> dict[str, Any]:
        """For ``--json``."""
        return detection_summary(
            self.summaries,
            self.info.class_names,
            model=model,
            settings=self.settings.to_dict(),
            seconds=profile.wall,
            failures=self.failures,
        )

    def show(self) -> None:
        """Print the table, and where the results are."""
        show_table(pictures_table(self.rows, self.capped_tiles, _ROWS))
        if self.settings.selection is not None:
            note(str(self._looks))
        assert self.out is not None
        note(f"detections.json, annotated/ and index.html are in {self.out.path}")

    def require_complete(self) -> None:
        """See that no picture failed, in whole or in part.

        Raises:
            FoveateError: If one did.
        """
        if not self.failures:
            return
        if len(self.paths) == 1:
            raise FoveateError(*self.failures.values())
        whole = len(self.paths) - len(self.failures)
        verb = "is" if whole == 1 else "are"
        done = f"the other {whole} {verb} done" if whole else "none is done"
        partly = " in full" if len(self.rows) > whole else ""
        raise FoveateError(
            f"{len(self.failures)} of {len(self.paths)} pictures could not be done{partly}; {done}"
        )

    def _failed(self, name: str, message: str) -> None:
        """Keep the message; of a single picture it is told at the end."""
        self.failures[name] = message
        if len(self.paths) > 1:
            note(f"foveate: {message}")

    def _write(self, result: Result) -> None:
        """Write a picture's results and list it: in the writer's thread, which Ctrl-C spares."""
        with self._writing:
            if self._closed:
                return
            if self.out is not None:
                self.out.write_picture(result)
                self.gallery.add(result.source, result)
            for text in result.notes:
                note(f"{result.name}: {text}")
            if result.unread:
                self._failed(result.name, _unread(result))
            elif self.wants_geo and result.geo is None:
                self._failed(
                    result.name,
                    f"{result.name} says nowhere where it lies: its boxes "
                    "have no coordinates; the rest is done",
                )
            self.rows.append(picture_row(result))
            self.capped_tiles += result.capped_tiles
            self._looks.add(result)
            if self.wants_json:
                self.summaries.append(picture_summary(result, self.info.class_names))


def _unread(result: Result) -> str:
    """Which parts of a raster could not be read."""
    blocks = [f"{x1},{y1} to {x2},{y2}" for x1, y1, x2, y2 in result.unread]
    more = f" and {len(blocks) - _NAMED_BLOCKS} more" if len(blocks) > _NAMED_BLOCKS else ""
    return (
        f"{result.name}: {counted(len(blocks), 'block')} could not be read, at pixels "
        f"{'; '.join(blocks[:_NAMED_BLOCKS])}{more}; all else is done"
    )
