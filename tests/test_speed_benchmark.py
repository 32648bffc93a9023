"""The headline benchmark: what is composed, what systems are told, what the tables say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import canvases
import headline_tables
import numpy as np
import pytest
import speed_parts
import tables
from hypothesis import given
from hypothesis import strategies as st

from foveate.data.formats import load_dataset
from foveate.inference.bundled import resolve_model
from foveate.inference.onnx_file import read_model_info
from foveate.structures import Annotations, Dataset, Sample

PROVENANCE = {"cpu": "A processor", "cores": 2, "date": "2026-01-01"}


@given(st.integers(1, 40), st.integers(-300, 300))
def test_a_line_that_goes_there_and_back_has_no_jump(length: int, start: int) -> None:
    at = canvases.there_and_back(np.arange(start, start + 100), length)
    assert at.min() >= 0
    assert at.max() < length
    assert np.abs(np.diff(at)).max() <= 1
    inside = canvases.there_and_back(np.arange(length), length)
    assert inside.tolist() == list(range(length))


def frame(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return rng.integers(90, 110, (40, 60, 3), dtype=np.uint8)


def test_the_frame_is_unchanged_and_its_object_is_there_once() -> None:
    seen, other = frame(0), frame(1)
    seen[10:14, 20:24] = 255
    region = np.array([[8, -2, 36, 26]])
    clean = canvases.without_objects(seen, region, [(other, np.zeros((0, 4), int))])
    assert clean.max() < 130
    canvas = canvases.extended(seen, clean, (200, 120), 70)
    assert canvas.shape == (120, 200, 3)
    np.testing.assert_array_equal(canvas[80:, 70:130], seen)
    rest = canvas.copy()
    rest[80:, 70:130] = 0
    assert rest.max() < 130
    # Neighbours across the frame's edges are the same pixels: no seam.
    np.testing.assert_array_equal(canvas[80:, 69], clean[:, 0])
    np.testing.assert_array_equal(canvas[79, 70:130], clean[0])


def test_where_every_frame_has_something_the_place_is_filled() -> None:
    seen = np.full((40, 60, 3), 100, np.uint8)
    seen[10:14, 20:24] = 255
    region = np.array([[17, 7, 27, 17]])
    clean = canvases.without_objects(seen, region, [(seen, region)])
    assert np.abs(clean.astype(int) - 100).max() <= 3


def test_terrain_is_the_same_however_it_is_asked_for() -> None:
    terrain = canvases.Terrain((frame(0)[:20, :30], frame(1)[:20, :30]))
    whole = terrain.part(5, 900, 300, 200)
    np.testing.assert_array_equal(whole[50:120, 100:260], terrain.part(105, 950, 160, 70))


def test_ground_is_taken_where_nothing_is_and_it_is_green() -> None:
    image = np.full((120, 200, 3), 100, np.uint8)
    image[:, :100, 1] = 200
    image[:, 100:, 1] = 180
    boxes = np.array([[40, 50, 60, 70]], np.float32)
    piece = canvases.greenest(image, boxes)
    assert piece.shape == (canvases.PIECE[1], canvases.PIECE[0], 3)
    assert (piece[..., 1] == 180).all()


def labelled(folder: Path) -> Path:
    from foveate.data.pitch import PitchConfig, write_dataset

    return write_dataset(folder, 1, 5, PitchConfig(width=480, height=270))


def test_a_raster_holds_its_pictures_where_its_labels_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rasterio = pytest.importorskip("rasterio")
    monkeypatch.setattr(speed_parts, "GROUND", (512, 288))
    monkeypatch.setattr(speed_parts, "EVERY", 1)
    labels = labelled(tmp_path / "pitch")
    monkeypatch.setattr(canvases.Terrain, "of", lambda _: canvases.Terrain((frame(0), frame(1))))
    speed_parts.terrain_raster(labels, 512 * 288 * 4, tmp_path / "out")
    dataset = load_dataset(tmp_path / "out" / "annotations.json")
    (sample,) = dataset.samples
    with rasterio.open(tmp_path / "out" / "raster.tif") as file:
        assert (file.width, file.height) == (sample.width, sample.height)
        assert file.overviews(1) == [2, 4, 8, 16]
        pixels = file.read().transpose(1, 2, 0)
    (own,) = load_dataset(labels).samples
    count = sample.width * sample.height // (512 * 288)
    assert len(sample.annotations) == count * len(own.annotations)
    check_pixels(pixels, sample, own)


def check_pixels(pixels: Any, sample: Sample, own: Sample) -> None:
    from foveate.data.images import load_image

    picture = load_image(own.path)
    edge = canvases.MELTING
    for number, box in enumerate(sample.annotations.boxes):
        theirs = own.annotations.boxes[number % len(own.annotations)]
        x, y = np.round((theirs[:2] + theirs[2:]) / 2).astype(int).tolist()
        if edge < x < own.width - edge and edge < y < own.height - edge:
            dx, dy = np.round(box[:2] - theirs[:2]).astype(int).tolist()
            assert abs(pixels[y + dy, x + dx].astype(int) - picture[y, x]).max() <= 1


def test_dense_pictures_take_several_tiles(tmp_path: Path) -> None:
    sizes = [(256, 256), (1388, 1040)]
    images = [{"id": i, "file_name": f"{i}.jpg", "width": w, "height": h}
              for i, (w, h) in enumerate(sizes, 1)]  # fmt: skip
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [1, 1, 5, 5], "area": 25,
              "iscrowd": 0} for i in (1, 2)]  # fmt: skip
    report = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "nucleus"}]}
    (tmp_path / "val.json").write_text(json.dumps(report))
    speed_parts.of_some_tiles(tmp_path, "val", tmp_path / "out")
    kept = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [one["id"] for one in kept["images"]] == [2]
    assert [one["image_id"] for one in kept["annotations"]] == [2]


def test_peers_are_told_the_geometry_of_the_model() -> None:
    import sys

    from speed_systems import ALL, PEERS, ours, peers

    assert ALL == headline_tables.ALL
    model = resolve_model("pitch")
    info = read_model_info(model)
    systems = peers(Path(sys.executable), info, model, list(PEERS), 0)
    assert systems.keys() == PEERS.keys()
    for system in systems.values():
        assert system.job["tile"] * info.tile_plan.scale == pytest.approx(
            info.tile_plan.size, abs=1
        )
        assert system.job["overlap"] * info.tile_plan.scale == info.tile_plan.overlap_pixels
    own = ours(info, model, Path("g.onnx"), "recall=0.9").job["options"]
    assert (own["tile"], own["select"]) == (info.tile_plan.size, "recall=0.9")
    assert own["threshold"] == systems["SAHI"].job["score"]
    (raster,) = peers(Path(sys.executable), info, model, ["SAHI"], 0, raster=True).values()
    own = ours(info, model, None, "", raster=True).job["options"]
    assert own["threshold"] == raster.job["score"] == info.score_threshold


def test_foveate_answers_jobs(tmp_path: Path) -> None:
    from speed import detected
    from speed_systems import Worker, WorkerError, ours

    dataset = load_dataset(labelled(tmp_path / "pitch"))
    model = resolve_model("pitch")
    worker = Worker(ours(read_model_info(model), model, None, ""))
    try:
        found, answer = detected(worker, dataset)
        assert answer["tiles"] >= 1
        assert answer["boxes"] == sum(map(len, found.values()))
        assert 0 < worker.memory()["megabytes_above"] <= worker.memory()["megabytes"]
        with pytest.raises(WorkerError, match=r"nothing\.jpg"):
            worker.ask([tmp_path / "nothing.jpg"])
    finally:
        worker.close()


def row(system: str, seconds: float, tiles: float, **more: Any) -> dict[str, Any]:
    figures = {"AP": 0.4, "AP_small": 0.5, "AR_small": 0.6, "megabytes": 1234.5}
    measured = {"seconds": seconds, "tiles_per_picture": tiles, "stages": None, "way": None}
    return {"system": system, **figures, **measured} | more


def report() -> dict[str, Any]:
    rows = [
        row("SAHI", 2.0, 28, way="tile by tile"),
        row("foveate, all tiles", 1.0, 28, stages={"network": 0.9}, network_pixels=500),
        row("foveate, selective", 0.25, 2.8, network_pixels=50),
    ]
    glance = {"select": "recall=0.9", "kept": 0.98, "looked": 0.1, "held_out": 30, "by": "folder",
              "fit_seconds": 41.0}  # fmt: skip
    sky = {
        "about": "sky", "model": "sky", "pictures": 8, "rows": rows,
        "glance": glance,
        "differences": {"foveate, selective": {"AP_small": [-0.004, -0.01, 0.002]}},
    }  # fmt: skip
    failed = {"system": "SAHI", "width": 1000, "height": 900, "failed": "ended by signal 9"}
    return {"provenance": PROVENANCE, "parts": {
        "sky": sky, "raster": {"rows": [failed], "glance": glance, "about": "a", "model": "aerial"},
    }}  # fmt: skip


def test_tables_say_what_was_measured(tmp_path: Path) -> None:
    (tmp_path / "speed.json").write_text(json.dumps(report()))
    said = {name: tables.table(name, tmp_path) for name in tables.TABLES if "speed" in name}
    line = "| 0.400 | 0.500 | -0.40 | -1.00 to +0.20 | 0.600 | 2.8 | 0.250 | 8.00 |"
    assert f"| foveate, selective {line}" in said["speed"]
    line = "| sky, sparse | 1.00 (0.500) | - | 2.00 (0.500) | 8.00 (0.500) | - |"
    assert line in said["speed-brief"]
    assert "| recall=0.9 | 98.0% | 30 folders | 41 s | 10.0% | 0.25 |" in said["speed-glances"]
    assert "| 900.0 |" in said["speed-stages"]
    assert "| tile by tile |" in said["speed-ways"]
    assert "| 1,000 x 900 | SAHI | ended by signal 9 |" in said["speed-raster"]


def test_a_table_without_its_part_says_so(tmp_path: Path) -> None:
    (tmp_path / "speed.json").write_text(json.dumps({"provenance": PROVENANCE, "parts": {}}))
    assert tables.table("speed-raster", tmp_path).startswith(tables.NOT_MEASURED)


def test_figure_has_a_panel_for_each_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import figures

    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    assert "nothing to show" in figures.speed_figure()
    (tmp_path / "speed.json").write_text(json.dumps(report()))
    drawn = figures.speed_figure()
    assert drawn.count('class="front"') == 1
    assert "foveate, selective: 0.5 at seconds a picture 0.25" in drawn


def test_groups_are_whole_clips() -> None:
    boxes = Annotations.empty()
    samples = tuple(Sample(Path(f"{clip}/1.jpg"), i, 9, 9, boxes) for i, clip in enumerate("aab"))
    dataset = Dataset("d", ("a",), (1,), samples)
    part = speed_parts.Part("sky", "", Path(), Path(), grouped=True)
    assert part.groups(dataset) == {0: "a", 1: "a", 2: "b"}
