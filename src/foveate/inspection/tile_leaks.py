"""Tiles of one larger picture in two parts: an object at the seam is learned and then tested."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from foveate.errors import FoveateError
from foveate.inspection.findings import Finding
from foveate.inspection.names import PictureName, tile_neighbours
from foveate.inspection.near_duplicates import BORDER_SHARES, nearest, read_grey
from foveate.inspection.overlaps import BOTTOM, LEFT, RIGHT, TOP, find_overlap, joins_at_seam
from foveate.inspection.parts import Match, Part

BORDER_BITS = 16
"""Hashes of border strips that differ in more bits are not compared at full size."""

_MOST_CHECKED = 300  # pairs at full size: some 30 ms each
_FRUITLESS = 40  # checked without a find: the others, being less likely, are left
_LEAST_ADJOINING = 3  # a seam says less than an overlap
_KEPT = 4  # pictures in memory
_OPPOSITE = {LEFT: RIGHT, TOP: BOTTOM, RIGHT: LEFT, BOTTOM: TOP}


@dataclass(frozen=True, slots=True)
class _Suspicion:
    """A picture asked, one known, the sides of the first towards the second, and from what."""

    asked: int
    known: int
    sides: tuple[int, ...]
    by_name: bool


@dataclass(slots=True)
class _Checked:
    """What full size says of the suspicions: rows asked to rows known."""

    overlapping: dict[int, int] = field(default_factory=dict)
    adjoining: dict[int, int] = field(default_factory=dict)
    complete: bool = True


def tile_leaks(
    known: Part, asked: Part, same_view: Collection[int], rng: np.random.Generator
) -> list[Finding]:
    """Look for tiles that overlap or adjoin one of another part.

    Names say which tiles lie beside each other; without such names, a border strip of one that
    has nearly the hash of the opposite strip of another. Either way the pixels must agree at full
    size. Of overlaps that no name tells, those near the `BORDER_SHARES` are found.

    Args:
        known: The earlier part.
        asked: The later part.
        same_view: Rows of `asked` that show the same view as a picture of `known`, left out.
        rng: For the order in which tiles are checked.
    """
    by_name = [s for s in _by_name(known, asked, rng) if s.asked not in same_view]
    first = _check(known, asked, by_name)
    done = {*same_view, *first.overlapping}
    second = _check(known, asked, [s for s in _by_border(known, asked) if s.asked not in done])
    overlapping = first.overlapping | second.overlapping
    adjoining = {row: j for row, j in first.adjoining.items() if row not in overlapping}
    if len(adjoining) < _LEAST_ADJOINING:
        adjoining = {}
    at_least = not (first.complete and second.complete)
    why = "tiles of one larger picture in two parts; split the larger pictures, then cut them"
    return [
        *Match(known, asked, overlapping, at_least).findings(
            "overlapping-tiles", f"overlap a picture of {{known}}: {why}"
        ),
        *Match(known, asked, adjoining, at_least).findings(
            "adjoining-tiles", f"go on, without a gap, in a picture of {{known}}: {why}", "warning"
        ),
    ]


def _by_name(known: Part, asked: Part, rng: np.random.Generator) -> Iterator[_Suspicion]:
    neighbours = tile_neighbours(asked.names, known.names)
    for row in rng.permutation(np.array(list(neighbours), np.int64)).tolist():
        for other in neighbours[row]:
            sides = _sides_towards(asked.names[row], known.names[other])
            yield _Suspicion(row, other, sides, True)


def _sides_towards(a: PictureName, b: PictureName) -> tuple[int, ...]:
    across, down = b.place[0] - a.place[0], b.place[1] - a.place[1]
    sides = (LEFT, across < 0), (RIGHT, across > 0), (TOP, down < 0), (BOTTOM, down > 0)
    return tuple(side for side, towards in sides if towards)


def _by_border(known: Part, asked: Part) -> list[_Suspicion]:
    """The likeliest neighbour of each picture asked, likeliest first."""
    best: dict[int, tuple[int, _Suspicion]] = {}
    a, b = asked.prints, known.prints
    for share in range(len(BORDER_SHARES)):
        for side, opposite in _OPPOSITE.items():
            ours = np.flatnonzero(a.read & np.logical_not(a.plain_borders[:, share, side]))
            theirs = np.flatnonzero(b.read & np.logical_not(b.plain_borders[:, share, opposite]))
            rows, bits = nearest(a.borders[ours, share, side], b.borders[theirs, share, opposite])
            for place in np.flatnonzero((bits <= BORDER_BITS).any(axis=1)).tolist():
                row, distance = int(ours[place]), int(bits[place, 0])
                if row not in best or distance < best[row][0]:
                    other = int(theirs[rows[place, 0]])
                    best[row] = distance, _Suspicion(row, other, (side,), False)
    return [suspicion for _, suspicion in sorted(best.values(), key=lambda entry: entry[0])]


def _check(known: Part, asked: Part, suspicions: Iterable[_Suspicion]) -> _Checked:
    """Look at full size, until there is enough, or nothing to be expected."""
    read = lru_cache(_KEPT)(read_grey)
    found = _Checked()
    for number, suspicion in enumerate(suspicions):
        fruitless = number >= _FRUITLESS and not (found.overlapping or found.adjoining)
        if number >= _MOST_CHECKED or fruitless:
            found.complete = fruitless
            break
        if suspicion.asked in found.overlapping:
            continue
        try:
            a, b = read(asked.paths[suspicion.asked]), read(known.paths[suspicion.known])
        except FoveateError:
            continue
        if find_overlap(a, b, suspicion.sides):
            found.overlapping[suspicion.asked] = suspicion.known
        elif (
            suspicion.by_name
            and len(suspicion.sides) == 1
            and joins_at_seam(a, b, suspicion.sides[0])
        ):
            found.adjoining[suspicion.asked] = suspicion.known
    return found
