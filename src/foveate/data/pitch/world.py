"""What a seed decides before the match begins: kits, people's looks, light, grass, stadium."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foveate.data.pitch.camera import Camera, Points, place_camera
from foveate.data.pitch.config import PitchConfig

Colour = Points
"""``(3,)`` RGB, 0 to 255."""

PLAYERS = 22
OFFICIALS = 3
PEOPLE = PLAYERS + OFFICIALS
"""Rows 0-10 are one team, 11-21 the other (their first is the keeper), then referee, assistants."""

KIT_COLOURS = np.array(
    [
        [238, 238, 236], [24, 25, 30], [196, 24, 36], [120, 20, 40], [30, 62, 160],
        [20, 30, 74], [110, 176, 226], [244, 204, 40], [238, 112, 26], [24, 108, 66],
        [92, 44, 132], [232, 130, 168], [20, 148, 150], [150, 154, 160], [206, 226, 60],
    ],
    np.float64,
)  # fmt: skip
BALLS = np.array(
    [
        [[250, 250, 248], [34, 36, 40]],
        [[250, 250, 250], [60, 70, 160]],
        [[246, 248, 250], [214, 60, 50]],
        [[244, 232, 60], [40, 44, 90]],
    ],
    np.float64,
)
"""Colours of a ball and its patches; the yellow one is for winter."""
PATTERNS = ("plain", "plain", "plain", "stripes", "hoops", "halves", "sleeves", "sash")
SKIN = np.array(
    [
        [236, 196, 168],
        [222, 172, 138],
        [196, 142, 106],
        [150, 100, 70],
        [104, 66, 46],
        [72, 46, 34],
    ],
    np.float64,
)
HAIR = np.array(
    [[24, 20, 18], [44, 32, 24], [82, 56, 36], [140, 104, 60], [196, 164, 110], [120, 116, 112]],
    np.float64,
)


@dataclass(frozen=True, slots=True, eq=False)
class Kit:
    """Clothes of a team, a keeper or the officials."""

    shirt: Colour
    second: Colour
    pattern: str
    shorts: Colour
    socks: Colour
    number: Colour


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """How one person looks, whatever they do."""

    kit: Kit
    height: float
    build: float
    skin: Colour
    hair: Colour
    hair_size: float
    boots: Colour
    number: int
    long_sleeves: bool


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """Sun, cloud or floodlights.

    Attributes:
        kind: ``sun``, ``cloud`` or ``flood``.
        lamps: ``(L, 3)`` unit vectors from the ground towards each lamp.
        shadow: How much of the light each lamp's shadow takes away, 0 to 1.
        softness: Width of a shadow's edge, metres.
        shade: Outline ``(N, 2)`` in metres of the stand's shadow on the pitch; empty for none.
        shade_level: Brightness inside it, 0 to 1.
        gains: ``(3,)`` white balance and exposure.
        contrast: 1 keeps it.
        haze: Share of grey veil, 0 to 1.
        vignette: Loss of light in the picture's corners, 0 to 1.
    """

    kind: str
    lamps: Points
    shadow: float
    softness: float
    shade: Points
    shade_level: float
    gains: Colour
    contrast: float
    haze: float
    vignette: float


@dataclass(frozen=True, slots=True, eq=False)
class Stadium:
    """Grass, lines and what stands around."""

    grass: Colour
    mowing: str
    band: float
    mowing_strength: float
    wear: float
    line_level: float
    surround: Colour
    track: Colour
    margin: float
    rows: int
    upper_rows: int
    roof: bool
    attendance: float
    seat: Colour


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Everything that stays as it is while a match is played.

    Attributes:
        camera: The fixed camera.
        light: Light and exposure.
        stadium: The place.
        people: Players, officials, then people off the pitch.
        ball: Colours of the ball and of its patches, ``(2, 3)``.
        shutter: Exposure time, seconds.
        softness: Blur of the lens, pixels (standard deviation).
        noise: Sensor noise, grey levels (standard deviation).
    """

    camera: Camera
    light: Light
    stadium: Stadium
    people: tuple[Person, ...]
    ball: Points
    shutter: float
    softness: float
    noise: float


