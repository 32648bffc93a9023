"""Where a run's time went: what each stage did, and how long the network had nothing to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

STAGES = ("decode", "glance", "tiles", "network", "boxes", "merge", "refine", "write")
"""In the order data flows; they run at the same time, in threads of their own."""


class Profile:
    """Collects times from every thread of a run.

    Attributes:
        wall: Seconds since it was made, until `stop`.
        busy: Seconds that each stage worked, summed over threads; of the network, the seconds in
            which it worked on at least one tile.
        refined: Boxes that a refiner judged once more.
        runs_on: What the network runs on, in words; empty where it is not known.
    """

    def __init__(self) -> None:
        self.busy = dict.fromkeys(STAGES, 0.0)
        self.refined = 0
        self.runs_on = ""
        self.wall = 0.0
        self._began = time.perf_counter()
        self._lock = Lock()
        self._at_work = 0
        self._at_work_since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens within towards a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.busy[name] += time.perf_counter() - began

    def count_refined(self, boxes: int) -> None:
        """A refiner judged so many boxes of a picture."""
        with self._lock:
            self.refined += boxes

    def network_begins(self) -> None:
        """A batch was handed to the network; others may be with it."""
        with self._lock:
            if not self._at_work:
                self._at_work_since = time.perf_counter()
            self._at_work += 1

    def network_ends(self) -> None:
        """A batch is done."""
        with self._lock:
            self._at_work -= 1
            if not self._at_work:
                self.busy["network"] += time.perf_counter() - self._at_work_since

    def stop(self) -> None:
        """The run is over."""
        self.wall = time.perf_counter() - self._began
