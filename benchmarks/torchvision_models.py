"""torchvision's detectors on our backbone, with our maps, strides, width and anchors a cell."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn
from torchvision.models import detection  # type: ignore[import-untyped]
from torchvision.ops import MultiScaleRoIAlign, feature_pyramid_network  # type: ignore[import-untyped]

from foveate.models import FasterRCNNFPNConfig, RetinaNetConfig, SSDConfig
from foveate.models.backbones import Backbone, BackboneConfig
from foveate.models.ssd import further_maps

SCALES = (1, 2 ** (1 / 3), 2 ** (2 / 3))
RATIOS = (0.5, 1.0, 2.0)


class Features(nn.Module):
    """Our backbone with a pyramid or further maps of torchvision's form."""

    def __init__(
        self,
        top: Callable[[Backbone], nn.Module],
        channels: int,
        strides: tuple[int, ...] = (8, 16, 32),
    ) -> None:
        super().__init__()
        self.backbone = Backbone(BackboneConfig(weights="none", strides=strides))
        self.top, self.out_channels = top(self.backbone), channels

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Named maps, finest first."""
        maps = self.backbone(images)
        named = OrderedDict((str(i), level) for i, level in enumerate(maps))
        found: OrderedDict[str, Tensor] = self.top(named)
        return found


class Further(nn.Module):
    """Coarser maps after the backbone's."""

    def __init__(self, inputs: int, config: SSDConfig) -> None:
        super().__init__()
        self.blocks = further_maps(inputs, config.extra_width, config.extra_levels)

    def forward(self, maps: OrderedDict[str, Tensor]) -> OrderedDict[str, Tensor]:
        """Those given, and the further ones."""
        found = list(maps.values())
        for block in self.blocks:
            found.append(block(found[-1]))
        return OrderedDict((str(i), one) for i, one in enumerate(found))


def retinanet(size: int, classes: int) -> nn.Module:
    """RetinaNet of our default's width, strides and anchors."""
    width = RetinaNetConfig().width

    def pyramid(backbone: Backbone) -> nn.Module:
        last = backbone.channels[-1]
        net: nn.Module = feature_pyramid_network.FeaturePyramidNetwork(
            backbone.channels,
            width,
            extra_blocks=feature_pyramid_network.LastLevelP6P7(last, width),
        )
        return net

    sizes = tuple(tuple(int(4 * stride * s) for s in SCALES) for stride in (8, 16, 32, 64, 128))
    anchors = detection.anchor_utils.AnchorGenerator(sizes, (RATIOS,) * len(sizes))
    model: nn.Module = detection.RetinaNet(
        Features(pyramid, width),
        classes,
        min_size=size,
        max_size=size,
        anchor_generator=anchors,
        head=detection.retinanet.RetinaNetHead(width, 9, classes),
    )
    return model


def ssd(size: int, classes: int) -> nn.Module:
    """SSD of our default's maps and six anchors a cell."""
    config = SSDConfig()
    features = Features(lambda backbone: Further(backbone.channels[-1], config), config.extra_width)
    channels = [*features.backbone.channels, *[config.extra_width] * config.extra_levels]
    anchors = detection.anchor_utils.DefaultBoxGenerator(
        [[2, 3]] * len(channels), steps=list(config.level_strides)
    )
    head = detection.ssd.SSDHead(channels, anchors.num_anchors_per_location(), classes + 1)
    model: nn.Module = detection.ssd.SSD(features, anchors, (size, size), classes + 1, head=head)
    return model


def faster_rcnn_fpn(size: int, classes: int) -> nn.Module:
    """Faster R-CNN of our default's pyramid, anchors, proposals, regions and layers."""
    config = FasterRCNNFPNConfig()
    width, first, second = config.width, config.proposals, config.regions
    strides = config.backbone.strides

    def pyramid(backbone: Backbone) -> nn.Module:
        net: nn.Module = feature_pyramid_network.FeaturePyramidNetwork(
            backbone.channels, width, extra_blocks=feature_pyramid_network.LastLevelMaxPool()
        )
        return net

    sizes = tuple((8 * stride,) for stride in config.level_strides)
    pool = MultiScaleRoIAlign(
        [str(level) for level in range(len(strides))],
        second.bins,
        second.samples,
        canonical_scale=config.canonical,
    )
    inputs = width * second.bins**2
    model: nn.Module = detection.FasterRCNN(
        Features(pyramid, width, strides),
        min_size=size,
        max_size=size,
        rpn_anchor_generator=detection.anchor_utils.AnchorGenerator(sizes, (RATIOS,) * len(sizes)),
        rpn_pre_nms_top_n_train=first.considered,
        rpn_pre_nms_top_n_test=first.considered,
        rpn_post_nms_top_n_train=first.kept,
        rpn_post_nms_top_n_test=first.kept,
        rpn_batch_size_per_image=first.drawn,
        box_roi_pool=pool,
        box_head=detection.faster_rcnn.TwoMLPHead(inputs, second.width),
        box_predictor=detection.faster_rcnn.FastRCNNPredictor(second.width, classes + 1),
        box_batch_size_per_image=second.drawn,
        box_positive_fraction=second.positive,
        box_score_thresh=0.01,
        box_detections_per_img=config.max_detections,
    )
    return model


MODELS: dict[str, Callable[[int, int], nn.Module]] = {
    "retinanet": retinanet,
    "ssd": ssd,
    "faster-rcnn-fpn": faster_rcnn_fpn,
}
"""By our name of the method."""

BACKGROUND = {"retinanet": 0, "ssd": 1, "faster-rcnn-fpn": 1}
"""Labels that each keeps for the background."""