def make_world(rng: np.random.Generator, config: PitchConfig) -> World:
    """Draw a world; two seeds share neither kits, nor light, nor camera."""
    camera = place_camera(rng, config)
    light = _make_light(rng)
    kits = _make_kits(rng)
    people = [_make_person(rng, kits[_kit_of(index)]) for index in range(PEOPLE)]
    extras = [
        _make_person(rng, _street_clothes(rng, kits)) for _ in range(int(rng.integers(4, 15)))
    ]
    people += extras if config.extras else []
    shutter = 1 / rng.uniform(110, 190) if light.kind == "flood" else 1 / rng.uniform(160, 700)
    scale = config.width / 2560
    softness = rng.uniform(0.45, 0.95) * max(scale, 0.6)
    noise = rng.uniform(2.0, 4.5) if light.kind == "flood" else rng.uniform(1.0, 3.2)
    stadium = _make_stadium(rng, kits)
    ball = BALLS[int(rng.choice(len(BALLS), p=[0.5, 0.28, 0.12, 0.1]))]
    return World(
        camera, light, stadium, tuple(people), ball, float(shutter), float(softness), noise
    )


def _kit_of(index: int) -> int:
    if index >= PLAYERS:
        return 4
    return index // 11 + (2 if index % 11 == 0 else 0)


def _vary(rng: np.random.Generator, colour: Colour, spread: float = 9.0) -> Colour:
    varied: Colour = np.clip(colour + rng.normal(0, spread, 3), 8, 248)
    return varied


def _make_kits(rng: np.random.Generator) -> list[Kit]:
    """Home, away, the two keepers, the officials: each told apart from those before it."""
    taken: list[Colour] = []
    kits = []
    for role in range(5):
        order = rng.permutation(len(KIT_COLOURS))
        far = [i for i in order if all(np.abs(KIT_COLOURS[i] - c).sum() > 150 for c in taken)]
        shirt = KIT_COLOURS[far[0] if far else order[0]]
        taken.append(shirt)
        kits.append(_make_kit(rng, shirt, plain=role > 1))
    return kits


def _make_kit(rng: np.random.Generator, shirt: Colour, plain: bool) -> Kit:
    others = [c for c in KIT_COLOURS if np.abs(c - shirt).sum() > 150]
    second = others[int(rng.integers(len(others)))]
    neutral = KIT_COLOURS[int(rng.integers(2))]
    shorts = [shirt, second, neutral][int(rng.integers(3))]
    socks = [shirt, second, shorts][int(rng.integers(3))]
    pattern = "plain" if plain else PATTERNS[int(rng.integers(len(PATTERNS)))]
    number = KIT_COLOURS[0] if shirt.mean() < 130 else KIT_COLOURS[1]
    return Kit(
        _vary(rng, shirt),
        _vary(rng, second),
        pattern,
        _vary(rng, shorts),
        _vary(rng, socks),
        number,
    )


def _street_clothes(rng: np.random.Generator, kits: list[Kit]) -> Kit:
    """A steward's bib, a tracksuit, a substitute's bib or a ball kid's shirt."""
    dark = _vary(rng, np.array([36.0, 38.0, 46.0]), 12)
    bibs = np.array([[214, 232, 60], [240, 120, 30], [60, 60, 72], [30, 40, 90]], np.float64)
    shirt = bibs[int(rng.integers(4))] if rng.random() < 0.75 else kits[int(rng.integers(2))].shirt
    return Kit(_vary(rng, shirt), dark, "plain", dark, dark, dark)


def _make_person(rng: np.random.Generator, kit: Kit) -> Person:
    boots = np.array([[20, 20, 22], [235, 235, 235], [230, 90, 40], [90, 220, 120]], np.float64)
    return Person(
        kit,
        height=float(np.clip(rng.normal(1.82, 0.065), 1.64, 2.0)),
        build=float(np.clip(rng.normal(1.0, 0.07), 0.85, 1.2)),
        skin=_vary(rng, SKIN[int(rng.integers(len(SKIN)))], 5),
        hair=_vary(rng, HAIR[int(rng.choice(len(HAIR), p=[0.3, 0.26, 0.2, 0.1, 0.08, 0.06]))], 5),
        hair_size=float(rng.choice([0.0, 0.96, 1.0, 1.06, 1.2], p=[0.12, 0.3, 0.3, 0.2, 0.08])),
        boots=boots[int(rng.choice(4, p=[0.45, 0.25, 0.15, 0.15]))],
        number=int(rng.integers(2, 30)),
        long_sleeves=bool(rng.random() < 0.3),
    )


