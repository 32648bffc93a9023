from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveate.errors import UsageError
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.settings import Options, model_info, run_settings
from foveate.merge.config import MergeConfig
from foveate.structures import Detections, UInt8Image
from foveate.tiling import Pyramid, TilePlan


def plain_callable(images: Sequence[UInt8Image]) -> list[Detections]:
    return [Detections.empty() for _ in images]


@pytest.fixture(scope="module")
def blob(blob_model: Path) -> OnnxDetector:
    return OnnxDetector(blob_model, threads=1)


def test_what_is_not_asked_for_is_as_the_model_says(blob: OnnxDetector) -> None:
    settings = run_settings(blob, Options())
    assert settings.plan == blob.info.tile_plan
    assert settings.merge == blob.info.merge
    assert settings.score_threshold == 0.3
    assert settings.size_multiple == 8
    assert settings.batch_size is None
    assert run_settings(blob, Options(tile=None, merge=None, threshold=None)) == settings


def test_a_plain_callable_gets_the_defaults() -> None:
    settings = run_settings(plain_callable, Options())
    assert model_info(plain_callable) is None
    assert settings.plan == TilePlan()
    assert settings.merge == MergeConfig()
    assert settings.size_multiple == 32


def test_what_is_asked_for_wins(blob: OnnxDetector) -> None:
    asked = Options(
        tile=128,
        overlap=16,
        scale=2.0,
        full_image=True,
        merge="wbf",
        threshold=0.0,
        batch_size=3,
    )
    settings = run_settings(blob, asked)
    assert settings.plan == TilePlan(size=128, overlap=16, scale=2, full_image=True)
    assert settings.merge == MergeConfig(method="wbf")
    assert settings.score_threshold == 0
    assert settings.batch_size == 3
    whole = MergeConfig(method="nms", threshold=0.7)
    assert run_settings(blob, Options(merge=whole)).merge is whole


@given(st.integers(32, 400), st.floats(0.5, 4))
def test_overlap_holds_the_largest_small_object(
    blob: OnnxDetector, tile: int, scale: float
) -> None:
    plan = run_settings(blob, Options(tile=tile, scale=scale)).plan
    needed = blob.info.small_object * scale
    assert plan.overlap_pixels >= min(needed, tile // 2)
    assert plan.overlap_pixels >= round(0.25 * tile) - 1
    assert plan.overlap_pixels <= tile // 2


def test_plain(blob: OnnxDetector) -> None:
    assert run_settings(blob, Options(plain=True)).plan.plain
    assert not run_settings(blob, Options(plain=False)).plan.plain


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(tile=0), "tile: .*32, got 0"),
        (Options(tile=-640), "tile: .*32, got -640"),
        (Options(overlap=1.2), "overlap must be a ratio below 1 or a whole number of pixels"),
        (Options(overlap=-0.1), "overlap: .*got -0.1"),
        (Options(overlap=float("inf")), "overlap: .*finite"),
        (Options(tile=64, overlap=64), "at most 56 whole pixels of a tile of 64, got 64"),
        (Options(scale=0.0), "scale: .*greater than 0"),
        (Options(scale=float("nan")), "scale: .*got nan"),
        (Options(scale=2, scales=(1, 2)), "scale and scales exclude each other; give one of them"),
        (Options(scales=()), "scales: .*at least 1 item"),
        (Options(scales=(1, -2)), "scales.1: .*greater than 0, got -2"),
        (Options(scale_sides="24:96"), "scale_sides chooses between .* give scales, too"),
        (Options(scales=(1, 2), scale_sides="24"), "scale_sides: expected LOW:HIGH .*got '24'"),
        (Options(scales=(1, 2), scale_sides="a:b"), "scale_sides: expected LOW:HIGH .*got 'a:b'"),
        (Options(scales=(1, 2), scale_sides="96:24"), "scale_sides: expected LOW below HIGH"),
        (Options(scales=(1, 4), scale_sides=(9, 27)), "scale_sides: 9:27 leaves out .* 4 times"),
        (Options(threshold=1.5), "threshold must be from 0 to 1, got 1.5"),
        (Options(threshold=float("nan")), "threshold must be from 0 to 1"),
        (Options(batch_size=0), "batch size must be at least 1, got 0"),
        (Options(merge="nmm"), "merge: expected one of seam, nms, .*got 'nmm'"),
    ],
)
def test_options_that_cannot_be(blob: OnnxDetector, options: Options, expected: str) -> None:
    with pytest.raises(UsageError, match=expected) as caught:
        run_settings(blob, options)
    assert "\n" not in str(caught.value)


def test_several_scales(blob: OnnxDetector) -> None:
    settings = run_settings(blob, Options(scales=[0.5, 2, 1], scale_sides="24:96"))
    assert settings.pyramid == Pyramid(scales=(2, 1, 0.5), sides=(24, 96))
    # The finest scale needs the most overlap, and shows nearly all of the tiles.
    assert settings.plan == run_settings(blob, Options(scale=2)).plan
    again = Options(scales=(2, 1, 0.5), scale_sides=(24, 96))
    assert run_settings(blob, again) == settings
    assert settings.to_dict()["pyramid"] == {"scales": [2, 1, 0.5], "sides": [24, 96]}
    assert str(settings).startswith(
        "tiles of 64 px overlapping 18 px, enlarged 0.5, 1 and 2 times "
        "(boxes of 24 to 96 px from each), merge"
    )


def test_one_of_several_scales_is_that_scale(blob: OnnxDetector) -> None:
    settings = run_settings(blob, Options(scale=1.5))
    assert run_settings(blob, Options(scales=(1.5,))) == settings
    assert run_settings(blob, Options(scales=(1.5, 1.5), scale_sides=(24, 96))) == settings
    assert settings.pyramid is None
    assert settings.to_dict()["pyramid"] is None


def test_a_model_may_name_scales_of_its_own(blob: OnnxDetector) -> None:
    own = Pyramid(scales=(0.5, 1, 2), sides=(40, 140))

    class Detector:
        info = blob.info.model_copy(update={"pyramid": own})

        def __call__(self, images: Sequence[UInt8Image]) -> list[Detections]:
            return plain_callable(images)

    model = Detector()
    asked = Options(scales=(0.5, 1, 2), scale_sides=(40, 140))
    assert run_settings(model, Options()) == run_settings(blob, asked)
    assert run_settings(model, Options(scale=1.0)) == run_settings(blob, Options(scale=1.0))
    assert run_settings(model, Options(scales=(1, 3))).pyramid == Pyramid(scales=(1, 3))
    other = run_settings(model, Options(scale_sides="20:60")).pyramid
    assert other == Pyramid(scales=(0.5, 1, 2), sides=(20, 60))
    assert run_settings(model, Options(plain=True)).pyramid is None


def test_scales_mean_nothing_to_plain(blob: OnnxDetector) -> None:
    asked = Options(scales=(1, 2), scale_sides=(24, 96), plain=True)
    assert run_settings(blob, asked) == run_settings(blob, Options(scale=2, plain=True))


def test_settings_in_words_and_as_data(blob: OnnxDetector) -> None:
    settings = run_settings(blob, Options(scale=2, full_image=True))
    assert str(settings) == (
        "tiles of 64 px overlapping 18 px, enlarged 2 times, and the whole picture, merge seam, "
        "least score 0.3"
    )
    assert "squeezed into 64 px" in str(run_settings(blob, Options(plain=True)))
    assert settings.to_dict()["tile_plan"]["scale"] == 2
    assert settings.to_dict()["merge"]["method"] == "seam"
