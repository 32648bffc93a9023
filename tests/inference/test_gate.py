"""Motion-gated tiles: less is looked at, and where nothing changed the result is the same."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from foveate.data.video import VideoFrame
from foveate.inference.gate import GateConfig, MotionGate, _renewed
from foveate.inference.layers import LayeredSource
from foveate.inference.settings import Options, frame_runner, run_settings
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
    settings = run_settings(squares, Options(tile=128, overlap=16))
    video = VideoDetector(frame_runner(squares, settings), None, "clip", gate)
    numbered = (VideoFrame(i, Fraction(i, 25), frame) for i, frame in enumerate(frames))
    return [result for _, result in video.over(numbered)]


def boxes(results: Sequence[FrameResult]) -> list[list[list[float]]]:
    return [result.detections.boxes.tolist() for result in results]


@pytest.mark.parametrize("noise", [0.0, 2.5])
def test_the_result_is_that_of_all_tiles_and_little_is_looked_at(noise: float) -> None:
    frames = clip(noise=noise)
    gate = MotionGate(GateConfig(refresh=20, margin=8))
    gated, whole = run(frames, gate), run(frames, None)
    assert boxes(gated) == boxes(whole)
    assert [len(result.detections) for result in gated] == [2] * len(frames)
    assert gated[0].skipped_tiles == 0
    assert gate.shown < 0.3 * gate.planned
    share = round(100 * gate.shown / gate.planned)
    assert str(gate) == f"{share} % of all tiles' pixels looked at"


def test_nothing_is_looked_at_where_nothing_changes_but_at_turns() -> None:
    frame = clip(1)[0]
    gate = MotionGate(GateConfig(refresh=15, margin=8))
    results = run([frame] * 31, gate)
    assert results[0].tiles == 6
    turns = [result.tiles for result in results[1:16]]
    assert 0 < min(t for t in turns if t) <= max(turns) <= 8
    assert turns == [result.tiles for result in results[16:]]
    assert [len(result.detections) for result in results] == [2] * 31


def test_slow_change_is_noticed() -> None:
    frames = [np.full((64, 64, 3), 40 + index, np.uint8) for index in range(30)]
    results = run(frames, MotionGate(GateConfig(levels=12, refresh=1000)))
    assert [i for i, result in enumerate(results) if result.tiles] == [0, 13, 26]


def test_what_vanishes_is_forgotten_and_what_stands_still_is_not() -> None:
    shown, gone = clip(1)[0], clip(1)[0]
    gone[25:40] = 40
    first, second = run([shown, gone], MotionGate(GateConfig(refresh=1000, margin=8)))
    assert first.detections.boxes.tolist() == [[10, 30, 16, 36], [260, 200, 266, 206]]
    assert second.detections.boxes.tolist() == [[260, 200, 266, 206]]
    assert second.tiles == 1


def test_a_box_that_leaves_the_cells_looked_at_is_not_lost_and_not_doubled() -> None:
    def at(x: float) -> Detections:
        box = np.array([[x, 0, x + 30, 10]], np.float32)
        return Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64))

    inside = np.zeros((1, 4), bool)
    inside[0, 1] = True  # centres from 16 to 32
    assert _renewed(at(16), at(18), inside).boxes[:, 0].tolist() == [18]  # left
    assert _renewed(at(18), at(16), inside).boxes[:, 0].tolist() == [16]  # entered
    assert _renewed(at(34), at(36), inside).boxes[:, 0].tolist() == [34]  # not looked at


def test_where_a_track_is_expected_is_looked_at() -> None:
    gate = MotionGate(GateConfig(refresh=1000, margin=0))
    source = LayeredSource("clip", np.zeros((256, 256, 3), np.uint8))
    tiles = [Tile(x, y, 64, 64, 64, 64) for y in range(0, 256, 64) for x in range(0, 256, 64)]
    assert gate.choose(tiles, source, 32)[0] == tiles
    assert gate.choose(tiles, source, 32)[0] == []
    gate.follow(np.array([[120, 120, 130, 130], [-9, -9, -1, -1]], np.float32))
    (tile,) = gate.choose(tiles, source, 32)[0]
    assert tile.box == (112, 112, 144, 144)
    gate.follow(np.zeros((0, 4), np.float32))
    assert gate.choose(tiles, source, 32)[0] == []
