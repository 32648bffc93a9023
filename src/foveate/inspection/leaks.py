"""Whether the parts of a data set are apart: pictures of one scene in two of them flatter scores.

Looked for are the same files; near-copies; exports of one original; neighbouring frames of a clip;
and overlapping or adjoining tiles of one picture. Names say where to look, and pixels decide.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from foveate.inspection.findings import MOST_EXAMPLES, Finding, by_severity, plural
from foveate.inspection.names import PictureName, clip_neighbours, same_originals
from foveate.inspection.near_duplicates import (
    NEAR_BITS,
    SAME_VIEW,
    Fingerprints,
    near_duplicates,
    view_correlation,
)
from foveate.inspection.parts import Match, Part, left_out, read_parts
from foveate.inspection.picture_files import OnProgress
from foveate.inspection.tile_leaks import tile_leaks
from foveate.structures import Dataset, UInt8Image

MOST_PICTURES = 2000
"""Of each part; a picture takes some 5 ms, large ones more."""
CHANCE = 0.01
"""Of random pairs are as near as frames must be to count as neighbours."""
CLIP_SHARE = 0.1
"""Of the pictures of a clip must be that near: ten times what chance gives."""

_LEAST_CLIP = 3  # pictures
_RANDOM_PAIRS = 5000
_LEAST_PAIRS = 200


def check_splits(
    datasets: Mapping[str, Dataset],
    on_progress: OnProgress | None = None,
    most_pictures: int = MOST_PICTURES,
    seed: int = 0,
) -> list[Finding]:
    """Look for pictures of one part that are, in some way, in another part too.

    Every part is compared with those before it, "train" and then the largest first; findings
    count pictures of the later part. Where a part has more than `most_pictures`, pictures whose
    names speak for a relation come first, the others by lot: counts are then lower bounds.

    Args:
        datasets: Parts by their names, "train" and "val".
        on_progress: Told of the pictures read.
        most_pictures: Most pictures read of each part.
        seed: For the choice of pictures.

    Returns:
        Errors first, then warnings, then notes; empty if the parts are apart or there is but one.
    """
    order = sorted(datasets, key=lambda name: (name != "train", -len(datasets[name])))
    if len(order) < 2:
        return []
    findings: list[Finding] = []
    for known, asked in itertools.combinations(order, 2):
        findings += _same_files(known, datasets[known], asked, datasets[asked])
    parts = read_parts({name: datasets[name] for name in order}, on_progress, most_pictures, seed)
    findings += left_out(parts)
    for known_part, asked_part in itertools.combinations(parts, 2):
        findings += _compare(known_part, asked_part, np.random.default_rng(seed))
    return by_severity(findings)


def _same_files(known: str, first: Dataset, asked: str, second: Dataset) -> list[Finding]:
    files = {path.resolve() for path in {sample.path for sample in first.samples}}
    twice = {path for path in {s.path for s in second.samples} if path.resolve() in files}
    shared = [sample.path for sample in second.samples if sample.path in twice]
    if not shared:
        return []
    names = tuple(dict.fromkeys(path.name for path in shared))
    return [
        Finding(
            "same-file",
            "error",
            len(shared),
            f"{len(shared):,} of {plural(len(second), 'picture')} of {asked} "
            f"({len(shared) / len(second):.0%}) come from files that {known} uses too "
            f"({plural(len(names), 'file')}): give each file, with all its tiles or frames, "
            "to one part",
            names[:MOST_EXAMPLES],
        )
    ]


def _compare(known: Part, asked: Part, rng: np.random.Generator) -> list[Finding]:
    match, _ = near_duplicates(asked.prints, known.prints)
    copies = {row: int(match[row]) for row in np.flatnonzero(match >= 0).tolist()}
    return [
        *Match(known, asked, copies).findings(
            "near-duplicate",
            "show a view that {known} holds too, shifted, recompressed or of other brightness at "
            "most: scores flatter the model; keep all pictures of a view in one part",
        ),
        *_same_originals(known, asked),
        *_clips(known, asked, rng),
        *tile_leaks(known, asked, copies, rng),
    ]


def _same_originals(known: Part, asked: Part) -> list[Finding]:
    """Exports of one original (Roboflow's ``name_jpg.rf.hash.jpg``), turned or mirrored."""
    sure: dict[int, int] = {}
    named: dict[int, int] = {}
    for row, others in same_originals(asked.names, known.names).items():
        alike = [j for j in others if _alike_turned(asked.prints.small[row], known.prints.small[j])]
        (sure if alike else named)[row] = (alike or others)[0]
    return [
        *Match(known, asked, sure).findings(
            "same-original",
            "were made from a picture that {known} holds another version of: split the originals, "
            "then augment the training part",
        ),
        *Match(known, asked, named).findings(
            "same-original-name",
            "have the name of an original in {known}, though they look different: check whether "
            "they come from one clip or scene",
            "note",
        ),
    ]


def _alike_turned(a: UInt8Image, b: UInt8Image) -> bool:
    versions = [np.rot90(side, turns) for side in (b, b[:, ::-1]) for turns in range(4)]
    return any(view_correlation(a, np.ascontiguousarray(v)) >= SAME_VIEW for v in versions)


def _clips(known: Part, asked: Part, rng: np.random.Generator) -> list[Finding]:
    """Pictures whose neighbour by number looks more like them than chance explains."""
    a, b = asked.prints, known.prints
    can, could = a.comparable, b.comparable
    pairs = {
        row: others[0]
        for row, others in clip_neighbours(asked.names, known.names).items()
        if can[row] and could[others[0]] and _frames(asked.names[row], known.names[others[0]])
    }
    limit = _chance_bits(a, b, rng)
    clips: defaultdict[str, list[int]] = defaultdict(list)
    for row in pairs:
        clips[asked.names[row].clip].append(row)
    few = [clip for clip, rows in clips.items() if len(rows) < _LEAST_CLIP]
    groups = [rows for clip, rows in clips.items() if clip not in few]
    groups.append([row for clip in few for row in clips[clip]])  # short clips stand together
    found: dict[int, int] = {}
    for rows in groups:
        close = {row: pairs[row] for row in rows if _close(a, row, b, pairs[row], limit)}
        if len(close) >= max(_LEAST_CLIP, CLIP_SHARE * len(rows)):
            found |= close
    return Match(known, asked, found).findings(
        "same-clip",
        "have a neighbour by number in {known} that looks far more alike than chance allows: "
        "frames of one clip or scene; split by clip, not by frame",
    )


def _frames(a: PictureName, b: PictureName) -> bool:
    """Whether two names may be of different frames, not of two exports of one."""
    return not a.original or a.original != b.original


def _close(a: Fingerprints, i: int, b: Fingerprints, j: int, limit: int) -> bool:
    bits = int(np.bitwise_count(a.hashes[i] ^ b.hashes[j]))
    if bits < limit:
        return True
    return bits <= NEAR_BITS and view_correlation(a.small[i], b.small[j]) >= SAME_VIEW


def _chance_bits(a: Fingerprints, b: Fingerprints, rng: np.random.Generator) -> int:
    """Distance that but `CHANCE` of random pairs stay below; 0 if there are too few to tell."""
    ours, theirs = np.flatnonzero(a.comparable), np.flatnonzero(b.comparable)
    if len(ours) * len(theirs) < _LEAST_PAIRS:
        return 0
    i, j = rng.choice(ours, _RANDOM_PAIRS), rng.choice(theirs, _RANDOM_PAIRS)
    bits = np.bitwise_count(a.hashes[i] ^ b.hashes[j])
    return int(np.quantile(bits, CHANCE, method="lower"))
