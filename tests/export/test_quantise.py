"""int8 files: what is quantised, what they say of themselves, and that they find the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="quantising needs it", exc_type=ImportError)

from foveate.errors import FoveateError  # noqa: E402
from foveate.export.quantise import (  # noqa: E402
    QuantiseConfig,
    agreement,
    quantise,
)
from foveate.inference.model_info import Quantisation  # noqa: E402
from foveate.inference.onnx_detector import OnnxDetector  # noqa: E402
from foveate.structures import UInt8Image  # noqa: E402

Paint = Callable[..., UInt8Image]
CENTRES = [(20, 10), (50, 30), (40, 50)]


@pytest.fixture
def tiles(paint_blobs: Paint) -> list[UInt8Image]:
    return [
        paint_blobs(64, 64, [(x + shift, y) for x, y in CENTRES], cold=(1,)) for shift in range(6)
    ]


@pytest.fixture
def floats(blob_model: Path) -> OnnxDetector:
    return OnnxDetector(blob_model, threads=1)


def made(detector: OnnxDetector, tiles: list[UInt8Image], out: Path, **asked: Any) -> Quantisation:
    return quantise(detector, tiles, out, QuantiseConfig(**asked), ("blobs", 3))


def convolutions(path: Path) -> dict[str, bool]:
    """Each convolution's weight, by name, and whether it is quantised."""
    graph = onnx.load(path).graph
    dequantised = {n.output[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    return {n.name: n.input[1] in dequantised for n in graph.node if n.op_type == "Conv"}


def test_finds_the_same(floats: OnnxDetector, tiles: list[UInt8Image], tmp_path: Path) -> None:
    done = made(floats, tiles, tmp_path / "int8.onnx")
    narrow = OnnxDetector(tmp_path / "int8.onnx", threads=1)
    again, total = agreement(floats, narrow, tiles, 0.3)
    assert (again, total) == (18, 18)
    assert (done.tiles, done.pictures, done.calibration) == (6, 3, "blobs")
    for wanted, found in zip(floats(tiles), narrow(tiles), strict=True):
        assert np.abs(np.sort(wanted.scores) - np.sort(found.scores)).max() < 0.05


def test_the_ends_stay_in_float(
    floats: OnnxDetector, tiles: list[UInt8Image], tmp_path: Path
) -> None:
    out = tmp_path / "int8.onnx"
    done = made(floats, tiles, out)
    assert sorted(convolutions(out).values()) == [False, False, True, True]
    assert set(done.float_layers) == {n for n, narrow in convolutions(out).items() if not narrow}
    made(floats, tiles, out, float_last=2)
    assert sorted(convolutions(out).values()) == [False, False, False, True]
    made(floats, tiles, out, float_first=True)
    assert sorted(convolutions(out).values()) == [False, False, False, True]


def test_what_the_file_says(floats: OnnxDetector, tiles: list[UInt8Image], tmp_path: Path) -> None:
    done = made(floats, tiles, tmp_path / "int8.onnx")
    info = OnnxDetector(tmp_path / "int8.onnx", threads=1).info
    assert info.name == "blob-int8"
    assert info.quantisation == done
    assert info.measured == ()  # what was measured was the other file
    same = {"name", "measured", "quantisation", "foveate_version"}
    assert info.model_dump(exclude=same) == floats.info.model_dump(exclude=same)


def test_seven_bits_use_seven(
    floats: OnnxDetector, tiles: list[UInt8Image], tmp_path: Path
) -> None:
    for bits, most in ((8, 127), (7, 64)):
        made(floats, tiles, tmp_path / "int8.onnx", weight_bits=bits)
        tensors = onnx.load(tmp_path / "int8.onnx").graph.initializer
        weights = [onnx.numpy_helper.to_array(t) for t in tensors if len(t.dims) == 4]
        largest = max(np.abs(w.astype(int)).max() for w in weights if w.dtype == np.int8)
        assert largest == pytest.approx(most, abs=1)


@pytest.mark.parametrize("ranges", ["percentile", "entropy"])
def test_ranges_without_outliers(
    floats: OnnxDetector, tiles: list[UInt8Image], tmp_path: Path, ranges: str, paint_blobs: Paint
) -> None:
    other_size = paint_blobs(32, 48, [(10, 10)])
    done = made(floats, [other_size, *tiles], tmp_path / "int8.onnx", ranges=ranges)
    assert (done.ranges, done.tiles) == (ranges, 6)
    narrow = OnnxDetector(tmp_path / "int8.onnx", threads=1)
    again, total = agreement(floats, narrow, tiles, 0.3)
    assert again == total > 0


def test_weights_stored_as_float16_are_widened(
    blob_model: Path, tiles: list[UInt8Image], tmp_path: Path
) -> None:
    model = onnx.load(blob_model)
    tensor = next(t for t in model.graph.initializer if t.name == "mix")
    half = onnx.numpy_helper.to_array(tensor).astype(np.float16)
    tensor.CopyFrom(onnx.numpy_helper.from_array(half, "mix.half"))
    cast = onnx.helper.make_node("Cast", ["mix.half"], ["mix"], to=onnx.TensorProto.FLOAT)
    model.graph.node.insert(0, cast)
    onnx.save(model, tmp_path / "half.onnx")
    stored = OnnxDetector(tmp_path / "half.onnx", threads=1)
    made(stored, tiles, tmp_path / "int8.onnx")
    assert sorted(convolutions(tmp_path / "int8.onnx").values()) == [False, False, True, True]


def test_twice_is_refused(floats: OnnxDetector, tiles: list[UInt8Image], tmp_path: Path) -> None:
    made(floats, tiles, tmp_path / "int8.onnx")
    narrow = OnnxDetector(tmp_path / "int8.onnx", threads=1)
    with pytest.raises(FoveateError, match="is quantised already"):
        made(narrow, tiles, tmp_path / "again.onnx")
    assert not (tmp_path / "again.onnx").exists()


def test_no_tile_is_one_line(floats: OnnxDetector, tmp_path: Path) -> None:
    with pytest.raises(FoveateError, match="no tile to calibrate on"):
        made(floats, [], tmp_path / "int8.onnx")
