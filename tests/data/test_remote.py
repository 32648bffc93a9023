"""Pictures and rasters behind addresses: an in-memory store, a local web server, missing stores."""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import fsspec  # type: ignore[import-untyped]
import numpy as np
import pytest
from raster_files import noise, write_raster

from foveate.api.raster import detect_raster
from foveate.data.images import ArraySource
from foveate.data.rasters import RasterSource
from foveate.data.remote import RemoteFile, find_remote, is_remote, location_of
from foveate.data.sources import find_sources, open_source
from foveate.data.video import is_video
from foveate.errors import FoveateError
from foveate.structures import Tile


def picture(number: int = 0) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.fixture
def store() -> Iterator[Any]:
    """An empty store in memory."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


def test_addresses_are_told_from_paths() -> None:
    assert [is_remote(text) for text in ("s3://b/x", "memory://b", "a/b", r"C:\x", "x:y")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert location_of("file:///tmp/a%20b.png") == Path("/tmp/a b.png")
    far = location_of("https://host/a/b.jpg?size=3")
    assert (far.name, far.suffix, str(far)) == ("b.jpg", ".jpg", "https://host/a/b.jpg?size=3")
    assert location_of(far) is far
    assert not is_video("https://host/a/b.jpg")
    assert not is_video("https://host/a/")
    assert is_video("https://host/live")


def test_folder_pattern_and_file(store: Any) -> None:
    for name in ("f10.png", "f2.png", ".f3.png", "note.txt", "sub/f1.png"):
        store.pipe(f"/bucket/{name}", picture())
    assert [file.name for file in find_sources("memory://bucket")] == ["f2.png", "f10.png"]
    assert [file.name for file in find_sources("memory://bucket/*/*")] == ["f1.png"]
    assert [str(file) for file in find_sources("memory://bucket/note.txt")] == [
        "memory://bucket/note.txt"
    ]
    with pytest.raises(FoveateError, match=r"no pictures in memory://bucket/\*\.txt \(files end"):
        find_sources("memory://bucket/*.txt")
    with pytest.raises(
        FoveateError, match=r"^memory://other does not exist: there is no such buck"
    ):
        find_sources("memory://other")


def test_a_picture_is_what_it_is_on_disk(store: Any, tmp_path: Path) -> None:
    store.pipe("/bucket/a.png", picture())
    (tmp_path / "a.png").write_bytes(picture())
    far, near = open_source("memory://bucket/a.png"), open_source(tmp_path / "a.png")
    assert isinstance(far, ArraySource)
    assert far.name == near.name == "a.png"
    tile = Tile(0, 0, 40, 30, 40, 30)
    assert np.array_equal(np.asarray(far.read(tile)), np.asarray(near.read(tile)))
    store.pipe("/bucket/b.png", b"no picture")
    with pytest.raises(FoveateError, match=r"^memory://bucket/b\.png is not a picture"):
        open_source("memory://bucket/b.png")
    with pytest.raises(FoveateError, match=r"^memory://bucket/c\.png does not exist"):
        open_source("memory://bucket/c.png")


def test_a_raster_is_copied_as_long_as_it_is_open(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    blocks = {"tiled": True, "blockxsize": 64, "blockysize": 64}
    path = write_raster(tmp_path / "field.tif", noise(), **blocks)
    store.pipe("/bucket/field.tif", path.read_bytes())
    far, near = open_source("memory://bucket/field.tif"), open_source(path)
    assert isinstance(far, RasterSource)
    assert isinstance(near, RasterSource)
    assert far.geo == near.geo is not None
    tile = Tile(100, 70, 90, 80, 90, 80)
    assert np.array_equal(np.asarray(far.read(tile)), np.asarray(near.read(tile)))
    copies = list(Path(tempfile.gettempdir()).glob("foveate-*/field.tif"))
    assert len(copies) == 1
    del far
    gc.collect()
    assert not copies[0].parent.exists()
    store.pipe("/bucket/v.vrt", b"<VRTDataset></VRTDataset>")
    with pytest.raises(FoveateError, match="is a VRT; only a local one is read"):
        open_source("memory://bucket/v.vrt")


def test_no_room_for_a_copy(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pipe("/bucket/field.tif", bytes(3 << 20))
    usage = shutil.disk_usage("/")._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(FoveateError, match=r"takes 3 MB; \S+ has 1 MB free \(TMPDIR names"):
        RemoteFile("memory://bucket/field.tif").copied()


def test_a_journal_knows_a_changed_object(store: Any, tmp_path: Path, blob_model: Path) -> None:
    import foveate

    path = write_raster(tmp_path / "field.tif", noise())
    store.pipe("/bucket/field.tif", path.read_bytes())
    detector = foveate.load(blob_model)
    done = detect_raster("memory://bucket/field.tif", detector, tmp_path / "out")
    again = detect_raster("memory://bucket/field.tif", detector, tmp_path / "out")
    assert again.found.resumed == done.found.counts.done
    store.pipe("/bucket/field.tif", write_raster(path, noise(height=200)).read_bytes())
    with pytest.raises(FoveateError, match=r"of another run: raster\.bytes was"):
        detect_raster("memory://bucket/field.tif", detector, tmp_path / "out")


def test_the_command_line(
    store: Any, foveate: Callable[..., Any], blob_model: Path, tmp_path: Path
) -> None:
    store.pipe("/bucket/a.png", picture(1))
    (tmp_path / "a.png").write_bytes(picture(1))
    for source, out in (("memory://bucket", "far"), (tmp_path / "a.png", "near")):
        assert foveate("detect", source, "--model", blob_model, "--out", out).code == 0
    for name in ("detections.json", "annotated/a.jpg"):
        assert Path("far", name).read_bytes() == Path("near", name).read_bytes()
    done = foveate("detect", "memory://bucket", "--model", blob_model, "--out", "s3://b/out")
    assert done.code == 2
    assert done.line == "results go to a local folder; s3://b/out is an address"


def test_a_web_server_without_ranges(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as served:
        Thread(target=served.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{served.server_port}"
        assert [file.name for file in find_sources(f"{address}/a.png")] == ["a.png"]
        assert [file.name for file in find_sources(f"{address}/")] == ["a.png"]
        assert open_source(f"{address}/a.png").width == 40
        with pytest.raises(FoveateError, match=r"/gone\.png does not exist"):
            find_sources(f"{address}/gone.png")
        served.shutdown()
    with pytest.raises(FoveateError, match=rf"^{address}/a\.png (cannot be read|does not exist)"):
        find_sources(f"{address}/a.png")


@pytest.mark.skipif(find_spec("adlfs") is not None, reason="the package that is to be missing")
def test_a_store_whose_package_is_missing() -> None:
    with pytest.raises(
        FoveateError, match=r"^az://b/x needs the library adlfs: pip install adlfs$"
    ):
        find_sources("az://b/x")
    with pytest.raises(FoveateError, match=r"^nope://b/x cannot be read: protocol not known: nope"):
        find_sources("nope://b/x")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError("Access Denied"), "access is refused; give the credentials"),
        (FileNotFoundError("The specified bucket does not exist"), "does not exist: there is no"),
        (ConnectionError("no route"), "cannot be read: no route"),
        (MemoryError(), "cannot be read: not enough memory"),
    ],
)
def test_what_a_store_says(
    store: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    store.pipe("/b/x.png", picture())
    monkeypatch.setattr(type(store), "info", fails)
    with pytest.raises(FoveateError, match=f"^memory://b/x.png:? {said}"):
        RemoteFile("memory://b/x.png").fetched()
    monkeypatch.setattr(type(store), "exists", fails)
    with pytest.raises(FoveateError, match=f"^memory://b/x.png:? {said}"):
        find_remote("memory://b/x.png", (".png",))
