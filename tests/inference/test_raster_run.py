from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from foveate.data.images import ArraySource
from foveate.errors import FoveateError, UsageError
from foveate.inference import raster_run
from foveate.inference.found_file import FOUND, read_found
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.raster_run import JOURNAL, RasterFound, RasterRun, State
from foveate.inference.settings import Options, RunSettings, run_settings, runner
from foveate.structures import Detections, Tile, UInt8Image

Paint = Callable[..., UInt8Image]
RUN = {"of": "this"}


class _KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def blob(blob_model: Path) -> OnnxDetector:
    return OnnxDetector(blob_model, threads=2)


@pytest.fixture(scope="module")
def picture(paint_blobs: Paint) -> ArraySource:
    rng = np.random.default_rng(5)
    centres = list(zip(rng.integers(3, 297, 150), rng.integers(3, 497, 150), strict=True))
    image = paint_blobs(300, 500, centres, cold=tuple(range(0, 150, 3)))
    return ArraySource("picture", image)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster_run, "STEP", 7)


def settings_of(blob: OnnxDetector, **options: Any) -> RunSettings:
    return run_settings(blob, cast("Options", options))


def done(
    source: ArraySource,
    blob: OnnxDetector,
    folder: Path,
    stop_at: int = 10**9,
    **options: Any,
) -> RasterFound:
    def told(state: State) -> None:
        if state.tiles >= stop_at:
            raise _KilledError

    return RasterRun(source, blob, settings_of(blob, **options), folder, RUN)(told)


def boxes(folder: Path) -> Detections:
    return Detections.concatenate(list(read_found(folder / FOUND, most=11))).in_order()


def same(one: Detections, other: Detections) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("boxes", "scores", "labels")
    )


@pytest.mark.parametrize(
    "options",
    [
        {}, {"merge": "nms"}, {"merge": "soft-nms"}, {"merge": "wbf"}, {"merge": "greedy-nmm"},
        {"full_image": True}, {"scales": (0.5, 1, 2)}, {"batch_size": 3}, {"plain": True},
    ],
)  # fmt: skip
def test_the_same_as_in_memory(
    options: dict[str, Any], picture: ArraySource, blob: OnnxDetector, tmp_path: Path
) -> None:
    found = done(picture, blob, tmp_path, **options)
    expected = runner(blob, settings_of(blob, **options))(picture)
    assert same(boxes(tmp_path), expected.detections)
    assert found.boxes == len(expected.detections)
    assert found.boxes or "plain" in options
    assert set(found.tiles) == set(expected.tiles)
    assert found.counts == (len(expected.tiles), 0, 0, expected.capped_tiles, 0)
    assert found.chosen.planned_pixels == expected.planned_pixels


@pytest.mark.parametrize("longest", [0, 1 << 20])
def test_stopped_anywhere_it_goes_on_to_the_same_bytes(
    longest: int,
    picture: ArraySource,
    blob: OnnxDetector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(raster_run, "LONGEST", longest)
    whole = done(picture, blob, tmp_path / "whole")
    folder = tmp_path / "stopped"
    for stop_at in range(1, whole.counts.done, 9):
        with pytest.raises(_KilledError):
            done(picture, blob, folder, stop_at)
    found = done(picture, blob, folder, batch_size=5)
    assert (folder / FOUND).read_bytes() == (tmp_path / "whole" / FOUND).read_bytes()
    assert 0 < found.resumed < found.counts.done
    assert (found.tiles, found.counts) == (whole.tiles, whole.counts)
    again = done(picture, blob, folder)
    assert (again.resumed, again.tiles, again.boxes) == (
        whole.counts.done,
        whole.tiles,
        whole.boxes,
    )


def test_whatever_a_kill_leaves_of_the_files_it_goes_on(
    picture: ArraySource, blob: OnnxDetector, tmp_path: Path
) -> None:
    """Both files cut anywhere, as far as the journal does not know more than the boxes."""
    done(picture, blob, tmp_path / "whole")
    wanted = (tmp_path / "whole" / FOUND).read_bytes()
    with pytest.raises(_KilledError):
        done(picture, blob, tmp_path / "part", 60)
    journal, found = (tmp_path / "part" / name for name in (JOURNAL, FOUND))
    written, text = journal.read_bytes(), found.read_bytes()
    assert 0 < len(text) < len(wanted)
    for length in np.linspace(0, len(written), 12).astype(int).tolist():
        journal.write_bytes(written[:length])
        found.write_bytes(text + b'{"box":[1,')
        run = RasterRun(picture, blob, settings_of(blob), tmp_path / "part", RUN)
        assert run.damage is None
        run()
        assert found.read_bytes() == wanted


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.9])
def test_damaged_boxes_are_found_and_done_again(
    place: float, picture: ArraySource, blob: OnnxDetector, tmp_path: Path
) -> None:
    done(picture, blob, tmp_path / "whole")
    wanted = (tmp_path / "whole" / FOUND).read_bytes()
    with pytest.raises(_KilledError):
        done(picture, blob, tmp_path / "part", 60)
    path = tmp_path / "part" / FOUND
    text = bytearray(path.read_bytes())
    text[int(place * len(text))] ^= 1
    path.write_bytes(text)
    run = RasterRun(picture, blob, settings_of(blob), tmp_path / "part", RUN)
    assert run.damage is not None
    assert "found.jsonl is not as it was left" in run.damage
    run()
    assert path.read_bytes() == wanted


