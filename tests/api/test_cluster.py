"""Work shared among two real workers of Ray on this machine: the same bytes, whoever dies."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import pytest
from raster_files import write_raster

import foveate as package
from foveate.errors import FoveateError
from foveate.inference.cluster import Cluster, Lost
from foveate.structures import Detections, UInt8Image

if "CI" not in os.environ:  # there, make has installed it, and its absence is a failure
    pytest.importorskip("ray")

pytestmark = pytest.mark.xdist_group("ray")

Call = Callable[..., Any]
Paint = Callable[..., UInt8Image]
TIMES = ("index.html",)
"""Files that say how long it took."""


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray on this machine with two processors, for all tests here."""
    cluster = Cluster(workers=2)
    with cluster._connected() as connected:
        # Workers cannot import this file: what is made in it goes to them whole.
        import_module("ray.cloudpickle").register_pickle_by_value(sys.modules[__name__])
        yield connected


@pytest.fixture
def pictures(tmp_path: Path, paint_blobs: Paint) -> Path:
    """A folder of five pictures and one that is none, between them."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(5):
        centres = [(20 + 30 * n, 20 + 25 * number) for n in range(number, 5)]
        image = paint_blobs(200, 150, centres, (0,))
        cv2.imwrite(str(folder / f"p{number}.png"), image[..., ::-1])
    (folder / "p2b.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def server(pictures: Path) -> Iterator[str]:
    """The address of the same folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(pictures))) as served:
        Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def said_by(done: Any) -> list[str]:
    """What a run wrote to stderr, without lines of progress, which a slow machine shows more of."""
    return [line for line in done.err.splitlines() if not re.match(r"\w+: \d+ of ", line)]


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in TIMES
    }


def test_pictures_give_the_same_files(
    ray: Any, foveate: Call, pictures: Path, server: str, blob_model: Path
) -> None:
    flags = ("--model", blob_model, "--crops", "--formats", "csv", "--json", "--out")
    # Addresses are looked up before anything is done.
    done = foveate("detect", pictures, f"{server}/gone.png", *flags, "none")
    assert done.code == 1
    assert done.line == f"{server}/gone.png does not exist: there is no such bucket, folder or file"
    command = ("detect", pictures, f"{server}/p4.png", *flags)
    alone, shared = foveate(*command, "alone"), foveate(*command, "shared", "--ray")
    assert (alone.code, shared.code) == (1, 1)
    assert said_by(shared) == said_by(alone)
    assert "p2b.png is not a picture" in shared.err
    said = [json.loads(one.out) for one in (alone, shared)]
    for summary in said:
        for part in (summary["totals"], *summary["images"]):
            part.pop("seconds")
    assert said[0] == said[1]
    assert len(said[1]["images"]) == 6
    written = files_of(Path("shared"))
    assert written == files_of(Path("alone"))
    assert len([name for name in written if name.startswith("annotated/")]) == 6
    assert len([name for name in written if name.startswith("crops/")]) > 10
    page = Path("shared/index.html").read_text()
    assert page.count("<figure") == Path("alone/index.html").read_text().count("<figure")


@dataclass(frozen=True)
class Deadly:
    """Items that kill their worker: 3 once, 5 always."""

    marker: str

    def prepare(self, threads: int) -> Callable[[int], int]:
        assert threads == 1
        return self.do

    def do(self, item: int) -> int:
        first = item == 3 and not Path(self.marker).exists()
        if first:
            Path(self.marker).touch()
        if first or item == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return 10 * item


def test_a_killed_worker_loses_nothing(
    ray: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    task = Deadly(str(tmp_path / "killed"))
    got = list(Cluster().ordered(task, list(range(8))))
    assert Path(task.marker).exists()
    assert got == [0, 10, 20, 30, 40, Lost(3), 60, 70]
    assert capfd.readouterr() == ("", "")


@dataclass(frozen=True)
class Fading:
    """Finds nothing, and kills its worker at the first tile of all."""

    marker: str

    def __call__(self, images: Sequence[UInt8Image]) -> list[Detections]:
        if not Path(self.marker).exists():
            Path(self.marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return [Detections.empty() for _ in images]


def test_python_any_callable_and_an_early_end(ray: Any, tmp_path: Path, pictures: Path) -> None:
    marker = tmp_path / "killed"
    failures: list[package.api.Failure] = []
    results = package.detect_all(
        pictures, Fading(str(marker)), failures.append, cluster=package.Cluster(workers=2)
    )
    names = [next(results).name for _ in range(4)]
    results.close()  # type: ignore[attr-defined]
    assert marker.exists()
    assert names == ["p0.png", "p1.png", "p2.png", "p3.png"]
    assert [str(failure.path.name) for failure in failures] == ["p2b.png"]


def test_what_cannot_be_sent(ray: Any, pictures: Path) -> None:
    import threading

    lock = threading.Lock()

    def locked(images: Sequence[UInt8Image]) -> list[Detections]:
        with lock:
            return [Detections.empty() for _ in images]

    with pytest.raises(FoveateError, match="the detector cannot be sent to other processes"):
        next(package.detect_all(pictures, locked, cluster=Cluster()))
    with pytest.raises(FoveateError, match="threads: no machine of the cluster has 99 processors"):
        next(package.detect_all(pictures, locked, cluster=Cluster(threads=99)))


def test_a_raster_killed_midway_goes_on_to_the_same(
    ray: Any, foveate: Call, tmp_path: Path, paint_blobs: Paint, blob_model: Path
) -> None:
    """Alone; begun with workers, whose driver is killed; gone on with by workers."""
    rng = np.random.default_rng(3)
    places = zip(rng.integers(3, 1497, 900), rng.integers(3, 1197, 900), strict=True)
    values = np.maximum(paint_blobs(1500, 1200, list(places)), 1).transpose(2, 0, 1)
    blocks = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    path = write_raster(tmp_path / "field.tif", values, photometric="rgb", **blocks)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = b"\xff" * 300
    path.write_bytes(data)
    command = ["detect", str(path), "--model", str(blob_model), "--resume"]
    alone = foveate(*command, "--out", "alone")
    assert alone.code == 1
    assert "could not be read" in alone.err
    address = ray.get_runtime_context().gcs_address
    process = subprocess.Popen(
        [sys.executable, "-m", "foveate", *command, "--out", "shared", "--ray", address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline, grown = time.monotonic() + 120, Path("shared/found.jsonl")
    while process.poll() is None and time.monotonic() < deadline:
        if grown.exists() and grown.stat().st_size:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    assert process.wait() == -signal.SIGKILL
    assert not Path("shared/detections.json").exists()
    shared = foveate(*command, "--out", "shared", "--ray")
    assert said_by(shared) == [line.replace("in alone", "in shared") for line in said_by(alone)]
    kept = files_of(Path("shared"))
    assert kept.pop("journal")
    assert kept.keys() >= {"found.jsonl", "detections.json", "geo/field.geojson"}
    before = files_of(Path("alone"))
    assert {name: before[name] for name in kept if name != "geo/field.gpkg"} == {
        name: content for name, content in kept.items() if name != "geo/field.gpkg"
    }


def test_a_worker_with_another_foveate_says_so() -> None:
    cluster_module = import_module("foveate.api.cluster")
    settings = cluster_module._Settings("0.0", cluster_module.shipped(len), {})
    with pytest.raises(FoveateError, match=r"a worker has foveate .*, and this is 0\.0: install"):
        settings.unpacked(1)
