"""Command-line arguments: a dataclass per command, parsed by tyro, its errors in one line."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

import tyro
from pydantic import ValidationError
from tyro.constructors import PrimitiveConstructorSpec

from foveate.config import Config, describe
from foveate.data.remote import is_remote
from foveate.errors import UsageError
from foveate.inference.cluster import Cluster
from foveate.inference.settings import Options
from foveate.merge.config import MergeMethod

if TYPE_CHECKING:
    from foveate.inference.glance import OnnxGlance
    from foveate.inference.model_info import ModelInfo
    from foveate.inference.refine import OnnxRefiner
    from foveate.structures import Detector

T = TypeVar("T")


def parse(schema: type[T], command: str, arguments: Sequence[str], default: T | None = None) -> T:
    """Parse a command's arguments into its dataclass.

    Args:
        schema: The dataclass or configuration class; its docstring is the help.
        command: Name for messages.
        arguments: Without the command.
        default: Values for what is not given.

    Raises:
        UsageError: If they cannot be parsed, in one line.
        SystemExit: With code 0, after printing help that was asked for.
    """
    said = io.StringIO()
    given: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with redirect_stderr(said):
            parsed: T = tyro.cli(
                schema,
                prog=f"foveate {command}",
                args=list(arguments),
                config=(tyro.conf.FlagCreatePairsOff,),
                **given,
            )
            return parsed
    except ValidationError as error:
        raise UsageError(describe(error, Config)) from None
    except SystemExit as error:
        if not error.code:
            raise
        raise UsageError(
            f"{_in_one_line(said.getvalue())} (see 'foveate {command} --help')"
        ) from None


def _in_one_line(box: str) -> str:
    """The message of tyro's boxed error: the text between its first rule and its second."""
    rules = 0
    words: list[str] = []
    for line in re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines():
        # The box is drawn in Unicode, or in ASCII with its title above the first rule.
        if line.startswith(("╭", "╰")) or (line.strip() and not line.strip(" │─-")):
            rules += 1
        elif rules == 1:
            words += line.strip(" │").split()
    text = " ".join(words).removeprefix("Error parsing ")
    for pattern, better in _PLAINER:
        text = re.sub(pattern, better, text)
    return text.rstrip(".")


_PLAINER = (
    (r"^Missing from [^:]+: (\S+).*", r"\1 is missing"),
    (r"^Unrecognized options: ", "unknown: "),
    (r"^Missing value for argument '(\S+)'.*", r"\1 needs a value"),
    (r"invalid literal for int\(\) with base 10: (.*)", r"expected a whole number, got \1"),
    (r"^settings\.?(\S*: )\d+ validation errors? for \w+ (.*?) \[type=.*", r"\1\2"),
)
"""What tyro and pydantic say, and how it reads in one line."""


def _optional(
    kind: Callable[[str], Any], metavar: str, otherwise: str
) -> PrimitiveConstructorSpec[Any]:
    """A value that may be left out; `otherwise` is what help gives as the default."""

    def read(words: list[str]) -> Any:
        try:
            return kind(words[0])
        except ValueError:
            raise ValueError(f"expected a number, got {words[0]!r}") from None

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=read,
        is_instance=lambda value: (
            value is None or isinstance(value, (int, float, str, Path, tuple))
        ),
        str_from_instance=lambda value: [otherwise if value is None else str(value)],
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _local_folder(text: str) -> Path:
    if is_remote(text):
        raise UsageError(f"results go to a local folder; {text} is an address")
    return Path(text)


def _factors(text: str) -> tuple[float, ...]:
    return tuple(float(factor) for factor in text.split(","))


_MODEL = "model"
"""What help gives as the default of what the model file says."""

