from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from foveate.data.images import ArraySource
from foveate.errors import FoveateError, UsageError
from foveate.inference import glance as module
from foveate.inference.flips import FlippedDetector
from foveate.inference.glance import OnnxGlance
from foveate.inference.glance_info import (
    Calibration,
    HeldAt,
    detector_hash,
    read_glance_info,
)
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.onnx_file import read_model_info
from foveate.inference.selecting import Select, Selection
from foveate.inference.settings import Options, frame_runner, run_settings
from foveate.structures import Tile, UInt8Image

Make = Callable[..., Path]


@pytest.fixture
def blob(blob_model: Path) -> OnnxDetector:
    return OnnxDetector(blob_model, threads=1)


def noise(height: int, width: int) -> ArraySource:
    image = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return ArraySource("noise", image)


def test_presence_lies_where_the_objects_are(
    make_glance: Make, paint_blobs: Callable[..., UInt8Image]
) -> None:
    centres = [(40, 30), (300, 170)]
    presence = OnnxGlance(make_glance(), threads=1)(
        ArraySource("blobs", paint_blobs(330, 210, centres))
    )
    assert presence.shape == (13, 21)  # the last column is of less than sixteen pixels
    rows, columns = np.nonzero(presence > 0.1)
    assert len(rows) <= 8
    for x, y in centres:
        near = (np.abs(columns * 16 + 8 - x) <= 12) & (np.abs(rows * 16 + 8 - y) <= 12)
        assert near.any()


