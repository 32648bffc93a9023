"""The tiny blob detector that many tests run, model files made from it, and the command line."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import settings

from foveate.cli import run
from foveate.structures import UInt8Image

# The same cases at every run, so that a failure is the change's; no clock on a busy machine.
settings.register_profile("foveate", derandomize=True, deadline=None)
settings.load_profile("foveate")

BLOB = Path(__file__).parent / "data_files" / "blob.onnx"
_METADATA_TAG = bytes([14 << 3 | 2])


def _length_delimited(tag: bytes, content: bytes) -> bytes:
    length, size = len(content), b""
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return tag + size + bytes([length]) + content


def _metadata_entry(text: str) -> bytes:
    entry = _length_delimited(b"\x0a", b"foveate") + _length_delimited(b"\x12", text.encode())
    return _length_delimited(_METADATA_TAG, entry)


@pytest.fixture(autouse=True)
def _no_choices(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test follows what a benchmark found on this machine, nor leaves anything behind."""
    monkeypatch.setenv("FOVEATE_CACHE", str(tmp_path_factory.getbasetemp() / "no-cache"))


@pytest.fixture(scope="session")
def blob_model() -> Path:
    """A model file that finds bright blobs: label 0 where red exceeds blue, else 1; 9 x 9 boxes."""
    return BLOB


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """Write the blob model under another name, with changed, raw or no metadata."""

    def make(name: str = "other.onnx", raw: str | None = None, **changes: Any) -> Path:
        data = BLOB.read_bytes()
        # The last field of the file; its tag and two bytes of length come before its key.
        start = data.index(_length_delimited(b"\x0a", b"foveate")) - 3
        stored = json.loads(data[data.index(b"{", start) :])
        text = json.dumps(stored | changes) if raw is None else raw
        path = tmp_path / name
        path.write_bytes(data[:start] + (_metadata_entry(text) if text != "none" else b""))
        return path

    return make


@pytest.fixture
def make_glance(tmp_path: Path, blob_model: Path) -> Callable[..., Path]:
    """Write a glance for the blob model: cells with something bright; with changed metadata.

    Of thresholds .1, .3 and .9 it promises recalls of .99, .95 and .5.
    """

    def make(name: str = "glance.onnx", **changes: Any) -> Path:
        bounds = ((0.1, 0.99), (0.3, 0.95), (0.9, 0.5))
        rows = [
            {"threshold": threshold, "looked": 0.5, "kept": 1.0, "mean": 1.0, "bound": bound}
            for threshold, bound in bounds
        ]
        values = {
            "kind": "glance",
            "schema_version": 1,
            "name": "glance-blob",
            "detector": "blob",
            "detector_hash": hashlib.sha256(blob_model.read_bytes()).hexdigest(),
            "class_names": ["warm", "cold"],
            "reduction": 4,
            "tile_plan": {"size": 64, "overlap": 0.25},
            "taught_by": "labels",
            "pictures": 10,
            "calibration": {
                "level": 0.95, "unit": "picture", "units": 100, "empty": 3, "objects": 500,
                "rows": rows,
            },
        }  # fmt: skip
        path = tmp_path / name
        text = json.dumps(values | changes)
        path.write_bytes(BLOB.with_name("glance.onnx").read_bytes() + _metadata_entry(text))
        return path

    return make


@pytest.fixture(scope="session")
def paint_blobs() -> Callable[..., UInt8Image]:
    """Paint 5 x 5 blobs, brightest in the middle, on a dark picture: warm, or cold if in `cold`."""
    away = np.abs(np.arange(-2, 3))
    shape = 1 - 0.1 * (away[:, None] + away[None, :])  # (5, 5)

    def paint(
        width: int,
        height: int,
        centres: list[tuple[int, int]],
        cold: tuple[int, ...] = (),
    ) -> UInt8Image:
        image = np.random.default_rng(0).integers(0, 25, (height, width, 3), dtype=np.uint8)
        for number, (x, y) in enumerate(centres):
            colour = (100, 200, 255) if number in cold else (255, 200, 100)
            blob = np.array(colour) * shape[..., None]
            image[y - 2 : y + 3, x - 2 : x + 3] = blob.astype(np.uint8)
        return image

    return paint


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line that a failure prints."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("foveate: ")
        return self.err.removeprefix("foveate: ").strip()


@pytest.fixture
def foveate(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Done]:
    """Call the command line in an empty folder."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FOVEATE_DEBUG", raising=False)

    def call(*arguments: object) -> Done:
        capsys.readouterr()
        try:
            code = run([str(argument) for argument in arguments])
        except SystemExit as stopped:  # tyro, after printing help
            code = int(stopped.code or 0)
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return call


@pytest.fixture
def shelf(tmp_path: Path, blob_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The blob model, bundled under the names `blob` and `pitch`."""
    from foveate.inference import bundled

    folder = tmp_path / "bundled"
    folder.mkdir()
    for name in ("blob", "pitch"):
        shutil.copy(blob_model, folder / f"{name}.onnx")
    monkeypatch.setattr(bundled, "BUNDLED_FOLDER", folder)
    return folder
