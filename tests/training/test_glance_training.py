from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import foveate
from foveate.data.images import ArraySource, open_image
from foveate.errors import FoveateError
from foveate.export.glance import FitProgress, check_glance_parity, fit_glance
from foveate.inference.glance_info import read_glance_info
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.settings import Options, run_settings, runner
from foveate.models.glance import GlanceConfig, GlanceNet
from foveate.structures import ImageSource, UInt8Image
from foveate.training.glance import (
    GlanceFit,
    ReducedPicture,
    split_lessons,
    train_glance,
)
from foveate.training.glance_lessons import Lesson, own_lessons

NONE = np.zeros((0, 4), np.float32)
TINY = GlanceFit(
    network=GlanceConfig(width=8, depth=1, context=1), reduction=2, steps=60, crops=6, crop=48
)
CENTRES = [(60, 50), (150, 90), (210, 30)]


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, paint_blobs: Callable[..., UInt8Image]
) -> Path:
    """Eight pictures of the same blobs, each moved elsewhere."""
    pictures = tmp_path_factory.mktemp("pictures")
    for number in range(8):
        image = np.roll(paint_blobs(260, 180, CENTRES), (7 * number, 23 * number), axis=(0, 1))
        cv2.imwrite(str(pictures / f"{number}.png"), image[..., ::-1])
    return pictures


@pytest.fixture(scope="module")
def blob(blob_model: Path) -> OnnxDetector:
    return OnnxDetector(blob_model, threads=1)


def lessons_of(folder: Path, blob: OnnxDetector, cache: Path) -> list[Lesson]:
    run = runner(blob, run_settings(blob, Options()))
    return own_lessons(sorted(folder.glob("*.png")), open_image, run, "blob", cache)


def reduced_pictures(lessons: list[Lesson]) -> list[ReducedPicture]:
    return [ReducedPicture.of(open_image(one.path), one, TINY.reduction) for one in lessons]