ModelChoice = Annotated[str | None, _optional(str, "NAME|PATH", "none")]
Pixels = Annotated[int | None, _optional(int, "PIXELS", _MODEL)]
Overlap = Annotated[float | None, _optional(float, "RATIO|PIXELS", _MODEL)]
Factor = Annotated[float | None, _optional(float, "FACTOR", _MODEL)]
Factors = Annotated[tuple[float, ...] | None, _optional(_factors, "FACTOR,FACTOR", "one scale")]
Sides = Annotated[str | None, _optional(str, "LOW:HIGH", "all")]
Score = Annotated[float | None, _optional(float, "SCORE", _MODEL)]
Merge = Annotated[str | None, _optional(str, "|".join(get_args(MergeMethod)), _MODEL)]
BatchSize = Annotated[int | None, _optional(int, "TILES", "automatic")]
Threads = Annotated[int | None, _optional(int, "N", "cores")]
Runtime = Literal["auto", "cpu", "cuda", "tensorrt"]
"""`AUTO` and the rows of `RUNTIMES`."""
Layout = Annotated[str | None, _optional(str, "NAME", "recognised")]
ClassNames = Annotated[str | None, _optional(str, "NAMES|FILE", _MODEL)]
Bands = Annotated[tuple[int, ...] | None, _optional(_numbers, "N,N,N", "red, green, blue")]
Values = Annotated[str | None, _optional(str, "LOW:HIGH", "all that occur")]
AskedPixels = Annotated[int | None, _optional(int, "PIXELS", "640, or the model's")]
AskedFactor = Annotated[float | None, _optional(float, "FACTOR", "1, or the model's")]
AskedStrides = Annotated[
    tuple[int, ...] | None, _optional(_numbers, "N,N,N", "4,8,16,32, or the model's")
]
Folder = Annotated[Path, tyro.conf.arg(metavar="DIR")]
OptionalFolder = Annotated[Path | None, _optional(_local_folder, "DIR", "none")]
OptionalCrs = Annotated[str | None, _optional(str, "CRS", "the raster's")]
OptionalFile = Annotated[Path | None, _optional(Path, "FILE", "none")]
Alignment = Annotated[str | None, _optional(str, "none|ecc|features", _MODEL)]
Selecting = Annotated[str | None, _optional(str, "HOW", "all tiles")]
Calibrating = Annotated[str | None, _optional(str, "IMAGES|DATASET", "none")]
RayAddress = Annotated[str | None, _optional(str, "[HOST:PORT]", "this process alone")]
Workers = Annotated[int | None, _optional(int, "N", "as many as fit")]
OptionalText = Annotated[str | None, _optional(str, "NAME", "none")]


@dataclass(frozen=True)
class RunFlags:
    """How pictures are tiled, shown to the model and put together again.

    Attributes:
        tile: Side of a tile, in pixels as the network sees them.
        overlap: Of neighbouring tiles: a ratio below 1, otherwise network pixels.
        scale: Enlarge the picture before it is tiled: 2 shows a 6-pixel object as 12.
        scales: Tile the picture at each of these scales, such as 0.5,1,2, in place of one.
        scale_sides: Take from each of --scales boxes this long only, in network pixels, 24:96.
        full_image: Also show the whole picture squeezed into one tile, for large objects.
        flips: Show every tile mirrored sideways, upside down and both, too: four times as dear.
        merge: How the boxes of overlapping tiles become one set.
        threshold: Least score, 0 to 1, of what is shown.
        batch_size: Tiles shown to the model at once.
        threads: Tiles worked on side by side; results do not depend on it.
        runtime: What runs the model: cpu, cuda, tensorrt; auto takes CUDA if there is one.
        layout: How another tool's model file is laid out, if it is not recognised.
        classes: Names that another tool's file lacks: a,b,c; a text file; coco or coco-91.
        bands: Which bands of a picture to show, in the model's order; 3,2,1 for many satellites.
        value_range: Values shown as black and as white, 0:10000; or percentiles, 2%:98%.
        refine: Judge small boxes once more, with a file that 'foveate train mtgan' made.
        select: Look only at tiles that --glance chooses: recall=0.95, tiles=40, or budget=2s.
        glance: What chooses them, a file that 'foveate glance fit' made for this model.
    """

    tile: Pixels = None
    overlap: Overlap = None
    scale: Factor = None
    scales: Factors = None
    scale_sides: Sides = None
    full_image: bool = False
    flips: bool = False
    merge: Merge = None
    threshold: Score = None
    batch_size: BatchSize = None
    threads: Threads = None
    runtime: Runtime = "auto"
    layout: Layout = None
    classes: ClassNames = None
    bands: Bands = None
    value_range: Values = None
    refine: OptionalFile = None
    select: Selecting = None
    glance: OptionalFile = None

    def load(self, model: str) -> tuple[Detector, ModelInfo]:
        """The detector these flags ask for, and what its file says."""
        # Late, so that other commands start without ONNX Runtime's wrapper and the merges.
        from foveate.api import FlippedDetector, load
        from foveate.inference.foreign.classes import parse_class_names

        names = parse_class_names(self.classes) if self.classes is not None else ()
        detector = load(model, self.threads, self.layout, names, self.runtime)
        return (FlippedDetector(detector) if self.flips else detector), detector.info

    def options(self) -> Options:
        """For `foveate.detect`; what was not given stays the model's own."""
        return Options(
            tile=self.tile,
            overlap=self.overlap,
            scale=self.scale,
            scales=self.scales,
            scale_sides=self.scale_sides,
            full_image=self.full_image or None,
            merge=self.merge,
            threshold=self.threshold,
            batch_size=self.batch_size,
            bands=self.bands,
            value_range=self.value_range,
            refine=None if self.refine is None else _refiner(self.refine, self.threads),
            select=self.select,
            glance=None if self.glance is None else _glance(self.glance, self.threads),
        )


