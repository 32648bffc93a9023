"""Videos in and out: every frame at its time, and one line for every file that is none."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from video_files import grey_frames, number_of, write_changing, write_sound, write_video

from foveate.data.ahead import Dropped, ahead
from foveate.data.video import VideoReader, is_video
from foveate.data.video_writer import VideoWriter
from foveate.errors import FoveateError, UsageError

av = pytest.importorskip("av")


def _read_until_error(reader: VideoReader) -> tuple[int, str]:
    """How many frames came, and what was said at the end."""
    read = 0
    try:
        for _ in reader:
            read += 1
    except FoveateError as error:
        return read, str(error)
    return read, ""


def _numbers(path: Path, stride: int = 1) -> list[int]:
    with VideoReader(path, stride) as reader:
        return [number_of(frame.image) for frame in reader]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "avi", "ts"])
def test_frames_come_back_in_order_from_any_container(tmp_path: Path, ending: str) -> None:
    path = write_video(tmp_path / f"clip.{ending}", grey_frames(12))
    assert _numbers(path) == list(range(12))


def test_a_wrong_ending_does_not_matter(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", grey_frames(5)).rename(tmp_path / "clip.avi")
    assert _numbers(path) == list(range(5))


def test_a_reader_says_what_it_reads(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", grey_frames(25))
    with VideoReader(path) as reader:
        info = reader.info
        frames = list(reader)
    assert (info.name, info.live, info.rate) == ("clip.mp4", False, Fraction(25))
    assert info.seconds == pytest.approx(1, abs=0.05)
    assert info.frames == pytest.approx(25, abs=1)
    assert frames[0].image.shape == (48, 64, 3)
    assert [frame.index for frame in frames] == list(range(25))
    assert reader.notes == ()


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_variable_frame_rate_is_kept(tmp_path: Path, ending: str) -> None:
    times = [Fraction(n, 1000) for n in (0, 40, 90, 100, 350, 360, 900)]
    path = write_video(tmp_path / f"clip.{ending}", grey_frames(7), times)
    with VideoReader(path) as reader:
        read = [frame.time for frame in reader]
    assert read == times


def test_a_stride_keeps_numbers_and_times(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", grey_frames(10))
    with VideoReader(path, stride=4) as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == [0, 4, 8]
    assert [number_of(frame.image) for frame in frames] == [0, 4, 8]
    assert [frame.time for frame in frames] == [0, Fraction(4, 25), Fraction(8, 25)]


def test_a_telephone_held_upright_gives_upright_frames(tmp_path: Path) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, 32:] = 255  # the right half is bright; turned clockwise, the lower half is
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(-90)
        for packet in [
            *stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")),
            *stream.encode(None),
        ]:
            container.mux(packet)
    with VideoReader(path) as reader:
        (read,) = reader
    assert read.image.shape == (64, 48, 3)
    assert read.image[40:].mean() > 240
    assert read.image[:24].mean() < 15


def test_odd_sides_are_written(tmp_path: Path) -> None:
    path = write_video(tmp_path / "odd.mp4", grey_frames(3, 65, 49))
    with VideoReader(path) as reader:
        assert [frame.image.shape for frame in reader] == [(50, 66, 3)] * 3


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_any_encoder_that_there_is_keeps_times(
    tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foveate.data import video_writer

    ours = [row for row in video_writer._CODECS if row[0] == codec]
    monkeypatch.setattr(video_writer, "_CODECS", (("no-such", {}), *ours))
    times = [Fraction(n, 1000) for n in (0, 40, 90, 300)]
    path = write_video(tmp_path / "clip.mp4", grey_frames(4), times)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert [round(frame.time * 1000) for frame in frames] == [0, 40, 90, 300]
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 3]


def test_without_an_encoder_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from foveate.data import video_writer

    monkeypatch.setattr(video_writer, "_CODECS", (("no-such", {}),))
    with pytest.raises(FoveateError, match="no encoder for H"):
        write_video(tmp_path / "clip.mp4", grey_frames(1))


def test_times_that_do_not_rise_are_moved_behind_each_other(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", grey_frames(3), [Fraction(0)] * 3)
    assert _numbers(path) == [0, 1, 2]


def _cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: round(share * len(data))])
    return path


def _noise(count: int) -> list[np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(count)]


def test_a_video_cut_short_gives_its_frames_and_then_one_line(tmp_path: Path) -> None:
    path = tmp_path / "clip.mov"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for frame in _noise(50):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    _cut(path, 0.6)
    with VideoReader(path) as reader:
        read, said = _read_until_error(reader)
    assert 20 < read < 40
    assert "was cut short: it ends at" in said
    assert "of 2.0 seconds" in said


def test_a_video_without_its_end_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in _noise(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    _cut(path, 0.5)
    with pytest.raises(FoveateError, match="it is none, or its end is missing"):
        VideoReader(path)


def test_damaged_packets_are_passed_over_and_counted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", _noise(60))
    data = bytearray(path.read_bytes())
    for position in range(len(data) // 3, len(data) // 2, 29):
        data[position] ^= 0xFF
    path.write_bytes(data)
    with VideoReader(path) as reader:
        read, said = _read_until_error(reader)
    assert read > 5
    assert said == "" or "cut short" in said
    assert "damaged parts were skipped or patched" in reader.notes[0]


def test_a_size_that_changes_midway_is_one_line(tmp_path: Path) -> None:
    path = write_changing(tmp_path / "clip.mjpeg")
    with VideoReader(path) as reader:
        read, said = _read_until_error(reader)
    assert read == 10
    assert said.endswith(
        "changes from 64 x 48 to 96 x 64 pixels at frame 10; cut it there into two videos"
    )


def _text(path: Path) -> Path:
    path.write_text("no video at all\n" * 40)
    return path


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("sound.m4a", write_sound, "has sound and no pictures"),
        ("notes.mp4", _text, "cannot be read as a video: it is none"),
        ("notes.txt", _text, "is a text and no video"),
        ("empty.mp4", lambda path: path.write_bytes(b""), "cannot be read as a video"),
        ("folder.mp4", lambda path: path.mkdir(), "is a folder; give a file"),
        ("clop.mp4", lambda path: _text(path.with_name("clip.mp4")), "did you mean clip.mp4"),
    ],
)
def test_what_is_no_video_is_one_line(
    tmp_path: Path, name: str, make: object, message: str
) -> None:
    assert callable(make)
    make(tmp_path / name)
    with pytest.raises(FoveateError, match=message) as failure:
        VideoReader(tmp_path / name)
    assert "\n" not in str(failure.value)


def test_a_video_without_frames_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "none.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with pytest.raises(FoveateError, match="has no frame"):
        _numbers(path)


def test_an_address_nobody_answers_is_one_line() -> None:
    with pytest.raises(FoveateError, match="cannot be read as a video: connection refused"):
        VideoReader("rtsp://127.0.0.1:1/stream")


def test_a_stride_below_one_is_an_error() -> None:
    with pytest.raises(UsageError, match="stride must be at least 1"):
        VideoReader("clip.mp4", stride=0)


def test_a_reader_is_iterated_over_once(tmp_path: Path) -> None:
    with VideoReader(write_video(tmp_path / "clip.mp4", grey_frames(3))) as reader:
        assert len(list(reader)) == 3
        with pytest.raises(ValueError, match="iterated over once"):
            iter(reader)


def test_a_reader_that_is_given_up_leaves_no_thread(tmp_path: Path) -> None:
    with VideoReader(write_video(tmp_path / "clip.mp4", grey_frames(40))) as reader:
        next(iter(reader))
    assert "foveate-decode" not in [thread.name for thread in threading.enumerate()]


def test_which_sources_are_videos() -> None:
    for source in ("a/match.MP4", "rtsp://host/1", "http://host/x", "camera:0"):
        assert is_video(source)
    for source in ("a.jpg", "folder", "mp4", "camera:x", "*.tif"):
        assert not is_video(source)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FoveateError, match="this video cannot be written"):
        VideoWriter(tmp_path / "file" / "out.mp4")


def test_an_ending_that_is_no_container_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FoveateError, match="this video cannot be written"):
        VideoWriter(tmp_path / "out.nothing")


def test_frames_of_two_sizes_are_one_line_and_the_first_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    writer = VideoWriter(path)
    writer.write(grey_frames(1)[0], Fraction(0))
    with pytest.raises(FoveateError, match="frames of one video have one size"):
        writer.write(grey_frames(1, 32, 32)[0], Fraction(1))
    writer.close()
    assert _numbers(path) == [0]


def test_without_a_frame_there_is_no_file(tmp_path: Path) -> None:
    VideoWriter(tmp_path / "out.mp4").close()
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_video_plays(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"

    def interrupted() -> None:
        with VideoWriter(path) as writer:
            for index, frame in enumerate(grey_frames(10)):
                writer.write(frame, Fraction(index, 25))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert _numbers(path) == list(range(10))
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


def test_a_killed_process_leaves_a_video_that_plays(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from fractions import Fraction; from pathlib import Path;"
        "from video_files import grey_frames; from foveate.data.video_writer import VideoWriter;"
        "writer = VideoWriter(Path(sys.argv[1]));"
        "[writer.write(f, Fraction(i, 25)) for i, f in enumerate(grey_frames(260))];"
        "time.sleep(1); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out.mp4")]
    tests = os.pathsep.join(sys.path)  # video_files is among the tests
    environment = os.environ | {"PYTHONPATH": tests}
    done = subprocess.run(command, check=False, timeout=120, env=environment)
    assert done.returncode == -9
    part = tmp_path / "out.part.mp4"
    with VideoReader(part) as reader:
        read, said = _read_until_error(reader)
    assert read >= 50
    assert said == "" or "cut short" in said


def _slow(values: list[int], seconds: float = 0) -> Iterator[int]:
    for value in values:
        time.sleep(seconds)
        yield value


def test_ahead_gives_all_in_order_and_passes_errors_on() -> None:
    assert list(ahead(_slow(list(range(50))), 2)) == list(range(50))

    def failing() -> Iterator[int]:
        yield 1
        raise FoveateError("broken")

    line = ahead(failing(), 2)
    assert next(line) == 1
    with pytest.raises(FoveateError, match="broken"):
        next(line)


def test_an_error_while_closing_leaves_no_one_waiting() -> None:
    class Items:
        def __iter__(self) -> Items:
            return self

        def __next__(self) -> int:
            raise FoveateError("broken")

        def close(self) -> None:
            raise FoveateError("and cannot be closed")

    with pytest.raises(FoveateError, match="broken"):
        next(ahead(Items(), 2))


def test_ahead_holds_no_more_than_asked_for() -> None:
    made = []

    def counted() -> Iterator[int]:
        for value in range(100):
            made.append(value)
            yield value

    line = ahead(counted(), 3)
    next(line)
    time.sleep(0.3)
    assert len(made) <= 5
    line.close()


def test_a_live_source_drops_the_oldest() -> None:
    dropped = Dropped()
    line = ahead(_slow(list(range(20))), 2, dropped=dropped)
    first = next(line)
    time.sleep(0.5)
    rest = list(line)
    assert rest[-2:] == [18, 19]
    assert first + 1 + len(rest) + dropped.count >= 20
    assert dropped.count >= 15
