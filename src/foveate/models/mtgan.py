"""SOD-MTGAN: super-resolve a small box's surroundings, then judge them (Bai 2018).

**This is a reconstruction.** The paper was not read and its authors published no code: what stands
here follows METHODS.md, section 10. Layers and weights marked [M] are from memory of the paper,
those marked [D] are our choice; published figures of SOD-MTGAN are not figures of this code.

A generator makes four times larger what a base detector proposed; a discriminator on any backbone
tells real crops from generated ones, says which class a crop holds, and moves the box. The losses
of all three reach the generator, so that it draws what helps to tell classes apart. The same
judge fed with bicubic enlargements, or with the crops as they are, is the control.

Shapes: N = crops, L = side of a small crop, S = 4 L, C = channels, K = classes.
"""

from __future__ import annotations

import copy
import math
from typing import Literal, NamedTuple, TypeAlias, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize

from foveate.config import Config
from foveate.models.backbones import Backbone, BackboneConfig
from foveate.models.dense import decode_boxes, encode_boxes

Inputs: TypeAlias = Literal["generated", "bicubic", "plain"]
"""What the judge sees: the generator's crops, bicubic enlargements, or crops as they are."""
ENLARGEMENT = 4


class GeneratorConfig(Config):
    """The network that super-resolves.

    Attributes:
        width: Channels (64 [M]).
        blocks: Residual blocks (5 [M]).
        upsampling: How each doubling is done: `shuffle` rearranges channels into pixels (Shi 2016
            [M]), `transposed` is a transposed convolution.
        residual: Learn what is missing from the bicubic enlargement instead of the whole crop [D]:
            it starts as good as bicubic is.
    """

    width: int = Field(default=64, ge=4)
    blocks: int = Field(default=5, ge=0)
    upsampling: Literal["shuffle", "transposed"] = "shuffle"
    residual: bool = True


class DiscriminatorConfig(Config):
    """The network that judges.

    Attributes:
        backbone: Its coarsest map is averaged; the paper's is a ResNet [M].
        spectral_norm: Keep every layer's gain at 1 (Miyato 2018 [M]), for stability. Weights that
            come from ImageNet lose their scale.
    """

    backbone: BackboneConfig = BackboneConfig(strides=(16,))
    spectral_norm: bool = False


class Judgement(NamedTuple):
    """What the discriminator says.

    Attributes:
        real: ``(N,)`` logits: real and not generated.
        classes: ``(N, K + 1)`` logits; the last is background.
        deltas: ``(N, 4)``: from the base's box, in the units of `encode_boxes`.
    """

    real: Tensor
    classes: Tensor
    deltas: Tensor


class Refined(NamedTuple):
    """What is exported.

    Attributes:
        probabilities: ``(N, K)``: of each class; what is missing to 1 is background.
        boxes: ``(N, 4)`` xyxy, as shares of the crop's side.
    """

    probabilities: Tensor
    boxes: Tensor


class Generator(nn.Module):
    """``(N, C, L, L)`` to ``(N, C, 4 L, 4 L)``, values in ``[0, 1]``.

    A 3x3 convolution, residual blocks with batch normalisation, two doublings, an output
    convolution [M].
    """

    def __init__(self, config: GeneratorConfig, channels: int = 3) -> None:
        super().__init__()
        width = config.width
        self.residual = config.residual
        self.enter = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU())
        self.blocks = nn.Sequential(*(_Residual(width) for _ in range(config.blocks)))
        self.enlarge = nn.Sequential(*(_doubling(width, config.upsampling) for _ in range(2)))
        self.leave = nn.Conv2d(width, channels, 3, padding=1)
        if config.residual:
            nn.init.zeros_(self.leave.weight)
            nn.init.zeros_(cast(Tensor, self.leave.bias))

    def forward(self, low: Tensor) -> Tensor:
        """Super-resolve; not cut to ``[0, 1]``, where a gradient would end."""
        entered = self.enter(low)
        high: Tensor = self.leave(self.enlarge(entered + self.blocks(entered)))
        return high + bicubic(low) if self.residual else high


