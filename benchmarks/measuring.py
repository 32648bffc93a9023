"""Time one function, and the memory it takes beyond what was there before."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Any

STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")
ENOUGH_SECONDS = 20
"""A run that takes longer is not repeated."""


def measure(run: Callable[[], Sized], runs: int) -> dict[str, Any]:
    """Median time of several runs, and the peak memory of the first. Linux only.

    Args:
        run: What to time. Call it once on little data beforehand, so that imports and caches are
            not counted.
        runs: How often.

    Returns:
        ``seconds`` and ``cpu_seconds`` (medians), ``megabytes`` (peak resident memory above that
        at the start), ``runs`` and ``results`` (length of what came back).
    """
    REFERENCES.write_text("5")  # the peak counts from now on
    before = resident("VmRSS")
    seconds, cpu_seconds, found = timed(run)
    megabytes = (resident("VmHWM") - before) / 1e6
    times, cpu_times = [seconds], [cpu_seconds]
    while len(times) < runs and max(times) < ENOUGH_SECONDS:
        seconds, cpu_seconds, _ = timed(run)
        times.append(seconds)
        cpu_times.append(cpu_seconds)
    return {
        "seconds": round(statistics.median(times), 5),
        "cpu_seconds": round(statistics.median(cpu_times), 5),
        "megabytes": round(max(megabytes, 0), 1),
        "runs": len(times),
        "results": found,
    }


def timed(run: Callable[[], Sized]) -> tuple[float, float, int]:
    """Seconds and processor seconds of one run, and the length of its result."""
    start, cpu_start = time.perf_counter(), time.process_time()
    found = run()
    return time.perf_counter() - start, time.process_time() - cpu_start, len(found)


def resident(key: str, process: int | None = None) -> int:
    """A line of a process's status, this one's if none is named, in bytes."""
    status = STATUS if process is None else Path(f"/proc/{process}/status")
    for line in status.read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)