def test_a_map_of_blocks_is_that_of_the_whole(
    make_glance: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = noise(700, 530)
    whole = OnnxGlance(make_glance(), threads=1)(source)
    monkeypatch.setattr(module, "_BLOCK", 48)
    monkeypatch.setattr(module, "_AROUND", 8)
    for threads in (1, 3):
        assert (OnnxGlance(make_glance(), threads=threads)(source) == whole).all()
    assert whole.shape == (44, 33)


def test_no_more_than_a_block_is_read_at_once(
    make_glance: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    class Watched:
        name, width, height = "wide", 40_000, 600

        def read(self, tile: Tile) -> UInt8Image:
            read.append((tile.out_width, tile.out_height))
            return np.zeros((tile.out_height, tile.out_width, 3), np.uint8)

    monkeypatch.setattr(module, "_BLOCK", 256)
    presence = OnnxGlance(make_glance(), threads=2)(Watched())
    assert presence.shape == (38, 2500)
    assert max(width for width, _ in read) <= 256 + 128
    assert not presence.any()


def test_levels_reach_around_a_cell(make_glance: Make) -> None:
    glance = OnnxGlance(make_glance(), threads=1)
    presence = np.zeros((5, 6), np.float32)
    presence[2, 0] = 0.5
    levels = glance.levels(presence)
    assert (levels[1:4, :2] == 0.5).all()
    assert levels.sum() == 3


def test_a_target_is_met_at_the_highest_threshold_or_refused(make_glance: Make) -> None:
    glance = OnnxGlance(make_glance(), threads=1)
    assert glance.threshold_for(0.95) == 0.3
    assert glance.threshold_for(0.96) == 0.1
    assert glance.threshold_for(0.4) == 0.9
    with pytest.raises(FoveateError, match=r"promise a recall of 0.995: 100 pictures .* about 498"):
        glance.threshold_for(0.995)
    few = OnnxGlance(make_glance("few.onnx", calibration=None), threads=1)
    with pytest.raises(FoveateError, match="not calibrated"):
        few.threshold_for(0.5)


def test_where_enough_pictures_fell_short_more_learning_is_advised(make_glance: Make) -> None:
    path = make_glance()
    calibration = read_glance_info(path).calibration
    assert calibration is not None
    many = calibration.model_dump(mode="json") | {"units": 1000}
    glance = OnnxGlance(make_glance("many.onnx", calibration=many), threads=1)
    with pytest.raises(FoveateError, match=r"fit it on more pictures, or ask for at most 0\.99$"):
        glance.threshold_for(0.995)


def test_what_was_left_out_says_what_may_be_missed(make_glance: Make) -> None:
    glance = OnnxGlance(make_glance(), threads=1)
    assert glance.expected_miss(-1) == 0
    assert glance.expected_miss(0.0) == pytest.approx(0.01)
    assert glance.expected_miss(0.1) == pytest.approx(0.05)
    assert glance.expected_miss(0.2) == pytest.approx(0.05)
    assert glance.expected_miss(0.95) == 1


def test_the_advised_recall_is_where_more_takes_over_four_times_as_much_looking() -> None:
    figures = ((1.0, 1.0, 0.95), (0.4, 0.96, 0.8567), (0.1, 0.9, 0.81), (0.0, 0.2, 0.0))
    rows = tuple(
        HeldAt(threshold=number / 10, looked=looked, kept=mean, mean=mean, bound=bound)
        for number, (looked, mean, bound) in enumerate(figures)
    )

    def worthwhile(*rows: HeldAt) -> HeldAt | None:
        return Calibration(
            level=0.95, unit="picture", units=9, empty=0, objects=9, rows=rows
        ).worthwhile

    row = worthwhile(*rows)
    assert row == rows[2]  # .06 of recall would take .3 of looking, over four times as much
    assert rows[2].select == "recall=0.81"
    assert rows[1].select == "recall=0.856"  # never more than can be promised
    near = rows[1].model_copy(update={"looked": 0.3})
    assert worthwhile(rows[0], near, rows[2]) == near
    assert worthwhile(rows[3]) is None


def test_a_glance_that_rested_sees_the_same(make_glance: Make) -> None:
    glance = OnnxGlance(make_glance(), threads=2)
    picture = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    before = glance(ArraySource("noise", picture))
    glance.rest()
    assert np.array_equal(glance(ArraySource("noise", picture)), before)


def test_a_glance_is_of_one_detector(
    make_glance: Make, make_model: Callable[..., Path], blob: OnnxDetector
) -> None:
    glance = make_glance()
    settings = run_settings(blob, Options(select="recall=0.95", glance=glance))
    assert settings.selection is not None
    assert "tiles selected for recall=0.95 by glance-blob" in str(settings)
    assert settings.to_dict()["select"] == "recall=0.95"
    other = OnnxDetector(make_model(description="trained again"), threads=1)
    with pytest.raises(FoveateError, match="fitted for another detector, blob of another file"):
        run_settings(other, Options(select="tiles=3", glance=glance))
    named = OnnxDetector(make_model("named.onnx", class_names=["a", "b"]), threads=1)
    with pytest.raises(FoveateError, match="of warm, cold, and this one finds a, b"):
        run_settings(named, Options(select="tiles=3", glance=glance))


def test_a_glance_of_a_file_of_floats_serves_the_int8_file_made_from_it(
    make_glance: Make, make_model: Callable[..., Path], blob: OnnxDetector
) -> None:
    made = {"ranges": "minmax", "weight_bits": 8, "calibration": "few", "pictures": 1, "tiles": 1}
    glance = OnnxGlance(make_glance())

    def int8(source: str) -> OnnxDetector:
        quantisation = {**made, "source_sha256": source}
        return OnnxDetector(make_model("int8.onnx", quantisation=quantisation), threads=1)

    glance.require_detector(int8(detector_hash(blob)), glance.info.class_names)
    with pytest.raises(FoveateError, match="fitted for another detector"):
        glance.require_detector(int8("0" * 64), glance.info.class_names)


def test_a_detector_is_known_by_its_file_however_it_is_run(blob: OnnxDetector) -> None:
    assert detector_hash(FlippedDetector(blob)) == detector_hash(blob)
    assert detector_hash(lambda images: []) != detector_hash(blob)


def test_what_is_half_asked_for_is_refused(make_glance: Make, blob: OnnxDetector) -> None:
    with pytest.raises(UsageError, match="--glance FILE"):
        run_settings(blob, Options(select="recall=0.9"))
    with pytest.raises(UsageError, match="--select recall="):
        run_settings(blob, Options(glance=make_glance()))
    settings = run_settings(blob, Options(select="recall=0.9", glance=make_glance()))
    with pytest.raises(UsageError, match="--gate"):
        frame_runner(blob, settings)


def test_another_geometry_is_told(make_glance: Make, blob: OnnxDetector) -> None:
    options = Options(select="tiles=3", glance=make_glance(), tile=128)
    assert "fitted for tiles of 64 px at scale 1" in str(run_settings(blob, options))


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [("recall=0.95", "recall", 0.95), ("tiles=40", "tiles", 40), ("budget=2s", "budget", 2),
     ("budget=250ms", "budget", 0.25), ("budget=.5s", "budget", 0.5)],
)  # fmt: skip
def test_select_is_read(text: str, kind: str, value: float) -> None:
    select = Select.parse(text)
    assert (select.kind, select.value) == (kind, value)
    assert Select.parse(str(select)) == select


@pytest.mark.parametrize(
    "text", ["", "recall", "recall=1", "recall=0", "recall=nan", "recall=x", "tiles=0", "tiles=2.5",
             "budget=2", "budget=0s", "budget=1h", "tiles=-1", "40"],
)  # fmt: skip
def test_what_cannot_be_selected_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="select: "):
        Select.parse(text)


def test_files_of_another_kind_are_told_apart(make_glance: Make, blob_model: Path) -> None:
    with pytest.raises(FoveateError, match="no glance; 'foveate glance fit' makes one"):
        OnnxGlance(blob_model)
    with pytest.raises(FoveateError, match=r"a glance, .* give it with --glance"):
        read_model_info(make_glance())


def test_nothing_asked_is_nothing_chosen(blob: OnnxDetector) -> None:
    assert Selection.of(blob, ("warm", "cold"), None, None) is None


def test_pictures_of_other_channels_are_refused(make_glance: Make) -> None:
    class Two:
        name, width, height = "two", 64, 64

        def read(self, tile: Tile) -> UInt8Image:
            return np.zeros((64, 64, 2), np.uint8)

    with pytest.raises(FoveateError, match=r"two has 2 channels, and .* was fitted on 3"):
        OnnxGlance(make_glance(), threads=1)(Two())
