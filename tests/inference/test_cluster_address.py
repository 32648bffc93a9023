"""What is said where there is no cluster; none of it starts Ray."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from foveate.cli.arguments import with_ray_address
from foveate.errors import FoveateError, UsageError
from foveate.inference import cluster
from foveate.inference.cluster import Cluster, require_answer


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address_of(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def test_nothing_listens(listening: socket.socket) -> None:
    address = address_of(listening)
    listening.close()
    with pytest.raises(
        FoveateError, match=rf"^no Ray cluster at {address}: .*refused; 'ray status'"
    ):
        require_answer(address)


def test_something_that_never_answers(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2 * cluster.WAIT_SECONDS <= 15
    monkeypatch.setattr(cluster, "WAIT_SECONDS", 0.1)
    began = time.monotonic()
    with pytest.raises(FoveateError, match="nothing answers"):
        require_answer(address_of(listening))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_something_else_answers(listening: socket.socket, answer: bytes) -> None:
    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(100)
            connection.sendall(answer)

    thread = Thread(target=serve)
    thread.start()
    with pytest.raises(FoveateError, match="something else answers there"):
        require_answer(address_of(listening))
    thread.join()


@pytest.mark.parametrize("address", ["ray://host:10001", "host", "host:port", ":6379"])
def test_no_address(address: str) -> None:
    with pytest.raises(UsageError, match="expected HOST:PORT of a cluster's head"):
        require_answer(address)


def test_numbers_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="workers must be at least 1, got 0"):
        Cluster(workers=0)
    with pytest.raises(UsageError, match="threads must be at least 1, got -1"):
        Cluster(threads=-1)


def test_without_ray(
    foveate: Callable[..., Any],
    tmp_path: Path,
    blob_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "a.png").touch()
    monkeypatch.setitem(sys.modules, "ray", None)
    done = foveate("detect", tmp_path / "a.png", "--model", blob_model, "--json", "--ray")
    assert done.code == 1
    assert done.line == "--ray needs the library ray: pip install 'foveate[ray]'"


def test_flags_that_do_not_go_together(foveate: Callable[..., Any], blob_model: Path) -> None:
    flags = ("detect", "x.png", "--model", blob_model)
    assert "--workers is for --ray" in foveate(*flags, "--workers", "2").line
    assert "leave it out with --ray" in foveate(*flags, "--ray", "--profile").line
    assert "workers must be at least 1" in foveate(*flags, "--ray", "--workers", "0").line
    done = foveate("detect", "x.mp4", "--model", blob_model, "--ray")
    assert "a video's frames need each other" in done.line


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (["--ray"], ["--ray", "here"]),
        (["--ray", "folder"], ["--ray", "here", "folder"]),
        (["--ray", "--out", "x"], ["--ray", "here", "--out", "x"]),
        (["--ray", "10.0.0.5:6379", "folder"], ["--ray", "10.0.0.5:6379", "folder"]),
        (["--ray", "head:6379"], ["--ray", "head:6379"]),
        (["folder"], ["folder"]),
    ],
)
def test_an_address_may_be_left_out(said: list[str], meant: list[str]) -> None:
    assert with_ray_address(said) == meant
