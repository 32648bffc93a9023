import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from foveate.structures import UInt8Image

Call = Callable[..., Any]
Paint = Callable[..., UInt8Image]

OBJECTS = {
    "a.png": [(30, 30), (60, 31), (300, 20)],
    "b.png": [(20, 20)],
    "c.png": [],
}


@pytest.fixture
def dataset(tmp_path: Path, paint_blobs: Paint) -> Path:
    """Three pictures of 400 x 70 with 9-px objects, warm but for one."""
    folder = tmp_path / "blobs"
    (folder / "images").mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (name, centres) in enumerate(OBJECTS.items(), start=7):
        image = paint_blobs(400, 70, centres, cold=(1,))
        cv2.imwrite(str(folder / "images" / name), image[..., ::-1])
        images.append({"id": image_id, "file_name": name, "width": 400, "height": 70})
        for number, (x, y) in enumerate(centres):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": 4 if number == 1 else 3,
                    "bbox": [x - 4, y - 4, 9, 9],
                    "area": 81,
                    "iscrowd": 0,
                }
            )
    # In another order, and with other capitals, than the model's classes.
    categories = [{"id": 4, "name": "Cold"}, {"id": 3, "name": "Warm"}]
    labels = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "val.json").write_text(json.dumps(labels))
    return folder / "val.json"


def change_labels(dataset: Path, change: Callable[[dict[str, Any]], None]) -> None:
    labels = json.loads(dataset.read_text())
    change(labels)
    dataset.write_text(json.dumps(labels))


def test_plain_against_tiled(foveate: Call, dataset: Path, blob_model: Path) -> None:
    done = foveate("evaluate", blob_model, dataset)
    assert done.code == 0
    assert done.err == ""
    scores, *causes = done.out.split("Where AP50 is lost, ")
    lines = {line[:20].strip(): line.split() for line in scores.splitlines()}
    assert lines["AP50"][:5] == ["AP50", "0.000", "(0.000", "to", "0.000)"]
    assert lines["AP50"][5:9] == ["1.000", "(1.000", "to", "1.000)"]
    assert lines["found"][:3] == ["found", "0", "4"]
    assert lines["false"][:3] == ["false", "0", "0"]
    assert [text.split()[0] for text in causes] == ["plain", "tiled"]
    every_size = next(line for line in causes[0].splitlines() if line.startswith(" all"))
    assert every_size.split()[-1] == "(4)"


def test_json(foveate: Call, dataset: Path, blob_model: Path) -> None:
    done = foveate("evaluate", blob_model, dataset, "--json", "--sizes", "0,8,16,inf")
    runs = json.loads(done.out)["runs"]
    assert list(runs) == ["plain", "tiled"]
    tiled = runs["tiled"]
    assert tiled["scores"]["overall"]["AP"] == pytest.approx(1)
    assert tiled["scores"]["by_size"]["8-16"]["objects"] == 4
    assert tiled["scores"]["by_class"]["Cold"]["AP"] == pytest.approx(1)
    assert tiled["seconds_per_image"] >= 0


def test_one_run_with_intervals(foveate: Call, dataset: Path, blob_model: Path) -> None:
    flags = ["--only", "tiled", "--repeats", "50", "--json"]
    runs = json.loads(foveate("evaluate", blob_model, dataset, *flags).out)["runs"]
    assert list(runs) == ["tiled"]
    interval = runs["tiled"]["intervals"]["AP"]
    assert interval["high"] == pytest.approx(1)
    assert interval["repeats"] <= 50


def test_what_lies_behind_the_figures(foveate: Call, dataset: Path, blob_model: Path) -> None:
    flags = ["--json", "--tile", "32", "--overlap", "0"]
    done = foveate("evaluate", blob_model, dataset, *flags, "--only", "tiled")
    analysis = json.loads(done.out)["runs"]["tiled"]["analysis"]
    assert set(analysis) == {
        "criteria", "errors", "curves", "best_threshold", "best_threshold_by_class", "by_side",
        "calibration", "counting", "worst_images", "seams",
    }  # fmt: skip
    seams = analysis["seams"]
    assert sum(seams[kind]["found"] + seams[kind]["missed"] for kind in seams) == 4
    assert seams["far"]["found"] + seams["far"]["missed"] < 4
    assert analysis["criteria"]["centre"]["all"] == pytest.approx(1)


