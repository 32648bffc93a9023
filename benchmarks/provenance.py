"""Where a benchmark's figures come from: date, machine, versions, seed."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("foveate", "numpy", "onnxruntime", "opencv-python-headless", "hotcoco", "torch")


def provenance(seed: int, packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Facts to write into every result.

    Args:
        seed: What the run's random numbers started from.
        packages: Distributions whose versions matter; those not installed are left out.

    Returns:
        ``date``, ``cpu``, ``cores``, ``memory_gb``, ``system``, ``python``, ``versions``, ``seed``.
    """
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": versions(packages),
        "seed": seed,
    }


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Installed versions of those that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def cpu_model() -> str:
    """The processor's name, as Linux gives it; otherwise the architecture."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
