"""Checkpoints: safetensors and nothing else; weights, their average, and the optimiser's state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from foveate.config import write_atomically
from foveate.errors import FoveateError

CHECKPOINT = "checkpoint.safetensors"
OPTIMISER = "optimiser"


def save_checkpoint(
    path: Path,
    model: nn.Module,
    average: nn.Module,
    optimisers: Mapping[str, torch.optim.Optimizer],
    facts: dict[str, str],
) -> None:
    """Write everything needed to go on exactly where this step ended, atomically.

    Args:
        path: The file.
        model: Weights under ``model.``.
        average: Their moving average, under ``average.``.
        optimisers: By the prefix that each one's state goes under, as ``PREFIX.INDEX.NAME``.
        facts: Strings for the header: iteration, method, recipe hash.
    """
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for prefix, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"{prefix}.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        write_atomically(path, save(whole, metadata=facts))
    except OSError as error:
        raise FoveateError(f"{path}: cannot save a checkpoint ({error.strerror}); "
                           "the last one is intact") from None  # fmt: skip


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the header's facts.

    Raises:
        FoveateError: If it is missing or no such file.
    """
    if not path.is_file():
        raise FoveateError(f"{path}: no checkpoint here; train first, or name another run folder")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise FoveateError(f"{path}: not a checkpoint ({error})") from None


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries under ``prefix.``, without it."""
    cut = len(prefix) + 1
    return {name[cut:]: value for name, value in tensors.items() if name.startswith(f"{prefix}.")}


def restore_optimiser(
    optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], prefix: str = OPTIMISER
) -> None:
    """Put back the state that `save_checkpoint` wrote under `prefix`."""
    parameters = [one for group in optimiser.param_groups for one in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in part(tensors, prefix).items():
        index, _, key = name.partition(".")
        if value.shape == parameters[int(index)].shape:
            # In the order of the parameter's own memory, which a fused optimiser goes by.
            value = torch.empty_like(parameters[int(index)], dtype=value.dtype).copy_(value)
        state.setdefault(int(index), {})[key] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
