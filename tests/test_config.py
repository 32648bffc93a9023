from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError

from foveate.config import Config, read_yaml, write_atomically
from foveate.errors import FoveateError, UsageError


class Inner(Config):
    momentum: float = Field(default=0.9, ge=0, lt=1)


class Outer(Config):
    """A configuration with a nested one."""

    name: str = "run"
    steps: int = Field(default=10, ge=1)
    scales: tuple[float, ...] = (1.0, 2.0)
    inner: Inner = Inner()


def test_yaml_round_trip(tmp_path: Path) -> None:
    config = Outer(name="häuser: #1", steps=3, scales=(0.5,), inner=Inner(momentum=0.25))
    config.to_yaml(tmp_path / "runs" / "run.yaml")
    assert Outer.from_yaml(tmp_path / "runs" / "run.yaml") == config
    assert Outer.from_dict({}) == Outer()


class Other(Inner):
    name: Literal["other"] = "other"
    decay: float = 0.5


class Plain(Inner):
    name: Literal["plain"] = "plain"


class Chooser(Config):
    """A configuration whose part is one of several classes, and one that changes a default."""

    part: Plain | Other = Field(default=Plain(), discriminator="name")
    outer: Outer = Outer(steps=99)


def test_a_nested_default_stays_where_only_another_key_is_given() -> None:
    assert Chooser.from_dict({"outer": {"name": "x"}}).outer == Outer(name="x", steps=99)
    assert Chooser.from_dict({"outer": {"steps": 3}}).outer == Outer(steps=3)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"name": "other", "decy": 1}, "unknown key 'part.decy'; did you mean 'decay'?"),
        ({"name": "plain", "momentun": 1}, "unknown key 'part.momentun'; did you mean 'momentum'?"),
        ({"name": "other", "decay": "x"}, "part.decay: input should be a valid number"),
        ({"name": "third"}, "part.name: expected one of 'plain', 'other', got 'third'"),
    ],
)
def test_errors_in_one_of_several_classes_name_the_keys_of_the_file(
    part: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Chooser.from_dict({"part": part})
    assert says in str(caught.value)


def test_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Outer().steps = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"step": 3}, "settings: unknown key 'step'; did you mean 'steps'?"),
        ({"inner": {"momentun": 0.5}}, "unknown key 'inner.momentun'; did you mean 'momentum'?"),
        ({"zzz": 3}, "settings: unknown key 'zzz'"),
        ({"steps": 0}, "steps: input should be greater than or equal to 1, got 0"),
        ({"steps": "many"}, "got 'many'"),
        ({"inner": {"momentum": 2}}, "inner.momentum: input should be less than 1, got 2"),
        ({"inner": 3}, "inner: "),
        ([1], "settings: expected key: value pairs, got list"),
        (None, "settings: expected key: value pairs, got NoneType"),
    ],
)
def test_wrong_values_are_one_clear_line(values: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        Outer.from_dict(values)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unusable_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    with pytest.raises(UsageError, match=r"a\.yaml: cannot be read \(FileNotFoundError\)"):
        read_yaml(path)
    path.write_text("a: 1\nb: [1, 2\nc: 3\n")
    with pytest.raises(UsageError, match=r"a\.yaml: not valid YAML at line 3"):
        read_yaml(path)
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UsageError, match=r"a\.yaml: cannot be read \(UnicodeDecodeError\)"):
        read_yaml(path)
    path.write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(UsageError, match="not valid YAML"):
        read_yaml(path)


def test_errors_know_their_exit_code() -> None:
    assert FoveateError("x").exit_code == 1
    assert UsageError("x").exit_code == 2
    assert isinstance(UsageError("x"), FoveateError)


def test_writing_makes_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file.bin"
    write_atomically(path, b"old")
    write_atomically(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.bin"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file.bin").mkdir()
    with pytest.raises(OSError, match=r"file\.bin"):
        write_atomically(tmp_path / "file.bin", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]