def test_files(foveate: Call, dataset: Path, blob_model: Path) -> None:
    done = foveate("evaluate", blob_model, dataset, "--out", "report")
    assert done.code == 0
    assert done.err.endswith("are in report\n")
    assert sorted(path.name for path in Path("report").iterdir()) == [
        "index.html",
        "predictions-plain.json",
        "predictions-tiled.json",
        "scores.json",
    ]
    page = Path("report/index.html").read_text()
    assert "a.png" in page
    for title in ("Causes", "Precision and score", "How near is near enough", "Counting"):
        assert title in page
    scores = json.loads(Path("report/scores.json").read_text())
    again = foveate("evaluate", "report/predictions-tiled.json", dataset, "--json")
    runs = json.loads(again.out)["runs"]
    assert runs["tiled"]["scores"] == scores["runs"]["tiled"]["scores"]


def test_options_reach_the_run(foveate: Call, dataset: Path, blob_model: Path) -> None:
    flags = ["--json", "--only", "plain", "--tile", "400"]
    runs = json.loads(foveate("evaluate", blob_model, dataset, *flags).out)["runs"]
    assert runs["plain"]["scores"]["overall"]["AP50"] == pytest.approx(1)


def test_no_class_in_common(foveate: Call, dataset: Path, blob_model: Path) -> None:
    def rename(labels: dict[str, Any]) -> None:
        labels["categories"] = [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}]

    change_labels(dataset, rename)
    done = foveate("evaluate", blob_model, dataset)
    assert done.code == 1
    assert done.line.startswith("no class in common: the model finds warm, cold and ")
    assert done.line.endswith("labels cat, dog")


def test_a_broken_picture_counts_as_nothing_found(
    foveate: Call, dataset: Path, blob_model: Path
) -> None:
    (dataset.parent / "images" / "b.png").write_bytes(b"text")
    done = foveate("evaluate", blob_model, dataset, "--json")
    assert done.code == 1
    assert done.err.splitlines()[0].startswith(f"foveate: {dataset.parent / 'images' / 'b.png'}")
    assert done.err.splitlines()[-1].startswith("foveate: 1 of 3 pictures could not be done and")
    assert len(done.err.splitlines()) == 2
    outcomes = json.loads(done.out)["runs"]["tiled"]["outcomes"]
    assert (outcomes["found"], outcomes["missed"]) == (3, 1)


def test_labels_of_another_size(foveate: Call, dataset: Path, blob_model: Path) -> None:
    change_labels(dataset, lambda labels: labels["images"][0].update(width=800))
    done = foveate("evaluate", blob_model, dataset)
    assert done.code == 1
    assert done.line.endswith("a.png is 400 x 70 and its labels are for 800 x 70")


ENTRY = {"image_id": 7, "category_id": 3, "bbox": [26, 26, 9, 9], "score": 0.9}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"bbox": [26, 26, float("nan"), 9]}, "entry 1: bbox: expected finite pixels"),
        ({"bbox": [26, 26, -9, 9]}, "entry 1: bbox: width and height must not be negative"),
        ({"image_id": 99}, "entry 1: image_id 99 is not in"),
        ({"category_id": 99}, "entry 1: category_id 99 is not in"),
        ({"score": 2}, "entry 1: score: expected a number from 0 to 1"),
    ],
)
def test_bad_predictions(
    foveate: Call, dataset: Path, change: dict[str, Any], expected: str
) -> None:
    Path("found.json").write_text(json.dumps([ENTRY, ENTRY | change]))
    done = foveate("evaluate", "found.json", dataset, "--out", "report")
    assert done.code == 1
    assert done.line.startswith(f"found.json: {expected}")
    assert not Path("report/scores.json").exists()


