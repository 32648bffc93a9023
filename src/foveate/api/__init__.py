"""foveate in Python: load a detector, detect in pictures, save what was found.

The command line goes through the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from foveate.api.result import Result
from foveate.data.images import ArraySource, as_image
from foveate.data.remote import Location, RemoteFile, location_of
from foveate.data.sources import find_sources, open_source
from foveate.data.values import Reading
from foveate.errors import FoveateError, UsageError
from foveate.inference.adapters import LibraryDetector, load_adapter, split_adapter
from foveate.inference.bundled import resolve_model
from foveate.inference.cluster import Cluster
from foveate.inference.flips import FlippedDetector
from foveate.inference.folder import Failure, detect_folder, pictures_in_flight
from foveate.inference.foreign.detector import ForeignDetector
from foveate.inference.glance import OnnxGlance
from foveate.inference.model_info import METADATA_KEY
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.onnx_file import read_metadata
from foveate.inference.onnx_session import AUTO
from foveate.inference.pipeline import OnTiles
from foveate.inference.profile import Profile
from foveate.inference.refine import OnnxRefiner
from foveate.inference.settings import Options, class_names_of, run_settings, runner
from foveate.inference.tuning import remembered
from foveate.structures import Detector, ImageSource

if TYPE_CHECKING:
    from foveate.api.cluster import Draw

__all__ = [
    "Cluster",
    "Failure",
    "FlippedDetector",
    "ForeignDetector",
    "LibraryDetector",
    "OnnxDetector",
    "OnnxGlance",
    "OnnxRefiner",
    "Options",
    "Result",
    "detect",
    "detect_all",
    "load",
    "load_glance",
    "load_refiner",
]


def load(
    model: str | Path,
    threads: int | None = None,
    layout: str | None = None,
    class_names: Sequence[str] = (),
    runtime: str = AUTO,
) -> OnnxDetector | ForeignDetector | LibraryDetector:
    """Load a detector.

    Args:
        model: Name of a bundled model, path of an ONNX file made by foveate or by another tool
            (docs/foreign-models.md says by which), a run folder that holds a ``model.onnx``; or
            ``ultralytics:PATH``, ``torchvision:NAME``, ``transformers:NAME``, which those
            libraries run.
        threads: Tiles worked on side by side; None takes one a processor. Results do not depend
            on it. The libraries use what threads they like.
        layout: How another tool's file is laid out; recognised if left out.
        class_names: What another tool's file does not say.
        runtime: What an ONNX file runs on: `cpu`, `cuda`, `tensorrt`; or `auto`, which is CUDA if
            there is one. Results of different ones differ by the noise of their arithmetic.

    With neither `threads` nor `runtime`, what ``foveate benchmark`` found best for this file on
    this machine is followed, if it was ever asked.

    Raises:
        FoveateError: If there is no such model, the file is none that can be read, a library
            is not installed, or the runtime is not there.
        UsageError: If `layout` or `class_names` is given for a file that says it itself.
    """
    if isinstance(model, str) and split_adapter(model):
        if layout is not None or class_names:
            raise UsageError(f"{model} says itself what it finds; leave layout and classes out")
        return load_adapter(model)
    path = resolve_model(model)
    choice = remembered(path) if threads is None and runtime == AUTO else None
    if choice is not None:
        threads, runtime = choice.threads, choice.runtime
    detector: OnnxDetector | ForeignDetector
    if METADATA_KEY not in read_metadata(path):
        detector = ForeignDetector(path, threads, layout, class_names, runtime)
    elif layout is not None or class_names:
        raise UsageError(
            f"{path} says itself how it is laid out and what it finds; leave layout and classes out"
        )
    else:
        detector = OnnxDetector(path, threads, runtime)
    detector.tuned = choice
    return detector


def load_refiner(path: str | Path, threads: int | None = None) -> OnnxRefiner:
    """Load a refiner of small boxes, for the option `refine`.

    Args:
        path: A file made by ``foveate train mtgan``.
        threads: Boxes judged side by side; None takes one a processor. Results do not depend on it.

    Raises:
        FoveateError: If there is no such file, or it is no refiner.
        UsageError: If `threads` is below 1.
    """
    return OnnxRefiner(Path(path), threads)


def load_glance(path: str | Path, threads: int | None = None) -> OnnxGlance:
    """Load a glance, for the option `glance`.

    Args:
        path: A file made by ``foveate glance fit``.
        threads: Parts of a picture worked on side by side; None takes one a processor. Results do
            not depend on it.

    Raises:
        FoveateError: If there is no such file, or it is no glance.
        UsageError: If `threads` is below 1.
    """
    return OnnxGlance(Path(path), threads)


def detect(
    source: str | Path | ImageSource | Any, detector: Detector, **options: Unpack[Options]
) -> Result:
    """Detect objects in one picture of any size.

    Args:
        source: A picture or raster file, or its address; an array ``(H, W)``, ``(H, W, 3)`` RGB
            or ``(H, W, 4)``, with `bands` of any number of channels; or an `ImageSource`. For
            several pictures use `detect_all`.
        detector: From `load`, or any callable ``images -> list[Detections]``.
        **options: `tile`, `overlap`, `scale`, `scales`, `scale_sides`, `full_image`, `plain`,
            `merge`, `threshold`, `batch_size`, `bands`, `value_range`, `stabilise`, `refine`,
            `select`, `glance`, as `Options` describes them; each is the model's or the picture's
            own by default.

    Raises:
        FoveateError: If the picture cannot be read, or does not suit the model.
        UsageError: If an option cannot be.
    """
    settings = run_settings(detector, options)
    opened = _open(source, settings.reading)
    run = runner(detector, settings)
    return Result.of(run(opened), opened, class_names_of(detector))


def detect_all(
    source: str | Path | Iterable[str | Location],
    detector: Detector,
    on_failure: Callable[[Failure], None] | None = None,
    on_tiles: OnTiles | None = None,
    profile: Profile | None = None,
    cluster: Cluster | None = None,
    draw: Draw | None = None,
    **options: Unpack[Options],
) -> Iterator[Result]:
    """Detect objects in many pictures; some are read while others are worked on.

    Args:
        source: A picture, a folder, a glob pattern, or several paths; also addresses, such as
            ``s3://BUCKET/FOLDER``.
        detector: From `load`, or any callable ``images -> list[Detections]``.
        on_failure: Told of each picture that cannot be done, and the others are still done;
            without it the first such picture raises.
        on_tiles: Told of the tiles done, if there is one picture only.
        profile: Where times are added to; not those of a cluster's workers.
        cluster: Workers of Ray that share the pictures; the results are the same. They read the
            pictures themselves, and a detector without a file must be one that can be pickled.
        draw: With a cluster: what workers draw of each picture, its result's `drawn`.
        **options: As for `detect`.

    Returns:
        An iterator over one result a picture that was done, in natural order of their names.

    Raises:
        FoveateError: At once, if nothing is found at `source`; later for a picture.
        UsageError: At once, if an option cannot be.
    """
    settings = run_settings(detector, options)
    if isinstance(source, (str, Path)):
        paths = find_sources(source)
    else:
        paths = [location_of(path) for path in source]
    if cluster is not None:
        # Late: most runs need none of it.
        from foveate.api.cluster import detect_on_cluster

        return detect_on_cluster(paths, detector, cluster, on_failure or _raise, draw, options)
    profile = profile or Profile()

    def opened(path: Location) -> ImageSource:
        with profile.stage("decode"):
            return open_source(path, settings.reading)

    run = runner(detector, settings, profile)
    in_flight = min(len(paths), pictures_in_flight(detector)) or 1
    done = detect_folder(paths, opened, run, on_failure or _raise, in_flight, on_tiles)
    names = class_names_of(detector)
    return (Result.of(found, source, names) for _, source, found in done)


def _open(source: Any, reading: Reading) -> ImageSource:
    if isinstance(source, (str, Path, RemoteFile)):
        return open_source(source, reading)
    if all(hasattr(source, name) for name in ("name", "width", "height", "read")):
        opened: ImageSource = source
        return opened
    return ArraySource("array", as_image(source, "array", reading))


def _raise(failure: Failure) -> None:
    raise FoveateError(failure.message)
