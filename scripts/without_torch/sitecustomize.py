"""With this folder on PYTHONPATH, no Python can import torch or what is built on it.

`scripts/test` runs the runtime's tests so: whatever they start, child processes included, fails
if the runtime reaches for torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

TORCH_HALF = {"lightning_fabric", "onnxscript", "safetensors", "timm", "torch", "torchvision"}


class TorchIsAway(MetaPathFinder):
    """Answers for the modules of `TORCH_HALF` as if they were not installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuse the modules of the torch half; leave all others to the usual finders."""
        if name.partition(".")[0] in TORCH_HALF:
            raise ModuleNotFoundError(
                f"No module named {name!r} (kept away by scripts/test)", name=name
            )
        return None


sys.meta_path.insert(0, TorchIsAway())
