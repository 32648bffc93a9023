"""`Part`, `Match`: the pictures of a split that are compared with another's, and those found."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foveate.inspection.findings import MOST_EXAMPLES, Finding, Severity, plural
from foveate.inspection.names import (
    PictureName,
    clip_neighbours,
    parse_name,
    same_originals,
    tile_neighbours,
)
from foveate.inspection.near_duplicates import Fingerprints, read_fingerprints
from foveate.inspection.picture_files import OnProgress, is_picture
from foveate.structures import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The pictures of one part that are looked at. N = their number.

    Attributes:
        name: Such as "val".
        total: Pictures there are.
        paths: ``(N,)``.
        names: ``(N,)``.
        prints: ``(N,)``.
    """

    name: str
    total: int
    paths: tuple[Path, ...]
    names: tuple[PictureName, ...]
    prints: Fingerprints


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Pictures of one part that were found in another, too.

    Attributes:
        known: The earlier part.
        asked: The later part.
        pairs: Rows of `asked` to rows of `known`.
        at_least: Whether not all were looked at.
    """

    known: Part
    asked: Part
    pairs: Mapping[int, int]
    at_least: bool = False

    def findings(self, kind: str, what: str, severity: Severity = "error") -> list[Finding]:
        """One finding, none without pairs; `{known}` in `what` is the name of that part."""
        if not self.pairs:
            return []
        examples = [
            f"{self.asked.name}: {self.asked.paths[i].name} = "
            f"{self.known.name}: {self.known.paths[j].name}"
            for i, j in itertools.islice(self.pairs.items(), MOST_EXAMPLES)
        ]
        count, looked = len(self.pairs), len(self.asked.paths)
        message = (
            f"{'at least ' if self.at_least else ''}{count:,} of {plural(looked, 'picture')} of "
            f"{self.asked.name} ({count / looked:.0%}) {what.format(known=self.known.name)}"
        )
        return [Finding(kind, severity, count, message, tuple(examples))]


def read_parts(
    datasets: Mapping[str, Dataset], on_progress: OnProgress | None, most: int, seed: int
) -> list[Part]:
    """Choose pictures, last part first, and read those of all parts in one go."""
    rng = np.random.default_rng(seed)
    chosen: dict[str, tuple[Path, ...]] = {}
    totals: dict[str, int] = {}
    for name in reversed(list(datasets)):
        paths = list(dict.fromkeys(s.path for s in datasets[name].samples if is_picture(s.path)))
        totals[name] = len(paths)
        later = [path for part in chosen.values() for path in part]
        chosen[name] = _choose(paths, later, most, rng)
    prints = read_fingerprints(
        [path for name in datasets for path in chosen[name]],
        on_progress,
    )
    parts, start = [], 0
    for name in datasets:
        paths_of, stop = chosen[name], start + len(chosen[name])
        names = tuple(map(parse_name, paths_of))
        parts.append(Part(name, totals[name], paths_of, names, prints[start:stop]))
        start = stop
    return parts


def _choose(
    paths: Sequence[Path], later: Sequence[Path], most: int, rng: np.random.Generator
) -> tuple[Path, ...]:
    """At most that many, in order; first those which the names relate to pictures of `later`."""
    if len(paths) <= most:
        return tuple(paths)
    known, asked = [parse_name(path) for path in paths], [parse_name(path) for path in later]
    related: dict[int, None] = {}
    for find in (same_originals, tile_neighbours, clip_neighbours):
        related |= dict.fromkeys(itertools.chain.from_iterable(find(asked, known).values()))
    others = (row for row in rng.permutation(len(paths)).tolist() if row not in related)
    return tuple(
        paths[row] for row in sorted(itertools.islice(itertools.chain(related, others), most))
    )


def left_out(parts: Iterable[Part]) -> list[Finding]:
    """Notes on what could not be compared."""
    findings = []
    for part in parts:
        failed = [failure for failure in part.prints.failures if failure]
        plain = np.flatnonzero(part.prints.read & part.prints.plain).tolist()
        left = part.total - len(part.paths)
        for kind, count, what, examples in (
            ("splits-not-read", len(failed), "could not be read and were not compared", failed),
            (
                "splits-plain",
                len(plain),
                "show too little to be compared",
                [part.paths[row].name for row in plain],
            ),
            ("splits-sampled", left, "were left out of the comparison: there may be more", []),
        ):
            if count:
                message = (
                    f"{count:,} of {plural(part.total, 'picture')} of {part.name} {what} with "
                    "other parts"
                )
                findings.append(
                    Finding(kind, "note", count, message, tuple(examples[:MOST_EXAMPLES]))
                )
        if not part.total:
            message = f"{part.name} has no picture files to compare with other parts"
            findings.append(Finding("splits-without-pictures", "note", 0, message))
    return findings
