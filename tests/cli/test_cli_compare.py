from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from foveate.structures import UInt8Image

Call = Callable[..., Any]
Paint = Callable[..., UInt8Image]
PICTURES = 12


@pytest.fixture
def dataset(tmp_path: Path, paint_blobs: Paint) -> Path:
    """Pictures of 120 x 60, each with three 9-px objects of one class and one of another."""
    folder = tmp_path / "blobs"
    (folder / "images").mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(PICTURES):
        centres = [(20, 20), (50, 30), (80, 40), (100, 15)]
        cv2.imwrite(
            str(folder / "images" / f"{number}.png"),
            paint_blobs(120, 60, centres, cold=(3,))[..., ::-1],
        )
        images.append({"id": number, "file_name": f"{number}.png", "width": 120, "height": 60})
        annotations += [
            {
                "id": len(annotations) + row,
                "image_id": number,
                "category_id": 1 + (row == 3),
                "bbox": [x - 4, y - 4, 9, 9],
            }
            for row, (x, y) in enumerate(centres)
        ]
    categories = [{"id": 1, "name": "warm"}, {"id": 2, "name": "cold"}]
    labels = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "val.json").write_text(json.dumps(labels))
    return folder / "val.json"


def predictions(dataset: Path, name: str, every: int) -> str:
    """Right detections, but for every so many-th object, which is not found."""
    rows = json.loads(dataset.read_text())["annotations"]
    found = [
        {key: row[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        for number, row in enumerate(rows)
        if number % every
    ]
    Path(name).write_text(json.dumps(found))
    return name


def test_a_better_run_is_called_better(foveate: Call, dataset: Path) -> None:
    worse, better = predictions(dataset, "worse.json", 3), predictions(dataset, "better.json", 9)
    done = foveate("compare", worse, better, dataset, "--out", "seen")
    assert done.code == 0, done.err
    last = done.out.strip().splitlines()[-1]
    assert last.startswith("better against worse: AP +")
    assert ", better" in last
    found = json.loads(Path("seen/comparison.json").read_text())
    first = found["differences"][0]
    assert first["metric"] == "AP"
    assert first["verdict"] == "better"
    assert first["delta"]["low"] > 0
    assert {one["metric"] for one in found["differences"]} >= {"AP_small", "AP@warm", "AP@cold"}
    page = Path("seen/index.html").read_text()
    assert "better against worse, on blobs/val" in page
    assert "no difference shown" in page or "better" in page
    assert 'class="compare"' in page


def test_the_other_way_round_is_worse(foveate: Call, dataset: Path) -> None:
    worse, better = predictions(dataset, "worse.json", 3), predictions(dataset, "better.json", 9)
    deltas = []
    for pair in ((worse, better), (better, worse)):
        done = foveate("compare", *pair, dataset, "--json", "--repeats", 100)
        deltas.append(json.loads(done.out)["differences"][0])
    assert deltas[0]["delta"]["value"] == pytest.approx(-deltas[1]["delta"]["value"])
    assert deltas[1]["verdict"] == "worse"


def test_a_run_against_itself_shows_no_difference(foveate: Call, dataset: Path) -> None:
    one = predictions(dataset, "one.json", 4)
    done = foveate("compare", one, one, dataset, "--json")
    found = json.loads(done.out)
    assert {row["verdict"] for row in found["differences"]} == {"no difference shown"}
    assert all(row["delta"]["value"] == 0 for row in found["differences"])


def test_a_model_against_the_folder_of_an_evaluation(
    foveate: Call, dataset: Path, blob_model: Path
) -> None:
    assert foveate("evaluate", blob_model, dataset, "--out", "before").code == 0
    done = foveate("compare", "before", blob_model, dataset, "--json", "--merge", "nms")
    found = json.loads(done.out)
    assert found["differences"][0]["delta"]["value"] == pytest.approx(0, abs=1e-6)
    assert found["outcomes"]["a"] == found["outcomes"]["b"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("one.json", "none.json", "{data}"), "none.json: cannot be read"),
        (("one.json", "nowhere", "{data}"), "nowhere"),
        (("one.json", "one.json", "none.json"), "none.json does not exist"),
        (("one.json", "one.json", "{data}", "--repeats", "0"), "--repeats must be at least 1"),
        (("one.json", "many", "{data}"), "many holds several runs; give one of:"),
        (("one.json", "one.json", "{data}", "--tile", "64"), "are for models, not for prediction"),
        (("one.json", "one.json", "{data}", "--repeats", "9999999"), "--repeats must be at most"),
        (("one.json", "one.json", "{data}", "--threshold", "7"), "threshold must be from 0 to 1"),
        (("one.json",), "is missing"),
    ],
)
def test_wrong_usage_is_one_line(
    foveate: Call, dataset: Path, arguments: tuple[str, ...], said: str
) -> None:
    predictions(dataset, "one.json", 4)
    Path("many").mkdir()
    for name in ("a", "b"):
        (Path("many") / f"predictions-{name}.json").write_text("[]")
    done = foveate("compare", *(word.format(data=dataset) for word in arguments))
    assert done.code in (1, 2)
    assert said in done.line
    assert done.out == ""


def test_frames_of_a_clip_are_drawn_together(foveate: Call, dataset: Path) -> None:
    """Three clips of four alike frames: the intervals are wider than those over twelve pictures."""
    runs = predictions(dataset, "worse.json", 3), predictions(dataset, "better.json", 5)
    widths: list[Any] = []
    labels = json.loads(dataset.read_text())
    for clips in (0, 3, 1):
        for number, row in enumerate(labels["images"]):
            row |= {"video_id": 1 + number * clips // PICTURES, "frame_index": number}
        if clips:
            labels["videos"] = [{"id": 1 + clip, "name": f"{clip}"} for clip in range(clips)]
        dataset.write_text(json.dumps(labels))
        done = foveate("compare", *runs, dataset, "--repeats", 200, "--json")
        assert done.code == 0, done.err
        figures = {row["metric"]: row for row in json.loads(done.out)["differences"]}
        interval = figures["AR"]["delta"]
        widths.append(interval["high"] - interval["low"] if interval["repeats"] else None)
        done = foveate("evaluate", runs[1], dataset, "--repeats", 200, "--json")
        assert done.code == 0, done.err
        own = next(iter(json.loads(done.out)["runs"].values()))["intervals"].get(
            "AR", {"repeats": 0}
        )
        assert (own["repeats"] == 0) == (clips == 1)
    assert widths[1] != widths[0] > 0
    assert widths[2] is None
