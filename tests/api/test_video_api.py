"""`foveate.detect_video`: a result a frame, tracks, notes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from video_files import write_sound, write_video

import foveate
from foveate.errors import FoveateError, UsageError
from foveate.structures import UInt8Image

pytest.importorskip("av")


@pytest.fixture
def clip(tmp_path: Path, paint_blobs: Callable[..., UInt8Image]) -> Path:
    """A warm blob that moves and one that stays."""
    frames = [
        np.repeat(np.repeat(paint_blobs(220, 140, [(20 + 4 * t, 40), (150, 100)], ()), 2, 0), 2, 1)
        for t in range(10)
    ]
    return write_video(tmp_path / "night.mp4", frames)


def test_a_result_a_frame(blob_model: Path, clip: Path) -> None:
    detector = foveate.load(blob_model, threads=1)
    results = list(foveate.detect_video(clip, detector, scale=0.5))
    assert [result.index for result in results] == list(range(10))
    assert results[3].time == pytest.approx(3 / 25)
    for result in results:
        alone = foveate.detect(result.image, detector, scale=0.5)
        np.testing.assert_allclose(result.detections.boxes, alone.detections.boxes, atol=1e-3)
        assert result.tracks is None
        assert result.class_names == alone.class_names
        assert result.tiles == len(alone.tiles)
    assert len(list(foveate.detect_video(clip, detector, stride=4, scale=0.5))) == 3


def test_tracks_and_gate(blob_model: Path, clip: Path) -> None:
    pytest.importorskip("trackers")
    detector = foveate.load(blob_model, threads=1)
    *_, last = foveate.detect_video(
        clip, detector, track=True, gate=True, tile=64, overlap=16, scale=0.5
    )
    assert last.tracks is not None
    assert len(last.tracks) == len(last.detections) >= 2
    assert (last.tracks >= 1).sum() >= 2
    assert last.skipped_tiles > 0


def test_what_cannot_be_raises_at_once(blob_model: Path, clip: Path, tmp_path: Path) -> None:
    detector = foveate.load(blob_model, threads=1)
    with pytest.raises(UsageError, match="threshold must be from 0 to 1"):
        foveate.detect_video(clip, detector, threshold=2)
    with pytest.raises(UsageError, match="stride must be at least 1"):
        foveate.detect_video(clip, detector, stride=0)
    with pytest.raises(FoveateError):
        foveate.detect_video(write_sound(tmp_path / "sound.mp4"), detector)
    half = tmp_path / "half.mp4"
    half.write_bytes(clip.read_bytes()[: len(clip.read_bytes()) // 2])
    told: list[str] = []
    with pytest.raises(FoveateError, match=r"half\.mp4"):
        list(foveate.detect_video(half, detector, on_note=told.append, scale=0.5))
