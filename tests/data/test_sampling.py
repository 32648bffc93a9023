from pathlib import Path

import numpy as np
import pytest

from foveate.data.augment import AugmentConfig
from foveate.data.paste import paste_objects
from foveate.data.sampling import SamplingConfig, TileSampler, repeat_factors
from foveate.structures import Annotations, Dataset, Sample, UInt8Image
from foveate.structures.boxes import box_iou

STILL = AugmentConfig(
    scale_low=1, scale_high=1, flip=0, quarter_turn=0, any_turn=0, contrast=0, brightness=0,
    gamma=1, saturation=0, tint=0, blur=0, noise=0,
)  # fmt: skip


def scene(width: int, height: int) -> tuple[Dataset, UInt8Image]:
    """White 10-px squares on black, a third of them to be ignored."""
    rng = np.random.default_rng(0)
    image = np.zeros((height, width, 3), np.uint8)
    corners = [(x, y) for y in range(5, height - 15, 30) for x in range(5, width - 15, 30)]
    boxes = np.array([(x, y, x + 10, y + 10) for x, y in corners], np.float32)
    for x, y in corners:
        image[y : y + 10, x : x + 10] = 255
    ignore = rng.random(len(boxes)) < 0.3
    annotations = Annotations(boxes, np.arange(len(boxes)) % 2, ignore)
    sample = Sample(Path("none.png"), 1, width, height, annotations)
    return Dataset("scene", ("even", "odd"), (1, 2), (sample,)), image


def sampler(width: int, height: int, augment: AugmentConfig, **sampling: float) -> TileSampler:
    dataset, image = scene(width, height)
    config = SamplingConfig.from_dict(sampling)
    return TileSampler(dataset, lambda _: image, 96, 1.0, config, augment, seed=3)


def test_tile_number_i_depends_on_i_alone() -> None:
    draw, other = sampler(300, 200, AugmentConfig()), sampler(300, 200, AugmentConfig())
    first = [draw(i) for i in range(6)]
    for i in (4, 1, 5):
        again = other(i)
        assert (again.image == first[i].image).all()
        assert (again.boxes == first[i].boxes).all()
    assert any((first[0].image != tile.image).any() for tile in first[1:])


@pytest.mark.parametrize("size", [(300, 200), (60, 40), (96, 96), (40, 300)])
def test_boxes_frame_the_objects_and_nothing_white_is_unlabelled(size: tuple[int, int]) -> None:
    draw = sampler(*size, STILL)
    for i in range(8):
        tile = draw(i)
        assert tile.image.shape == (96, 96, 3)
        known = np.zeros((96, 96), bool)
        for x1, y1, x2, y2 in np.concatenate([tile.boxes, tile.ignore]):
            known[int(np.floor(y1)) : int(np.ceil(y2)), int(np.floor(x1)) : int(np.ceil(x2))] = True
        for x1, y1, x2, y2 in tile.boxes.round().astype(int):
            assert tile.image[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].min() > 200
        assert not (tile.image[..., 0] > 128)[~known].any()


def test_an_object_mostly_outside_is_ignored_not_taught() -> None:
    draw = sampler(300, 200, STILL, keep_visible=0.9)
    for i in range(20):
        tile = draw(i)
        sides = (tile.boxes[:, 2:] - tile.boxes[:, :2]).min(axis=1, initial=10)
        assert (sides > 8.9).all()


def test_boxes_turned_by_any_angle_stay_in_the_tile() -> None:
    draw = sampler(300, 200, AugmentConfig(any_turn=1.0, quarter_turn=0), keep_visible=0.3)
    drawn, at_edge = 0, 0
    for i in range(40):
        tile = draw(i)
        boxes = np.concatenate([tile.boxes, tile.ignore])
        assert (boxes >= 0).all()
        assert (boxes <= 96).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        drawn += len(boxes)
        at_edge += int(((boxes == 0) | (boxes == 96)).any(axis=1).sum())
    assert drawn > at_edge > 20


def test_a_class_of_one_object_is_drawn_and_no_picture_is_drawn_for_ever() -> None:
    box = np.array([[0, 0, 5, 5]], np.float32)
    labelled = [Annotations(box, np.array([int(i == 0)]), np.array([False])) for i in range(400)]
    samples = [Sample(Path("none.png"), i, 60, 60, a) for i, a in enumerate(labelled)]
    dataset = Dataset("one", ("common", "single"), (1, 2), tuple(samples))
    factors = repeat_factors(dataset, 0.5)
    assert factors[0] == pytest.approx(np.sqrt(0.5 * 400))
    assert (factors[1:] == 1).all()


def test_cache_is_bounded_and_does_not_change_tiles() -> None:
    dataset, image = scene(300, 200)
    many = Dataset("many", dataset.class_names, (1, 2), dataset.samples * 5)
    reads = []

    def read(sample: Sample) -> UInt8Image:
        reads.append(sample)
        return image

    config = SamplingConfig(cache_megabytes=0)
    tight = TileSampler(many, read, 96, 1.0, config, STILL, 0)
    roomy = TileSampler(many, read, 96, 1.0, SamplingConfig(), STILL, 0)
    assert all((tight(i).image == roomy(i).image).all() for i in range(10))
    assert 10 < len(reads) <= 20


def test_paste_adds_true_copies_on_free_ground_and_keeps_its_input() -> None:
    tile = np.full((96, 96, 3), 60, np.uint8)
    tile[20:30, 20:30] = 250
    boxes = np.array([[20, 20, 30, 30]], np.float32)
    before, ignore = tile.copy(), np.array([[50, 50, 96, 96]], np.float32)
    pasted, new_boxes, labels = paste_objects(
        tile, boxes, np.array([1]), ignore, np.random.default_rng(0)
    )
    assert (tile == before).all()
    assert len(new_boxes) == len(labels) == 3
    assert labels.tolist() == [1, 1, 1]
    assert box_iou(new_boxes[1:], np.concatenate([boxes, ignore])).max() == 0
    x1, y1, x2, y2 = new_boxes[1].astype(int)
    assert pasted[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].min() > 230


