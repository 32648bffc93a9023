"""center-point: one-stage, anchor-free, one stride-4 map; made for objects of a few pixels.

Idea: Zhou 2019, "Objects as Points" (arXiv:1904.07850): an object is a peak of a heat map. Boxes
are regressed as four distances from the cells in the Gaussian's core, weighted by it (Liu 2019,
"Training-Time-Friendly Network", arXiv:1909.00700). What is ours [D]: the pyramid read at stride 4
only, the variance floor of the assignment (see `losses.gaussian`), and a quality output, the
expected IoU of a cell's box (Wu 2019, IoU-aware detection, arXiv:1912.05992), which is multiplied
into the score so that the best of several boxes of one object, from several tiles, wins.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from foveate.config import Config
from foveate.losses import assign_gaussian, gaussian_focal_loss, paired_iou_and_giou
from foveate.models.backbones import Backbone, BackboneConfig
from foveate.models.method import Decoded, Method, Targets
from foveate.models.pixels import Exposure, Pixels
from foveate.models.pyramid import TopDown, conv_block, separable_block


class CenterPointConfig(Config):
    """Settings of `CenterPoint`.

    Attributes:
        name: The row of `METHODS`.
        backbone: Its finest stride is the stride of the map.
        exposure: See `Pixels`.
        width: Channels of the pyramid.
        head_width: Channels of the two head branches.
        separable: Depthwise-separable convolutions at stride 4, where most of the time goes.
        extra_levels: Coarser levels on top of the backbone's, for context.
        max_detections: Most boxes one tile can give.
        quality_power: Share of the expected IoU in the score: heat^(1-q) * quality^q.
        heat_spread: Deviation of the class target, share of the box's sides.
        box_spread: Deviation of the box weight, share of the box's sides.
        heat_weight: Weight of the class loss.
        box_weight: Weight of the box loss.
        quality_weight: Weight of the quality loss.
        gamma: Focus of the class loss on hard cells (CornerNet: 2 [M]); 0 is the control.
        balance_classes: The class loss of each class counts the same, however few its objects.
        prior: Probability of an object that an untrained cell gives (Lin 2017,
            "Focal Loss": .01 [S]).
    """

    name: Literal["center-point"] = "center-point"
    backbone: BackboneConfig = BackboneConfig()
    exposure: Exposure = "fixed"
    width: int = Field(default=96, ge=8)
    head_width: int = Field(default=64, ge=8)
    separable: bool = False
    extra_levels: int = Field(default=1, ge=0, le=3)
    max_detections: int = Field(default=300, ge=1)
    quality_power: float = Field(default=0.4, ge=0, le=1)
    heat_spread: float = Field(default=0.1, gt=0)
    box_spread: float = Field(default=0.15, gt=0)
    heat_weight: float = Field(default=1.0, gt=0)
    box_weight: float = Field(default=2.0, gt=0)
    quality_weight: float = Field(default=0.5, gt=0)
    gamma: float = Field(default=2.0, ge=0)
    balance_classes: bool = False
    prior: float = Field(default=0.01, gt=0, lt=1)


class Maps(NamedTuple):
    """Raw outputs. h, w = cells; C = classes.

    Attributes:
        heat: ``(N, C, h, w)`` logits.
        distances: ``(N, 4, h, w)`` network pixels from a cell's centre to left, top, right, bottom.
        quality: ``(N, 1, h, w)`` logits of the expected IoU.
    """

    heat: Tensor
    distances: Tensor
    quality: Tensor


class CenterPoint(Method):
    """Heat map of centres, boxes as distances, expected IoU; see the module's docstring."""

    def __init__(self, config: CenterPointConfig, class_count: int, channels: int = 3) -> None:
        super().__init__()
        self.config = config
        self.class_count = class_count
        self.backbone = Backbone(config.backbone, channels)
        self.neck = TopDown(
            self.backbone.channels, config.width, config.extra_levels, separable=config.separable
        )
        self.classify = _branch(config, class_count)
        self.regress = _branch(config, 5)
        self.stride = self.backbone.strides[0]
        self.strides = (self.stride,)
        self.size_multiple = self.backbone.strides[-1] * 2**config.extra_levels
        self.candidates = self.max_detections = config.max_detections
        self.mean, self.std = self.backbone.mean, self.backbone.std
        self.pixels = Pixels(self.mean, self.std, config.exposure)
        output: nn.Conv2d = self.classify[-1]  # type: ignore[assignment]
        nn.init.constant_(output.bias, -math.log((1 - config.prior) / config.prior))  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Maps:
        """Raw maps of ``(N, H, W, channels)`` uint8 images."""
        features = self.neck(self.backbone(self.pixels(images)))
        regressed = self.regress(features).float()
        # exp makes an error of ten per cent cost the same for any size; one unit is two cells.
        distances = torch.exp(regressed[:, :4].clamp(-6, 6)) * (2 * self.stride)
        return Maps(self.classify(features).float(), distances, regressed[:, 4:])

    def decode(self, outputs: Maps) -> Decoded:
        """Peaks of the score map as boxes, best K first."""
        power = self.config.quality_power
        quality = outputs.quality.sigmoid()
        scores = outputs.heat.sigmoid().pow(1 - power) * quality.pow(power)  # (N, C, h, w)
        peaks = functional.max_pool2d(scores, 3, stride=1, padding=1) == scores
        flat = (scores * peaks.to(scores.dtype)).permute(0, 2, 3, 1).flatten(1)  # (N, h*w*C)
        boxes = self._boxes(outputs.distances).flatten(2).transpose(1, 2)  # (N, h*w, 4)
        # K empty rows, so that a map with fewer cells than K still has K to choose from.
        flat = functional.pad(flat, (0, self.max_detections))
        boxes = functional.pad(boxes, (0, 0, 0, self.max_detections))
        best, index = flat.topk(self.max_detections, dim=1)  # (N, K)
        cell, labels = index // self.class_count, index % self.class_count
        return Decoded(boxes.gather(1, cell[..., None].expand(-1, -1, 4)), best, labels)

    def loss(self, outputs: Maps, targets: list[Targets]) -> dict[str, Tensor]:
        """Heat, box and quality loss, per object of the batch."""
        config, shape = self.config, (outputs.heat.shape[2], outputs.heat.shape[3])
        parts = [
            assign_gaussian(
                t.boxes, t.labels, t.ignore, shape, self.class_count, self.stride,
                heat_spread=config.heat_spread, box_spread=config.box_spread,
            )
            for t in targets
        ]  # fmt: skip
        heat = torch.stack([part.heat for part in parts])
        heat_weight = torch.stack([part.heat_weight for part in parts])[:, None]
        box_weight = torch.stack([part.box_weight for part in parts])  # (N, h, w)
        wanted = torch.stack(
            [
                t.boxes[p.owner] if len(t.boxes) else p.owner[..., None].expand(-1, -1, 4).float()
                for t, p in zip(targets, parts, strict=True)
            ]
        )  # fmt: skip  (N, h, w, 4)
        chosen = box_weight > 0
        weight = box_weight[chosen]
        found = self._boxes(outputs.distances).permute(0, 2, 3, 1)[chosen]
        iou, giou = paired_iou_and_giou(found, wanted[chosen])
        total = weight.sum().clamp(min=1)
        quality = functional.binary_cross_entropy_with_logits(
            outputs.quality[:, 0][chosen], iou.detach().clamp(0, 1), weight, reduction="sum"
        )
        labels = torch.cat([t.labels for t in targets])
        share = self._class_shares(labels)
        focal = gaussian_focal_loss(outputs.heat, heat, heat_weight, gamma=config.gamma)
        return {
            "heat": config.heat_weight * (focal * share).sum(),
            "box": config.box_weight * ((1 - giou) * weight).sum() / total,
            "quality": config.quality_weight * quality / total,
        }

    def backbone_parameters(self) -> list[nn.Parameter]:
        """The backbone's parameters."""
        return list(self.backbone.parameters())

    def _class_shares(self, labels: Tensor) -> Tensor:
        """What to multiply each class's summed loss with, ``(C,)``.

        Either the loss is per object, or it is the mean, over the classes that a batch has, of
        their loss per object.
        """
        counts = torch.bincount(labels, minlength=self.class_count)
        objects = counts.sum().clamp(min=1)
        if not self.config.balance_classes:
            return (1 / objects).expand(self.class_count)
        present = (counts > 0).sum()
        return torch.where(counts > 0, 1 / (counts.clamp(min=1) * present), 1 / objects)

    def _boxes(self, distances: Tensor) -> Tensor:
        """Distances to boxes, ``(N, 4, h, w)`` xyxy network pixels."""
        height, width = distances.shape[2:]
        y = (torch.arange(height, device=distances.device) + 0.5) * self.stride
        x = (torch.arange(width, device=distances.device) + 0.5) * self.stride
        x, y = x[None, None, :], y[None, :, None]
        left, top, right, bottom = distances.unbind(1)
        return torch.stack([x - left, y - top, x + right, y + bottom], dim=1)


def _branch(config: CenterPointConfig, outputs: int) -> nn.Sequential:
    block = separable_block if config.separable else conv_block
    last = nn.Conv2d(config.head_width, outputs, 1)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(*block(config.width, config.head_width), last)
