"""A match that plays itself: formations, passes, dribbles, set pieces, officials.

Not a study of tactics: enough sense that people stand, run, crowd and hide the ball as they do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from foveate.data.pitch.ball import Ball
from foveate.data.pitch.camera import Points
from foveate.data.pitch.ground import HALF_LENGTH, HALF_WIDTH
from foveate.data.pitch.pose import Action, Motion
from foveate.data.pitch.world import PEOPLE, PLAYERS

KEEPERS = (0, 11)
REFEREE, NEAR_ASSISTANT, FAR_ASSISTANT = PLAYERS, PLAYERS + 1, PLAYERS + 2
ATTACK = np.array([1.0, -1.0])
"""The way each team plays along x."""
FORMATIONS = np.array(
    [
        [
            [-31, -20], [-34, -7], [-34, 7], [-31, 20], [-13, -21],
            [-16, -7], [-16, 7], [-13, 21], [5, -7], [4, 8],
        ],
        [
            [-31, -21], [-34, -7], [-34, 7], [-31, 21], [-22, 0],
            [-13, -10], [-13, 10], [3, -20], [3, 20], [8, 0],
        ],
        [
            [-33, -12], [-35, 0], [-33, 12], [-18, -25], [-18, 25],
            [-20, 0], [-11, -9], [-11, 9], [6, -6], [6, 7],
        ],
    ],
    np.float64,
)  # fmt: skip
"""Field players' places in metres for a team that plays towards +x, the ball at the centre."""