def test_labels_that_name_no_image(foveate: Call, dataset: Path, blob_model: Path) -> None:
    change_labels(dataset, lambda labels: labels["annotations"][0].update(image_id=99))
    done = foveate("evaluate", blob_model, dataset)
    assert done.code == 1
    assert "99" in done.line


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["{model}", "absent.json"], 1, "absent.json does not exist"),
        (["absent.json", "{data}"], 2, "absent.json: cannot be read"),
        (["{model}", "{data}", "--sizes", "8,4"], 2, "size bins '8,4': give one of coco, ai-tod"),
        (["{model}", "{data}", "--max-detections", "0"], 2, "--max-detections must be at least 1"),
        (["{model}", "{data}", "--repeats", "0"], 2, "--repeats must be at least 1"),
        (["{model}", "{data}", "--tile", "0"], 2, "tile: input should be greater"),
        (["found.json", "{data}", "--tile", "64"], 2, "--tile, --only and the like are for models"),
        (["{model}", "{data}", "--out", "{data}/x"], 1, "{data}/x: cannot be written to"),
    ],
)
def test_wrong_arguments(
    foveate: Call,
    dataset: Path,
    blob_model: Path,
    arguments: list[str],
    code: int,
    expected: str,
) -> None:
    given = [word.format(model=blob_model, data=dataset) for word in arguments]
    done = foveate("evaluate", *given)
    assert done.code == code
    assert done.line.startswith(expected.format(data=dataset))


def test_predictions_of_a_file(foveate: Call, dataset: Path) -> None:
    low = ENTRY | {"bbox": [100, 26, 9, 9], "score": 0.2}
    Path("found.json").write_text(json.dumps([ENTRY, low]))
    outcomes = []
    for flags in ([], ["--threshold", "0.1"]):
        said = json.loads(foveate("evaluate", "found.json", dataset, "--json", *flags).out)
        outcomes.append(said["runs"]["found"]["outcomes"])
    assert [one["found"] for one in outcomes] == [1, 1]
    assert [one["false"] for one in outcomes] == [0, 1]
    assert np.isclose(said["runs"]["found"]["scores"]["overall"]["AP50"], 0.168, atol=0.01)


def test_predictions_that_number_pictures_otherwise(foveate: Call, dataset: Path) -> None:
    Path("found.json").write_text(json.dumps([ENTRY | {"file_name": "a.png"}]))
    assert foveate("evaluate", "found.json", dataset).code == 0
    Path("found.json").write_text(json.dumps([ENTRY | {"file_name": "b.png"}]))
    done = foveate("evaluate", "found.json", dataset)
    assert done.code == 1
    assert "entry 0 is of b.png, and " in done.line
    assert "gives its image_id to a.png" in done.line


def test_the_worst_pictures_of_a_file_are_drawn(foveate: Call, dataset: Path) -> None:
    Path("found.json").write_text(json.dumps([ENTRY]))
    done = foveate("evaluate", "found.json", dataset, "--out", "report")
    assert done.code == 0
    page = Path("report/index.html").read_text()
    assert "<h2>a.png</h2>" in page
    assert "<h2>c.png</h2>" not in page  # nothing is wrong there
    for picture in (dataset.parent / "images").iterdir():
        picture.unlink()
    assert foveate("evaluate", "found.json", dataset, "--out", "blind").code == 0
    assert "The pictures are not there." in Path("blind/index.html").read_text()


def test_tracks_against_labelled_tracks(foveate: Callable[..., Any]) -> None:
    pytest.importorskip("trackers")
    rows = [f"{frame},3,{10 + frame},20,10,20,1,1,1\n" for frame in range(1, 6)]
    Path("gt.txt").write_text("".join(rows))
    Path("tracks.txt").write_text("".join(rows[:4]))
    done = foveate("evaluate", "tracks.txt", "gt.txt", "--json")
    assert done.code == 0, done.err
    scores = json.loads(done.out)
    assert scores["mota"] == pytest.approx(0.8)
    assert scores["found"] == 4
    assert foveate("evaluate", "tracks.txt", "gt.txt", "--tile", 64).code == 2
    assert foveate("evaluate", "tracks.txt", "nowhere.txt").code == 1
    shown = foveate("evaluate", "tracks.txt", "gt.txt")
    assert "0.800" in shown.out
