"""``foveate detect --resume`` on a raster: killed, damaged, refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyogrio.raw
import pytest
from raster_files import write_raster

import foveate
from foveate.errors import FoveateError
from foveate.inference.raster_run import State
from foveate.structures import UInt8Image

Call = Callable[..., Any]
Paint = Callable[..., UInt8Image]
BLOCKS = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}


def painted(paint: Paint, width: int, height: int, blobs: int) -> UInt8Image:
    """``(3, H, W)``, none of it 0."""
    rng = np.random.default_rng(3)
    places = zip(rng.integers(3, width - 3, blobs), rng.integers(3, height - 3, blobs), strict=True)
    return np.maximum(paint(width, height, list(places)), 1).transpose(2, 0, 1)


@pytest.fixture
def field(tmp_path: Path, paint_blobs: Paint) -> Path:
    values = painted(paint_blobs, 600, 500, 150)
    return write_raster(tmp_path / "field.tif", values, photometric="rgb", **BLOCKS)


def results(folder: Path) -> dict[str, bytes]:
    """What does not name the time it took."""
    names = ("found.jsonl", "detections.json", "geo/field.geojson", "annotated/field.jpg")
    return {name: (folder / name).read_bytes() for name in names}


def test_the_same_as_without_a_journal(foveate: Call, field: Path, blob_model: Path) -> None:
    done = foveate("detect", field, "--model", blob_model, "--resume", "--out", "journaled")
    assert done.code == 0, done.err
    assert "detections.json, found.jsonl, annotated/ and index.html are in journaled" in done.err
    assert foveate("detect", field, "--model", blob_model, "--out", "plain").code == 0
    kept, plain = (
        json.loads(Path(out, "detections.json").read_text()) for out in ("journaled", "plain")
    )
    assert sorted(map(str, kept)) == sorted(map(str, plain))
    assert len(kept) > 100
    for name in ("geo/field.geojson", "geo/field.gpkg", "annotated/field.jpg", "index.html"):
        assert Path("journaled", name).stat().st_size > 0.9 * Path("plain", name).stat().st_size
    lines = Path("journaled/found.jsonl").read_text().splitlines()
    assert [*json.loads(lines[0])] == ["box", "score", "label"]
    assert len(lines) == len(kept)


def test_json_and_all_formats(foveate: Call, field: Path, blob_model: Path) -> None:
    flags = ("--model", blob_model, "--json", "--crops", "--formats", "csv", "geojson")
    done = [
        foveate("detect", field, *flags, "--out", out, *more)
        for out, more in (("journaled", ["--resume"]), ("plain", []))
    ]
    summaries = [json.loads(one.out) for one in done]
    for summary in summaries:
        for part in (summary["totals"], *summary["images"]):
            part.pop("seconds")
    assert summaries[0] == summaries[1]
    csv = [Path(out, "detections.csv").read_text() for out in ("journaled", "plain")]
    assert csv[0] == csv[1]
    crops = [sorted(p.name for p in Path(out).glob("crops/*/*")) for out in ("journaled", "plain")]
    assert crops[0] == crops[1]


@pytest.mark.parametrize("moment", ["journal", "detections.json"])
def test_killed_it_goes_on_to_the_same(
    moment: str, foveate: Call, tmp_path: Path, paint_blobs: Paint, blob_model: Path
) -> None:
    values = painted(paint_blobs, 1500, 1200, 900)
    path = write_raster(tmp_path / "field.tif", values, photometric="rgb", **BLOCKS)
    command = ["detect", str(path), "--model", str(blob_model), "--resume", "--out"]
    assert foveate(*command, "whole").code == 0
    killed = Path("killed")
    process = subprocess.Popen(
        [sys.executable, "-m", "foveate", *command, str(killed)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if (killed / moment).exists() and (killed / moment).stat().st_size:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    assert process.wait() == -signal.SIGKILL
    done = foveate(*command, killed)
    assert done.code == 0, done.err
    assert results(killed) == results(Path("whole"))


def test_another_raster_model_or_setting_is_refused(
    foveate: Call, field: Path, blob_model: Path, make_model: Callable[..., Path]
) -> None:
    flags = ("--resume", "--out", "out")
    assert foveate("detect", field, "--model", blob_model, *flags).code == 0
    before = results(Path("out"))
    done = foveate("detect", field, "--model", blob_model, *flags, "--threshold", "0.4")
    assert done.code == 1
    assert "of another run: settings.score_threshold was 0.3 and is 0.4; choose" in done.line
    done = foveate("detect", field, "--model", make_model(licence="MIT"), *flags)
    assert "of another run: model was" in done.line
    write_raster(field, np.full((3, 90, 90), 9, np.uint8))
    done = foveate("detect", field, "--model", blob_model, *flags)
    assert "of another run: raster.bytes was" in done.line
    assert results(Path("out")) == before


def test_what_cannot_be_resumed(foveate: Call, field: Path, blob_model: Path) -> None:
    write_raster(field.with_name("other.tif"), np.full((3, 90, 90), 9, np.uint8))
    picture = field.with_name("picture.png")
    cv2.imwrite(str(picture), np.zeros((90, 90, 3), np.uint8))
    for sources in ([field.parent / "*.tif"], [picture], [field, "--json"]):
        done = foveate("detect", *sources, "--model", blob_model, "--resume")
        assert done.code == 2
        assert done.line == "--resume is for one raster, whose results go to a folder (--out DIR)"


def test_a_damaged_journal_is_told_once(foveate: Call, field: Path, blob_model: Path) -> None:
    command = ("detect", field, "--model", blob_model, "--resume")
    assert foveate(*command, "--out", "whole").code == 0
    assert foveate(*command, "--out", "out").code == 0
    journal = Path("out/journal")
    content = bytearray(journal.read_bytes())
    content[-5] ^= 1
    journal.write_bytes(content)
    done = foveate(*command, "--out", "out")
    assert done.code == 0
    assert done.err.count("is damaged at byte") == 1
    assert results(Path("out")) == results(Path("whole"))


def test_unreadable_blocks_are_named_once_and_their_tiles_left_out(
    foveate: Call, field: Path, blob_model: Path
) -> None:
    data = bytearray(field.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = b"\xff" * 300
    field.write_bytes(data)
    for _ in range(2):  # also when it is finished already
        done = foveate("detect", field, "--model", blob_model, "--resume")
        assert done.code == 1
        (line,) = [line for line in done.err.splitlines() if "could not be read" in line]
        assert "could not be read, at row " in line
        assert "(64 x 64 pixels)" in line
        assert "left out; all else is done" in line
        assert len(json.loads(Path("out/detections.json").read_text())) > 50
    assert Path("out/geo/field.gpkg").exists()


def test_nothing_but_nodata_and_no_reference(
    foveate: Call, tmp_path: Path, blob_model: Path
) -> None:
    path = write_raster(tmp_path / "field.tif", np.zeros((3, 200, 200), np.uint8), nodata=0)
    done = foveate("detect", path, "--model", blob_model, "--resume", "--out", "empty")
    assert done.code == 0
    assert "has nothing to look at: no tile holds a valid pixel" in done.err
    assert Path("empty/detections.json").read_text() == "[]"
    assert json.loads(Path("empty/geo/field.geojson").read_text())["features"] == []
    bare = write_raster(tmp_path / "bare.tif", np.full((3, 200, 200), 9, np.uint8), crs=None)
    flags = ("--model", blob_model, "--resume", "--bands", "1,2,3")
    done = foveate("detect", bare, *flags, "--out", "bare")
    assert done.code == 0
    assert "no coordinate reference system; gdal_edit.py -a_srs" in done.err
    done = foveate("detect", bare, *flags, "--out", "wanted", "--formats", "geojson")
    assert done.code == 1
    assert "says nowhere where it lies" in done.err


def test_large_rasters_need_no_flag(
    foveate: Call, field: Path, blob_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foveate.cli.detect.WHOLE_PIXELS", 1000)
    assert foveate("detect", field, "--model", blob_model).code == 0
    assert Path("out/journal").exists()


def test_parts_of_files_are_joined(
    foveate: Call, field: Path, blob_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("detect", field, "--model", blob_model, "--resume", "--out")
    assert foveate(*command, "one").code == 0
    monkeypatch.setattr("foveate.inference.found_file.read_found.__defaults__", (13,))
    assert foveate(*command, "several").code == 0
    assert results(Path("one")) == results(Path("several"))
    shapes = [pyogrio.raw.read(f"{out}/geo/field.gpkg")[2].tolist() for out in ("one", "several")]
    assert shapes[0] == shapes[1]


def test_from_python(field: Path, blob_model: Path, tmp_path: Path) -> None:
    detector, out = foveate.load(blob_model), tmp_path / "found"
    states: list[State] = []
    result = foveate.detect_raster(field, detector, out, on_state=states.append, threshold=0.5)
    parts = [part.detections for part in result.parts()]
    whole = foveate.detect(field, detector, threshold=0.5)
    assert sum(map(len, parts)) == len(whole.detections) == result.found.boxes
    assert np.array_equal(result.whole.detections.boxes, whole.detections.boxes)
    assert states[-1].tiles == states[-1].of == len(result.found.tiles)
    assert result.geo == whole.geo
    again = foveate.detect_raster(str(field), detector, out, threshold=0.5)
    assert again.found.resumed == states[-1].of
    with pytest.raises(FoveateError, match=r"settings\.score_threshold was 0\.5 and is 0\.3"):
        foveate.detect_raster(field, detector, out)
