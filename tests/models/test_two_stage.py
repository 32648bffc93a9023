"""What two stages are: proposals, pooling, what is drawn and taught, refinement, the switches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.ops import nms, roi_align  # type: ignore[import-untyped]

from foveate.errors import UsageError
from foveate.losses import MatchingConfig
from foveate.models import (
    FasterRCNN,
    FasterRCNNConfig,
    FasterRCNNFPN,
    FasterRCNNFPNConfig,
    MultiscaleRCNN,
    MultiscaleRCNNConfig,
    RemoteRCNN,
    RemoteRCNNConfig,
    Targets,
)
from foveate.models.dense import Dense, decode_boxes, encode_boxes
from foveate.models.multiscale_rcnn import CellLength
from foveate.models.proposals import (
    ProposalConfig,
    Proposals,
    apart,
    best_proposals,
    keep_best,
    proposal_losses,
    within,
)
from foveate.models.regions import (
    LevelMaps,
    RegionHeadConfig,
    as_regions,
    best_pairs,
    draw_regions,
    pooled,
    region_levels,
    region_losses,
    spread,
)
from foveate.models.remote_rcnn import WithSurroundings, widened

NOWHERE = torch.zeros(0, 4)


def some_boxes(count: int, side: float = 64.0, seed: int = 0) -> Tensor:
    """``(count, 4)`` within a tile of that side, some of them overlapping."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.8 * side, (count, 2))
    high = np.minimum(low + rng.uniform(1, 0.3 * side, (count, 2)), side)
    return torch.from_numpy(np.concatenate([low, high], axis=1)).float()


def target(*boxes: tuple[float, float, float, float], ignore: Tensor = NOWHERE) -> Targets:
    """All of class 0."""
    table = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Targets(table, torch.zeros(len(table), dtype=torch.long), ignore)


def first_stage(anchors: Tensor, logits: Tensor) -> Dense:
    """Anchors that are boxes themselves, ``(R, 4)``, with logits ``(N, R)``."""
    return Dense(logits[..., None], torch.zeros(*logits.shape, 4), anchors, (len(anchors),))


def test_proposals_are_the_best_that_do_not_overlap_by_torchvision() -> None:
    anchors, logits = some_boxes(80), torch.randn(2, 80, generator=torch.manual_seed(0))
    config = ProposalConfig(considered=60, kept=12, suppression=0.4)
    boxes, used = best_proposals(first_stage(anchors, logits), (64, 64), config)
    assert boxes.shape == (2, 12, 4)
    assert used.all()
    for row in range(2):
        best = logits[row].topk(60).indices
        kept = best[nms(anchors[best], logits[row, best], 0.4)][:12]
        torch.testing.assert_close(boxes[row], anchors[kept])


def test_proposals_of_a_batch_are_those_of_its_tiles() -> None:
    anchors, logits = some_boxes(40), torch.randn(3, 40, generator=torch.manual_seed(0))
    config = ProposalConfig(considered=30, kept=10)
    whole = best_proposals(first_stage(anchors, logits), (64, 64), config)
    for row in range(3):
        alone = best_proposals(first_stage(anchors, logits[row : row + 1]), (64, 64), config)
        assert torch.equal(whole.boxes[row], alone.boxes[0])


def test_a_tile_of_few_anchors_has_unused_proposals() -> None:
    config = ProposalConfig(considered=20, kept=8)
    boxes, used = best_proposals(
        first_stage(some_boxes(3), torch.tensor([[0.1, 3.0, 2.0]])), (64, 64), config
    )
    assert boxes.shape == (1, 8, 4)
    assert torch.isfinite(boxes).all()
    assert 0 < used.sum() <= 3
    assert used[0].tolist() == sorted(used[0].tolist(), reverse=True)


def test_fewer_to_choose_from_than_kept_is_refused() -> None:
    with pytest.raises(UsageError, match="considered must be at least kept"):
        ProposalConfig.from_dict({"considered": 10, "kept": 20})


def test_a_box_lies_within_the_tile_and_has_a_pixel() -> None:
    boxes = torch.tensor([[-9.0, 5, 4, 90], [200, 10, 300, 20], [7, 7, 7, 7.5]])
    cut = within(boxes, (64, 96))
    assert cut[0].tolist() == [0, 5, 4, 64]
    assert cut[1].tolist() == [95.5, 10, 96.5, 20]
    assert cut[2].tolist() == [6.5, 6.75, 7.5, 7.75]


