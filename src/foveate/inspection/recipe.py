"""The advice as a recipe that ``foveate train`` takes, each setting with its reason."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import yaml

from foveate.inspection.advice import Advice, named

_TRAINING_TILE = 384
_WIDTH = 96


def advised_recipe(advice: Advice, name: str) -> str:
    """YAML text: what the advice says and nothing else, so that all else stays the default.

    Args:
        advice: For the data set that will be trained on.
        name: Of the model to be.
    """
    plan = advice.plan
    # A folder's name may hold what neither a comment nor YAML can, a line break for one.
    name = "".join(letter if letter.isprintable() else "-" for letter in name)
    tile_plan: dict[str, object] = {
        "size": plan.size, "overlap": plan.overlap_pixels, "scale": plan.scale,
    }  # fmt: skip
    if plan.full_image:
        tile_plan["full_image"] = True
    method = {"name": "center-point", "max_detections": advice.max_detections}
    sampling: dict[str, object] = {"tile": min(plan.size, _TRAINING_TILE)}
    if advice.repeat_below:
        sampling["repeat_below"] = advice.repeat_below
    lines = [
        f"# Made by 'foveate inspect' for {name}. Train it: foveate train THIS_FILE --data DATASET",
        f"name: {yaml.safe_dump(name, width=1000).splitlines()[0]}",
        *_reasons(advice, "scale", "tile", "overlap", "full image"),
        f"tile_plan: {_flow(tile_plan)}",
        *_reasons(advice, "detections"),
        f"method: {_flow(method)}",
        *_reasons(advice, "balance"),
        f"sampling: {_flow(sampling)}",
    ]
    return "\n".join(lines) + "\n"


def _reasons(advice: Advice, *topics: str) -> Iterable[str]:
    for topic in topics:
        found = named(advice.recommendations, topic)
        if found is not None:
            text = f"{found.topic}: {found.reason}"
            yield from textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="#   ")


def _flow(values: dict[str, object]) -> str:
    return yaml.safe_dump(values, default_flow_style=True, sort_keys=False, width=1000).strip()
