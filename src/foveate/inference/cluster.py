"""Work shared among the workers of a Ray cluster, or of Ray on this machine.

`Cluster.ordered` sends items through Ray Data: each worker is an actor that prepares itself once,
such as by loading a model, and does item after item; what comes of them is given in the items'
order. Ray restarts a worker that dies and gives its item to another, so that nothing is lost; an
item that keeps killing workers is given up after `_MOST_TRIES`. Between the processes Ray sends
what it pickles itself; no file of pickles is read or written.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from foveate.errors import FoveateError, UsageError
from foveate.libraries import import_library, one_line

WAIT_SECONDS = 5.0
"""For an address to answer; asked twice at most."""
_MOST_TRIES = 3
_MOST_BLOCKS = 10_000
"""Parts that Ray keeps track of; of more items, several are lost and done again with a worker."""
_STORE_BYTES = 256 << 20
"""Of shared memory on this machine: results are small."""
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS_FRAME = 4


class Task(Protocol):
    """What workers do; it is sent to each of them."""

    def prepare(self, threads: int) -> Callable[[Any], Any]:
        """Get ready, once in each worker.

        Args:
            threads: Processors that the worker has.

        Returns:
            What does one item. Its result is sent back; what it raises ends the run.

        Raises:
            FoveateError: If the worker cannot do any.
        """
        ...


@dataclass(frozen=True, slots=True)
class Lost:
    """In the place of a result: every worker that had the item died.

    Attributes:
        tries: So many.
    """

    tries: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """Workers of Ray that share a run.

    Attributes:
        address: HOST:PORT of a cluster's head; without one, that of the environment variable
            RAY_ADDRESS, or else Ray is started on this machine for the run.
        workers: How many; None takes as many as there are processors for.
        threads: Processors of each, and tiles that it works on side by side. Results depend on
            neither.
    """

    address: str | None = None
    workers: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        """See that the numbers can be."""
        for name, number in (("workers", self.workers), ("threads", self.threads)):
            if number is not None and number < 1:
                raise UsageError(f"{name} must be at least 1, got {number}")

    def ordered(self, task: Task, items: Sequence[Any]) -> Iterator[Any]:
        """Do items, many at a time.

        Args:
            task: What is done.
            items: Texts, or nested lists of whole numbers, all alike.

        Yields:
            What came of each, in their order, or `Lost`.

        Raises:
            FoveateError: If Ray is not installed, does not answer, or gives up; or what a worker
                cannot do.
        """
        if not items:
            return
        with self._connected() as ray, _quiet(ray):
            yield from self._results(ray, task, items)

    def _results(self, ray: Any, task: Task, items: Sequence[Any]) -> Iterator[Any]:
        try:
            for batch in _without_warnings(self._batches(ray, task, items)):
                for outcome in batch["outcome"]:
                    if isinstance(outcome, FoveateError):
                        raise outcome
                    yield outcome
        except ray.exceptions.RayError as error:
            raise FoveateError(f"Ray gave up: {_last_line(error)}") from error

    def _batches(self, ray: Any, task: Task, items: Sequence[Any]) -> Iterator[Any]:
        """What the workers give, in the items' order, one or more at a time."""
        rows = [{"number": number, "item": item} for number, item in enumerate(items)]
        size = self._size(ray, len(rows))
        try:
            sent = ray.put(task)
        except (TypeError, AttributeError) as error:
            why = one_line(Exception(str(error).partition(":")[0]))
            raise FoveateError(
                f"the detector cannot be sent to other processes ({why}); load it from a file, or "
                "let it hold no locks, sessions or files of its own"
            ) from None
        tally = ray.remote(num_cpus=0)(_Tally).remote()
        dataset = ray.data.from_items(rows, override_num_blocks=min(len(rows), _MOST_BLOCKS))
        done = dataset.map_batches(
            _Worker,
            # Within a list: Ray keeps a restarted actor from arguments that lie in its store.
            fn_constructor_args=([sent], tally, self.threads),
            batch_size=1,
            num_cpus=self.threads,
            compute=ray.data.ActorPoolStrategy(size=size),
        )
        yield from done.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0)

    def _size(self, ray: Any, items: int) -> int:
        """How many workers are started for so many items."""
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        fitting = sum(int(cpus) // self.threads for cpus in nodes)
        if not fitting:
            raise UsageError(
                f"threads: no machine of the cluster has {self.threads} processors; the largest "
                f"has {max(map(int, nodes), default=0)}"
            )
        return max(1, min(self.workers or fitting, fitting, items))

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """Ray, as the caller connected to it already or else for this run alone."""
        # Read by Ray when it is imported: no telephone calls home, no logs between ours.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray = import_library("ray", "--ray", "'foveate[ray]'")
        import_library("ray.data", "--ray", "'foveate[ray]'")
        if ray.is_initialized():
            yield ray
            return
        # Ray tells on stdout of workers that died, whatever it is asked not to log.
        import_library("ray._private.worker", "--ray")._worker_logs_enabled = False
        address = self.address or os.environ.get("RAY_ADDRESS")
        if address is not None:
            require_answer(address)
        try:
            with warnings.catch_warnings(), _silent():
                warnings.simplefilter("ignore")
                ray.init(**self._start(address))
        except Exception as error:  # Ray raises errors of many kinds here
            what = f"reached at {address}" if address else "started on this machine"
            raise FoveateError(f"Ray cannot be {what}: {one_line(error)}") from error
        try:
            yield ray
        finally:
            ray.shutdown()

    def _start(self, address: str | None) -> dict[str, Any]:
        quiet = {"log_to_driver": False, "logging_level": logging.FATAL}
        if address is not None:
            return {"address": address, **quiet}
        cpus = max(os.cpu_count() or 1, (self.workers or 1) * self.threads)
        return {
            "address": "local",
            "num_cpus": cpus,
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
            **quiet,
        }


class _Tally:
    """Counts how often each item was begun: the one thing that outlives a worker."""

    def __init__(self) -> None:
        self._begun: dict[int, int] = {}

    def begin(self, number: int) -> int:
        """An item is begun.

        Returns:
            How often it was, this time included.
        """
        self._begun[number] = self._begun.get(number, 0) + 1
        return self._begun[number]


class _Worker:
    """One actor; what Ray Data calls with a row at a time."""

    def __init__(self, sent: list[Any], tally: Any, threads: int) -> None:
        self._sent, self._tally, self._threads = sent, tally, threads
        self._do: Callable[[Any], Any] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Do the row's item."""
        column = np.empty(1, object)
        column[0] = self._outcome(int(batch["number"][0]), batch["item"][0])
        return {"outcome": column}

    def _outcome(self, number: int, item: Any) -> Any:
        """The result; an error that is to be told as it is goes back in its place."""
        ray = import_library("ray", "a worker")
        tries = ray.get(self._tally.begin.remote(number))
        if tries > _MOST_TRIES:
            return Lost(tries - 1)
        # All that is raised goes back: Ray would try again for ever.
        try:
            if self._do is None:
                self._do = ray.get(self._sent[0]).prepare(self._threads)
        except FoveateError as error:
            return error
        except Exception as error:
            return FoveateError(
                f"a worker cannot begin: {_kind(error)}: {_last_line(error)} (every machine needs "
                "the same foveate, and what the detector needs)"
            )
        try:
            return self._do(item)
        except FoveateError as error:
            return error
        except Exception as error:
            return FoveateError(f"a worker failed: {_kind(error)}: {_last_line(error)}")


def require_answer(address: str) -> None:
    """See that something like Ray's head answers, for Ray itself may wait for ever.

    Args:
        address: HOST:PORT.

    Raises:
        UsageError: If it is no such address.
        FoveateError: If nothing answers within some seconds.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or "/" in host:
        raise UsageError(
            f"--ray: expected HOST:PORT of a cluster's head, such as 10.0.0.5:6379, got {address!r}"
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), WAIT_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") != "0":
                return
            connection.settimeout(WAIT_SECONDS)
            connection.sendall(_GREETING)
            answer = connection.recv(9)
    except (OSError, OverflowError) as error:
        why = "nothing answers" if isinstance(error, TimeoutError) else one_line(error).lower()
        raise FoveateError(
            f"no Ray cluster at {address}: {why}; 'ray status' on its head says whether it runs, "
            "and --ray without an address starts Ray on this machine"
        ) from None
    if len(answer) < 4 or answer[3] != _SETTINGS_FRAME:
        raise FoveateError(
            f"no Ray cluster at {address}: something else answers there; the port of a head is "
            "6379 unless 'ray start --head' was told another"
        )


def _without_warnings(batches: Iterable[Any]) -> Iterator[Any]:
    """The same, while nothing is told of what Ray Data thinks of its own parts."""
    coming = iter(batches)
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            batch = next(coming, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _quiet(ray: Any) -> Iterator[None]:
    """Ray Data without its bars, logs and warnings; rows in their order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = ray.data.DataContext.get_current()
    asked = {"enable_progress_bars": False, "print_on_execution_start": False}
    asked = {name: value for name, value in asked.items() if hasattr(context, name)}
    before = {name: getattr(context, name) for name in asked}
    options, level = context.execution_options, logging.getLogger("ray.data").level
    kept_order = options.preserve_order
    for name, value in asked.items():
        setattr(context, name, value)
    options.preserve_order = True
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
        options.preserve_order = kept_order
        logging.getLogger("ray.data").setLevel(level)


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing on stderr, from below Python, too: Ray announces there that it will log little."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _kind(error: Exception) -> str:
    return type(getattr(error, "cause", None) or error).__name__


def _last_line(error: BaseException) -> str:
    """What a worker's error says, without the traceback that Ray writes before it."""
    cause = getattr(error, "cause", None)
    lines = [line for line in str(cause or error).splitlines() if line.strip()]
    return one_line(Exception(lines[-1] if lines else type(error).__name__))