def test_suppression_keeps_what_torchvision_keeps() -> None:
    boxes, scores = some_boxes(200).view(2, 100, 4), torch.rand(2, 100)
    kept = keep_best(boxes, scores, 0.3)
    for row in range(2):
        assert set(kept[row].nonzero()[:, 0].tolist()) == set(
            nms(boxes[row], scores[row], 0.3).tolist()
        )


def test_suppression_by_distance_is_greedy_and_finds_neighbours_that_do_not_overlap() -> None:
    # 5 px boxes in a row, 6 px apart: none overlaps another; each is like its neighbours only.
    corners = torch.tensor([[6.0 * i, 0] for i in range(5)])
    boxes = torch.cat([corners, corners + 5], dim=1)[None]
    like = float(np.exp(-6 / 12.8))
    assert apart(boxes, 12.8, like - 0.01).tolist() == [[True, False, True, False, True]]
    assert apart(boxes, 12.8, like + 0.01).all()


def test_every_anchor_counts_by_its_probability_to_be_drawn() -> None:
    # Two positive of 10, 4 are drawn: both, and two of the 8 negatives.
    anchors = torch.tensor([[20.0 * i, 0, 20 * i + 10, 10] for i in range(10)])
    logits = torch.zeros(1, 10)
    logits[0, :2] = torch.tensor([1.0, 2.0])
    wanted = [target((0, 0, 10, 10), (20, 0, 30, 10))]
    losses = proposal_losses(first_stage(anchors, logits), wanted, ProposalConfig(drawn=4))
    softplus = torch.nn.functional.softplus
    expected = (softplus(torch.tensor([-1.0, -2.0])).sum() + 8 * (2 / 8) * np.log(2)) / 4
    assert losses["objectness"].item() == pytest.approx(float(expected))
    assert losses["proposal"].item() == pytest.approx(0)


def test_the_first_stage_learns_from_a_tile_without_objects() -> None:
    outputs = first_stage(some_boxes(10), torch.zeros(1, 10))
    losses = proposal_losses(outputs, [target()], ProposalConfig())
    assert losses["objectness"].item() == pytest.approx(np.log(2))
    assert losses["proposal"].item() == 0


