"""How a match is found: open play, a corner, a free kick or the kick-off."""

from __future__ import annotations

import numpy as np

from foveate.data.pitch.ball import RADIUS, Ball
from foveate.data.pitch.ground import HALF_LENGTH, HALF_WIDTH
from foveate.data.pitch.match import ATTACK, FORMATIONS, KEEPERS, Match
from foveate.data.pitch.pose import Action
from foveate.data.pitch.world import PEOPLE, PLAYERS, World

SCENES = ("open", "corner", "free kick", "kick-off")
SCENE_ODDS = (0.7, 0.13, 0.12, 0.05)


def start_match(world: World, rng: np.random.Generator) -> Match:
    """Place everybody for one of the `SCENES` and play a moment, so that all are under way."""
    count = len(world.people)
    formation = FORMATIONS[rng.integers(len(FORMATIONS), size=2)]
    match = Match(
        rng,
        Ball(np.array([0.0, 0.0, RADIUS]), np.zeros(3), np.linalg.qr(rng.normal(size=(3, 3)))[0]),
        position=np.zeros((count, 2)),
        velocity=np.zeros((count, 2)),
        facing=np.resize(rng.uniform(-np.pi, np.pi, PEOPLE), count),
        phase=np.resize(rng.uniform(0, 2 * np.pi, PEOPLE), count),
        height=np.array([person.height for person in world.people]),
        formation=formation,
        places=np.zeros((PLAYERS, 2)),
        possession=int(rng.integers(2)),
        action=np.zeros(count),
        started=np.full(count, -9.0),
        lasting=np.zeros(count),
        drift=rng.normal(0, 2.2, (PEOPLE, 2)),
    )
    _place_extras(match, world)
    scene = str(rng.choice(SCENES, p=SCENE_ODDS))
    _set_scene(match, scene)
    for _ in range(int(rng.integers(8, 25 if scene != "open" else 160))):
        match.step(0.04)
    return match


def _place_extras(match: Match, world: World) -> None:
    """Coaches and stewards along the touchlines, ball kids and photographers behind the goals."""
    rng, margin = match.rng.spawn(1)[0], world.stadium.margin
    for who in range(PEOPLE, len(world.people)):
        place = int(rng.integers(3))
        if place == 0:
            spot = np.array([rng.uniform(-24, 24), -HALF_WIDTH - rng.uniform(1.6, 3.4)])
            facing = np.pi / 2
        elif place == 1:
            spot = np.array([rng.uniform(-50, 50), HALF_WIDTH + margin - rng.uniform(0.6, 1.1)])
            facing = np.pi / 2 if rng.random() < 0.5 else -np.pi / 2
        else:
            side = 1 if rng.random() < 0.5 else -1
            spot = np.array([side * (HALF_LENGTH + margin - 0.3), rng.uniform(-30, 30)])
            facing = np.pi if side > 0 else 0.0
        match.position[who], match.facing[who] = spot, facing + rng.normal(0, 0.4)
        match.begin(who, Action(int(rng.choice([0, 4, 5], p=[0.62, 0.3, 0.08]))), 1e6)


def _set_scene(match: Match, scene: str) -> None:
    """Ball, owner and players' places at the start of a scene, in place."""
    rng = match.rng
    team = match.possession
    goal = ATTACK[team] * HALF_LENGTH
    spot = {
        "open": np.array([rng.uniform(-44, 44), rng.uniform(-30, 30)]),
        "corner": np.array([goal * 0.993, (HALF_WIDTH - 0.3) * rng.choice([-1, 1])]),
        "free kick": np.array([goal - np.sign(goal) * rng.uniform(18, 28), rng.uniform(-16, 16)]),
        "kick-off": np.zeros(2),
    }[scene]
    match.ball.position[:2] = spot
    target, _ = match.targets()
    match.places = target[:PLAYERS].copy()
    if scene == "kick-off":
        for side, attack in enumerate(ATTACK):
            rows = slice(11 * side, 11 * side + 11)
            own = np.minimum(match.places[rows, 0] * attack, -1.0)
            match.places[rows, 0] = attack * own
    elif scene != "open":
        _crowd_the_box(match, team, wall=scene == "free kick")
    match.position[:PLAYERS] = match.places + rng.normal(0, 0.5, (PLAYERS, 2))
    match.position[PLAYERS:PEOPLE] = target[PLAYERS:]
    taker = _nearest(match, team)
    match.position[taker] = spot + rng.normal(0, 0.3, 2)
    match.owner = taker
    if scene != "open":
        match.drift *= 0.3
        match.places[taker] = spot
        match.set_until = float(rng.uniform(0.6, 3.0))
        match.decide_at = match.set_until - 0.1
    elif rng.random() < 0.12:
        hurt = int(rng.choice(np.setdiff1d(np.arange(PLAYERS), [taker, *KEEPERS])))
        match.position[hurt] = spot + rng.normal(0, 3.0, 2)
        match.begin(hurt, Action.DOWN, 1e6)


def _crowd_the_box(match: Match, team: int, wall: bool) -> None:
    """Attackers and defenders in the penalty area; for a free kick, a wall too."""
    rng, goal = match.rng, ATTACK[team] * HALF_LENGTH
    inside = np.sign(goal)
    spot = match.ball.position[:2]
    attackers = 11 * team + rng.choice(np.arange(1, 11), 7, replace=False)
    defenders = 11 * (1 - team) + rng.choice(np.arange(1, 11), 9, replace=False)
    for who in np.concatenate([attackers, defenders]):
        depth = rng.uniform(3, 13) if not wall else rng.uniform(9, 17)
        match.places[who] = [goal - inside * depth, rng.normal(0, 6.5)]
    if wall:
        to_goal = np.array([goal, 0.0]) - spot
        to_goal = to_goal / np.hypot(*to_goal)
        across = np.array([-to_goal[1], to_goal[0]])
        for index, who in enumerate(defenders[: int(rng.integers(3, 6))]):
            match.places[who] = spot + 9.15 * to_goal + across * (index - 1.5) * 0.62


def _nearest(match: Match, team: int) -> int:
    rows = np.arange(11 * team + 1, 11 * team + 11)
    gap = match.position[rows] - match.ball.position[:2]
    return int(rows[np.hypot(gap[:, 0], gap[:, 1]).argmin()])
