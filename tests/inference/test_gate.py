"""Motion-gated tiles: less is looked at, and where nothing changed the result is the same."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from foveate.data.video import VideoFrame
from foveate.inference.gate import GateConfig, MotionGate
from foveate.inference.settings import Options, frame_runner, run_settings
from foveate.inference.tile_memory import TileMemory
from foveate.inference.video import FrameResult, VideoDetector
from foveate.structures import Detections, Tile, UInt8Image


def squares(images: Sequence[UInt8Image]) -> list[Detections]:
    """Boxes what is white, if it is one thing; two side by side are parted by their columns."""
    found = []
    for image in images:
        rows, columns = np.nonzero(image[..., 0] > 200)
        starts = np.flatnonzero(np.diff(np.unique(columns), prepend=-9) > 1)
        boxes = []
        for start in np.unique(columns)[starts].tolist():
            mine = (columns >= start) & (columns < start + 6)
            boxes.append([start, rows[mine].min(), columns[mine].max() + 1, rows[mine].max() + 1])
        count = len(boxes)
        found.append(
            Detections(np.array(boxes, np.float32), np.full(count, 0.9), np.zeros(count, np.int64))
        )
    return found


def clip(count: int = 24, noise: float = 0.0) -> list[UInt8Image]:
    """A square that steps 5 pixels a frame at the top, and one that stands still at the bottom."""
    rng = np.random.default_rng(0)
    frames = []
    for index in range(count):
        frame = 40 + rng.normal(0, noise, (240, 320, 3))
        x = 10 + 5 * index
        frame[30:36, x : x + 6] = 255
        frame[200:206, 260:266] = 255
        frames.append(frame.clip(0, 255).astype(np.uint8))
    return frames


def run(frames: Sequence[UInt8Image], gate: MotionGate | None) -> list[FrameResult]:
    settings = run_settings(squares, Options(tile=64, overlap=16))
    video = VideoDetector(frame_runner(squares, settings), None, "clip", gate)
    numbered = (VideoFrame(i, Fraction(i, 25), frame) for i, frame in enumerate(frames))
    return [result for _, result in video.over(numbered)]


def boxes(results: Sequence[FrameResult]) -> list[list[list[float]]]:
    return [result.detections.boxes.tolist() for result in results]


@pytest.mark.parametrize("noise", [0.0, 2.5])
def test_the_result_is_that_of_all_tiles_and_few_are_looked_at(noise: float) -> None:
    frames = clip(noise=noise)
    gate = MotionGate(GateConfig(refresh=20))
    gated, whole = run(frames, gate), run(frames, None)
    assert boxes(gated) == boxes(whole)
    assert [len(result.detections) for result in gated] == [2] * len(frames)
    assert gated[0].skipped_tiles == 0
    assert gate.looked < 0.35 * (gate.looked + gate.skipped)
    assert gate.looked == sum(result.tiles for result in gated)
    assert gate.skipped == sum(result.skipped_tiles for result in gated)
    assert str(gate).startswith(f"{gate.looked} of {gate.looked + gate.skipped} tiles looked at (")


def test_nothing_is_looked_at_where_nothing_changes_but_at_turns() -> None:
    frame = clip(1)[0]
    results = run([frame] * 31, MotionGate(GateConfig(refresh=15)))
    total = results[0].tiles
    assert total == 35
    for start in (1, 16):
        turns = [result.tiles for result in results[start : start + 15]]
        assert sum(turns) == total
        assert max(turns) <= 3


def test_slow_change_is_noticed() -> None:
    frames = [np.full((64, 64, 3), 40 + index, np.uint8) for index in range(30)]
    results = run(frames, MotionGate(GateConfig(levels=12, refresh=1000)))
    assert [i for i, result in enumerate(results) if result.tiles] == [0, 13, 26]


def test_tiles_that_hold_a_track_are_looked_at() -> None:
    gate = MotionGate(GateConfig(refresh=1000))
    tile = Tile(64, 64, 64, 64, 64, 64)
    region = np.zeros((64, 64, 3), np.uint8)
    source = type("Source", (), {"read": lambda self, tile: region})()
    assert gate.over(source).read(tile) is not None
    assert gate.over(source).read(tile) is None
    gate.follow(np.array([[120, 120, 130, 130]], np.float32))
    assert gate.over(source).read(tile) is not None
    gate.follow(np.array([[128, 120, 140, 130]], np.float32))
    assert gate.over(source).read(tile) is None


def test_memory_gives_the_tiles_in_the_order_of_the_plan() -> None:
    tiles = [Tile(x, 0, 8, 8, 8, 8) for x in (0, 8, 16)]
    one = Detections(np.array([[1, 1, 3, 3]], np.float32), np.array([0.5]), np.array([0]))
    memory = TileMemory()
    assert memory.completed(tiles, tiles[1:2], [one]) == ([tiles[1]], [one])
    none = Detections.empty()
    known, found = memory.completed(tiles, [tiles[2], tiles[0]], [none, one])
    assert known == tiles
    assert [len(part) for part in found] == [1, 1, 0]
