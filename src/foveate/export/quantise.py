"""From a model file of floats to one of int8: static, by channel, calibrated on real tiles.

No torch: ONNX Runtime's own quantiser turns the graph (QDQ format), and needs the library onnx.
What is quantised is chosen here: convolutions and what lies between two of them. The last ones,
whose outputs become boxes and scores, stay in float32, as does all that decodes them [D].
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, version_converter
from pydantic import Field

from foveate import __version__
from foveate.config import Config, write_atomically
from foveate.errors import FoveateError
from foveate.inference.foreign.detector import ForeignDetector
from foveate.inference.model_info import METADATA_KEY, Quantisation
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.onnx_file import read_metadata
from foveate.structures import UInt8Image
from foveate.structures.boxes import box_iou

OnnxFile: TypeAlias = OnnxDetector | ForeignDetector
Feed: TypeAlias = dict[str, NDArray[Any]]

QUANTISED_KEY = "foveate-quantisation"
"""Metadata key of another tool's file that was quantised here."""
_BETWEEN = ("Conv", "Clip", "Relu", "Add", "Concat", "Resize", "MaxPool", "AveragePool")
"""Operators turned where they stand between convolutions: else each is an island of floats, and
turning there and back takes longer than int8 saves."""
_OPSET = 13
"""The first that has scales by channel."""
_MOST_KEPT = 8
"""Tiles that a histogram is made of: each keeps some 200 MB."""
_PREPARED = {"onnx.quant.pre_process": "onnxruntime.quant"}


class QuantiseConfig(Config):
    """How a model is quantised.

    Attributes:
        tiles: Real tiles that are shown for the ranges, of as many pictures as there are; without
            outliers, at most 8 of one size.
        ranges: Of what flows between layers: all that occurs (minmax), or without outliers.
        weight_bits: 7 cannot overflow on processors without VNNI; 8 is finer.
        float_last: How many convolutions before each end stay in float32.
        float_first: Leave the first convolutions in float32, too.
        float_depthwise: Leave convolutions of one channel each in float32, too.
    """

    tiles: int = Field(default=64, ge=1)
    ranges: Literal["minmax", "percentile", "entropy"] = "minmax"
    weight_bits: Literal[7, 8] = 8
    float_last: int = Field(default=1, ge=1)
    float_first: bool = False
    float_depthwise: bool = False


def quantise(
    detector: OnnxFile,
    tiles: Iterable[UInt8Image],
    out: Path,
    config: QuantiseConfig,
    calibration: tuple[str, int],
) -> Quantisation:
    """Write the int8 file of a model.

    Args:
        detector: The model, loaded from its file of floats.
        tiles: ``(H, W, C)`` uint8 each, as the network is shown them.
        out: The file to write.
        config: How.
        calibration: Name of the pictures that the tiles are of, and how many those are.

    Returns:
        What the file says of it; its measured results are left out, for they are not its own.

    Raises:
        FoveateError: If there is no tile, nothing can be quantised, or it was done already.
    """
    with tempfile.TemporaryDirectory() as folder:
        wide, narrow = Path(folder) / "wide.onnx", Path(folder) / "narrow.onnx"
        model = _widened(detector.path, wide)
        left = _left_in_float(model, config)
        shown = _Shown(detector.feed, tiles if config.ranges == "minmax" else _alike(tiles))
        _turn(wide, narrow, shown, left, config)
        done = Quantisation(
            ranges=config.ranges,
            weight_bits=config.weight_bits,
            calibration=calibration[0],
            pictures=calibration[1],
            tiles=shown.count,
            float_layers=tuple(n.name for n in model.graph.node if n.name in left and _is_conv(n)),
            source_sha256=hashlib.sha256(detector.path.read_bytes()).hexdigest(),
        )
        write_atomically(out, _content(narrow, detector, done))
    return done


def _alike(tiles: Iterable[UInt8Image]) -> list[UInt8Image]:
    """The first few of the commonest size: histograms are made of all that flows, kept at once."""
    drawn = list(tiles)
    sizes = Counter(tile.shape for tile in drawn)
    common = max(sizes, key=lambda shape: sizes[shape], default=None)
    return [tile for tile in drawn if tile.shape == common][:_MOST_KEPT]


class _Shown:
    """Gives the quantiser one tile after the other, and counts them."""

    def __init__(self, feed: Callable[[UInt8Image], Feed], tiles: Iterable[UInt8Image]) -> None:
        first = next(iterator := iter(tiles), None)
        if first is None:
            raise FoveateError("there is no tile to calibrate on: every picture is empty")
        self._feed, self._tiles = feed, chain([first], iterator)
        self.count = 0

    def __iter__(self) -> Iterator[Feed]:
        return self

    def __next__(self) -> Feed:
        feed = self._feed(next(self._tiles))
        self.count += 1
        # A detector may write the next picture where this one was.
        return {name: values.copy() for name, values in feed.items()}

    def get_next(self) -> Feed | None:
        """The quantiser's own way of asking."""
        return next(self, None)


