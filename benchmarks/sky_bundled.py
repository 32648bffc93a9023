"""The bundled `sky-motion` beside `sky`, on held-out clips in visible light.

    python scripts/sky_data.py data/sky-clips --before 3 --every 16 16 --moving
    python benchmarks/sky_bundled.py data/sky-clips/sky-visible-{val,moving}.json

Runs ``foveate compare`` on each label file, `val` of fixed cameras and `moving` of others, and
writes ``benchmarks/results/sky-bundled.json``. Intervals draw whole clips.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from provenance import provenance

from foveate.config import write_atomically

RESULT = Path(__file__).resolve().parent / "results" / "sky-bundled.json"
MODELS = ("sky", "sky-motion")
SEED = 0


def compared(labels: Path) -> dict[str, Any]:
    """What ``foveate compare`` says of the two models."""
    command = [sys.executable, "-m", "foveate", "compare", *MODELS, str(labels), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def main() -> None:
    """Compare, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("labels", type=Path, nargs="+")
    asked = parser.parse_args()
    rows = {labels.stem: compared(labels) for labels in asked.labels}
    report = {"clips": rows, "provenance": provenance(SEED)}
    write_atomically(RESULT, (json.dumps(report, indent=1) + "\n").encode())
    for name, told in rows.items():
        print(name, told["verdict"])


if __name__ == "__main__":
    main()