class _Residual(nn.Module):
    """Two 3x3 convolutions with batch normalisation, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, values: Tensor) -> Tensor:
        return values + cast(Tensor, self.body(values))


def _doubling(width: int, how: Literal["shuffle", "transposed"]) -> nn.Module:
    if how == "transposed":
        return nn.Sequential(nn.ConvTranspose2d(width, width, 4, stride=2, padding=1), nn.ReLU())
    return nn.Sequential(nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.ReLU())


class Discriminator(nn.Module):
    """Judges crops: real or generated, which class, where in it the object lies.

    Args:
        config: Backbone and normalisation.
        class_count: K.
        channels: C.

    Attributes:
        size_multiple: The crops' side must be a multiple of this.
    """

    def __init__(self, config: DiscriminatorConfig, class_count: int, channels: int = 3) -> None:
        super().__init__()
        self.backbone = Backbone(config.backbone, channels)
        self.size_multiple = max(self.backbone.strides)
        width = self.backbone.channels[-1]
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", _as_map(self.backbone.mean), persistent=False)
        self.register_buffer("std", _as_map(self.backbone.std), persistent=False)
        self.real = nn.Linear(width, 1)
        self.classes = nn.Linear(width, class_count + 1)
        self.box = nn.Linear(width, 4)
        nn.init.zeros_(self.box.weight)  # until it has learned, boxes stay where they are
        nn.init.zeros_(self.box.bias)
        if config.spectral_norm:
            for part in (self.backbone, self.real):
                for module in list(part.modules()):
                    if isinstance(module, (nn.Conv2d, nn.Linear)):
                        parametrizations.spectral_norm(module)

    def forward(self, crops: Tensor) -> Judgement:
        """Judge ``(N, C, side, side)`` crops with values in ``[0, 1]``."""
        features = self.backbone((crops - self.mean) / self.std)[-1].mean(dim=(2, 3))
        return Judgement(self.real(features)[:, 0], self.classes(features), self.box(features))


class Refiner(nn.Module):
    """Generator and discriminator together: what is trained, averaged and exported.

    Args:
        generator: The generator's settings.
        discriminator: The discriminator's settings.
        inputs: What the discriminator sees; without `generated` there is no generator.
        class_count: K.
        channels: C.
    """

    def __init__(
        self,
        generator: GeneratorConfig,
        discriminator: DiscriminatorConfig,
        inputs: Inputs,
        class_count: int,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.inputs: Inputs = inputs
        self.class_count = class_count
        self.generator = Generator(generator, channels) if inputs == "generated" else None
        self.discriminator = Discriminator(discriminator, class_count, channels)

    def shown(self, low: Tensor) -> Tensor:
        """What the discriminator is shown of small crops ``(N, C, L, L)``."""
        if self.generator is not None:
            return cast(Tensor, self.generator(low))
        return bicubic(low) if self.inputs == "bicubic" else low

    def forward(self, crops: Tensor, found: Tensor) -> Refined:
        """Exactly what is exported.

        Args:
            crops: ``(N, L, L, C)`` uint8.
            found: ``(N, 4)`` float32: the base's boxes, xyxy as shares of the crop's side.
        """
        judged = self.discriminator(self.shown(as_values(crops)))
        probabilities = judged.classes.softmax(dim=1)[:, :-1]
        return Refined(probabilities, decode_boxes(judged.deltas, found))


def as_values(crops: Tensor) -> Tensor:
    """``(N, L, L, C)`` uint8 to ``(N, C, L, L)`` float32 in ``[0, 1]``."""
    return crops.permute(0, 3, 1, 2).to(torch.float32) * (1 / 255)


def bicubic(low: Tensor) -> Tensor:
    """Enlarge ``(N, C, L, L)`` four times, as pictures are without a generator."""
    return functional.interpolate(
        low, scale_factor=float(ENLARGEMENT), mode="bicubic", align_corners=False
    )


def class_loss(judged: Judgement, labels: Tensor) -> Tensor:
    """Cross-entropy over classes and background, a scalar.

    Args:
        judged: Of N crops.
        labels: ``(N,)`` int64; K is background.
    """
    return functional.cross_entropy(judged.classes.float(), labels)


def box_loss(judged: Judgement, found: Tensor, boxes: Tensor, holds: Tensor) -> Tensor:
    """Smooth L1 of the moved boxes (Girshick 2015 [S]), a scalar; 0 without an object.

    Args:
        judged: Of N crops.
        found: ``(N, 4)`` the base's boxes.
        boxes: ``(N, 4)`` the labelled boxes.
        holds: ``(N,)`` bool: which crops hold an object.
    """
    wanted = encode_boxes(boxes[holds], found[holds])
    loss = functional.smooth_l1_loss(judged.deltas.float()[holds], wanted, reduction="sum")
    return loss / holds.sum().clamp(min=1)


def psnr(made: Tensor, real: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each crop, dB, ``(N,)``; values are cut to ``[0, 1]``.

    Args:
        made: ``(N, C, S, S)``.
        real: ``(N, C, S, S)``.
    """
    error = (made.clamp(0, 1) - real).square().mean(dim=(1, 2, 3))
    return -10 / math.log(10) * error.clamp(min=1e-10).log()


def without_norms(model: Refiner) -> Refiner:
    """A copy with spectral normalisation baked into plain weights, for export."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
    return model


def _as_map(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)
