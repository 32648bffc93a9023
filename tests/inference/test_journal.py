from __future__ import annotations

from pathlib import Path

import pytest

from foveate.errors import FoveateError
from foveate.inference.journal import Journal, Record

RUN = {"raster": {"name": "a.tif", "bytes": 7}, "model": "abc"}
RECORDS = [Record({"kind": "tiles", "n": n}, bytes([n]) * (n * 5)) for n in range(4)]


def written(path: Path) -> Path:
    journal = Journal(path, RUN)
    for record in RECORDS:
        journal.append(record)
    journal.close()
    return path


def read(path: Path) -> tuple[list[Record], str | None]:
    journal = Journal(path, RUN)
    journal.close()
    return journal.records, journal.damage


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    assert read(written(tmp_path / "journal")) == (RECORDS, None)


def test_cut_short_anywhere_the_whole_records_are_kept_and_it_goes_on(tmp_path: Path) -> None:
    content = written(tmp_path / "journal").read_bytes()
    first = len(Record({"run": RUN}).encoded())
    ends = [first]
    for record in RECORDS:
        ends.append(ends[-1] + len(record.encoded()))
    for length in range(first, len(content)):
        path = tmp_path / "cut"
        path.write_bytes(content[:length])
        whole = sum(end <= length for end in ends[1:])
        journal = Journal(path, RUN)
        assert (journal.records, journal.damage) == (RECORDS[:whole], None)
        journal.append(RECORDS[3])
        journal.close()
        assert read(path) == ([*RECORDS[:whole], RECORDS[3]], None)


def test_damaged_anywhere_in_the_middle_what_comes_before_is_kept(tmp_path: Path) -> None:
    content = written(tmp_path / "journal").read_bytes()
    first = len(Record({"run": RUN}).encoded())
    for place in range(first, len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        path = tmp_path / "damaged"
        path.write_bytes(damaged)
        records, damage = read(path)
        assert records == RECORDS[: len(records)]
        assert len(records) < len(RECORDS)
        assert damage is not None
        assert f"{path} is damaged at byte" in damage
        assert "what comes before it is kept" in damage
        assert "\n" not in damage


def test_damaged_at_its_beginning_all_is_lost_and_said(tmp_path: Path) -> None:
    path = written(tmp_path / "journal")
    path.write_bytes(b"\0" * 40 + path.read_bytes()[40:])
    records, damage = read(path)
    assert records == []
    assert damage is not None
    assert "everything is looked at again" in damage
    assert read(path) == ([], None)


def test_rewritten_it_holds_only_that(tmp_path: Path) -> None:
    path = written(tmp_path / "journal")
    journal = Journal(path, RUN)
    journal.rewrite(RECORDS[:1])
    journal.append(RECORDS[2])
    assert journal.size == path.stat().st_size
    journal.close()
    assert read(path) == ([RECORDS[0], RECORDS[2]], None)
    assert [file.name for file in tmp_path.iterdir()] == ["journal"]


def test_of_another_run_it_says_what_differs(tmp_path: Path) -> None:
    path = written(tmp_path / "journal")
    before = path.read_bytes()
    other = {"raster": {"name": "b.tif", "bytes": 7}, "model": "abc"}
    with pytest.raises(FoveateError, match=r"raster\.name was a\.tif and is b\.tif; choose anoth"):
        Journal(path, other)
    with pytest.raises(FoveateError, match=r"raster\.name was a\.tif and is b\.tif and 1 more;"):
        Journal(path, other | {"model": "xyz"})
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FoveateError, match="cannot be written"):
        Journal(tmp_path / "file" / "journal", RUN)