def _widened(path: Path, out: Path) -> onnx.ModelProto:
    """The graph with float16-stored weights widened, constants folded, and every node named."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(out)
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    model = onnx.load(out)
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise FoveateError(f"{path}: is quantised already; give the file of floats")
    model = _with_opset(model, path)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    del model.metadata_props[:]
    helper.set_model_props(model, _PREPARED)
    onnx.save(model, out)
    return model


def _with_opset(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    version = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    if version >= _OPSET:
        return model
    try:
        return version_converter.convert_version(model, _OPSET)
    except Exception as error:  # onnx has no class of its own for what it cannot convert
        raise FoveateError(
            f"{path}: is of ONNX opset {version} and cannot be brought to {_OPSET}, which int8 by "
            "channel needs; export it again with a later opset"
        ) from error


def _left_in_float(model: onnx.ModelProto, config: QuantiseConfig) -> set[str]:
    """Names of the nodes that are not quantised."""
    nodes = list(model.graph.node)
    ahead = _convolutions(nodes, lambda node: node.input, lambda node: node.output)
    behind = _convolutions(nodes[::-1], lambda node: node.output, lambda node: node.input)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    left = set()
    for node in nodes:
        first, last = ahead[node.name] == 0, behind[node.name] < config.float_last
        kernel = weights.get(node.input[1]) if _is_conv(node) else None
        depthwise = kernel is not None and kernel.dims[1] == 1 < kernel.dims[0]
        if (
            last
            or (first and (config.float_first or not _is_conv(node)))
            or (depthwise and config.float_depthwise)
        ):
            left.add(node.name)
    return left


def _convolutions(
    nodes: list[onnx.NodeProto],
    from_where: Callable[[onnx.NodeProto], Iterable[str]],
    to_where: Callable[[onnx.NodeProto], Iterable[str]],
) -> dict[str, int]:
    """How many convolutions lie on the longest way to each node, by name; nodes are in order."""
    passed: dict[str, int] = {}
    counts = {}
    for node in nodes:
        count = max((passed.get(name, 0) for name in from_where(node) if name), default=0)
        counts[node.name] = count
        for name in to_where(node):
            passed[name] = max(passed.get(name, 0), count + _is_conv(node))
    return counts


def _is_conv(node: onnx.NodeProto) -> bool:
    return bool(node.op_type == "Conv")


def _turn(wide: Path, narrow: Path, shown: _Shown, left: set[str], config: QuantiseConfig) -> None:
    from onnxruntime.quantization import (  # type: ignore[import-untyped]
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    methods = {
        "minmax": CalibrationMethod.MinMax,
        "percentile": CalibrationMethod.Percentile,
        "entropy": CalibrationMethod.Entropy,
    }
    quantize_static(
        str(wide),
        str(narrow),
        shown,
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(_BETWEEN),
        nodes_to_exclude=sorted(left),
        per_channel=True,
        reduce_range=config.weight_bits == 7,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=methods[config.ranges],
    )


def _content(narrow: Path, detector: OnnxFile, done: Quantisation) -> bytes:
    """The finished file: the quantised graph, and what it says of itself.

    Raises:
        FoveateError: If nothing was quantised.
    """
    model = onnx.load(narrow)
    if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise FoveateError(
            f"{detector.path}: has no convolutions behind one another, which int8 is for here; "
            "leave it in float32"
        )
    if isinstance(detector, OnnxDetector):
        info = detector.info.model_copy(
            update={
                "name": f"{detector.info.name}-{done.precision}",
                "measured": (),
                "quantisation": done,
                "foveate_version": __version__,
            }
        )
        properties = {METADATA_KEY: info.model_dump_json()}
    else:
        properties = read_metadata(detector.path) | {QUANTISED_KEY: json.dumps(done.model_dump())}
    del model.metadata_props[:]
    helper.set_model_props(model, properties)
    content: bytes = model.SerializeToString()
    return content


def agreement(
    detector: OnnxFile, quantised: OnnxFile, tiles: Iterable[UInt8Image], threshold: float
) -> tuple[int, int]:
    """How many of a model's boxes its quantised file finds again.

    Args:
        detector: Of floats.
        quantised: Of int8.
        tiles: To look at.
        threshold: Least score of the first's boxes; half of that will do for the second's.

    Returns:
        Boxes with a like one of the same class, at IoU .5 or more; and all.
    """
    again = total = 0
    for tile in tiles:
        (wanted,), (found,) = detector([tile]), quantised([tile])
        wanted = wanted[wanted.scores >= threshold]
        found = found[found.scores >= threshold / 2]
        alike = box_iou(wanted.boxes, found.boxes) * (wanted.labels[:, None] == found.labels)
        again += int(np.count_nonzero(alike.max(axis=1, initial=0) >= 0.5))
        total += len(wanted)
    return again, total