def test_a_damaged_journal_costs_what_comes_after(
    picture: ArraySource, blob: OnnxDetector, tmp_path: Path
) -> None:
    done(picture, blob, tmp_path / "whole")
    wanted = (tmp_path / "whole" / FOUND).read_bytes()
    with pytest.raises(_KilledError):
        done(picture, blob, tmp_path / "part", 60)
    path = tmp_path / "part" / JOURNAL
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 1
    path.write_bytes(content)
    run = RasterRun(picture, blob, settings_of(blob), tmp_path / "part", RUN)
    assert run.damage is not None
    assert "is damaged at byte" in run.damage
    assert 0 < run.resumed < 56
    run()
    assert (tmp_path / "part" / FOUND).read_bytes() == wanted


def test_another_run_is_refused(picture: ArraySource, blob: OnnxDetector, tmp_path: Path) -> None:
    done(picture, blob, tmp_path)
    with pytest.raises(FoveateError, match="of was this and is that"):
        RasterRun(picture, blob, settings_of(blob), tmp_path, {"of": "that"})


@pytest.fixture(scope="module")
def sparse(paint_blobs: Paint) -> ArraySource:
    rng = np.random.default_rng(6)
    centres = list(zip(rng.integers(3, 597, 12), rng.integers(3, 797, 12), strict=True))
    image = np.maximum(paint_blobs(600, 800, centres), 20)
    image[:, 300] += rng.integers(0, 9, (800, 1), dtype=np.uint8)  # not all tiles are alike
    return ArraySource("sparse", image)


@pytest.mark.parametrize("select", ["recall=0.95", "tiles=6"])
def test_what_a_glance_chose_is_looked_at_and_chosen_once(
    select: str,
    sparse: ArraySource,
    blob: OnnxDetector,
    tmp_path: Path,
    make_glance: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options: dict[str, Any] = {"select": select, "glance": make_glance()}
    expected = runner(blob, settings_of(blob, **options))(sparse)
    whole = done(sparse, blob, tmp_path / "whole", **options)
    assert len(boxes(tmp_path / "whole")) == whole.boxes > 3
    assert same(boxes(tmp_path / "whole"), expected.detections)
    assert set(whole.tiles) == set(expected.tiles)
    assert whole.chosen.expected_miss == expected.expected_miss is not None
    assert whole.chosen.planned > 5 * len(whole.tiles)
    with pytest.raises(_KilledError):
        done(sparse, blob, tmp_path / "part", 5, **options)
    glances = []
    monkeypatch.setattr(
        "foveate.inference.selecting.SelectedSource.choose", lambda *_: glances.append(1)
    )
    again = done(sparse, blob, tmp_path / "part", **options)
    assert not glances
    assert 0 < again.resumed < again.counts.done
    assert (again.tiles, again.chosen) == (whole.tiles, whole.chosen)
    one, other = ((tmp_path / name / FOUND).read_bytes() for name in ("whole", "part"))
    assert one == other


def test_uniform_tiles_are_skipped_and_counted(blob: OnnxDetector, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 90, (300, 300, 3), dtype=np.uint8)
    image[:, 150:] = 40
    found = done(ArraySource("half", image), blob, tmp_path)
    assert found.counts.uniform == found.counts.empty > 5
    assert found.counts.done == len(found.tiles) + found.counts.uniform


def test_a_budget_of_time_is_for_pictures(
    sparse: ArraySource, blob: OnnxDetector, tmp_path: Path, make_glance: Callable[..., Path]
) -> None:
    with pytest.raises(UsageError, match="select: a budget of time is for pictures"):
        done(sparse, blob, tmp_path, select="budget=2s", glance=make_glance())


class _Damaged(ArraySource):
    """A block at 100, 200 to 150, 230 cannot be read."""

    failed_reads = 0
    unread: tuple[tuple[int, int, int, int], ...] = ()

    def read(self, tile: Tile) -> UInt8Image:
        x1, y1, x2, y2 = tile.box
        if x1 < 150 and x2 > 100 and y1 < 230 and y2 > 200:
            object.__setattr__(self, "failed_reads", self.failed_reads + 1)
            object.__setattr__(self, "unread", ((100, 200, 150, 230),))
        return super().read(tile)


def test_tiles_with_an_unreadable_block_are_left_out_and_counted(
    picture: ArraySource, blob: OnnxDetector, tmp_path: Path
) -> None:
    damaged = _Damaged("damaged", picture.array)
    with pytest.raises(_KilledError):
        done(damaged, blob, tmp_path, 60)
    found = done(_Damaged("damaged", picture.array), blob, tmp_path)
    assert found.unread == ((100, 200, 150, 230),)
    assert found.counts.unreadable > 0
    assert found.counts.looked + found.counts.unreadable == len(
        runner(blob, settings_of(blob))(picture).tiles
    )
    assert not any(
        t.x < 150 and t.x + t.width > 100 and t.y < 230 and t.y + t.height > 200
        for t in found.tiles
    )


def test_the_journal_stays_short(
    blob: OnnxDetector, paint_blobs: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raster_run, "LONGEST", 1)
    rng = np.random.default_rng(1)
    sizes = []
    for height in (400, 1600):
        count = height // 5
        centres = list(
            zip(rng.integers(3, 97, count), rng.integers(3, height - 3, count), strict=True)
        )
        source = ArraySource("long", paint_blobs(100, height, centres))
        folder, largest = tmp_path / str(height), 0

        def told(_: State, folder: Path = folder) -> None:
            nonlocal largest
            largest = max(largest, (folder / JOURNAL).stat().st_size)

        RasterRun(source, blob, settings_of(blob), folder, RUN)(told)
        sizes.append(largest)
    assert sizes[1] < 2 * sizes[0]
