"""Anchors fitted to the training pictures, before the method is built."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from foveate.data.anchors import AnchorFit, Floats, fit_anchors, judge_anchors
from foveate.models import AnchoredConfig
from foveate.models.anchors import AUTO, NATURAL_SIDE, AnchorLevels, format_anchors
from foveate.structures import Dataset
from foveate.training.recipe import Recipe


def resolve_anchors(recipe: Recipe, dataset: Dataset) -> tuple[Recipe, dict[str, AnchorFit]]:
    """Put numbers in the place of ``anchors: auto``.

    The same pictures and recipe give the same numbers, so that a run can be resumed.

    Args:
        recipe: Of any method.
        dataset: The training pictures.

    Returns:
        The recipe with sizes in it, and how well anchors suit the objects: `default` the method's
        own, `used` those of the recipe. Nothing for a method without anchors, or without objects.

    Raises:
        UsageError: If there is no object to fit anchors to.
    """
    method = recipe.method
    if not isinstance(method, AnchoredConfig):
        return recipe, {}
    sizes = network_sizes(recipe, dataset)
    if method.anchors == AUTO:
        levels = fit_levels(
            sizes,
            method.level_strides,
            method.anchors_per_level,
            method.anchor_fit,
            recipe.seed,
            method.least_anchor,
        )
        method = method.model_copy(update={"anchors": format_anchors(levels)})
        recipe = recipe.model_copy(update={"method": method})
    if not len(sizes):
        return recipe, {}
    sets = {"default": method.default_anchors, "used": method.anchor_sizes}
    return recipe, {name: judge_anchors(sizes, _flat(levels)) for name, levels in sets.items()}


def network_sizes(recipe: Recipe, dataset: Dataset) -> Floats:
    """Widths and heights of the objects as the network sees them, ``(N, 2)`` network pixels.

    With a pyramid that trusts each scale with some sizes, an object is seen at the scale that it is
    taken from: of those trusted with it, the one nearest to the tile plan's own. So templates
    belong to scales (Hu & Ramanan 2017, "Finding Tiny Faces" [S]; there the scale is given to a
    cluster of objects, here to each object before they are clustered [D]).
    """
    boxes = [s.annotations.boxes[~s.annotations.ignore] for s in dataset.samples]
    corners = np.concatenate(boxes).astype(np.float64)
    sizes: Floats = corners[:, 2:] - corners[:, :2]
    of_picture = recipe.tile_plan.enlargements([(s.width, s.height) for s in dataset.samples])
    own = of_picture.repeat([len(b) for b in boxes])
    sizes = sizes * _scales(sizes, own, recipe)[:, None]
    shown = sizes[(sizes > 0).all(axis=1) & np.isfinite(sizes).all(axis=1)]
    return np.minimum(shown, recipe.sampling.tile or recipe.tile_plan.size)


def _scales(sizes: Floats, own: Floats, recipe: Recipe) -> Floats:
    """Enlargement at which each object is seen, ``(N,)``, from sizes in picture pixels.

    `own` is that of the tile plan, ``(N,)``.
    """
    plan, pyramid = recipe.tile_plan, recipe.pyramid
    if plan.plain or pyramid is None or pyramid.sides is None:
        return own
    scales = np.array(sorted(pyramid.scales, key=lambda scale: abs(math.log(scale / plan.scale))))
    low, high = pyramid.sides
    shown = np.maximum(sizes.max(axis=1), 1e-9)[:, None] * scales  # (N, S)
    # What no scale is trusted with goes to the finest or the coarsest, which come nearest to it.
    outside = np.maximum(np.maximum(low / shown, shown / high), 1)
    found: Floats = scales[outside.argmin(axis=1)]
    return found


def fit_levels(
    sizes: Floats, strides: Sequence[int], count: int, method: str, seed: int, least: float = 1.0
) -> AnchorLevels:
    """Fit anchors to boxes, level by level.

    Boxes are given to the level whose cells suit their side (`NATURAL_SIDE`) before they are
    clustered. Clustering all and dealing the clusters out by area, as darknet does, gives tiny
    objects anchors on levels whose cells are far apart, which overlap none of them.

    Args:
        sizes: ``(N, 2)`` width and height, network pixels.
        strides: Of the levels, finest first.
        count: Anchors of a level. Where a level has fewer different boxes some are repeated, and
            where it has none they are squares of its cells' own size.
        method: Key of `ANCHOR_FITS`.
        seed: Of the clusters' start.
        least: Side of an anchor, network pixels.

    Raises:
        UsageError: If there is no box.
    """
    natural = NATURAL_SIDE * np.array(strides, np.float64)
    side = np.sqrt(sizes.prod(axis=1))
    level_of = np.abs(np.log(side[:, None] / natural)).argmin(axis=1)
    levels = []
    for level, own in enumerate(natural):
        chosen = sizes[level_of == level]
        if len(chosen) or not len(sizes):
            fitted = fit_anchors(chosen, count, method, seed).anchors
        else:
            fitted = own * 2 ** (np.arange(count) / count)[:, None].repeat(2, axis=1)
        fitted = np.resize(np.maximum(fitted, least), (count, 2))
        levels.append(tuple((float(w), float(h)) for w, h in sorted(fitted.tolist(), key=np.prod)))
    return tuple(levels)


def suitability(fits: dict[str, AnchorFit]) -> dict[str, Any]:
    """For the run folder: mean IoU and best possible recall of each set."""
    return {
        name: {"mean_iou": round(fit.mean_iou, 4), "best_possible_recall": round(fit.recall, 4)}
        for name, fit in fits.items()
    }


def in_words(fits: dict[str, AnchorFit]) -> str:
    """For the terminal: the same in one line."""
    said = [f"{name} {fit.mean_iou:.3f} and {fit.recall:.3f}" for name, fit in fits.items()]
    return f"anchors' mean IoU and best possible recall: {', '.join(said)}"


def _flat(levels: AnchorLevels) -> Floats:
    return np.array([size for level in levels for size in level], np.float64)