@dataclass(frozen=True)
class VideoFlags:
    """What is asked for of a video, and is of no use for pictures.

    Attributes:
        track: Of a video: give objects numbers that stay, in tracks.json and tracks.txt (MOT).
        ball: With --track: the class of which there is one, its gaps bridged; 'ball' if there is.
        stride: Of a video: look at every so many-th frame.
        stabilise: Align earlier frames, for a model that sees motion, on a camera that moves.
        gate: Of a video from a fixed camera: look again only where something changed.
    """

    track: bool = False
    ball: OptionalText = None
    stride: int = 1
    stabilise: Alignment = None
    gate: bool = False


HERE = "here"
"""What ``--ray`` says where no address follows it."""
_RAY_ADDRESS = re.compile(r"[\w.-]+:\d+|\[[0-9a-fA-F:]+\]:\d+|\w+://.*")


def with_ray_address(arguments: Sequence[str]) -> list[str]:
    """The same arguments, with `HERE` after a ``--ray`` that no address follows."""
    said = list(arguments)
    if "--ray" in said:
        after = said.index("--ray") + 1
        if not (said[after:] and _RAY_ADDRESS.fullmatch(said[after])):
            said.insert(after, HERE)
    return said


@dataclass(frozen=True)
class ClusterFlags:
    """Who else works.

    Attributes:
        ray: Share the work among the workers of a Ray cluster, or of Ray started on this machine.
        workers: With --ray: processes, each with a model of its own and --threads processors (1).
    """

    ray: RayAddress = None
    workers: Workers = None

    def cluster(self, threads: int | None) -> Cluster | None:
        """Who works, if it is not this process.

        Raises:
            UsageError: If a number cannot be, or is given without ``--ray``.
        """
        if self.ray is None:
            if self.workers is not None:
                raise UsageError("--workers is for --ray; --threads says how much works here")
            return None
        address = None if self.ray == HERE else self.ray
        return Cluster(address, self.workers, threads or 1)


VideoOptions = Annotated[VideoFlags, tyro.conf.arg(name="")]
"""The flags without a prefix."""


@cache
def _refiner(path: Path, threads: int | None) -> OnnxRefiner:
    """A refiner's file, read once."""
    from foveate.api import load_refiner

    return load_refiner(path, threads)


@cache
def _glance(path: Path, threads: int | None) -> OnnxGlance:
    """A glance's file, read once."""
    from foveate.api import load_glance

    return load_glance(path, threads)


ClusterOptions = Annotated[ClusterFlags, tyro.conf.arg(name="")]
RunOptions = Annotated[RunFlags, tyro.conf.arg(name="")]
"""The flags without a prefix."""
