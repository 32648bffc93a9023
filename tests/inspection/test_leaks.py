from __future__ import annotations

from pathlib import Path

import numpy as np
from inspection_pictures import save, scene, unlabelled

from foveate.inspection.findings import Finding
from foveate.inspection.leaks import check_splits
from foveate.structures import Dataset

NONE = Dataset("none", ("a",), (1,), ())


def splits(train: list[Path], val: list[Path]) -> dict[str, Dataset]:
    return {"val": unlabelled("val", val), "train": unlabelled("train", train)}


def kinds(findings: list[Finding]) -> dict[str, int]:
    assert all("\n" not in finding.message for finding in findings)
    return {finding.kind: finding.count for finding in findings}


def tiles(folder: Path, name: str, size: int, step: int) -> tuple[list[Path], list[Path]]:
    """Tiles of two scenes, `name` formatted with scene, x, y, row, column; every third to val."""
    train: list[Path] = []
    val: list[Path] = []
    for number in range(2):
        whole = scene(number, 600, 600)
        for row, y in enumerate(range(0, 601 - size, step)):
            for column, x in enumerate(range(0, 601 - size, step)):
                file = name.format(s=number, x=x, y=y, r=row, c=column)
                path = save(folder, file, whole[y : y + size, x : x + size])
                (val if (row + column) % 3 == 0 else train).append(path)
    return train, val


def test_parts_that_are_apart(tmp_path: Path) -> None:
    paths = [save(tmp_path, f"image_{seed:04d}.jpg", scene(seed)) for seed in range(40)]
    told: list[tuple[int, int]] = []
    data = splits(paths[::2], paths[1::2])  # numbered through the whole set
    assert check_splits(data, lambda done, total: told.append((done, total))) == []
    assert told[-1] == (40, 40)


def test_one_part_or_none() -> None:
    assert check_splits({}) == []
    assert check_splits({"train": NONE}) == []


def test_a_file_in_both(tmp_path: Path) -> None:
    paths = [save(tmp_path, f"{name}.png", scene(seed)) for seed, name in enumerate("abc")]
    found = {f.kind: f for f in check_splits(splits(paths[:2], [paths[1], paths[2]]))}
    assert found["same-file"].message.startswith("1 of 2 pictures of val (50%)")
    assert found["same-file"].examples == ("b.png",)


def test_a_copy_under_another_name(tmp_path: Path) -> None:
    train = [save(tmp_path, f"{name}.png", scene(seed)) for seed, name in enumerate("abcdef")]
    val = [save(tmp_path, "p.jpg", scene(2), 40), save(tmp_path, "q.jpg", scene(77))]
    (finding,) = check_splits(splits(train, val))
    assert (finding.kind, finding.severity, finding.count) == ("near-duplicate", "error", 1)
    assert finding.examples == ("val: p.jpg = train: c.png",)


def test_frames_of_clips(tmp_path: Path) -> None:
    train: list[Path] = []
    val: list[Path] = []
    for clip in range(5):
        whole = scene(clip, 340, 640)
        for frame in range(6):
            view = whole[2 * frame : 2 * frame + 300, 20 * frame : 20 * frame + 400]
            path = save(tmp_path, f"clip{clip}/{frame:05d}.jpg", view)
            (val if frame % 3 == 2 else train).append(path)
    found = kinds(check_splits(splits(train, val)))
    assert found["same-clip"] == len(val)


def test_exports_of_one_original_turned_and_mirrored(tmp_path: Path) -> None:
    train: list[Path] = []
    val: list[Path] = []
    for seed in range(3):
        grey = scene(seed)
        train.append(save(tmp_path, f"p{seed}_jpg.rf.{seed:032x}.jpg", grey))
        turned = np.ascontiguousarray(np.rot90(grey) if seed else grey[:, ::-1])
        val.append(save(tmp_path, f"p{seed}_jpg.rf.{seed + 9:032x}.jpg", turned))
    other = save(tmp_path, f"p0_jpg.rf.{99:032x}.jpg", scene(50))
    assert kinds(check_splits(splits(train, [*val, other]))) == {
        "same-original": 3,
        "same-original-name": 1,
    }


def test_overlapping_tiles_by_name(tmp_path: Path) -> None:
    for name in ("P{s}__1__{x}___{y}.png", "field{s}_r{r}_c{c}.png"):
        train, val = tiles(tmp_path / name[:5], name, 200, 100)
        found = kinds(check_splits(splits(train, val)))
        assert found["overlapping-tiles"] == len(val)
        assert "adjoining-tiles" not in found


def test_overlapping_tiles_without_names(tmp_path: Path) -> None:
    train, val = tiles(tmp_path, "{s}{x}z{y}k.jpg", 200, 160)
    found = kinds(check_splits(splits(train, val)))
    assert found["overlapping-tiles"] >= 0.8 * len(val)


def test_tiles_side_by_side(tmp_path: Path) -> None:
    train, val = tiles(tmp_path, "s{s}_{x}_{y}.png", 150, 150)
    findings = [f for f in check_splits(splits(train, val)) if "tiles" in f.kind]
    assert [(f.kind, f.severity) for f in findings] == [("adjoining-tiles", "warning")]
    assert findings[0].count == len(val)


def test_tile_names_on_unrelated_pictures_are_no_finding(tmp_path: Path) -> None:
    paths = [save(tmp_path, f"day_{n}_{n % 4}.png", scene(n)) for n in range(12)]
    assert check_splits(splits(paths[::2], paths[1::2])) == []


def test_pictures_that_cannot_be_compared_get_notes(tmp_path: Path) -> None:
    plain = save(tmp_path, "plain.png", np.full((200, 200), 90, np.uint8))
    findings = check_splits(splits([tmp_path / "missing.png"], [plain]))
    assert kinds(findings) == {"splits-not-read": 1, "splits-plain": 1}
    assert {finding.severity for finding in findings} == {"note"}
    videos = splits([tmp_path / "a.mp4"] * 9, [tmp_path / "b.mp4"] * 5)
    assert [f.message for f in check_splits(videos)] == [
        "train has no picture files to compare with other parts",
        "val has no picture files to compare with other parts",
    ]
    assert {f.severity for f in check_splits({"train": NONE, "val": NONE})} == {"note"}


def test_related_names_come_first_in_a_sample(tmp_path: Path) -> None:
    train = [save(tmp_path, f"t{name}.png", scene(n)) for n, name in enumerate("abcdefgh")]
    train.append(save(tmp_path, f"x_jpg.rf.{1:032x}.jpg", scene(60)))
    val = [save(tmp_path, f"x_jpg.rf.{2:032x}.jpg", scene(60)[:, ::-1].copy())]
    for seed in range(4):
        found = kinds(check_splits(splits(train, val), most_pictures=2, seed=seed))
        assert found == {"same-original": 1, "splits-sampled": 7}
