"""The rendered match: the same from the same seed, boxes that fit, play that makes sense."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.data.pitch import (
    CLASS_NAMES,
    PitchConfig,
    dataset,
    render_clip,
    render_frames,
    render_still,
    write_dataset,
)
from foveate.data.pitch.ball import RADIUS, ROLLING, Ball
from foveate.data.pitch.camera import Camera, place_camera
from foveate.data.pitch.cutout import alpha_box, capsules
from foveate.data.pitch.ground import pitch_lines
from foveate.data.pitch.match import Match
from foveate.data.pitch.pose import CROWN, TOES, pose
from foveate.data.pitch.render import Scene
from foveate.data.pitch.scenes import start_match
from foveate.data.pitch.world import PEOPLE, PLAYERS, make_world
from foveate.errors import UsageError
from foveate.structures import Annotations

SMALL = PitchConfig(width=640, height=360)
CLEAN = PitchConfig(width=640, height=360, sensor_noise=0, jpeg_quality=0)
TINY = PitchConfig(width=160, height=90)


still = functools.cache(render_still)


def play(seed: int, config: PitchConfig = CLEAN) -> tuple[Scene, Match]:
    """A match on plain grey ground: quick, and enough for boxes."""
    world = make_world(np.random.default_rng(seed), config)
    ground = np.full((config.height, config.width, 3), 90, np.uint8)
    light = np.ones((-(-config.height // 8), -(-config.width // 8)), np.float32)
    tone = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    scene = Scene(world, config, ground, light, np.zeros((0, 0, 3), np.uint8), tone)
    return scene, start_match(world, np.random.default_rng(seed + 1))


def without_people(scene: Scene, match: Match) -> tuple[Scene, Match]:
    """The same ball, quicker to render."""
    return dataclasses.replace(scene, world=dataclasses.replace(scene.world, people=())), match


def ball_of(annotations: Annotations) -> tuple[np.ndarray, bool] | None:
    rows = np.flatnonzero(annotations.labels == CLASS_NAMES.index("ball"))
    assert len(rows) <= 1
    return (annotations.boxes[rows[0]], bool(annotations.ignore[rows[0]])) if len(rows) else None


def at_rest(place: list[float]) -> Ball:
    return Ball(np.array(place), np.zeros(3), np.eye(3))


def test_a_seed_gives_the_same_picture_and_another_seed_another_world() -> None:
    image, annotations = still(1, SMALL)
    again, repeated = render_still(1, SMALL)
    other, _ = still(2, SMALL)
    assert np.array_equal(image, again)
    assert np.array_equal(annotations.boxes, repeated.boxes)
    assert np.array_equal(annotations.ignore, repeated.ignore)
    assert np.abs(image.astype(int) - other).mean() > 10


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_boxes_lie_in_the_picture(seed: int) -> None:
    image, annotations = still(seed, SMALL)
    assert image.shape == (360, 640, 3)
    assert image.dtype == np.uint8
    assert image.std() > 15
    boxes = annotations.boxes
    assert len(boxes) >= 12
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [640, 360]).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert set(annotations.labels.tolist()) <= {0, 1}
    assert annotations.boxes.dtype == np.float32


def test_objects_are_as_small_as_in_the_real_thing() -> None:
    heights, balls = [], []
    for seed in range(30, 38):
        scene, match = play(seed)
        annotations = scene.render(match, np.random.default_rng(0)).annotations
        size = (annotations.boxes[:, 2:] - annotations.boxes[:, :2]) * 4  # of 2560 pixels
        players = (annotations.labels == 0) & ~annotations.ignore
        heights += size[players, 1].tolist()
        balls += size[(annotations.labels == 1) & ~annotations.ignore].max(axis=1).tolist()
    assert len(balls) >= 4
    assert max(balls) < 16
    assert min(balls) > 2
    assert 20 < np.percentile(heights, 5) < 40
    assert 25 < np.median(heights) < 60
    assert np.percentile(heights, 99) < 140


def test_full_size_is_the_default() -> None:
    image, annotations = render_still(2)
    assert image.shape == (1440, 2560, 3)
    size = annotations.boxes[:, 2:] - annotations.boxes[:, :2]
    ball = size[annotations.labels == 1]
    assert ball.size == 0 or 2 < ball.max() < 16
    assert (size[annotations.labels == 0, 1] < 32).mean() > 0.02


def test_the_first_frame_of_a_clip_is_the_still() -> None:
    image, annotations = still(3, SMALL)
    first, known = next(render_clip(3, 3, config=SMALL))
    assert np.array_equal(image, first)
    assert np.array_equal(annotations.boxes, known.boxes)


def test_the_background_of_a_clip_does_not_move_and_people_do() -> None:
    frames = list(render_clip(4, 9, fps=10, config=CLEAN))
    images = np.stack([image for image, _ in frames]).astype(int)
    changed = np.ptp(images, axis=0).max(axis=2) > 0
    assert 0.001 < changed.mean() < 0.2
    near = np.zeros(changed.shape, bool)
    for _, known in frames:
        for x1, y1, x2, y2 in known.boxes.astype(int):
            reach = int(2.5 * (y2 - y1)) + 6  # shadows
            near[max(y1 - reach, 0) : y2 + reach, max(x1 - reach, 0) : x2 + reach] = True
    assert not (changed & ~near).any()


def test_the_ball_moves_continuously() -> None:
    for seed in range(2):
        scene, match = without_people(*play(seed))
        places = []
        for _ in range(20):
            known = ball_of(scene.render(match, np.random.default_rng(0)).annotations)
            places.append((known[0][:2] + known[0][2:]) / 2 if known else np.full(2, np.nan))
            match.step(0.04)
        steps = np.hypot(*np.diff(np.array(places), axis=0).T)
        assert np.isfinite(steps).sum() > 10
        assert np.nanmax(steps) < 30 / 25 * 12  # 30 m/s, 12 pixels a metre


def test_people_and_ball_obey_their_limits() -> None:
    _, match = play(1)
    owners = set()
    for _ in range(400):
        place, speed = match.ball.position.copy(), match.velocity[:PEOPLE].copy()
        match.step(0.04)
        owners.add(match.owner)
        assert np.linalg.norm(match.ball.position - place) < 30 * 0.04
        change = np.hypot(*(match.velocity[:PEOPLE] - speed).T)
        assert change.max() < 5.5 * 0.04 + 1e-9
        assert match.speed().max() < 9.5
        assert (np.abs(match.position) < [62, 44]).all()
        assert RADIUS - 1e-9 <= match.ball.position[2] < 25
    assert len(owners) > 3, "the ball should change hands"


def test_both_teams_get_the_ball() -> None:
    _, match = play(3)
    teams = set()
    for _ in range(800):
        match.step(0.04)
        if match.owner >= 0:
            teams.add(match.owner // 11)
    assert teams == {0, 1}


def test_the_box_of_the_ball_is_where_its_pixels_are() -> None:
    scene, match = without_people(*play(2, PitchConfig(sensor_noise=0, jpeg_quality=0)))
    for place in ([0.0, 5.0, 6.0], [10.0, -10.0, 4.0], [-8.0, 25.0, 8.0]):
        match.ball = at_rest(place)
        with_ball = scene.render(match, np.random.default_rng(0))
        match.ball = at_rest([0.0, -300.0, 6.0])
        without = scene.render(match, np.random.default_rng(0))
        assert ball_of(without.annotations) is None
        known = ball_of(with_ball.annotations)
        assert known is not None
        x1, y1, x2, y2 = known[0]
        left, top = int(x1) - 8, int(y1) - 8
        part = np.s_[top : int(y2) + 8, left : int(x2) + 8]
        change = np.abs(with_ball.image[part].astype(int) - without.image[part]).max(axis=2)
        rows, columns = np.nonzero(change > 0.3 * change.max())
        seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert np.abs(seen + np.array([left, top, left, top]) - known[0]).max() < 1.5
        diameter = 2 * RADIUS * float(scene.world.camera.scale(np.array(place)))
        assert np.allclose([x2 - x1, y2 - y1], diameter, atol=0.8)


def test_a_person_fits_its_box_from_head_to_toe() -> None:
    scene, match = play(7)
    joints = pose(match.motion())
    frame = scene.render(match, np.random.default_rng(0))
    pixels = scene.world.camera.project(joints)
    metre = scene.world.camera.scale(joints.mean(axis=1))
    whole = [i for i, seen in enumerate(frame.visible) if seen > 0.95 and frame.people[i] >= 0]
    assert len(whole) > 8
    for index in whole:
        who, box = frame.people[index], frame.annotations.boxes[index]
        low, high = pixels[who].min(axis=0), pixels[who].max(axis=0)
        slack = 0.2 * metre[who] + 1
        assert (box[:2] <= low + 0.75).all()
        assert (box[2:] >= high - 0.75).all()
        assert (box[:2] >= low - slack).all()
        assert (box[2:] <= high + slack).all()
        assert pixels[who, CROWN, 1] < pixels[who, list(TOES), 1].max()


def test_a_hidden_ball_is_ignored_and_one_in_front_is_not() -> None:
    scene, match = play(9)
    camera = scene.world.camera
    seen = [i for i in range(PLAYERS) if 0 < camera.project(pose(match.motion())[i, 0])[0] < 640]
    who = max(seen, key=lambda i: -match.position[i, 1])
    chest = pose(match.motion())[who, 0] + np.array([0, 0, 0.2])
    ray = chest - camera.position
    for factor, hidden in ((1.01, True), (0.97, False)):
        match.ball = at_rest((camera.position + factor * ray).tolist())
        frame = scene.render(match, np.random.default_rng(0))
        known = ball_of(frame.annotations)
        assert known is not None
        assert known[1] is hidden


def test_people_off_the_pitch_are_ignored_and_can_be_left_out() -> None:
    with_extras = next(render_frames(11, 1, config=CLEAN))
    bare = next(render_frames(11, 1, config=CLEAN.model_copy(update={"extras": False})))
    assert with_extras.annotations.ignore[with_extras.people >= PEOPLE].all()
    assert (with_extras.people >= PEOPLE).any()
    assert bare.people.max() < PEOPLE
    on_pitch = with_extras.people < PEOPLE
    assert np.array_equal(with_extras.annotations.boxes[on_pitch], bare.annotations.boxes)


def test_noise_and_compression_can_be_turned_off() -> None:
    plain, _ = still(3, CLEAN)
    noisy, _ = render_still(3, CLEAN.model_copy(update={"sensor_noise": 2.0}))
    squeezed, _ = render_still(3, CLEAN.model_copy(update={"jpeg_quality": 40}))
    assert 1 < np.abs(plain.astype(int) - noisy).mean() < 12
    assert 0.5 < np.abs(plain.astype(int) - squeezed).mean() < 12


def test_write_dataset_writes_coco_with_the_same_pictures(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "set", 2, seed=2, config=SMALL)
    assert path == tmp_path / "set" / "annotations.json"
    coco = json.loads(path.read_text())
    assert [c["name"] for c in coco["categories"]] == list(CLASS_NAMES)
    assert coco["licenses"][0]["name"] == "Apache-2.0"
    assert "foveate" in coco["info"]["contributor"]
    assert [i["seed"] for i in coco["images"]] == [2, 3]
    for image in coco["images"]:
        picture = cv2.imread(str(tmp_path / "set" / "images" / image["file_name"]))
        assert picture is not None
        expected, annotations = still(image["seed"], SMALL)
        assert np.array_equal(picture[..., ::-1], expected)
        rows = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
        boxes = np.array([row["bbox"] for row in rows])
        assert np.allclose(boxes[:, :2], annotations.boxes[:, :2], atol=0.011)
        assert [row["category_id"] - 1 for row in rows] == annotations.labels.tolist()
        assert [bool(row["iscrowd"]) for row in rows] == annotations.ignore.tolist()
        assert all(0 <= row["visibility"] <= 1 for row in rows)
    assert len({a["id"] for a in coco["annotations"]}) == len(coco["annotations"])


def test_clips_in_a_dataset_do_not_depend_on_the_number_of_jobs(tmp_path: Path) -> None:
    alone = write_dataset(tmp_path / "a", 2, config=TINY, frames=2)
    spread = write_dataset(tmp_path / "b", 2, config=TINY, frames=2, jobs=2)
    assert alone.read_bytes() == spread.read_bytes()
    names = sorted(p.name for p in (tmp_path / "a" / "images").iterdir())
    assert names == [f"00000{s}_0000{f}.jpg" for s in (0, 1) for f in (0, 1)]
    for name in names:
        pictures = [(tmp_path / part / "images" / name).read_bytes() for part in "ab"]
        assert pictures[0] == pictures[1]
    people = {
        a["track_id"] for a in json.loads(alone.read_text())["annotations"] if a["image_id"] == 1
    }
    assert len(people) > 10


def test_a_failed_dataset_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError("disk full")

    monkeypatch.setattr(dataset, "encode_frame", fail)
    with pytest.raises(OSError, match="disk full"):
        write_dataset(tmp_path / "set", 1, config=TINY)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="choose another"):
        write_dataset(tmp_path, 1, config=TINY)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", ["count", "frames", "jobs"])
def test_numbers_too_small_are_named(tmp_path: Path, name: str) -> None:
    arguments = {"count": 1, "frames": 1, "jobs": 1, name: 0}
    with pytest.raises(UsageError, match=name):
        write_dataset(tmp_path / "set", config=TINY, **arguments)


def test_bad_seeds_frames_and_sizes_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match="seed"):
        render_still(-1)
    with pytest.raises(UsageError, match="frames"):
        render_frames(0, 0)
    with pytest.raises(UsageError, match="fps"):
        render_frames(0, 1, fps=0)
    with pytest.raises(UsageError, match="width"):
        PitchConfig.from_dict({"width": 3})


@pytest.mark.parametrize(("width", "height"), [(64, 64), (90, 320), (333, 187)])
def test_odd_sizes_render(width: int, height: int) -> None:
    image, annotations = render_still(1, PitchConfig(width=width, height=height))
    assert image.shape == (height, width, 3)
    assert (annotations.boxes[:, 2:] <= [width, height]).all()


def test_the_pitch_has_its_lawful_size() -> None:
    points = np.concatenate(pitch_lines())
    assert np.allclose(points.min(axis=0), [-52.5, -34], atol=1.01)
    spots = [line for line in pitch_lines() if len(line) == 16]
    assert np.allclose(sorted(spot[:, 0].mean() for spot in spots), [-41.5, 0, 41.5])
    boxes = [p for p in pitch_lines() if len(p) == 4 and np.isclose(np.abs(p[:, 1]).max(), 20.16)]
    assert len(boxes) == 8, "four bars for each penalty area"


@given(
    st.floats(5.2, 9.8),
    st.floats(5.2, 9.8),
    st.floats(1.0, 6.0),
    st.floats(1.0, 6.0),
    st.floats(0.2, 1),
)
def test_alpha_box_finds_edges_between_pixels(
    x: float, y: float, width: float, height: float, peak: float
) -> None:
    edges = np.arange(25.0)

    def cover(start: float, size: float) -> np.ndarray:
        part = np.minimum(edges + 1, start + size) - np.maximum(edges, start)
        return np.asarray(np.clip(part, 0, 1))

    alpha = (np.outer(cover(y, height), cover(x, width)) * peak).astype(np.float32)
    box = alpha_box(alpha)
    assert box is not None
    loose = 0.12 if min(width, height) > 2 else 1.0  # thinner than a pixel: peak below full
    assert np.abs(box - [x, y, x + width, y + height]).max() <= loose
    assert alpha_box(np.zeros((4, 4), np.float32)) is None


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(-30, 34))
def test_camera_sees_the_ground_by_its_homography(seed: int, x: float, y: float) -> None:
    camera: Camera = place_camera(np.random.default_rng(seed), SMALL)
    ground = camera.plane(np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
    mapped = ground @ np.array([x, y, 1.0])
    assert np.allclose(mapped[:2] / mapped[2], camera.project(np.array([x, y, 0.0])))
    above = camera.project(np.array([x, y, 1.8]))
    assert above[1] < camera.project(np.array([x, y, 0.0]))[1]
    outline = camera.outline(np.array([[x, y, 0], [x, -900, 0], [-900, -900, 0.0], [-900, y, 0]]))
    assert (np.abs(outline) < 3 * 640).all()


@given(st.floats(0.5, 5), st.floats(0.5, 5), st.floats(-20, 20), st.floats(-20, 20))
def test_capsules_hold_both_circles(first: float, second: float, x: float, y: float) -> None:
    ends = np.array([[0.0, 0.0]]), np.array([[x, y]])
    outline = capsules(*ends, np.array([first]), np.array([second]))[0]
    away = np.stack([np.hypot(*(outline - end[0]).T) for end in ends])
    assert (away[0] >= first - 1e-6).all() or (away[1] >= second - 1e-6).all()
    assert (np.minimum(away[0] - first, away[1] - second) < 1e-6).all()
    assert cv2.isContourConvex(cv2.convexHull(outline.astype(np.float32)))


def test_the_ball_bounces_lower_and_rolls_to_a_stop() -> None:
    ball = at_rest([0.0, 0.0, 3.0])
    heights = []
    for _ in range(1500):
        ball.step(0.004)
        heights.append(ball.position[2])
    rises = [b for a, b, c in zip(heights, heights[1:], heights[2:], strict=False) if a < b >= c]
    assert len(rises) >= 2
    assert all(low < high for high, low in itertools.pairwise(rises))
    assert 0.7 < rises[0] < 1.4
    ball = at_rest([0.0, 0.0, RADIUS])
    ball.velocity = np.array([8.0, 0.0, 0.0])
    for _ in range(500):
        ball.step(0.02)
    assert np.allclose(ball.velocity, 0)
    assert np.isclose(ball.position[0], 8.0**2 / (2 * ROLLING), rtol=0.05)
    assert np.allclose(ball.turn @ ball.turn.T, np.eye(3), atol=1e-6)
