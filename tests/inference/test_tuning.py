"""What a benchmark found is followed, for this file on this machine alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

import foveate
from foveate.errors import FoveateError
from foveate.inference import tuning
from foveate.inference.profile import Profile
from foveate.inference.settings import Options, run_settings, runner
from foveate.inference.tuning import Choice, cache_folder, forget, remember, remembered
from foveate.reports.tables import profile_lines

CHOICE = Choice(runtime="cpu", threads=3, batch_size=6, tiles_per_second=40.0, created="2026-01-01")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FOVEATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_remembered_and_forgotten(blob_model: Path, cache: Path) -> None:
    assert remembered(blob_model) is None
    kept = remember(blob_model, CHOICE)
    assert kept.parent == cache / "tuned"
    assert remembered(blob_model) == CHOICE
    assert forget(blob_model)
    assert not forget(blob_model)
    assert remembered(blob_model) is None


def test_of_this_file_on_this_machine(
    blob_model: Path, make_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(blob_model, CHOICE)
    assert remembered(make_model(description="another")) is None
    monkeypatch.setattr(tuning, "_version", lambda package: "99")
    assert remembered(blob_model) is None


@pytest.mark.parametrize("text", ["", "{", '{"threads": 0}', "\x00"])
def test_a_damaged_choice_is_none(blob_model: Path, text: str) -> None:
    remember(blob_model, CHOICE).write_text(text)
    assert remembered(blob_model) is None


def test_a_folder_that_cannot_be_written_is_one_line(blob_model: Path, cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(FoveateError, match="cannot be written to"):
        remember(blob_model, CHOICE)


def test_loading_follows_it_unless_told_otherwise(blob_model: Path) -> None:
    remember(blob_model, CHOICE)
    tuned = foveate.load(blob_model)
    assert (tuned.parallel, run_settings(tuned, {}).batch_size) == (3, 6)
    assert run_settings(tuned, Options(batch_size=2)).batch_size == 2
    for told in (foveate.load(blob_model, threads=1), foveate.load(blob_model, runtime="cpu")):
        assert run_settings(told, {}).batch_size is None
    assert foveate.load(blob_model, threads=1).parallel == 1


def test_the_profile_says_so(blob_model: Path) -> None:
    remember(blob_model, CHOICE)
    profile = Profile()
    tuned = foveate.load(blob_model)
    runner(tuned, run_settings(tuned, {}), profile)
    profile.stop()
    assert profile_lines(profile).endswith(
        "the network ran on cpu, 3 tiles side by side, batches of 6, as foveate benchmark chose "
        "2026-01-01"
    )
    own = Profile()
    runner(lambda images: [], run_settings(lambda images: [], {}), own)
    own.stop()
    assert "ran on" not in profile_lines(own)


@pytest.mark.parametrize(
    ("platform", "variable", "last"),
    [("linux", "XDG_CACHE_HOME", "foveate"), ("win32", "LOCALAPPDATA", "foveate")],
)
def test_the_platforms_own_place(
    platform: str, variable: str, last: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FOVEATE_CACHE")
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert cache_folder() == tmp_path / last