def test_paste_copies_a_rare_class_as_often_as_a_common_one() -> None:
    tile = np.full((256, 256, 3), 60, np.uint8)
    crowd = np.array([[x, 10, x + 8, 18] for x in range(10, 240, 12)], np.float32)
    boxes = np.concatenate([crowd, [[120, 120, 126, 126]]]).astype(np.float32)
    labels = np.array([0] * len(crowd) + [1])
    rng = np.random.default_rng(0)
    copied = np.concatenate(
        [paste_objects(tile, boxes, labels, boxes[:0], rng)[2][len(boxes) :] for _ in range(30)]
    )
    assert len(copied) > 150
    assert 0.4 < copied.mean() < 0.6


def test_paste_without_donors_changes_nothing() -> None:
    tile = np.zeros((32, 32, 3), np.uint8)
    none = np.zeros((0, 4), np.float32)
    pasted, boxes, _ = paste_objects(
        tile, none, np.zeros(0, np.int64), none, np.random.default_rng(0)
    )
    assert pasted is tile
    assert len(boxes) == 0


@pytest.mark.parametrize(("balance", "low", "high"), [(True, 0.35, 0.65), (False, 0.0, 0.2)])
def test_a_rare_class_is_looked_at_as_often_as_a_common_one(
    balance: bool, low: float, high: float
) -> None:
    far = np.array([[900, 900, 910, 910]], np.float32)
    crowd = np.array([[x, 20, x + 10, 30] for x in range(0, 300, 15)], np.float32)
    annotations = Annotations(
        np.concatenate([crowd, far]), np.array([0] * len(crowd) + [1]), np.zeros(21, bool)
    )
    sample = Sample(Path("none.png"), 1, 1000, 1000, annotations)
    dataset = Dataset("two", ("common", "rare"), (1, 2), (sample,))
    image = np.zeros((1000, 1000, 3), np.uint8)
    config = SamplingConfig(on_object=1, balance_classes=balance)
    draw = TileSampler(dataset, lambda _: image, 96, 1.0, config, STILL, seed=0)
    rare = sum(1 in draw(i).labels for i in range(100)) / 100
    assert low <= rare <= high


def test_pictures_with_a_rare_class_are_drawn_more_often() -> None:
    box = np.array([[0, 0, 5, 5]], np.float32)

    def sample(label: int, ignored: bool = False) -> Sample:
        annotations = Annotations(box, np.array([label]), np.array([ignored]))
        return Sample(Path("none.png"), 1, 60, 60, annotations)

    samples = [sample(0)] * 12 + [sample(1)] * 3 + [sample(1, ignored=True)]
    dataset = Dataset("rare", ("common", "rare", "absent"), (1, 2, 3), tuple(samples))
    factors = repeat_factors(dataset, 0.75)
    assert factors.tolist() == pytest.approx([1] * 12 + [2] * 3 + [1])
    assert repeat_factors(dataset, 0).tolist() == [1] * 16

    image = np.zeros((60, 60, 3), np.uint8)
    config = SamplingConfig(repeat_below=0.75)
    draw = TileSampler(dataset, lambda _: image, 32, 1.0, config, STILL, seed=0)
    drawn = [label for i in range(600) for label in draw(i).labels.tolist()]
    assert drawn.count(1) / len(drawn) == pytest.approx(6 / 18, abs=0.07)


def test_each_picture_can_have_a_scale_of_its_own() -> None:
    small, image = scene(96, 64)
    (sample,) = small.samples
    twice = Sample(Path("twice.png"), 2, 192, 128, sample.annotations)
    dataset = Dataset("two", ("even", "odd"), (1, 2), (sample, twice))
    shown = {96: image, 192: np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)}
    scales = np.array([1.0, 0.5])
    config = SamplingConfig(size_power=0)
    draw = TileSampler(dataset, lambda s: shown[s.width], 96, scales, config, STILL, seed=0)
    sides = {round(float(np.diff(draw(i).boxes[:, ::2]).max())) for i in range(12)}
    assert sides == {10, 5}  # of the one as it is, of the other at half its size


def test_motion_is_warped_as_the_picture_is_and_not_recoloured() -> None:
    """Five channels: OpenCV warps four at once, and makes nonsense of more without a word."""
    dataset, image = scene(300, 200)
    layered = np.concatenate([image, image[..., :1], 255 - image[..., :1]], axis=2)
    strong = AugmentConfig(any_turn=0.6, contrast=0.9, brightness=0.9, blur=1, noise=1, paste=1)
    draw = TileSampler(
        dataset, lambda _: layered, 96, 1.0, SamplingConfig(), strong, seed=3, motion=2
    )
    plain = TileSampler(dataset, lambda _: image, 96, 1.0, SamplingConfig(), strong, seed=3)
    quiet = strong.model_copy(update={"contrast": 0, "brightness": 0, "blur": 0, "noise": 0,
                                      "gamma": 1, "tint": 0, "saturation": 0})  # fmt: skip
    still = TileSampler(dataset, lambda _: image, 96, 1.0, SamplingConfig(), quiet, seed=3)
    for i in range(6):
        tile = draw(i)
        assert tile.image.shape == (96, 96, 5)
        assert (tile.image[..., :3] == plain(i).image).all()
        assert (tile.boxes == plain(i).boxes).all()
        assert (tile.image[..., 3] == still(i).image[..., 0]).all()
