"""``foveate quantise``: from a model file of floats to one of int8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from foveate.cli.arguments import Calibrating, ClassNames, Layout, OptionalFile, OptionalText, parse
from foveate.cli.pictures import named_pictures
from foveate.cli.terminal import note, progress
from foveate.data.sources import open_source
from foveate.errors import FoveateError, UsageError
from foveate.libraries import import_library
from foveate.structures import UInt8Image

if TYPE_CHECKING:
    from foveate.api import ForeignDetector, OnnxDetector
    from foveate.export.quantise import QuantiseConfig

_COMPARED = 8
"""Tiles that both files look at, to see that they find the same."""
_ALARMING = 0.9
"""Of the boxes, below which a line of warning is told."""


@dataclass(frozen=True)
class Quantise:
    """Make an int8 file of a model: a bundled one, your own, or another tool's.

    Needs the library onnx, and no torch. What it costs in AP, 'foveate evaluate' says of either
    file; whether it is faster on this machine, 'foveate benchmark MODEL --also FILE' says.

    Attributes:
        model: A bundled model's name, or the path of a model.onnx of floats.
        calibrate: Pictures, a folder, a pattern in quotes, or a data set, like those it will see,
            and none of those that it is measured on.
        out: The file; NAME-int8.onnx here by default.
        split: Which split of a data set that has several; train, mostly.
        tiles: How many tiles of the pictures are shown for the ranges.
        ranges: Ranges of all that occurs (minmax), or without outliers: slower to find, of 8 tiles.
        weight_bits: 8 is finer; 7 cannot overflow on processors without VNNI.
        float_last: How many convolutions before each end stay in float32.
        layout: How another tool's model file is laid out, if it is not recognised.
        classes: Names that another tool's file lacks: a,b,c; a text file; coco or coco-91.
    """

    model: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="NAME|PATH")]]
    calibrate: Calibrating = None
    out: OptionalFile = None
    split: OptionalText = None
    tiles: int = 64
    ranges: Literal["minmax", "percentile", "entropy"] = "minmax"
    weight_bits: Literal[7, 8] = 8
    float_last: int = 1
    layout: Layout = None
    classes: ClassNames = None


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    flags = parse(Quantise, "quantise", arguments)
    if flags.calibrate is None:
        raise UsageError("say which pictures to calibrate on: --calibrate IMAGES|DATASET")
    if flags.tiles < 1 or flags.float_last < 1:
        raise UsageError("--tiles and --float-last must be at least 1")
    import_library("onnx", "foveate quantise", '"foveate[quantise]"')
    from foveate.api import LibraryDetector, load
    from foveate.export.quantise import QuantiseConfig
    from foveate.inference.foreign.classes import parse_class_names

    names = parse_class_names(flags.classes) if flags.classes is not None else ()
    detector = load(flags.model, None, flags.layout, names, "cpu")
    if isinstance(detector, LibraryDetector):
        raise UsageError(f"{flags.model} is no ONNX file; export it to one first")
    config = QuantiseConfig(
        tiles=flags.tiles,
        ranges=flags.ranges,
        weight_bits=flags.weight_bits,
        float_last=flags.float_last,
    )
    out = flags.out or Path(f"{detector.path.stem}-int8.onnx")
    quantise_file(detector, flags.calibrate, flags.split, out, config)


def quantise_file(
    detector: Any, source: str, split: str | None, out: Path, config: QuantiseConfig
) -> None:
    """Calibrate on real tiles, write the file, and tell what it is.

    Args:
        detector: The model, loaded from its file of floats.
        source: Pictures or a data set.
        split: Of the data set.
        out: The file to write.
        config: How.

    Raises:
        FoveateError: If there are no pictures, or the model cannot be quantised.
    """
    from foveate.export.quantise import quantise
    from foveate.inference.calibration_tiles import calibration_tiles
    from foveate.inference.settings import run_settings

    if out.resolve() == detector.path.resolve():
        raise UsageError(f"--out {out} is the model itself; name another file")
    if detector.info.motion is not None:
        raise FoveateError(
            f"{detector.info.name} sees motion, of which pictures have none: its ranges cannot be "
            "calibrated on them"
        )
    name, paths = named_pictures(source, split)
    settings = run_settings(detector, {})
    opened = partial(open_source, reading=settings.reading)
    drawn = partial(calibration_tiles, paths, opened, settings)
    count = min(config.tiles, len(paths))
    with progress("tiles", config.tiles) as step:
        shown = _stepping(drawn(config.tiles, note), step)
        done = quantise(detector, shown, out, config, (name, count))
    note(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB of {detector.path.stat().st_size / 1e6:.1f} MB, "
        f"calibrated on {done.tiles} tiles of {name}"
    )
    _compare(detector, out, drawn(_COMPARED, note), settings.score_threshold)
    note(
        f"now 'foveate evaluate {out} DATASET' says what it costs in AP, and 'foveate benchmark "
        f"{detector.path} --also {out}' whether it is faster here"
    )


def _stepping(tiles: Iterator[UInt8Image], step: Any) -> Iterator[UInt8Image]:
    for tile in tiles:
        yield tile
        step()


def _compare(
    detector: OnnxDetector | ForeignDetector, out: Path, tiles: Iterator[UInt8Image], least: float
) -> None:
    """Load the new file, and tell how much of what the model finds it finds again."""
    from foveate.api import load
    from foveate.export.quantise import agreement

    quantised: Any = load(out, None, *_foreign(detector), "cpu")
    again, total = agreement(detector, quantised, tiles, least)
    if not total:
        note("nothing is found in the tiles that both were shown: what it costs cannot be told")
    else:
        note(f"of {total} boxes in {_COMPARED} of those tiles it finds {again} again")
    if again < _ALARMING * total:
        note("that is few: try --ranges percentile, --float-last 2, or more pictures")


def _foreign(detector: OnnxDetector | ForeignDetector) -> tuple[str | None, tuple[str, ...]]:
    """What has to be said again of another tool's file."""
    from foveate.api import ForeignDetector

    if isinstance(detector, ForeignDetector):
        return detector.info.method, detector.info.class_names
    return None, ()