def test_the_level_of_a_region() -> None:
    sides = torch.tensor([2.0, 111, 112, 223, 224, 447, 448, 5000])
    boxes = torch.stack([sides * 0, sides * 0, sides, sides], dim=1)
    # The paper's: k = floor(4 + log2(side / 224)), from 2 to 5.
    assert region_levels(boxes, (4, 8, 16, 32), 224).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    # A quarter of that: a sixteenth of the sides.
    assert region_levels(boxes / 4, (4, 8, 16, 32), 56).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert region_levels(boxes, (8, 16), 224).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_pooling_from_levels_laid_side_by_side_is_pooling_from_each() -> None:
    torch.manual_seed(0)
    strides = (4, 8, 16)
    maps = [torch.randn(2, 3, 64 // s, 96 // s) for s in strides]
    # The whole tile and boxes at its edges among them.
    edges = torch.tensor([[0.0, 0, 96, 64], [0, 0, 3, 3], [93, 61, 96, 64], [0, 40, 30, 64]])
    regions = as_regions(torch.stack([torch.cat([some_boxes(20, 64, i), edges]) for i in (1, 2)]))
    pool = LevelMaps(3, strides, 32.0, RegionHeadConfig(bins=4))
    found = pool(maps, regions)
    level = region_levels(regions[:, 1:], strides, 32.0)
    assert set(level.tolist()) == {0, 1, 2}
    for number, stride in enumerate(strides):
        wanted = roi_align(maps[number], regions, 4, 1 / stride, 2, aligned=True)
        rows = level == number
        torch.testing.assert_close(found[rows], wanted[rows])


def test_few_rows_are_taken_evenly_and_always_the_same() -> None:
    order = spread(300, torch.device("cpu"))
    chosen = order[0].topk(30).indices.sort().values
    gaps = chosen.diff()
    assert gaps.min() >= 5
    assert gaps.max() <= 16
    assert torch.equal(order, spread(300, torch.device("cpu")))


def taught(objects: Targets, proposed: Tensor, **settings: object) -> tuple[Tensor, Tensor, Tensor]:
    config = RegionHeadConfig.from_dict(settings)
    used = torch.ones(1, len(proposed), dtype=torch.bool)
    lesson = draw_regions(Proposals(proposed[None], used), [objects], (64, 64), 2, config)
    return lesson.regions, lesson.classes, lesson.deltas


def test_labelled_boxes_are_among_the_regions_that_learn() -> None:
    objects = target((8, 8, 16, 16))
    regions, classes, deltas = taught(objects, torch.tensor([[8.0, 8, 17, 16], [40, 40, 50, 50]]))
    assert regions[:, 1:].tolist() == [[8, 8, 16, 16], [8, 8, 17, 16], [40, 40, 50, 50]]
    assert classes.tolist() == [0, 0, 2]
    torch.testing.assert_close(deltas[0], torch.zeros(4))
    torch.testing.assert_close(decode_boxes(deltas[1], regions[1, 1:]), objects.boxes[0])


def test_at_most_a_quarter_of_the_regions_is_positive() -> None:
    proposed = torch.cat([torch.tensor([[8.0, 8, 16, 16]]).repeat(50, 1), some_boxes(100) / 4 + 40])
    regions, classes, _ = taught(target((8, 8, 16, 16)), proposed, drawn=40)
    assert len(regions) == 40
    assert (classes == 0).sum() == 10


def test_an_ignored_place_teaches_no_region() -> None:
    place = torch.tensor([[30.0, 30, 64, 64]])
    proposed = torch.tensor([[40.0, 40, 50, 50], [0, 0, 9, 9]])
    regions, classes, _ = taught(target(ignore=place), proposed)
    assert regions[:, 1:].tolist() == [[0, 0, 9, 9]]
    assert classes.tolist() == [2]


def test_nothing_proposed_and_nothing_labelled() -> None:
    regions, classes, deltas = taught(target(), torch.zeros(0, 4))
    assert len(regions) == len(classes) == len(deltas) == 0
    losses = region_losses(
        torch.zeros(0, 3), torch.zeros(0, 2, 4),
        draw_regions(Proposals(torch.zeros(1, 0, 4), torch.zeros(1, 0, dtype=torch.bool)),
                     [target()], (64, 64), 2, RegionHeadConfig()), RegionHeadConfig(),
    )  # fmt: skip
    assert all(value.item() == 0 for value in losses.values())


def test_a_labelled_box_without_a_side_gives_finite_lessons() -> None:
    _, classes, deltas = taught(target((8, 8, 8, 8.2)), torch.tensor([[7.5, 7.5, 8.5, 8.5]]))
    assert torch.isfinite(deltas).all()
    assert len(classes) == 2


def test_a_box_a_tenth_of_its_region_away_is_one_unit_wrong() -> None:
    objects = target((1, 0, 11, 10))
    config = RegionHeadConfig(matching=MatchingConfig(positive=0.5, negative=0.5, best=1.0))
    proposals = Proposals(torch.tensor([[[0.0, 0, 10, 10]]]), torch.tensor([[True]]))
    lesson = draw_regions(proposals, [objects], (64, 64), 2, config)
    # The labelled box itself is right.
    losses = region_losses(torch.zeros(2, 3), torch.zeros(2, 2, 4), lesson, config)
    assert losses["box"].item() == pytest.approx(0.5 / 2)
    assert losses["class"].item() == pytest.approx(np.log(3))


def test_the_best_pairs_of_region_and_class() -> None:
    boxes = torch.arange(16.0).view(1, 2, 2, 4)
    scores = torch.tensor([[[0.1, 0.9], [0.5, 0.2]]])
    found = best_pairs(boxes, scores, 6)
    assert found.labels[0, :3].tolist() == [1, 0, 1]
    assert found.boxes[0, 0].tolist() == [4, 5, 6, 7]
    assert found.scores[0].tolist() == pytest.approx([0.9, 0.5, 0.2, 0.1, 0, 0])


def test_a_wider_region_has_the_same_centre() -> None:
    regions = torch.tensor([[1.0, 10, 20, 14, 28]])
    assert widened(regions, 2.0).tolist() == [[1, 8, 16, 16, 32]]


def test_surroundings_are_pooled_beside_the_region_and_empty_beyond_the_tile() -> None:
    maps, config = [torch.ones(1, 2, 16, 16)], RegionHeadConfig(bins=4)
    pool = WithSurroundings(2, 4, config, context=True)
    found = pool(maps, torch.tensor([[0.0, 0, 0, 32, 32], [0, 24, 24, 40, 40]]))
    assert found.shape == (2, 4, 4, 4)
    assert (found[1] == 1).all()
    assert (found[0, :2] == 1).all()
    assert (found[0, 2:, 0] == 0).all()
    assert (found[0, 2:, -1, -1] == 1).all()


def test_cells_are_brought_to_one_length() -> None:
    values = torch.randn(5, 8, 7, 7) * 50
    length = CellLength(8)(values).square().mean(dim=1).sqrt()
    torch.testing.assert_close(length, torch.full((5, 7, 7), 20 / 512**0.5))


def faster(**settings: object) -> FasterRCNN:
    torch.manual_seed(0)
    small = {
        "backbone": {"weights": "none", "strides": (8,)}, "width": 8, "anchors": "10x10",
        "proposals": {"considered": 20, "kept": 10}, "candidates": 40,
    }  # fmt: skip
    return FasterRCNN(FasterRCNNConfig.from_dict(small | settings), 2).eval()


def test_refinement_judges_again_where_the_box_was_found() -> None:
    method = faster(regions={"refinements": 1, "width": 8})
    images = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    outputs = method(images)
    seen: list[Tensor] = []
    method.pool.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))  # type: ignore[attr-defined]
    move = torch.tensor([0.5, 0.0, 0.0, 0.0])
    with torch.no_grad():
        method.judge.regress.bias.copy_((move / method.judge.coding).repeat(2))
        method.judge.regress.weight.zero_()
        found = method.decode(outputs)
    first, second = seen
    proposed = method.proposals(outputs).boxes[0]
    torch.testing.assert_close(first[:, 1:], proposed)
    torch.testing.assert_close(second[:, 1:], within(decode_boxes(move, proposed), (64, 64)))
    assert found.boxes.shape == (1, 40, 4)


