"""Look only at the tiles that are worth it: those a glance chooses, and none that are all alike.

Whether a picture is dense is decided of each by itself, after a glance that costs little beside
looking at all of it: so results do not depend on which pictures came before, or beside it [D].
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from foveate.errors import UsageError
from foveate.inference.folder import Runner
from foveate.inference.glance import OnnxGlance, read_recall
from foveate.inference.layers import SourceView
from foveate.inference.pipeline import ImageResult, OnTiles
from foveate.inference.profile import Profile
from foveate.structures import Detector, FloatArray, ImageSource, Tile, UInt8Image
from foveate.tiling import TilePlan
from foveate.tiling.fitted import cheapest_tiles, looking_cost
from foveate.tiling.select import Demand, choose_tiles, held_well

DENSE = 0.95
"""Where looking would cost more of what all tiles cost, all are looked at: the rest is not worth a
miss."""
_ALIKE = 2
"""Levels of 255 within which pixels are alike."""
_SAMPLED = 16
"""Of these pixels along each side one tells of most tiles that they are not uniform."""


@dataclass(frozen=True, slots=True)
class Select:
    """How many tiles are looked at.

    Attributes:
        kind: Until a share of objects is held for certain, a number of tiles, or seconds a picture.
        value: Recall in ``(0, 1)``, tiles, or seconds.
    """

    kind: Literal["recall", "tiles", "budget"]
    value: float

    @classmethod
    def parse(cls, text: str) -> Select:
        """Read ``recall=0.95``, ``tiles=40`` or ``budget=2s``, also in ``ms``.

        Raises:
            UsageError: If it is none of them.
        """
        kind, _, value = text.partition("=")
        if kind == "recall":
            return cls("recall", read_recall(value))
        if kind == "tiles" and value.isdecimal() and int(value) > 0:
            return cls("tiles", int(value))
        time_given = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(m?s)", value)
        if kind == "budget" and time_given and float(time_given[1]) > 0:
            return cls("budget", float(time_given[1]) / (1000 if time_given[2] == "ms" else 1))
        raise UsageError(f"select: expected recall=0.95, tiles=40 or budget=2s, got {text!r}")

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.kind}={self.value:g}{'s' if self.kind == 'budget' else ''}"


class Selection(NamedTuple):
    """A glance and how much it lets be looked at.

    Attributes:
        glance: Says where objects may be.
        select: How many tiles are looked at.
    """

    glance: OnnxGlance
    select: Select

    @classmethod
    def of(
        cls,
        detector: Detector,
        class_names: Sequence[str],
        select: str | Select | None,
        glance: str | Path | OnnxGlance | None,
    ) -> Selection | None:
        """What is asked for; None if nothing is.

        Args:
            detector: That will look.
            class_names: Its classes.
            select: As `Select.parse` reads it.
            glance: Its file.

        Raises:
            UsageError: If only one of the two is given, or one cannot be.
            FoveateError: If the glance is of another detector, or cannot promise the recall.
        """
        if select is None and glance is None:
            return None
        if glance is None:
            raise UsageError(
                "select: say by which glance: --glance FILE, made by 'foveate glance fit'"
            )
        if select is None:
            raise UsageError(
                "glance: say how much is looked at: --select recall=0.95, tiles=40 or budget=2s"
            )
        wanted = select if isinstance(select, Select) else Select.parse(select)
        opened = glance if isinstance(glance, OnnxGlance) else OnnxGlance(Path(glance))
        opened.require_detector(detector, class_names)
        if wanted.kind == "recall":
            opened.threshold_for(wanted.value)
        return cls(opened, wanted)

    def in_words(self, plan: TilePlan) -> str:
        """For a report."""
        fitted = self.glance.info.tile_plan
        other = f", which was fitted for tiles of {fitted.size} px at scale {fitted.scale:g}"
        return f"tiles selected for {self.select} by {self.glance.info.name}" + (
            other if (fitted.size, fitted.scale) != (plan.size, plan.scale) else ""
        )


class SkippingRunner:
    """A `Runner` that does not show the network what needs no look.

    Args:
        run: Detects.
        plan: The tile geometry.
        profile: Where times are added to.
        selection: Chooses tiles; None looks at all that are not uniform.
    """

    def __init__(
        self,
        run: Runner,
        plan: TilePlan,
        profile: Profile,
        selection: Selection | None = None,
    ) -> None:
        self.run, self.plan, self.profile, self.selection = run, plan, profile, selection

    def __call__(
        self, source: ImageSource, *, alone: bool = True, on_tiles: OnTiles | None = None
    ) -> ImageResult:
        """Detect; the arguments are those of `detect_image`."""
        if self.selection is None or self.plan.plain:
            view = SkippingSource(source)
            found = self.run(view, alone=alone, on_tiles=on_tiles)
            return replace(found, uniform_tiles=view.uniform)
        chosen = SelectedSource(source, *self.selection, self.plan, self.profile)
        result = self.run(chosen, alone=alone, on_tiles=partial(chosen.told, on_tiles))
        return replace(
            result,
            uniform_tiles=chosen.uniform,
            unselected_tiles=chosen.unselected,
            expected_miss=chosen.expected_miss(),
        )


class SkippingSource(SourceView):
    """A picture of which uniform tiles are not looked at.

    Args:
        source: The picture.

    Attributes:
        source: The picture.
        uniform: Tiles that were left out for it so far.
    """

    __slots__ = ("source", "uniform")

    def __init__(self, source: ImageSource) -> None:
        self.source, self.uniform = source, 0

    @property
    def geo(self) -> object:
        """Where the picture lies, if it says so."""
        return getattr(self.source, "geo", None)

    def read(self, tile: Tile) -> UInt8Image | None:
        """The tile's region; None where it is uniform, or there is nothing to look at."""
        region = self.source.read(tile)
        if region is None or not is_uniform(region):
            return region
        self.uniform += 1
        return None