@dataclass(slots=True, eq=False)
class Match:
    """The state of play; `step` moves it on.

    Attributes:
        rng: Source of every decision.
        ball: The ball.
        position: ``(P, 2)`` metres: players, officials, people off the pitch.
        velocity: ``(P, 2)`` metres a second.
        places: ``(22, 2)`` where a set piece wants the players, until ``set_until``.
        owner: Who has the ball, or -1.
    """

    rng: np.random.Generator
    ball: Ball
    position: Points
    velocity: Points
    facing: Points
    phase: Points
    height: Points
    formation: Points
    places: Points
    set_until: float = -1.0
    owner: int = -1
    receiver: int = -1
    kicker: int = -1
    possession: int = 0
    time: float = 0.0
    kicked_at: float = -9.0
    touched_at: float = -9.0
    decide_at: float = 0.5
    action: Points = field(default_factory=lambda: np.zeros(0))
    started: Points = field(default_factory=lambda: np.zeros(0))
    lasting: Points = field(default_factory=lambda: np.zeros(0))
    drift: Points = field(default_factory=lambda: np.zeros((0, 2)))

    def motion(self) -> Motion:
        """How everybody moves now, for `pose`."""
        progress = np.clip((self.time - self.started) / np.maximum(self.lasting, 1e-6), 0, 1)
        leap = self.action == Action.LEAP
        lift = np.where(leap, 2.2 * progress * (1 - progress), 0.0)
        progress = np.where(self.action == Action.DOWN, self.phase % 1.0, progress)
        return Motion(
            self.position.copy(),
            self.velocity.copy(),
            self.facing.copy(),
            self.phase.copy(),
            self.action.copy(),
            progress,
            lift,
            self.height,
        )

    def step(self, seconds: float) -> None:
        """Play on for a short time (at most a twentieth of a second)."""
        self.time += seconds
        self._end_actions()
        self._take_ball()
        self._play_ball()
        self._run(seconds)
        self.ball.step(seconds)
        self._keep_in()

    def begin(self, who: int, action: Action, lasting: float) -> None:
        """Somebody starts an action that ends by itself, in seconds."""
        self.action[who], self.started[who], self.lasting[who] = action, self.time, lasting

    def _end_actions(self) -> None:
        players = self.action[:PEOPLE]
        over = self.time > self.started[:PEOPLE] + self.lasting[:PEOPLE]
        players[over & (players != Action.DOWN)] = Action.MOVE
        for keeper, side in zip(KEEPERS, -ATTACK, strict=True):
            near = abs(self.ball.position[0] - side * HALF_LENGTH) < 38
            if players[keeper] == Action.MOVE and near:
                self.begin(keeper, Action.READY, 0.2)
        idle = np.flatnonzero((players == Action.MOVE) & (self.speed()[:PEOPLE] < 0.4))
        if len(idle) and self.rng.random() < 0.02:
            gesture = Action.HIPS if self.rng.random() < 0.7 else Action.POINT
            self.begin(int(self.rng.choice(idle)), gesture, float(self.rng.uniform(1, 4)))

    def speed(self) -> Points:
        """Everybody's speed, ``(P,)`` metres a second."""
        speed: Points = np.hypot(self.velocity[:, 0], self.velocity[:, 1])
        return speed

    def _take_ball(self) -> None:
        """Who reaches a free ball controls it, heads it, or it glances off."""
        if self.owner >= 0:
            return
        away = np.hypot(*(self.position[:PLAYERS] - self.ball.position[:2]).T)
        away[self.action[:PLAYERS] == Action.DOWN] = 99
        if self.kicker >= 0 and self.time < self.kicked_at + 0.5:
            away[self.kicker] = 99
        who = int(away.argmin())
        height = self.ball.position[2]
        if away[who] > 0.75 or height > 2.3 or self.time < self.touched_at + 0.25:
            return
        self.touched_at, self.possession = self.time, who // 11
        pace = float(np.linalg.norm(self.ball.velocity))
        if height > 1.1:
            self.begin(who, Action.LEAP, 0.55)
            self._send(who, self._goalward(who, 0.9), 7.0, 0.35)
        elif pace > 15 and self.rng.random() < 0.5:
            turn = self.rng.normal(0, 0.5)
            self.ball.velocity = 0.5 * _rotate(self.ball.velocity, turn)
        else:
            self.owner, self.receiver = who, -1
            self.ball.velocity = np.append(self.velocity[who], 0.0) * 0.9
            self.decide_at = self.time + float(self.rng.exponential(1.1)) + 0.35

    def _goalward(self, who: int, spread: float) -> float:
        """A direction towards the other goal, radians, give or take."""
        goal = np.array([ATTACK[who // 11] * HALF_LENGTH, 0.0]) - self.position[who]
        return float(np.arctan2(goal[1], goal[0]) + self.rng.normal(0, spread))

    def _send(self, who: int, direction: float, pace: float, rise: float) -> None:
        """Kick or head: the ball leaves with ``pace`` m/s, ``rise`` radians above the ground."""
        flat = pace * np.cos(rise)
        self.ball.velocity = np.array(
            [flat * np.cos(direction), flat * np.sin(direction), pace * np.sin(rise)]
        )
        self.owner, self.kicker, self.kicked_at = -1, who, self.time
        if self.set_until > self.time:
            self.set_until = self.time + 0.8

    def _play_ball(self) -> None:
        """The owner dribbles until it is time to pass or shoot."""
        who = self.owner
        if who < 0:
            return
        reach = self.position[who] - self.ball.position[:2]
        if float(np.hypot(*reach)) > 2.2 and self.set_until < self.time:
            self.owner = -1
        elif float(np.hypot(*reach)) < 0.8:
            if self.time > self.decide_at:
                self._pass_or_shoot(who)
            elif self.time > self.touched_at + 0.55 and self.set_until < self.time:
                self.touched_at = self.time
                ahead = self._dribble_way(who)
                push = self.velocity[who] * 0.6 + ahead * (1.6 + 0.5 * self.speed()[who])
                self.ball.velocity = np.append(push, 0.0)

    def _dribble_way(self, who: int) -> Points:
        """Unit vector: towards the goal, away from the nearest opponent, back from the lines."""
        place, team = self.position[who], who // 11
        goal = np.array([ATTACK[team] * HALF_LENGTH, 0.0]) - place
        rivals = self.position[11 * (1 - team) : 11 * (2 - team)]
        nearest = rivals[np.hypot(*(rivals - place).T).argmin()]
        away = place - nearest
        way = goal / max(float(np.hypot(*goal)), 1.0) + 2.5 * away / max(float(away @ away), 1.0)
        inward = -np.clip(np.abs(place) - np.array([48, 29.5]), 0, None) * np.sign(place)
        way = way + 0.5 * inward
        unit: Points = way / max(float(np.hypot(*way)), 1e-6)
        return unit

    def _pass_or_shoot(self, who: int) -> None:
        team, place = who // 11, self.position[who]
        self.begin(who, Action.KICK, 0.3)
        goal = np.array([ATTACK[team] * HALF_LENGTH, self.rng.uniform(-4.2, 4.2)]) - place
        distance = float(np.hypot(*goal))
        if distance < 26 and self.rng.random() < 0.55:
            pace = float(self.rng.uniform(18, 27))
            self._send(
                who, float(np.arctan2(goal[1], goal[0])), pace, float(self.rng.uniform(0, 0.2))
            )
            return
        mates = np.setdiff1d(np.arange(11 * team + 1, 11 * team + 11), [who])
        gap = self.position[mates] - place
        far = np.hypot(gap[:, 0], gap[:, 1])
        appeal = (
            np.exp(-np.square((far - 17) / 14)) * np.exp(0.03 * ATTACK[team] * gap[:, 0]) + 1e-6
        )
        mate = int(self.rng.choice(mates, p=appeal / appeal.sum()))
        self.receiver = mate
        lead = self.position[mate] + self.velocity[mate] * 0.8 + self.rng.normal(0, 1.2, 2) - place
        distance = float(np.hypot(*lead))
        direction = float(np.arctan2(lead[1], lead[0]))
        if distance > 27 or self.rng.random() < 0.3:
            rise = float(self.rng.uniform(0.42, 0.75))
            pace = float(np.clip(np.sqrt(9.81 * distance / np.sin(2 * rise)) * 1.1, 7, 27))
            self._send(who, direction, pace, rise)
        else:
            pace = np.sqrt(self.rng.uniform(3, 7) ** 2 + 2 * 1.25 * distance)
            self._send(who, direction, float(min(pace, 20)), 0.0)

    def _keep_in(self) -> None:
        """Boards and nets stop the ball."""
        for axis, limit in ((0, HALF_LENGTH + 2.0), (1, HALF_WIDTH + 2.6)):
            over = abs(self.ball.position[axis]) - limit
            if over > 0 and self.ball.velocity[axis] * self.ball.position[axis] > 0:
                self.ball.velocity *= 0.4
                self.ball.velocity[axis] *= -0.6

    def targets(self) -> tuple[Points, Points]:
        """Where players and officials want to be, and how fast at most, ``(25, 2)``, ``(25,)``."""
        ball = self.ball.position[:2]
        target = np.zeros((PEOPLE, 2))
        for team, attack in enumerate(ATTACK):
            base = self.formation[team] * np.array([attack, attack])
            push = 6.0 * attack if self.possession == team else -3.0 * attack
            shift = np.array([0.52 * ball[0] + push, 0.4 * ball[1]])
            rows = slice(11 * team + 1, 11 * team + 11)
            target[rows] = base * np.array([0.85, 0.8]) + shift
            out = abs(ball[0] + attack * HALF_LENGTH)
            target[11 * team] = [
                -attack * (HALF_LENGTH - np.clip(out / 9, 1.5, 12)),
                ball[1] * 0.12,
            ]
        limit = np.array([49.0, 31.5])
        target[:PLAYERS] = np.clip(target[:PLAYERS], -limit, limit)
        if self.time < self.set_until:
            target[:PLAYERS] = self.places
        target += self.drift
        side = 1.0 if ball[1] < 6 else -1.0
        target[REFEREE] = ball + np.array([-0.22 * ball[0], 10.0 * side]) + self.drift[REFEREE]
        lines = [np.sort(self.position[:11, 0])[1], np.sort(self.position[11:PLAYERS, 0])[-2]]
        target[NEAR_ASSISTANT] = [
            np.clip(max(lines[1], ball[0]), 0, HALF_LENGTH),
            -HALF_WIDTH - 1.1,
        ]
        target[FAR_ASSISTANT] = [np.clip(min(lines[0], ball[0]), -HALF_LENGTH, 0), HALF_WIDTH + 1.1]
        gap = np.hypot(*(target - self.position[:PEOPLE]).T)
        pace = np.clip(0.35 * gap, 1.3, 6.6)
        return target, pace

    def _chase(self, target: Points, pace: Points) -> None:
        """Send the owner, the receiver and the nearest rivals after the ball, in place."""
        ball = self.ball.position[:2]
        ahead = ball + self.ball.velocity[:2] * 0.55
        away = np.hypot(*(self.position[:PLAYERS] - ahead).T)
        away[list(KEEPERS)] += 12
        away[self.action[:PLAYERS] == Action.DOWN] = 999
        hunters = [11 * team + int(away[11 * team : 11 * team + 11].argmin()) for team in (0, 1)]
        waiting = self.time < self.set_until
        if self.owner >= 0:
            hunters = [h for h in hunters if h // 11 != self.owner // 11 and not waiting]
            target[self.owner] = ball + 0.25 * self.ball.velocity[:2]
            pace[self.owner] = 1.0 if waiting else 6.0
        elif self.receiver >= 0:
            hunters.append(self.receiver)
        for who in hunters:
            target[who], pace[who] = ahead, 7.6
        if self.owner >= 0 and hunters:
            rival = hunters[0]
            goal = np.array([-ATTACK[rival // 11] * HALF_LENGTH, 0.0]) - ball
            target[rival] = ball + 1.1 * goal / max(float(np.hypot(*goal)), 1.0)

    def _run(self, seconds: float) -> None:
        """Everybody on the pitch accelerates towards a target and keeps clear of others."""
        active = slice(0, PEOPLE)
        drift = 0.9 * np.sqrt(seconds) * self.rng.standard_normal((PEOPLE, 2))
        self.drift = self.drift * (1 - 0.12 * seconds) + drift
        target, pace = self.targets()
        self._chase(target, pace)
        gap = target - self.position[active]
        distance = np.maximum(np.hypot(gap[:, 0], gap[:, 1]), 1e-6)
        slack = np.where(pace > 7, 0.0, 0.6)
        wish = np.minimum(pace, np.maximum(distance - slack, 0) * 1.6)
        wanted = gap / distance[:, None] * wish[:, None]
        apart = self.position[active][:, None] - self.position[active][None]
        near = np.square(apart).sum(-1) + 1e-6 + 99 * np.eye(PEOPLE)
        wanted = wanted + (apart * (np.clip(1.1 - near, 0, None) * 2.2)[..., None]).sum(1)
        wanted[self.action[active] == Action.DOWN] = 0
        change = wanted - self.velocity[active]
        size = np.maximum(np.hypot(change[:, 0], change[:, 1]), 1e-6)
        change *= np.minimum(1, 5.5 * seconds / size)[:, None]
        self.velocity[active] += change
        self.position[active] += self.velocity[active] * seconds
        self._turn(seconds)

    def _turn(self, seconds: float) -> None:
        """Face the way one runs, or the ball; advance the stride."""
        speed = self.speed()
        towards = self.ball.position[:2] - self.position
        way = np.where((speed > 1.6)[:, None], self.velocity, towards)
        turn = np.angle(np.exp(1j * (np.arctan2(way[:, 1], way[:, 0]) - self.facing)))
        turn[PEOPLE:] = 0
        turn[:PEOPLE][self.action[:PEOPLE] == Action.DOWN] = 0
        self.facing = self.facing + np.clip(turn, -7 * seconds, 7 * seconds)
        stride = np.where(speed > 0.1, 0.8 + 0.125 * speed, 0.0)
        self.phase = self.phase + 2 * np.pi * stride * seconds


def _rotate(vector: Points, angle: float) -> Points:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array(
        [cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1], vector[2]]
    )
