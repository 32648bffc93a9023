"""How long a training step takes on this machine, measured."""

from __future__ import annotations

import time

import numpy as np

from foveate.structures import Dataset
from foveate.training.anchors import resolve_anchors
from foveate.training.loader import batches
from foveate.training.loop import Trainer
from foveate.training.recipe import Recipe

_WARM_UP = 2


def step_seconds(recipe: Recipe, dataset: Dataset, steps: int = 4) -> float:
    """Median wall time of a step, drawing its tiles included; nothing is written.

    Args:
        recipe: The run to be.
        dataset: Its training pictures.
        steps: Timed, after two that warm up.
    """
    recipe, _ = resolve_anchors(recipe, dataset)
    recipe = recipe.model_copy(update={"iterations": _WARM_UP + steps, "devices": 1})
    trainer = Trainer(recipe, len(dataset.class_names))
    trainer.start()
    times = []
    started = time.perf_counter()
    for number, (images, targets) in enumerate(batches(dataset, recipe, 0)):
        trainer.step(number, images, targets).total.item()
        now = time.perf_counter()
        times.append(now - started)
        started = now
    return float(np.median(times[_WARM_UP:]))
