"""Where a benchmark's figures come from: date, machine, versions, seed."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("foveate", "numpy", "onnxruntime", "opencv-python-headless", "hotcoco", "torch")

PEERS = (
    "sahi", "supervision", "ultralytics", "torch", "torchvision", "transformers", "rfdetr", "yolox",
    "onnx", "onnxruntime", "numpy", "shapely", "numba", "fiftyone", "pycocotools",
    "faster-coco-eval",
)  # fmt: skip


def provenance(seed: int, peer_python: Path | None = None) -> dict[str, Any]:
    """Facts to write into every result.

    Args:
        seed: What the run's random numbers started from.
        peer_python: Of the peers' environment, if they ran.

    Returns:
        ``date``, ``command``, ``cpu``, ``cores``, ``memory_gb``, ``system``, ``python``,
        ``versions``, ``peers`` (versions in their environment), ``seed``.
    """
    return {
        "command": command_line(sys.argv),
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": versions(PACKAGES),
        "peers": peer_versions(peer_python),
        "seed": seed,
    }


def command_line(arguments: Sequence[str]) -> str:
    """The command as one would type it; of paths only the last part, for folders differ."""
    script, *rest = arguments
    shown = [Path(part).name if part.startswith(("/", "..")) else part for part in rest]
    return " ".join(["python", f"benchmarks/{Path(script).name}", *shown])


def peer_versions(python: Path | None) -> dict[str, str]:
    """Versions of the peers that are installed beside another Python."""
    if python is None:
        return {}
    done = subprocess.run([python, __file__], check=True, capture_output=True, text=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


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


if __name__ == "__main__":
    print(json.dumps(versions(PEERS)))
