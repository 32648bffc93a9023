from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from inspection_pictures import save, scene, unlabelled

from foveate.inspection.findings import Finding
from foveate.inspection.picture_files import check_files, in_threads
from foveate.structures import Dataset

GREY = scene(0)


def pictures(folder: Path, *names: str) -> list[Path]:
    return [save(folder, name, GREY) for name in names]


def only(findings: list[Finding], kind: str) -> Finding:
    assert [finding.kind for finding in findings] == [kind]
    assert "\n" not in findings[0].message
    return findings[0]


def test_sound_files_give_nothing(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    data = unlabelled("x", pictures(tmp_path, "a.png", "b.jpg"))
    assert check_files(data, on_progress=lambda done, total: told.append((done, total))) == []
    assert told == [(1, 2), (2, 2)]


def test_some_are_missing(tmp_path: Path) -> None:
    paths = [*pictures(tmp_path, "a.png"), tmp_path / "b.png", tmp_path / "none" / "c.png"]
    finding = only(check_files(unlabelled("x", paths)), "picture-missing")
    assert (finding.severity, finding.count) == ("error", 2)
    assert finding.message.startswith("2 of 3 pictures of x")
    assert finding.examples == (str(paths[1]), str(paths[2]))


def test_all_are_missing(tmp_path: Path) -> None:
    finding = only(check_files(unlabelled("x", [tmp_path / "a.png"])), "picture-missing")
    assert "--labels-only" in finding.message


def test_pictures_that_no_label_mentions(tmp_path: Path) -> None:
    a, b, c = pictures(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "notes.txt").write_text("no picture")
    train, val = unlabelled("train", [a]), unlabelled("val", [b])
    finding = only(check_files(train, [val]), "picture-not-in-labels")
    assert finding.examples == (c.name,)
    assert check_files(train, [val, unlabelled("test", [c])]) == []


def test_sizes_that_differ(tmp_path: Path) -> None:
    a, b = pictures(tmp_path, "a.png", "b.png")
    data = unlabelled("x", [a, b], (300, 400))
    data = replace(data, samples=(data.samples[0], replace(data.samples[1], width=9, height=9)))
    finding = only(check_files(data), "picture-size-differs")
    assert finding.count == 2
    assert "1 turned" in finding.message
    assert finding.examples[0] == "a.png: 400 x 300, labels say 300 x 400"


def test_tiles_of_one_file_have_sizes_of_their_own(tmp_path: Path) -> None:
    (a,) = pictures(tmp_path, "a.png")
    assert check_files(unlabelled("x", [a, a], (100, 100))) == []


def test_unreadable(tmp_path: Path) -> None:
    a, b = pictures(tmp_path, "a.png", "b.png")
    b.write_bytes(b"")
    finding = only(check_files(unlabelled("x", [a, b])), "picture-unreadable")
    assert finding.examples == ("b.png is empty (0 bytes)",)


def test_frames_of_videos_get_one_note(tmp_path: Path) -> None:
    data = unlabelled("x", [tmp_path / "clip.mp4"] * 30)
    finding = only(check_files(data), "not-picture-files")
    assert (finding.severity, finding.count, finding.examples) == ("note", 1, ("clip.mp4",))
    assert "30 entries of 30" in finding.message


def test_no_more_are_read_than_asked(tmp_path: Path) -> None:
    paths = pictures(tmp_path, *(f"{number}.png" for number in range(9)))
    told: list[int] = []
    findings = check_files(
        unlabelled("x", paths), most_files=3, on_progress=lambda done, _: told.append(done)
    )
    assert only(findings, "files-not-all-read").count == 6
    assert told == [1, 2, 3]


def test_empty() -> None:
    assert check_files(Dataset("x", ("a",), (1,), ())) == []


def test_threads_keep_the_order_and_pass_errors_on() -> None:
    assert in_threads(lambda n: n * n, range(50)) == [n * n for n in range(50)]
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda n: 1 // n, [1, 0, *np.ones(50, int).tolist()])
