"""Several processes that learn as one: each draws its share of every batch, the first one speaks.

The loss is that of the whole batch in every process: the raw outputs and the targets of the others
are gathered, and gradients flow back into a process's own outputs only. Their sum over processes is
then the gradient of one process, whatever a method divides its loss by. Parameters that the loss
itself uses have the whole gradient in every process, of which each takes its share. What remains
different is batch norm, whose statistics in training are those of a process's own tiles.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, distributed, nn
from torch.nn import functional

from foveate.errors import FoveateError, UsageError
from foveate.models import Targets

T = TypeVar("T")

_PATIENCE = timedelta(days=1)
"""The others wait while the first process validates."""
_COLUMNS = 7
"""Of a packed box: tile, whether ignored, label, x1, y1, x2, y2."""


def make_fabric(devices: int, precision: Literal["32-true", "bf16-mixed", "16-mixed"]) -> Fabric:
    """One process, or several of this machine, not yet started.

    Args:
        devices: GPUs, or processes where there is none.
        precision: As Lightning names it.

    Raises:
        UsageError: If there are fewer GPUs.
    """
    gpus = torch.cuda.device_count()
    if 0 < gpus < devices:
        raise UsageError(f"devices: {devices} are asked for and this machine has {gpus}")
    strategy = DDPStrategy(timeout=_PATIENCE) if devices > 1 else "auto"
    return Fabric(accelerator="auto", devices=devices, strategy=strategy, precision=precision)


def is_first(devices: int) -> bool:
    """Whether this process is the one that writes and speaks; known before the others start."""
    return devices == 1 or os.environ.get("LOCAL_RANK", "0") == "0"


@contextmanager
def one_voice(devices: int) -> Iterator[None]:
    """Let only the first process go on after this block, or say why it failed.

    Raises:
        SystemExit: In all the others, when they are done.
    """
    first = is_first(devices)
    try:
        yield
    except (FoveateError, KeyboardInterrupt):
        if not first:
            raise SystemExit(0) from None
        raise
    except RuntimeError as error:
        # The first process is gone, and says why itself.
        if not first and "onnection" in str(error):
            raise SystemExit(0) from None
        raise
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
    if not first:
        raise SystemExit(0)


def agreed(batches: Iterator[T], fabric: Fabric) -> Iterator[T]:
    """The same batches; where drawing one fails in any process, it fails in all.

    Raises:
        FoveateError: What the first of them says that failed.
    """
    while True:
        batch, said = None, None
        try:
            batch = next(batches, None)
        except FoveateError as error:
            said = str(error)
        if fabric.world_size > 1:
            failed = fabric.all_reduce(torch.tensor(float(said is not None)), reduce_op="max")
            if failed:
                heard: list[str | None] = [None] * fabric.world_size
                distributed.all_gather_object(heard, said)
                said = next(one for one in heard if one is not None)
        if said is not None:
            raise FoveateError(said)
        if batch is None:
            return
        yield batch


def whole_batch(outputs: Any, targets: list[Targets], fabric: Fabric) -> tuple[Any, list[Targets]]:
    """Outputs and targets of the tiles of all processes, in their order.

    Args:
        outputs: Of this process: tensors ``(N, ...)`` in named tuples, tuples or lists. What has no
            gradient is the same for every tile and is kept.
        targets: Of this process, as many tiles as every other has.
        fabric: After its processes have started.
    """
    if fabric.world_size == 1:
        return outputs, targets
    return _gather_outputs(outputs, fabric), _gather_targets(targets, fabric)


def share_gradients(parameters: Sequence[nn.Parameter], fabric: Fabric) -> None:
    """Let each process take its share of gradients that every process has whole.

    Args:
        parameters: Those that the loss itself uses.
        fabric: After its processes have started.
    """
    if fabric.world_size == 1:
        return
    for parameter in parameters:
        parameter.register_hook(lambda gradient: gradient / fabric.world_size)  # type: ignore[no-untyped-call]


def _gather_outputs(value: Any, fabric: Fabric) -> Any:
    if isinstance(value, Tensor) and value.requires_grad:
        parts = list(fabric.all_gather(value.detach().contiguous()))
        parts[fabric.global_rank] = value
        return torch.cat(parts)
    if isinstance(value, tuple | list):
        items = [_gather_outputs(item, fabric) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _gather_targets(targets: list[Targets], fabric: Fabric) -> list[Targets]:
    own = pack_targets(targets)
    counts = torch.as_tensor(fabric.all_gather(torch.tensor(len(own), device=own.device))).tolist()
    padded = functional.pad(own, (0, 0, 0, max(1, *counts) - len(own)))
    tables = fabric.all_gather(padded)  # (processes, most, columns)
    return [
        tile
        for table, count in zip(tables, counts, strict=True)
        for tile in unpack_targets(table[:count], len(targets))
    ]


def pack_targets(targets: Sequence[Targets]) -> Tensor:
    """All boxes of some tiles as one table, ``(B, 7)`` float64, which holds every label exactly."""
    tables = [torch.zeros(0, _COLUMNS, dtype=torch.float64, device=targets[0].boxes.device)]
    for tile, one in enumerate(targets):
        for ignored, boxes in enumerate((one.boxes, one.ignore)):
            table = tables[0].new_zeros(len(boxes), _COLUMNS)
            table[:, 0], table[:, 1], table[:, 3:] = tile, ignored, boxes
            if not ignored:
                table[:, 2] = one.labels
            tables.append(table)
    return torch.cat(tables)


def unpack_targets(table: Tensor, tiles: int) -> list[Targets]:
    """What `pack_targets` was given."""
    found = []
    for tile in range(tiles):
        rows = table[table[:, 0] == tile]
        taught, ignored = rows[rows[:, 1] == 0], rows[rows[:, 1] == 1]
        found.append(Targets(taught[:, 3:].float(), taught[:, 2].long(), ignored[:, 3:].float()))
    return found
