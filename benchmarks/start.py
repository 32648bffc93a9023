"""How soon foveate answers: start, one cold detection in a 1080p picture, installed size.

    python benchmarks/start.py --peer-python PEERS/bin/python --peer-model nuclei-yolo11n.pt

installs foveate from this checkout into an environment of its own, as a newcomer would, times
whole processes there (median of several, after one that is not counted), the peer's in turn with
foveate's, and writes ``benchmarks/results/start.json``. Without the two ``--peer`` options only
foveate is measured. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from provenance import provenance

ROOT = Path(__file__).resolve().parent.parent
MODEL, TILE, OVERLAP, SEED = "nuclei", 640, 0.2, 0

RENDER = """
import sys, cv2
from foveate.data.pitch import render_still
frame, _ = render_still(int(sys.argv[2]))
small = cv2.resize(frame, (1920, 1080), interpolation=cv2.INTER_AREA)
cv2.imwrite(sys.argv[1], small[:, :, ::-1])
"""

INSTALLED_SIZE = """
import json, re, sys
from importlib.metadata import PackageNotFoundError, distribution
from packaging.requirements import Requirement
todo, visited, versions, size = [Requirement(name) for name in sys.argv[1:]], set(), {}, 0
while todo:
    wanted = todo.pop()
    name = re.sub(r"[-_.]+", "-", wanted.name).lower()
    try:
        found = distribution(name)
    except PackageNotFoundError:
        continue
    if name not in versions:
        paths = {file.locate().resolve() for file in found.files or []}
        size += sum(path.stat().st_size for path in paths if path.is_file())
    versions[name] = found.version
    for extra in ({""} | wanted.extras) - {e for n, e in visited if n == name}:
        visited.add((name, extra))
        for needed in map(Requirement, found.requires or []):
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                todo.append(needed)
print(json.dumps({"bytes": size, "packages": versions}))
"""


def main() -> None:
    """Measure, and write the JSON."""
    args = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        python, install_seconds = install(work / "environment")
        picture = work / "picture.png"
        run([str(python), "-c", RENDER, str(picture), str(SEED)])
        commands = foveate_commands(python, picture, work)
        install_rows = [{"system": "foveate", "seconds": install_seconds}]
        install_rows[0] |= {"bytes": installed_size(python, ["foveate"])["bytes"]}
        if args.peer_python:
            peer = installed_size(args.peer_python, ["sahi", "ultralytics"])
            name = f"SAHI {peer['packages']['sahi']} + YOLO11n"
            install_rows.append({"system": name, "seconds": None, "bytes": peer["bytes"]})
            commands[name, "detect"] = peer_command(args, picture, work)
        rows = time_in_turn(commands, args.runs)
    report = {
        "provenance": provenance(SEED, args.peer_python),
        "picture": "one rendered pitch still, resized to 1920x1080",
        "tile": TILE,
        "overlap": OVERLAP,
        "runs": args.runs,
        "rows": rows,
        "install": install_rows,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps({"rows": rows, "install": install_rows}, indent=2))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer-python", type=Path, help="interpreter of the peers' environment")
    parser.add_argument("--peer-model", type=Path, help="the peer's YOLO11n weights, a .pt file")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/start.json")
    args = parser.parse_args()
    if bool(args.peer_python) != bool(args.peer_model):
        parser.error("--peer-python and --peer-model go together")
    return args


def install(environment: Path) -> tuple[Path, float]:
    """Install this checkout, without torch, into a new environment.

    Returns:
        Its interpreter, and the seconds that pip took, downloads included.
    """
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    return python, round(run([*pip, str(ROOT)]), 1)


def foveate_commands(
    python: Path, picture: Path, work: Path
) -> dict[tuple[str, str], Sequence[str]]:
    """The commands to time, by system and by what they do."""
    command = str(python.parent / "foveate")
    detect = [command, "detect", str(picture), "--model", MODEL, "--out", str(work / "ours")]
    detect += ["--tile", str(TILE), "--overlap", str(OVERLAP), "--scale", "1"]
    return {
        ("Python itself", "start"): [str(python), "-c", "pass"],
        ("foveate", "import"): [str(python), "-c", "import foveate"],
        ("foveate", "help"): [command, "--help"],
        ("foveate", "detect"): detect,
    }


def peer_command(args: argparse.Namespace, picture: Path, work: Path) -> Sequence[str]:
    """The peer's detection in the same picture, with the same tiles."""
    script = str(ROOT / "benchmarks/peers/detect_one.py")
    model = str(args.peer_model.resolve())
    geometry = ["--tile", str(TILE), "--overlap", str(OVERLAP)]
    return [str(args.peer_python), script, str(picture), model, str(work / "peer"), *geometry]


def installed_size(python: Path, packages: Sequence[str]) -> dict[str, Any]:
    """Bytes on disk of these packages and all that they require, as an interpreter has them."""
    done = subprocess.run(
        [str(python), "-c", INSTALLED_SIZE, *packages], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def time_in_turn(commands: dict[tuple[str, str], Sequence[str]], runs: int) -> list[dict[str, Any]]:
    """Time every command once a round, so that a drift of the machine meets all alike."""
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in commands}
    for counted in [False] + [True] * runs:
        for key, command in commands.items():
            took = run(command)
            if counted:
                seconds[key].append(round(took, 3))
    return [
        {"system": system, "what": what, "seconds": statistics.median(taken), "runs": taken}
        for (system, what), taken in seconds.items()
    ]


def run(command: Sequence[str]) -> float:
    """Seconds that a command took as a process of its own; its output only if it fails."""
    started = time.perf_counter()
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    took = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return took


if __name__ == "__main__":
    main()
