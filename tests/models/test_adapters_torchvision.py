"""torchvision's own detectors, with random weights, through foveate's adapter; and its tensors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision.models import get_model  # type: ignore[import-untyped]

import foveate
from foveate.convert import from_torchvision, to_torchvision
from foveate.errors import FoveateError, UsageError
from foveate.inference.adapters import TorchvisionDetector, load_adapter
from foveate.structures import Detections, UInt8Image

R_CNN, SSD = "fasterrcnn_mobilenet_v3_large_320_fpn", "ssdlite320_mobilenet_v3_large"
NAMES = ("__background__", "player", "N/A", "ball")
SSD_LIMITS = {"score_thresh": 0.01, "detections_per_img": 1000, "topk_candidates": 1000}
R_CNN_LIMITS = {
    "box_score_thresh": 0.01,
    "box_detections_per_img": 1000,
    "rpn_pre_nms_top_n_test": 1000,
    "rpn_post_nms_top_n_test": 1000,
    "min_size": 96,
    "max_size": 160,
}


def build(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return get_model(name, weights=None, weights_backbone=None, num_classes=len(NAMES), **options)


def noise(width: int, height: int) -> UInt8Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_the_library(model: Any, image: UInt8Image) -> dict[str, Any]:
    planes = torch.from_numpy(image.transpose(2, 0, 1).copy()).float() / 255
    with torch.inference_mode():
        found: dict[str, Any] = model.eval()([planes])[0]
    return found


@pytest.mark.parametrize(
    ("name", "limits", "sides"), [(R_CNN, R_CNN_LIMITS, (160, 96)), (SSD, SSD_LIMITS, (320, 320))]
)
def test_boxes_are_the_librarys_own(
    name: str, limits: dict[str, Any], sides: tuple[int, int]
) -> None:
    image = noise(*sides)
    (found,) = TorchvisionDetector(build(name), NAMES)([image])
    theirs = by_the_library(build(name, **limits), image)
    classes = theirs["labels"] != 2  # N/A is no class
    boxes = theirs["boxes"][classes].numpy()
    assert len(found) == len(boxes) > 100
    expected = Detections(boxes, theirs["scores"][classes].numpy(),
                          (theirs["labels"][classes].numpy() == 3)).in_order()  # fmt: skip
    assert np.abs(found.boxes - expected.boxes).max() < 1e-3
    assert np.abs(found.scores - expected.scores).max() < 1e-5
    assert np.array_equal(found.labels, expected.labels)


def test_the_model_given_stays_as_it_is() -> None:
    model = build(R_CNN).train()
    TorchvisionDetector(model, NAMES)([noise(96, 64)])
    assert model.training
    assert model.backbone.training
    assert model.transform.min_size == (320,)
    assert model.roi_heads.detections_per_img == 100
    assert model.rpn._post_nms_top_n["testing"] == 150


def test_what_is_known_of_a_model() -> None:
    info = TorchvisionDetector(build(R_CNN), NAMES, name="mine").info
    assert (info.name, info.method, info.class_names) == ("mine", "torchvision", ("player", "ball"))
    assert (info.tile_plan.size, info.size_multiple, info.padding) == (320, 32, 114)
    assert (info.score_threshold, info.max_detections, info.licence) == (0.5, 1000, "")


def test_a_fixed_input() -> None:
    detector = TorchvisionDetector(build(SSD), NAMES)
    assert (detector.info.tile_plan.size, detector.info.size_multiple) == (320, 320)
    image = noise(100, 60)
    (found,) = detector([image])
    assert found.boxes[:, 2].max() <= 100
    assert found.boxes[:, 3].max() <= 60
    with pytest.raises(FoveateError, match="SSD: the model takes 320x320 pixels, got 352x320"):
        detector([noise(352, 320)])


def test_a_picture_does_not_depend_on_its_neighbours() -> None:
    detector = TorchvisionDetector(build(SSD), NAMES)
    image = noise(320, 320)
    alone, together = detector([image])[0], detector([255 - image, image])[1]
    assert np.array_equal(alone.boxes, together.boxes)
    assert np.array_equal(alone.scores, together.scores)


def test_masks_are_not_made() -> None:
    model = build("maskrcnn_resnet50_fpn")
    model.roi_heads.mask_head.forward = lambda _: pytest.fail("masks are not asked for")
    detector = TorchvisionDetector(model, NAMES)
    detector([noise(64, 64)])
    assert model.roi_heads.mask_roi_pool is not None


def test_detect_with_it() -> None:
    detector = TorchvisionDetector(build(SSD), NAMES)
    result = foveate.detect(noise(500, 320), detector, threshold=0.3)
    assert len(result.tiles) == 2
    assert result.class_names == ("player", "ball")


def test_without_names_labels_are_the_models_own() -> None:
    detector = TorchvisionDetector(build(SSD))
    assert detector.info.class_names == ()
    assert set(detector([noise(320, 320)])[0].labels.tolist()) <= {1, 2, 3}


@pytest.mark.parametrize("name", [R_CNN, SSD, "retinanet_resnet50_fpn"])
def test_all_labels_must_be_named(name: str) -> None:
    with pytest.raises(FoveateError, match="2 labels are named and the model has 4"):
        TorchvisionDetector(build(name), ["player", "ball"])


def test_no_such_model() -> None:
    with pytest.raises(UsageError, match=r"no detector 'fasterrcn_resnet50'; it has fasterrcnn_re"):
        load_adapter("torchvision:fasterrcn_resnet50")


Weights = Callable[[Callable[..., Any]], None]


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> Weights:
    """What comes instead of downloaded weights."""

    def replace(load: Callable[..., Any]) -> None:
        module = sys.modules["torchvision.models._api"]
        monkeypatch.setattr(module, "load_state_dict_from_url", load)

    return replace


def test_load_by_name(weights: Weights) -> None:
    model = get_model(SSD, weights=None, weights_backbone=None)
    weights(lambda url, **options: model.state_dict())
    detector = load_adapter(f"torchvision:{SSD}")
    assert (detector.info.name, len(detector.info.class_names)) == (SSD, 80)
    assert detector.info.class_names[:2] == ("person", "bicycle")
    assert detector.info.class_names[-1] == "toothbrush"


def test_weights_that_cannot_be_downloaded(weights: Weights) -> None:
    def fail(url: str, **options: Any) -> Any:
        raise URLError("Name or service not known")

    weights(fail)
    with pytest.raises(
        FoveateError, match=r"^torchvision:ssd\S+: torchvision cannot load it: <url"
    ):
        load_adapter(f"torchvision:{SSD}")


@pytest.mark.parametrize("background", [True, False])
def test_tensors_and_back(background: bool) -> None:
    ours = Detections(np.array([[1, 2, 3.5, 4]]), np.array([0.25]), np.array([0]))
    theirs = to_torchvision(ours, background)
    assert theirs["labels"].tolist() == [int(background)]
    assert theirs["boxes"].dtype == torch.float32
    assert theirs["labels"].dtype == torch.int64
    half = theirs | {"scores": theirs["scores"].to(torch.bfloat16).requires_grad_()}
    for found in (theirs, half):
        back = from_torchvision(found, background)
        assert np.array_equal(back.boxes, ours.boxes)
        assert back.scores.tolist() == [0.25]
        assert back.labels.tolist() == [0]
    theirs["boxes"].zero_()
    assert ours.boxes.any()


def test_no_tensors_and_back() -> None:
    theirs = to_torchvision(Detections.empty())
    assert theirs["boxes"].shape == (0, 4)
    assert len(from_torchvision(theirs)) == 0