@pytest.fixture(scope="module")
def fitted(
    folder: Path, blob: OnnxDetector, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    out = tmp_path_factory.mktemp("fitted") / "glance.onnx"
    lessons = lessons_of(folder, blob, out.parent / "found")
    told: list[str] = []
    progress = FitProgress(lambda: told.append("step"), lambda: told.append("held"), told.append)
    fit_glance(lessons, "detector", blob, run_settings(blob, Options()), TINY, out, progress)
    return out, told


def test_it_learns_to_look_where_the_detector_finds(
    fitted: tuple[Path, list[str]], folder: Path, blob: OnnxDetector
) -> None:
    path, told = fitted
    info = read_glance_info(path)
    assert (info.taught_by, info.pictures, info.detector) == ("detector", 4, "blob")
    assert info.score_threshold == 0.3
    assert info.calibration is not None
    assert (info.calibration.units, info.calibration.objects) == (4, 12)
    assert told.count("step") == TINY.steps
    assert told.count("held") == 4
    best = max(row.bound for row in info.calibration.rows)
    assert best == pytest.approx(0.05 ** (1 / 4))  # nothing was missed
    glance = foveate.load_glance(path, 1)
    for picture in sorted(folder.glob("*.png")):
        few = foveate.detect(picture, blob, select="recall=0.45", glance=glance)
        full = foveate.detect(picture, blob)
        assert len(few.detections) == len(full.detections) > 0
        assert few.unselected_tiles > 0
    with pytest.raises(FoveateError, match="hold out about 295 more pictures with objects"):
        foveate.detect(picture, blob, select="recall=0.99", glance=glance)


def test_the_same_seed_gives_the_same_network(
    folder: Path, blob: OnnxDetector, tmp_path: Path
) -> None:
    pictures = reduced_pictures(lessons_of(folder, blob, tmp_path))
    short = TINY.model_copy(update={"steps": 3})
    one, other = (train_glance(pictures, short).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    third = train_glance(pictures, short.model_copy(update={"seed": 1})).state_dict()
    assert not all(torch.equal(one[name], third[name]) for name in one)


def test_what_was_found_is_kept_and_broken_pictures_are_left_out(
    folder: Path, blob: OnnxDetector, tmp_path: Path
) -> None:
    opened: list[Path] = []
    said: list[str] = []

    def watch(path: Path) -> ImageSource:
        opened.append(path)
        return open_image(path)

    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    paths = [*sorted(folder.glob("*.png"))[:2], broken, tmp_path / "gone.png"]
    run = runner(blob, run_settings(blob, Options()))
    for again in range(2):
        lessons = own_lessons(paths, watch, run, "a", tmp_path / "kept", on_failure=said.append)
        assert [lesson.path for lesson in lessons] == paths[:2]
        assert len(opened) == 3 + again  # the second time the broken one alone
    assert len(said) == 4
    assert len(lessons[0].boxes) == 3
    own_lessons(paths[:1], watch, run, "another detector", tmp_path / "kept")
    assert len(opened) == 5
    next((tmp_path / "kept").glob("*.npz")).write_bytes(b"damaged")
    again_found = own_lessons(paths[:2], open_image, run, "a", tmp_path / "kept")
    assert all((a.boxes == b.boxes).all() for a, b in zip(lessons, again_found, strict=True))


def test_whole_folders_are_held_out_together() -> None:
    lessons = [Lesson(Path(f"/{n // 5}/{n}.png"), NONE, NONE) for n in range(40)]
    learn, held = split_lessons(lessons, GlanceFit(by="folder"))
    assert len(learn) == len(held) == 20
    assert not {one.path.parent for one in learn} & {one.path.parent for _, one in held}
    assert {unit for unit, _ in held} == {str(one.path.parent) for _, one in held}
    assert split_lessons(lessons, GlanceFit(by="folder"))[0] == learn
    learn, held = split_lessons(lessons, GlanceFit(held_out=0.1))
    assert (len(learn), len(held)) == (36, 4)
    with pytest.raises(FoveateError, match="at least 2 folders of pictures"):
        split_lessons(lessons[:5], GlanceFit(by="folder"))
    with pytest.raises(FoveateError, match="at least 2 pictures"):
        split_lessons(lessons[:1], GlanceFit())


def test_without_an_object_there_is_nothing_to_learn() -> None:
    picture = ReducedPicture(np.zeros((40, 50, 3), np.uint8), NONE, NONE)
    with pytest.raises(FoveateError, match="none of the 1 pictures to learn from holds an object"):
        train_glance([picture], TINY)


def test_pictures_are_reduced_as_at_run_time() -> None:
    image = np.random.default_rng(0).integers(0, 256, (61, 83, 3), dtype=np.uint8)
    boxes = np.array([[8, 8, 16, 24]], np.float32)
    picture = ReducedPicture.of(ArraySource("a", image), Lesson(Path("a"), boxes, NONE), 4)
    assert picture.image.shape == (15, 20, 3)
    assert picture.boxes.tolist() == [[2, 2, 4, 6]]


def test_another_network_s_file_is_noticed(fitted: tuple[Path, list[str]]) -> None:
    with pytest.raises(FoveateError, match="a presence differs from torch"):
        check_glance_parity(GlanceNet(TINY.network).eval(), 3, fitted[0].read_bytes())


def test_the_command_fits_and_detects(
    foveate: Callable[..., object], folder: Path, shelf: Path, tmp_path: Path
) -> None:
    out = tmp_path / "g.onnx"
    tiny = ["--reduction", 2, "--steps", 30, "--crops", 4, "--crop", 48, "--network.width", 8]
    done = foveate("glance", "fit", folder, "--model", "blob", "--out", out, *tiny)
    assert done.code == 0, done  # type: ignore[attr-defined]
    assert "recall promised" in done.out  # type: ignore[attr-defined]
    assert "--glance" in done.err  # type: ignore[attr-defined]
    seen = foveate("detect", folder / "0.png", "--model", "blob", "--glance", out,
                   "--select", "tiles=3")  # fmt: skip
    assert seen.code == 0, seen  # type: ignore[attr-defined]
    assert "looked at " in seen.err  # type: ignore[attr-defined]
    refused = foveate("detect", folder / "0.png", "--model", "blob", "--glance", out,
                      "--select", "recall=0.99")  # fmt: skip
    assert refused.code == 1  # type: ignore[attr-defined]
    assert "cannot promise a recall of 0.99" in refused.line  # type: ignore[attr-defined]