class SelectedSource(SkippingSource):
    """A picture of which only the tiles that a glance chooses are looked at.

    Args:
        source: The picture.
        glance: Says where objects may be.
        select: How many tiles to look at.
        plan: The tile geometry.
        profile: Where the glance's time is added to.

    Attributes:
        unselected: Looks that the choice saves.
    """

    __slots__ = ("_clock", "_demand", "_glance", "_levels", "_looked", "_plan", "_planned",
                 "_profile", "_select", "unselected")  # fmt: skip

    def __init__(
        self,
        source: ImageSource,
        glance: OnnxGlance,
        select: Select,
        plan: TilePlan,
        profile: Profile,
    ) -> None:
        super().__init__(source)
        self._glance, self._select, self._plan = glance, select, plan
        self._profile = profile
        self._clock = _Clock(select.value if select.kind == "budget" else float("inf"))
        self._demand: Demand | None = None
        self._levels: FloatArray = np.zeros((0, 0), np.float32)
        self._planned: list[Tile] = []
        self._looked: list[Tile] = []
        self.unselected = 0

    def choose(self, tiles: Sequence[Tile], multiple: int) -> list[Tile]:
        """The tiles to look at, of those of the plan or others."""
        self._clock.start()
        self._planned = list(tiles)
        most = int(self._select.value) if self._select.kind == "tiles" else len(tiles)
        if len(tiles) == 1 or (self._select.kind == "tiles" and most >= len(tiles)):
            return self._planned
        with self._profile.stage("glance"):
            chosen = self._chosen(most, multiple)
        if self._select.kind == "recall" and looking_cost(chosen) > DENSE * looking_cost(tiles):
            self._demand, chosen = None, self._planned
        self.unselected = max(0, len(tiles) - len(chosen))
        return chosen

    def read(self, tile: Tile) -> UInt8Image | None:
        """The tile's region; None where it is uniform, nothing is there, or the time is over."""
        if not self._clock.has_time():
            self.unselected += 1
            return None
        region = super().read(tile)
        self._looked.append(tile)
        if region is not None:
            self._clock.shown += 1
        return region

    def told(self, on_tiles: OnTiles | None, done: int, total: int) -> None:
        """Tiles are done, as `detect_image` tells; it is passed on."""
        self._clock.done(done)
        if on_tiles is not None:
            on_tiles(done, total)

    def expected_miss(self, looked: Sequence[Tile] | None = None) -> float:
        """The share of objects that is missed at most for what is not looked at.

        Args:
            looked: Tiles that are; None for those that were so far.
        """
        if self._demand is None:
            return 0.0
        if self._select.kind == "recall":
            threshold = self._glance.threshold_for(self._select.value)
            return self._glance.expected_miss(np.nextafter(threshold, 0))
        looked = self._looked if looked is None else looked
        held = held_well(looked, self._planned, self._demand, self._plan.overlap_pixels)
        return self._glance.expected_miss(float(self._levels[~held].max(initial=-1.0)))

    def _chosen(self, most: int, multiple: int) -> list[Tile]:
        glance, select = self._glance, self._select
        presence = glance(self.source)
        if select.kind == "recall":
            self._demand = glance.demand(self.source, presence, glance.threshold_for(select.value))
            overlap = self._plan.overlap_pixels
            return cheapest_tiles(self._planned, self._demand, overlap, multiple)
        thresholds = [row.threshold for row in glance.calibration.rows]
        demand = partial(glance.demand, self.source, presence)
        self._levels, self._demand = glance.levels(presence), demand(thresholds[0])
        if select.kind == "tiles":
            return self._within([partial(demand, least) for least in thresholds], most)
        return self._choice(self._demand, most)

    def _choice(self, demand: Demand, most: int | None = None) -> list[Tile]:
        return choose_tiles(self._planned, demand, self._plan.overlap_pixels, most).tiles

    def _within(self, demands: Sequence[Callable[[], Demand]], most: int) -> list[Tile]:
        """The tiles of the safest demand that so many hold, and those worth most of the next.

        Args:
            demands: The safest first: each wants all that the next one does.
            most: Tiles.
        """
        best: list[Tile] = []
        low, high = 0, len(demands)  # the safest that can be held is one of these; the last is none
        while low < high:
            middle = (low + high) // 2
            tiles = self._choice(demands[middle]())
            if len(tiles) <= most:
                best, high = tiles, middle
            else:
                low = middle + 1
        if high == 0 or len(best) == most:
            return best
        wanted = demands[high - 1]()
        held = held_well(best, self._planned, wanted, self._plan.overlap_pixels)
        rest = replace(wanted, wanted=wanted.wanted & ~held)
        return list(dict.fromkeys([*best, *self._choice(rest, most - len(best))]))