def _make_light(rng: np.random.Generator) -> Light:
    kind = ("sun", "cloud", "flood")[int(rng.choice(3, p=[0.4, 0.3, 0.3]))]
    warm = rng.normal(0, 0.035)
    exposure = rng.uniform(0.9, 1.24)
    gains = exposure * np.array([1 + warm, 1.0, 1 - warm])
    haze = float(rng.uniform(0, 0.06) if kind == "sun" else rng.uniform(0, 0.16))
    shade, level = np.zeros((0, 2)), 1.0
    if kind == "sun":
        azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(22, 60))
        lamps = _direction(np.array([azimuth]), np.array([elevation]))
        if rng.random() < 0.45:
            shade, level = _stand_shadow(lamps[0], rng), rng.uniform(0.42, 0.62)
        shadow, softness = rng.uniform(0.42, 0.62), 0.02
    elif kind == "cloud":
        lamps = _direction(rng.uniform(0, 2 * np.pi, 1), np.radians(rng.uniform(75, 88, 1)))
        shadow, softness = rng.uniform(0.12, 0.3), 0.22
    else:
        corners = np.radians([45, 135, 225, 315]) + rng.normal(0, 0.2, 4)
        lamps = _direction(corners, np.radians(rng.uniform(26, 44, 4)))
        shadow, softness = rng.uniform(0.12, 0.22), 0.03
        gains = gains * np.array([1.0, 1.02, 1.06])
    contrast, vignette = rng.uniform(0.92, 1.16), rng.uniform(0.05, 0.32)
    return Light(
        kind, lamps, float(shadow), softness, shade, float(level), gains, contrast, haze, vignette
    )


def _direction(azimuth: Points, elevation: Points) -> Points:
    flat = np.cos(elevation)
    return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=-1)


def _stand_shadow(sun: Points, rng: np.random.Generator) -> Points:
    """The shadow of a roof edge behind the touchline or goal line that the sun stands over."""
    reach = rng.uniform(8, 30)
    if abs(sun[1]) > abs(sun[0]):
        side = np.sign(sun[1])
        edge = side * (34 - reach)
        return np.array([[-90, edge], [90, edge], [90, side * 90], [-90, side * 90]])
    side = np.sign(sun[0])
    edge = side * (52.5 - reach)
    return np.array([[edge, -90], [edge, 90], [side * 120, 90], [side * 120, -90]])


def _make_stadium(rng: np.random.Generator, kits: list[Kit]) -> Stadium:
    grass = np.array([84.0, 126.0, 52.0]) * rng.uniform(0.78, 1.12)
    grass = grass + np.array([rng.normal(0, 13), rng.normal(0, 7), rng.normal(0, 9)])
    grass = grass + rng.uniform(0.02, 0.32) * (grass.mean() - grass)
    tracks = np.array([[150, 72, 58], [70, 74, 80], [60, 84, 120], [104, 104, 100]], np.float64)
    large = rng.random() < 0.7
    surround = grass * 0.93 if rng.random() < 0.6 else np.array([46.0, 104.0, 56.0])
    return Stadium(
        grass=np.clip(grass, 20, 200),
        mowing=("bands", "bands", "bands", "checks", "along", "none")[int(rng.integers(6))],
        band=float(rng.choice([4.0, 5.25, 5.5, 8.75])),
        mowing_strength=float(rng.uniform(0.03, 0.1)),
        wear=float(rng.uniform(0, 1) ** 2),
        line_level=float(rng.uniform(0.72, 0.97)),
        surround=surround,
        track=tracks[int(rng.integers(4))] if rng.random() < 0.4 else surround,
        margin=float(rng.uniform(3.5, 5.5)),
        rows=int(rng.integers(16, 30)) if large else int(rng.integers(4, 10)),
        upper_rows=int(rng.integers(12, 24)) if large and rng.random() < 0.7 else 0,
        roof=bool(large or rng.random() < 0.5),
        attendance=float(np.clip(rng.normal(0.75, 0.25), 0.12, 0.98)),
        seat=_vary(rng, kits[0].shirt if rng.random() < 0.5 else np.array([52.0, 66.0, 112.0]), 15),
    )
