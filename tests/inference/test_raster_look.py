"""Chunks of a raster looked at elsewhere: the run takes them in turn, and gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import numpy as np
import pytest
from raster_files import write_raster

import foveate
from foveate.data.rasters import RasterSource
from foveate.errors import FoveateError
from foveate.inference.found_file import FOUND
from foveate.inference.raster_look import look_at_chunk
from foveate.inference.raster_records import Chunk
from foveate.inference.raster_run import JOURNAL, STEP, RasterRun, State
from foveate.inference.settings import Options, run_settings
from foveate.structures import Tile, UInt8Image


def test_chunks_from_elsewhere(
    tmp_path: Path, blob_model: Path, paint_blobs: Callable[..., UInt8Image]
) -> None:
    rng = np.random.default_rng(1)
    places = list(zip(rng.integers(3, 597, 150), rng.integers(3, 497, 150), strict=True))
    values = np.maximum(paint_blobs(600, 500, places), 1).transpose(2, 0, 1)
    blocks = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    path = write_raster(tmp_path / "field.tif", values, photometric="rgb", **blocks)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = b"\xff" * 300
    path.write_bytes(data)
    detector = foveate.load(blob_model)
    settings = run_settings(detector, Options())
    asked: list[int] = []

    def looks(parts: Sequence[Sequence[Tile]], die_after: int = 99) -> Generator[Chunk]:
        asked[:] = [len(part) for part in parts]
        for number, part in enumerate(parts):
            if number == die_after:
                raise FoveateError("the worker died")
            # Each chunk by another reader of the raster, as workers are.
            yield look_at_chunk(RasterSource(path), detector, settings, part)

    def run(out: str, looking: Callable[..., Generator[Chunk]] | None) -> RasterRun:
        return RasterRun(
            RasterSource(path), detector, settings, tmp_path / out, {"a": 1}, looks=looking
        )

    states: list[State] = []
    alone = run("alone", None)()
    with pytest.raises(FoveateError, match="the worker died"):
        run("shared", lambda parts: looks(parts, 2))()
    again = run("shared", looks)
    assert again.resumed == 2 * STEP
    shared = again(states.append)
    assert asked[0] == STEP
    assert max(asked) == STEP
    assert sum(asked) == alone.counts.done - 2 * STEP
    assert [state.tiles for state in states] == (2 * STEP + np.cumsum(asked)).tolist()
    assert shared.counts == alone.counts
    assert shared.counts.unreadable > 0
    assert shared.unread == alone.unread
    assert shared.tiles == alone.tiles
    for name in (FOUND, JOURNAL):
        assert (tmp_path / "shared" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