def test_global_context_is_the_mean_over_the_regions_own_tile() -> None:
    method = faster(regions={"global_context": True, "width": 8, "bins": 1})
    outputs = method(torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8))
    seen: list[Tensor] = []
    method.judge.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    method._judged(outputs, torch.tensor([[1.0, 0, 0, 9, 9], [0, 0, 0, 9, 9]]))
    means = outputs.maps[0].mean(dim=(2, 3))
    torch.testing.assert_close(seen[0][:, -8:], means.flip(0))


def test_boxes_of_all_classes_or_one() -> None:
    for agnostic, rows in ((False, 2), (True, 1)):
        method = faster(regions={"class_agnostic": agnostic, "width": 8})
        outputs = method(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
        regions = as_regions(method.proposals(outputs).boxes)
        assert method._judged(outputs, regions)[1].shape == (10, rows, 4)


def test_a_batch_gives_what_its_tiles_give() -> None:
    method = faster()
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        whole = method.decode(method(images))
        for row in range(2):
            alone = method.decode(method(images[row : row + 1]))
            torch.testing.assert_close(whole.boxes[row], alone.boxes[0], rtol=0, atol=1e-3)
            torch.testing.assert_close(whole.scores[row], alone.scores[0], rtol=0, atol=1e-5)


def test_the_loss_has_no_part_for_chance_or_the_order_of_tiles() -> None:
    method = faster()
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    objects = [target((8, 8, 16, 16)), target((30, 30, 41, 40), (2, 50, 9, 60))]
    torch.manual_seed(1)
    losses = method.loss(method(images), objects)
    torch.manual_seed(2)
    turned = method.loss(method(images.flip(0)), objects[::-1])
    for name, value in losses.items():
        torch.testing.assert_close(value, turned[name])


def test_faster_rcnn_has_one_map_and_nine_anchors() -> None:
    config = FasterRCNNConfig()
    assert config.level_strides == (16,)
    ((w, h), *_) = config.default_anchors[0]
    assert len(config.default_anchors[0]) == 9
    assert (w * h) ** 0.5 == pytest.approx(128)
    assert h / w == pytest.approx(0.5)
    with pytest.raises(UsageError, match="expected one, such as 16; got 8, 16"):
        FasterRCNNConfig.from_dict({"backbone": {"strides": (8, 16)}})


def test_the_pyramid_has_the_papers_anchors() -> None:
    config = FasterRCNNFPNConfig()
    assert config.level_strides == (4, 8, 16, 32, 64)
    sides = [(level[1][0] * level[1][1]) ** 0.5 for level in config.default_anchors]
    assert sides == pytest.approx([32, 64, 128, 256, 512])
    finest = FasterRCNNFPNConfig(finest_only=True)
    assert finest.level_strides == (4,)
    assert [len(level) for level in finest.default_anchors] == [15]


@pytest.mark.parametrize(
    "settings", [{"backbone": {"strides": (4, 16)}}, {"backbone": {"strides": ()}}]
)
def test_no_pyramid(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="expected each to be twice the one before"):
        FasterRCNNFPNConfig.from_dict(settings)


def test_a_pyramid_of_nothing() -> None:
    with pytest.raises(UsageError, match="one of the two must stay true"):
        FasterRCNNFPNConfig.from_dict({"top_down": False, "lateral": False})


def test_the_coarsest_level_is_every_other_cell_and_has_no_regions() -> None:
    small = {"backbone": {"weights": "none"}, "width": 8}
    method = FasterRCNNFPN(FasterRCNNFPNConfig.from_dict(small), 2).eval()
    maps = method.neck(method.backbone(torch.zeros(1, 3, 128, 128)))
    assert len(maps.pooled) == 4
    assert torch.equal(maps.proposing[4], maps.proposing[3][:, :, ::2, ::2])


def test_each_change_for_remote_sensing_is_a_switch() -> None:
    whole, plain = (
        RemoteRCNNConfig.from_dict(
            {"backbone": {"weights": "none"}, "width": 8, "regions": {"width": 8},
             "small_anchors": on, "fused": on, "context": on}
        )
        for on in (True, False)
    )  # fmt: skip
    assert whole.level_strides == (4,)
    assert plain.level_strides == (16,)
    assert whole.default_anchors[0][1] == pytest.approx((16, 16))
    assert plain.default_anchors == FasterRCNNConfig().default_anchors
    assert RemoteRCNN(whole, 2).pool.channels == 16
    assert RemoteRCNN(plain, 2).pool.channels == 8
    small = {"backbone": {"weights": "none"}, "width": 8, "regions": {"width": 8}}
    faster_rcnn = FasterRCNN(FasterRCNNConfig.from_dict(small), 2)
    assert RemoteRCNN(plain, 2).state_dict().keys() == faster_rcnn.state_dict().keys()


def test_regions_of_three_depths_and_their_control() -> None:
    small = {"backbone": {"weights": "none"}, "width": 8, "fused_width": 16}
    fused, plain = (
        MultiscaleRCNN(MultiscaleRCNNConfig.from_dict(small | {"scales": scales}), 2)
        for scales in ("fused", "plain")
    )
    assert (fused.pool.channels, plain.pool.channels) == (16, 8)
    assert fused.strides == plain.strides == (16,)
    assert plain.size_multiple == fused.size_multiple == 16


def test_what_the_loss_itself_uses_is_known() -> None:
    method = faster()
    outputs = method(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    used = {id(p) for p in method.loss_parameters()}
    leaves = {id(p) for p in method.parameters()}
    outputs.first.logits.sum().backward()
    reached = {id(p) for p in method.parameters() if p.grad is not None}
    assert not used & reached
    assert used <= leaves


def test_pooling_is_exact_between_cells() -> None:
    # The mean of a slope over a region is the slope at its middle.
    x = torch.arange(16.0).view(1, 1, 1, 16).expand(1, 1, 16, 16)
    found = pooled(x, torch.tensor([[0.0, 10, 10, 30, 30]]), 2, 1, 2)
    assert found.item() == pytest.approx(20 / 2 - 0.5)
    torch.testing.assert_close(
        encode_boxes(torch.tensor([1.0, 0, 11, 10]), torch.tensor([0.0, 0, 10, 10])),
        torch.tensor([0.1, 0, 0, 0]),
    )
