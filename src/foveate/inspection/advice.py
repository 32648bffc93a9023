"""What to do about small objects: tile size, overlap, enlargement, strides, anchors, balance.

Every recommendation carries its reason and the number that it rests on. The rules are few and
simple, so that a person can disagree with them; ``benchmarks/advice.py`` measures whether following
them pays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveate.data.anchors import YOLOV3_ANCHORS, AnchorFit, fit_anchors, judge_anchors
from foveate.inspection.coverage import Coverage, cover, plan_cost, whole_objects
from foveate.inspection.crowding import Crowding
from foveate.inspection.findings import number, plural
from foveate.inspection.objects import Floats, Objects, weighted_quantile
from foveate.inspection.sizes import network_sides
from foveate.structures import IntArray
from foveate.tiling import TilePlan

SEEN_SIDE = (40.0, 140.0)
"""Sides in pixels of most objects that ImageNet's networks learned from [M: Hu 2017, section 3]."""

MOST_SCALE = 2.0
"""Enlargement at which Finding Tiny Faces' pyramid ends [S: Hu 2017]."""

_LEAST_SCALE = 0.2
_STEP = 0.25  # of the enlargement
_SIZES = range(384, 833, 32)
_NEAR = 1.15  # a smaller tile is taken if it costs no more than this times the least
_TILE_COST = 0.03  # of a tile beyond its pixels, in millions of them
_CELLS = 3.0  # that a small object should cover of the finest map
_MOST_CELLS = 8.0  # that a large object should cover of the coarsest map
_WHOLE = 0.99  # of the objects that can be whole in a tile
_PART_OF_TILE = 1 / 3  # longer objects are large: for the full-image pass
_FEW_PICTURES = 100  # sizes of pictures that tile sizes are compared on


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One piece of advice.

    Attributes:
        topic: Such as ``scale``.
        advice: What to do, a few words.
        reason: Why, one sentence with the numbers.
        value: The number or numbers, plain data.
    """

    topic: str
    advice: str
    reason: str
    value: Any

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "topic": self.topic, "advice": self.advice, "reason": self.reason, "value": self.value,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Advice:
    """All advice for a data set.

    Attributes:
        plan: How to show the pictures, in training and at run time.
        coverage: What that costs and shows.
        anchors: Fit to the data by method; empty without objects.
        default_anchors: How well YOLOv3's own suit the data; None without objects.
        max_detections: Most boxes that a tile should be able to give.
        repeat_below: See `foveate.data.sampling.SamplingConfig`.
        recommendations: In the order in which they matter.
    """

    plan: TilePlan
    coverage: Coverage
    anchors: dict[str, AnchorFit]
    default_anchors: AnchorFit | None
    max_detections: int
    repeat_below: float
    recommendations: tuple[Recommendation, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        fits = {"default": self.default_anchors, **self.anchors}
        return {
            "tile_plan": self.plan.model_dump(mode="json"),
            "coverage": self.coverage.to_dict(),
            "anchors": {name: _anchors(fit) for name, fit in fits.items() if fit is not None},
            "max_detections": self.max_detections,
            "repeat_below": self.repeat_below,
            "recommendations": [one.to_dict() for one in self.recommendations],
        }


def advise(objects: Objects, crowding: Crowding, anchors: int = 9, seed: int = 0) -> Advice:
    """Advise on a data set.

    Args:
        objects: Its objects; without any, the library's default plan comes back, and says so.
        crowding: How they stand to each other.
        anchors: To fit.
        seed: Of the fit.
    """
    if not len(objects):
        plan = TilePlan()
        nothing = Recommendation("plan", "label some objects", "There is none to advise on.", None)
        return Advice(plan, cover(objects, plan), {}, None, 100, 0.0, (nothing,))
    scale, about_scale = _advise_scale(objects)
    plan, about_tiles = _advise_tiles(objects, scale)
    coverage = cover(objects, plan)
    most = _round_up(1.5 * coverage.most_in_a_tile, 50)
    sizes = objects.sizes * plan.enlargements(objects.image_sizes)[objects.picture][:, None]
    fits = {method: fit_anchors(sizes, anchors, method, seed) for method in ("kmeans", "kmedoids")}
    before = judge_anchors(sizes, YOLOV3_ANCHORS)
    repeat_below, about_balance = _advise_balance(objects)
    recommendations = [
        about_scale,
        *about_tiles,
        _advise_strides(network_sides(objects, plan)),
        _advise_anchors(before, fits),
        _advise_caps(coverage, most),
        *about_balance,
        *_advise_merge(crowding),
    ]
    return Advice(plan, coverage, fits, before, most, repeat_below, tuple(recommendations))


def _advise_scale(objects: Objects) -> tuple[float, Recommendation]:
    """Show objects at the sides that backbones learned from, with the least change of scale.

    Two scales bound it: that at which the median object is as large as the least of those, and
    that at which the large ones (95 %) are as large as the greatest. Between the two, both hold or,
    where sizes are too different for that, neither side gives way alone.
    """
    median, large = (
        weighted_quantile(objects.sides, objects.class_weights, share) for share in (0.5, 0.95)
    )
    low, high = SEEN_SIDE
    least, most = sorted((low / median, high / large))
    wanted = min(max(1.0, least), most)
    scale = float(np.clip(_nearest_step(wanted), _LEAST_SCALE, MOST_SCALE))
    sides = (
        f"The median object (every class counting alike) has a side of {median:.3g} px, the large "
        f"ones (95 %) of {large:.3g}"
    )
    seen = f"backbones learned from objects of {low:g} to {high:g} px"
    verb = "enlarge" if scale > 1 else "reduce"
    advice, shown = f"{verb} pictures x{scale:g}", ""
    if scale == 1:
        advice = "show pictures at their own scale"
    else:
        shown = f"; at x{scale:g}, {median * scale:.3g} and {large * scale:.3g}"
    limit = ""
    if wanted > MOST_SCALE + _STEP / 2:
        limit = f"; x{wanted:.3g} would be needed, but beyond x{MOST_SCALE:g} no detail is gained"
    return scale, Recommendation("scale", advice, f"{sides}{shown}; {seen}{limit}.", scale)


def _advise_tiles(objects: Objects, scale: float) -> tuple[TilePlan, list[Recommendation]]:
    """The tile size that shows the fewest pixels, with the overlap that keeps objects whole."""
    some = _some_pictures(objects.image_sizes)
    plans = [_plan_of(objects, scale, size) for size in _SIZES]
    costs = np.array([_cost(some, plan) for plan in plans])
    plan = plans[int(np.argmax(costs <= costs.min() * _NEAR))]
    whole = whole_objects(objects, plan)
    without = whole_objects(objects, plan.model_copy(update={"overlap": 0.0}))
    cut = float(1 - whole.mean())
    coverage = cover(objects, plan)
    pixels = objects.image_sizes.prod(axis=1).mean() / 1e6
    tiles = "1 tile" if coverage.tiles == 1 else f"{number(coverage.tiles)} tiles"
    advice = [
        Recommendation(
            "tile",
            f"tiles of {plan.size} px",
            f"A picture takes {tiles} and {number(coverage.network_pixels)} million "
            f"network pixels, {coverage.network_pixels / pixels:.3g} times its own; no size from "
            f"{_SIZES[0]} to {_SIZES[-1]} px would save more than {_NEAR - 1:.0%} of the time.",
            plan.size,
        ),
        Recommendation(
            "overlap",
            f"overlap of {plan.overlap_pixels} px",
            f"{whole.mean():.1%} of the objects are then whole in some tile; without overlap "
            f"{without.mean():.1%}.",
            plan.overlap_pixels,
        ),
    ]
    if cut > 1 - _WHOLE and coverage.tiles > 1:
        plan = plan.model_copy(update={"full_image": True})
        longest = objects.sizes.max(axis=1).max() * scale
        advice.append(
            Recommendation(
                "full image",
                "also show the whole picture, squeezed into one tile",
                f"{cut:.1%} of the objects are whole in no tile; the longest has "
                f"{longest:.0f} network pixels.",
                True,
            )
        )
    return plan, advice


def _cost(image_sizes: IntArray, plan: TilePlan) -> float:
    tiles, network_pixels = plan_cost(image_sizes, plan)
    return network_pixels + _TILE_COST * tiles


def _plan_of(objects: Objects, scale: float, size: int) -> TilePlan:
    """Tiles of one size, overlapping as far as the objects need that can be whole in them."""
    longest = objects.sizes.max(axis=1) * scale
    can_be = longest[longest <= size * _PART_OF_TILE]
    needed = float(np.quantile(can_be, _WHOLE)) if len(can_be) else 0.0
    return TilePlan(size=size, scale=scale, overlap=float(_round_up(needed, 16)))


def _advise_strides(sides: Floats) -> Recommendation:
    small, large = np.quantile(sides, [0.05, 0.95]).tolist()
    finest = int(np.clip(2 ** math.floor(math.log2(max(small, 1) / _CELLS)), 2, 32))
    coarsest = int(np.clip(2 ** math.ceil(math.log2(max(large, 1) / _MOST_CELLS)), finest, 128))
    levels = f"P{int(math.log2(finest))} to P{int(math.log2(coarsest))}"
    advice = f"strides {finest} to {coarsest} ({levels})"
    if finest == coarsest:
        advice = f"one map of stride {finest} (P{int(math.log2(finest))})"
    return Recommendation(
        "strides",
        advice,
        f"So shown, 90 % of the objects have sides of {small:.3g} to {large:.3g} px: the small "
        f"ones cover {small / finest:.2g} cells of stride {finest}, the large ones "
        f"{large / coarsest:.2g} of stride {coarsest}; "
        f"stride 16 alone would lose {(sides < 16).mean():.0%}.",
        [finest, coarsest],
    )


def _advise_anchors(before: AnchorFit, fits: dict[str, AnchorFit]) -> Recommendation:
    best = max(fits, key=lambda name: fits[name].mean_iou)
    fit = fits[best]
    listed = ", ".join(f"{w:.0f}x{h:.0f}" for w, h in fit.anchors)
    return Recommendation(
        "anchors",
        f"for methods with anchors: {listed}",
        f"Fitted by {best}: mean IoU {fit.mean_iou:.2f} and best possible recall {fit.recall:.1%}; "
        f"YOLOv3's own give {before.mean_iou:.2f} and {before.recall:.1%}.",
        np.round(fit.anchors, 2).tolist(),
    )


def _advise_caps(coverage: Coverage, most: int) -> Recommendation:
    return Recommendation(
        "detections",
        f"let a tile give {most} boxes",
        f"The fullest tile holds {plural(coverage.most_in_a_tile, 'object')}, the average one "
        f"{coverage.mean_in_a_tile:.3g}; COCO's evaluation counts the best 100 a picture only.",
        most,
    )


def _advise_balance(objects: Objects) -> tuple[float, list[Recommendation]]:
    """Draw pictures of rare classes more often, if some class is much rarer than the usual one."""
    pairs = np.unique(np.stack([objects.picture, objects.labels]), axis=1)
    share = np.bincount(pairs[1], minlength=len(objects.class_names)) / len(objects.image_sizes)
    there = share[share > 0]
    usual, rarest = float(np.median(there)), float(there.min())
    if len(there) < 2 or rarest * 2 > usual:
        return 0.0, []
    below = round(min(0.5, usual), 2)
    name = objects.class_names[int(np.where(share > 0, share, 2).argmin())]
    factor = math.sqrt(below / rarest)
    return below, [
        Recommendation(
            "balance",
            f"draw pictures of rare classes more often (repeat_below {below:g})",
            f"{name} is in {rarest:.1%} of the pictures, the usual class in {usual:.1%}: its "
            f"pictures are then drawn {factor:.2g} times as often.",
            below,
        )
    ]


def _advise_merge(crowding: Crowding) -> list[Recommendation]:
    over = crowding.overlapping.get(0.5, 0.0)
    if over < 0.01:
        return []
    return [
        Recommendation(
            "merge",
            "suppress gently: soft-nms, or a higher IoU",
            f"{over:.1%} of the objects overlap another of their class by IoU .5 or more: "
            "suppression at .5 must lose them.",
            round(over, 5),
        )
    ]


def _some_pictures(image_sizes: IntArray) -> IntArray:
    """A part of the data set's pictures, evenly spread, to compare costs on."""
    rows = np.linspace(0, len(image_sizes) - 1, _FEW_PICTURES).astype(np.int64)
    some: IntArray = image_sizes[np.unique(rows)]
    return some


def _nearest_step(scale: float) -> float:
    """A multiple of a quarter, or of a tenth where pictures are reduced."""
    return round(scale / _STEP) * _STEP if scale >= 1 else max(0.1, round(scale, 1))


def _round_up(value: float, step: int) -> int:
    return step * math.ceil(value / step)


def _anchors(fit: AnchorFit) -> dict[str, Any]:
    return {
        "width_height_px": np.round(fit.anchors, 3).tolist(),
        "mean_iou": round(fit.mean_iou, 5),
        "best_possible_recall": round(fit.recall, 5),
    }


def named(recommendations: Sequence[Recommendation], topic: str) -> Recommendation | None:
    """The recommendation on a topic, if there is one."""
    return next((one for one in recommendations if one.topic == topic), None)
