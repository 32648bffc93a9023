import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from foveate.cli import detect as command
from foveate.inference.pipeline import ImageResult, detect_image
from foveate.structures import ImageSource, UInt8Image

Call = Callable[..., Any]
Paint = Callable[..., UInt8Image]
CENTRES = [(30, 30), (60, 31), (100, 20)]


@pytest.fixture
def photos(tmp_path: Path, paint_blobs: Paint) -> Path:
    """A folder of two good pictures and every kind of bad one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    good = cv2.imencode(".png", paint_blobs(130, 70, CENTRES)[..., ::-1])[1].tobytes()
    (folder / "one.png").write_bytes(good)
    (folder / "two.png").write_bytes(good)
    return folder


def spoil(folder: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    (folder / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "text.png").write_text("this is text")
    (folder / "zero.png").write_bytes(b"")
    # A header that promises 60,000 x 60,000 pixels.
    bomb = bytearray(cv2.imencode(".bmp", image)[1].tobytes())
    bomb[18:26] = (60_000).to_bytes(4, "little") * 2
    (folder / "bomb.bmp").write_bytes(bytes(bomb))


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_folder(foveate: Call, photos: Path, blob_model: Path) -> None:
    done = foveate("detect", photos, "--model", blob_model)
    assert done.code == 0
    assert "one.png" in done.out
    assert "130 x 70" in done.out
    assert done.err == "detections.json, annotated/ and index.html are in out\n"
    assert files(Path("out")) == [
        "annotated/one.jpg",
        "annotated/two.jpg",
        "detections.json",
        "index.html",
    ]
    entries = json.loads(Path("out/detections.json").read_text())
    assert [entry["file_name"] for entry in entries] == ["one.png"] * 3 + ["two.png"] * 3
    page = Path("out/index.html").read_text()
    assert "one.png" in page
    assert "tiles of 64 px" in page


def test_several_sources_each_file_once(foveate: Call, photos: Path, blob_model: Path) -> None:
    two, one = photos / "two.png", photos / "one.png"
    done = foveate("detect", two, one, photos, "--model", blob_model, "--json")
    assert done.code == 0
    shown = [image["name"] for image in json.loads(done.out)["images"]]
    assert shown == ["two.png", "one.png"]


def test_a_bundled_model_and_another_folder(foveate: Call, photos: Path, shelf: Path) -> None:
    done = foveate("detect", photos / "one.png", "--model", "blob", "--out", "deep/er")
    assert done.code == 0
    assert (Path("deep/er/detections.json")).exists()


def test_bad_pictures_are_named_and_the_others_done(
    foveate: Call, photos: Path, blob_model: Path
) -> None:
    spoil(photos)
    done = foveate("detect", photos, "--model", blob_model)
    assert done.code == 1
    *lines, where, last = done.err.splitlines()
    assert len(lines) == 4
    for name, line in zip(("bomb.bmp", "cut.jpg", "text.png", "zero.png"), lines, strict=True):
        assert line.startswith(f"foveate: {photos / name}")
    assert where.endswith("are in out")
    assert last == "foveate: 4 of 6 pictures could not be done; the other 2 are done"
    assert files(Path("out/annotated")) == ["one.jpg", "two.jpg"]
    assert len(json.loads(Path("out/detections.json").read_text())) == 6
    assert "one.png" in done.out


@pytest.mark.parametrize("name", ["cut.jpg", "text.png", "zero.png", "bomb.bmp", "absent.png"])
def test_one_bad_picture_is_one_line(
    foveate: Call, photos: Path, blob_model: Path, name: str
) -> None:
    spoil(photos)
    done = foveate("detect", photos / name, "--model", blob_model)
    assert done.code == 1
    assert name in done.line
    assert done.out == ""
    assert not Path("out").exists() or files(Path("out")) == []


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 20_000)])
def test_odd_sizes(
    foveate: Call, tmp_path: Path, blob_model: Path, width: int, height: int
) -> None:
    path = tmp_path / "odd.png"
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))
    for flags in ([], ["--plain"]):
        assert foveate("detect", path, "--model", blob_model, *flags).code == 0


def test_json_on_stdout(foveate: Call, photos: Path, blob_model: Path) -> None:
    spoil(photos)
    done = foveate("detect", photos, "--model", blob_model, "--json", "--scale", "2")
    assert done.code == 1
    said = json.loads(done.out)
    assert [image["name"] for image in said["images"]] == ["one.png", "two.png"]
    assert said["totals"]["detections"] == 6
    assert said["totals"]["failed"] == 4
    assert said["settings"]["tile_plan"]["scale"] == 2
    assert not Path("out").exists()
    with_files = foveate(
        "detect", photos / "one.png", "--model", blob_model, "--json", "--out", "o"
    )
    assert json.loads(with_files.out)["totals"]["images"] == 1
    assert files(Path("o")) == ["annotated/one.jpg", "detections.json", "index.html"]


def test_further_formats(foveate: Call, photos: Path, tmp_path: Path, blob_model: Path) -> None:
    out = tmp_path / "out"
    done = foveate("detect", photos, "--model", blob_model, "--out", out, "--crops",
                   "--formats", "csv", "yolo", "--annotated-scale", "2")  # fmt: skip
    assert done.code == 0
    assert (out / "detections.csv").read_text().startswith("file_name,label,class,score")
    assert len(list((out / "yolo" / "labels").glob("*.txt"))) == len(list(photos.iterdir()))
    assert list((out / "crops").rglob("*.jpg"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--json", "--crops"), "say where to write"),
        (("--json", "--annotated-scale", "2"), "say where to write"),
        (("--annotated-scale", "0"), "--annotated-scale must be above 0"),
        (("--formats", "xls"), "--formats"),
    ],
)
def test_formats_that_cannot_be(
    foveate: Call, photos: Path, blob_model: Path, flags: tuple[str, ...], said: str
) -> None:
    done = foveate("detect", photos, "--model", blob_model, *flags)
    assert done.code == 2
    assert said in done.line


def test_without_a_model(foveate: Call, photos: Path, shelf: Path) -> None:
    done = foveate("detect", photos)
    assert done.code == 2
    assert done.line == (
        "say which model: --model NAME|PATH (bundled: blob, pitch; your own: the path of a "
        "model.onnx, made by 'foveate export' or another tool)"
    )


@pytest.mark.parametrize(
    ("flags", "code", "expected"),
    [
        (["--model", "blub"], 2, "no model is named 'blub'; did you mean 'blob'?"),
        (["--model", "no/model.onnx"], 1, "no/model.onnx: no such model file"),
        (["--model", "blob", "--tile", "0"], 2, "tile: input should be greater than or equal to"),
        (["--model", "blob", "--overlap", "1.2"], 2, "overlap must be a ratio below 1 or a whole"),
        (["--model", "blob", "--threshold", "3"], 2, "threshold must be from 0 to 1, got 3"),
        (["--model", "blob", "--merge", "x"], 2, "merge: expected one of seam, nms"),
        (["--model", "blob", "--batch-size", "0"], 2, "batch size must be at least 1, got 0"),
        (["--model", "blob", "--threads", "0"], 2, "threads must be at least 1, got 0"),
    ],
)
def test_wrong_options(
    foveate: Call, photos: Path, shelf: Path, flags: list[str], code: int, expected: str
) -> None:
    done = foveate("detect", photos, *flags)
    assert done.code == code
    assert done.line.startswith(expected)
    assert not Path("out").exists()


def test_a_model_that_is_none(foveate: Call, photos: Path) -> None:
    done = foveate("detect", photos, "--model", photos / "one.png")
    assert done.code == 1
    assert done.line.endswith("one.png: not an ONNX model, or damaged")


def test_a_model_of_other_channels(
    foveate: Call, photos: Path, make_model: Callable[..., Path]
) -> None:
    done = foveate("detect", photos, "--model", make_model(channels=5, mean=[0] * 5, std=[1] * 5))
    assert done.code == 1
    assert "says 5 channels and its graph takes 3" in done.line


def test_an_empty_folder(foveate: Call, tmp_path: Path, blob_model: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = foveate("detect", empty, "--model", blob_model)
    assert done.code == 1
    assert done.line.startswith(f"no pictures in folder {empty}")
    assert not Path("out").exists()


def test_output_that_cannot_be_written_is_found_first(
    foveate: Call, photos: Path, blob_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr(command, "detect_all", never)
    out = photos / "one.png" / "out"
    done = foveate("detect", photos, "--model", blob_model, "--out", out)
    assert done.code == 1
    assert done.line == (
        f"{out}: cannot be written to (not a directory); choose another folder with --out"
    )


def test_interrupted(
    foveate: Call, photos: Path, blob_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_at_two(source: ImageSource, **settings: Any) -> ImageResult:
        if source.name == "two.png":
            raise KeyboardInterrupt
        return detect_image(source, **settings)

    monkeypatch.setattr("foveate.inference.settings.detect_image", stop_at_two)
    done = foveate("detect", photos, "--model", blob_model)
    assert done.code == 130
    assert done.line == "interrupted: 1 of 2 pictures are done"
    assert files(Path("out")) == ["annotated/one.jpg", "detections.json", "index.html"]
    assert len(json.loads(Path("out/detections.json").read_text())) == 3


def test_plain_finds_less(
    foveate: Call, tmp_path: Path, paint_blobs: Paint, blob_model: Path
) -> None:
    path = tmp_path / "wide.png"
    cv2.imwrite(str(path), paint_blobs(1000, 90, CENTRES)[..., ::-1])
    counts = []
    for flags in (["--plain"], []):
        done = foveate("detect", path, "--model", blob_model, "--json", *flags)
        counts.append(json.loads(done.out)["totals"]["detections"])
    assert counts == [0, 3]


def test_results_do_not_depend_on_batch_or_threads(
    foveate: Call, photos: Path, blob_model: Path
) -> None:
    said = []
    for flags in (["--batch-size", "1"], ["--batch-size", "5", "--threads", "3"], []):
        images = json.loads(foveate("detect", photos, "--model", blob_model, "--json", *flags).out)
        for image in images["images"]:
            del image["seconds"]
        said.append(images["images"])
    assert said[0] == said[1] == said[2]


def test_as_a_process(photos: Path, blob_model: Path, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "foveate", "detect", str(photos), "--model", str(blob_model)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert done.stderr == "detections.json, annotated/ and index.html are in out\n"
    assert "two.png" in done.stdout


def test_ctrl_c_leaves_whole_files(photos: Path, blob_model: Path, tmp_path: Path) -> None:
    for number in range(4000):  # so many that a busy machine does not see them all done
        (photos / f"more{number}.png").hardlink_to(photos / "one.png")
    call = [sys.executable, "-m", "foveate", "detect", str(photos), "--model", str(blob_model)]
    out = tmp_path / "out"
    with subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as job:
        deadline = time.monotonic() + 60
        while not list(out.glob("annotated/*.jpg")) and time.monotonic() < deadline:
            time.sleep(0.01)
        job.send_signal(signal.SIGINT)
        stdout, stderr = job.communicate(timeout=60)
    assert job.returncode == 130
    assert stdout == b""
    said = re.fullmatch(rb"foveate: interrupted: (\d+) of 4002 pictures are done\n", stderr)
    assert said is not None, stderr
    names = files(out)
    pictures = [name for name in names if name.startswith("annotated/")]
    assert len(pictures) == int(said[1])
    assert sorted(set(names) - set(pictures)) == ["detections.json", "index.html"]
    assert all(cv2.imread(str(out / name)) is not None for name in pictures)
    assert len(json.loads((out / "detections.json").read_text())) == 3 * len(pictures)
