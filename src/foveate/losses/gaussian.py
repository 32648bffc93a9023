"""Tiny-aware label assignment: every object is a Gaussian on the map, however small it is.

IoU-based assignment gives an object of a few pixels no cell at all, or one by luck. Here, as in
NWD (Wang 2021, arXiv:2110.13389) and RFLA (Xu 2022, arXiv:2208.08738), object and cell are both
Gaussians, and a cell belongs to an object by how likely it is under it; a floor of a fraction of a
cell keeps the tiniest ones learnable.

Shapes: G = objects, H, W = cells of the map, C = classes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Assignment(NamedTuple):
    """What each cell of one tile's map is taught.

    Attributes:
        heat: ``(C, H, W)`` in ``[0, 1]``; exactly 1 at the cell of each object's centre.
        heat_weight: ``(H, W)``: 0 in ignored places, otherwise 1.
        owner: ``(H, W)`` int64: the object whose box the cell regresses; any where weight is 0.
        box_weight: ``(H, W)`` in ``[0, 1]``: how much the cell's box counts.
    """

    heat: Tensor
    heat_weight: Tensor
    owner: Tensor
    box_weight: Tensor


def assign_gaussian(
    boxes: Tensor,
    labels: Tensor,
    ignore: Tensor,
    shape: tuple[int, int],
    class_count: int,
    stride: int,
    *,
    heat_spread: float = 0.1,
    box_spread: float = 0.15,
    floor: float = 0.3,
    core: float = 0.3,
) -> Assignment:
    """Assign objects to the cells of a map.

    Args:
        boxes: ``(G, 4)`` xyxy network pixels.
        labels: ``(G,)`` int64.
        ignore: ``(M, 4)`` xyxy network pixels.
        shape: ``(H, W)`` cells.
        class_count: C.
        stride: Network pixels of a cell.
        heat_spread: Deviation of the class target, as a share of the box's sides.
        box_spread: Deviation of the box weight, likewise; wider, so that several cells learn it.
        floor: Least deviation, in cells.
        core: Cells under this share of the box Gaussian's peak do not learn the box.
    """
    height, width = shape
    device = boxes.device
    weight = _outside(ignore, height, width, stride)
    if not len(boxes):
        zeros = torch.zeros(height, width, device=device)
        heat = torch.zeros(class_count, height, width, device=device)
        return Assignment(heat, weight, zeros.long(), zeros)
    centre = (boxes[:, :2] + boxes[:, 2:]) / (2 * stride)  # cells
    size = (boxes[:, 2:] - boxes[:, :2]) / stride
    limit = torch.tensor([width, height], device=device)
    cell = torch.minimum(centre.floor().clamp(min=0), limit - 1)  # (G, 2)
    heats = _gaussians(cell + 0.5, heat_spread * size, floor, shape)  # (G, H, W)
    heat = torch.zeros(class_count, height, width, device=device)
    heat = heat.scatter_reduce(0, labels[:, None, None].expand_as(heats), heats, "amax")
    heat[labels, cell[:, 1].long(), cell[:, 0].long()] = 1.0
    likelihood = _gaussians(centre, box_spread * size, floor, shape)
    box_weight, owner = likelihood.max(dim=0)
    # The centre cell always learns its own box, even next to a larger neighbour.
    owner[cell[:, 1].long(), cell[:, 0].long()] = torch.arange(len(boxes), device=device)
    box_weight = torch.where(box_weight >= core, box_weight, 0.0)
    box_weight[cell[:, 1].long(), cell[:, 0].long()] = 1.0
    weight = torch.maximum(weight, (heat.amax(dim=0) == 1).float())
    return Assignment(heat, weight, owner, box_weight)


def _gaussians(centre: Tensor, deviation: Tensor, floor: float, shape: tuple[int, int]) -> Tensor:
    """Unnormalised Gaussians, ``(G, H, W)``, as outer products of two ``(G, cells)`` profiles."""
    variance = deviation.square() + floor**2
    profiles = []
    for axis, length in ((0, shape[1]), (1, shape[0])):
        place = torch.arange(length, device=centre.device) + 0.5
        distance = (place[None] - centre[:, axis : axis + 1]).square()
        profiles.append(torch.exp(-distance / (2 * variance[:, axis : axis + 1])))
    return profiles[1][:, :, None] * profiles[0][:, None, :]


def _outside(regions: Tensor, height: int, width: int, stride: int) -> Tensor:
    """1 where a cell's centre lies in none of the regions, ``(H, W)``."""
    if not len(regions):
        return torch.ones(height, width, device=regions.device)
    x = (torch.arange(width, device=regions.device) + 0.5) * stride
    y = (torch.arange(height, device=regions.device) + 0.5) * stride
    in_x = ((x[None] >= regions[:, :1]) & (x[None] <= regions[:, 2:3])).float()
    in_y = ((y[None] >= regions[:, 1:2]) & (y[None] <= regions[:, 3:])).float()
    return (torch.einsum("my,mx->yx", in_y, in_x) == 0).float()