class _Clock:
    """Whether there is time for one more tile, from what those done took.

    Args:
        seconds: In all.

    Attributes:
        shown: Tiles handed to the network.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.shown = seconds, 0
        self._began = self._looking = 0.0
        self._done = 0
        self._over = False

    def start(self) -> None:
        """From now on."""
        self._began = time.perf_counter()

    def done(self, tiles: int) -> None:
        """So many tiles have come back."""
        self._done = tiles

    def has_time(self) -> bool:
        """Whether one more tile, after those at work, will be done in time; the first always is."""
        now = time.perf_counter()
        if not self.shown:
            self._looking = now
        elif self.seconds < float("inf") and not self._over:
            each = (now - self._looking) / self._done if self._done else 0.0
            waiting = max(1, self.shown - self._done + 1)
            self._over = now - self._began + each * waiting > self.seconds
        return not self._over


def is_uniform(region: UInt8Image) -> bool:
    """Whether all pixels of a region are alike: each channel spans at most 2 levels of 255.

    Args:
        region: ``(H, W, C)``.
    """
    sample = region[::_SAMPLED, ::_SAMPLED]
    return _span(sample) <= _ALIKE and _span(region) <= _ALIKE


def _span(pixels: UInt8Image) -> int:
    return int(np.ptp(pixels, axis=(0, 1)).max())
