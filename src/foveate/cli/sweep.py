"""Try tile plans on labelled pictures: what each finds and what it costs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from foveate.cli.scoring import predict_dataset
from foveate.config import write_atomically
from foveate.data.files import read_json
from foveate.data.remote import Location
from foveate.errors import FoveateError
from foveate.evaluation import SizeBins, evaluate_detections
from foveate.inference.model_info import ModelInfo
from foveate.inference.settings import plan_options
from foveate.inspection.trade_off import Tried, deciding_metric, with_knee
from foveate.structures import Dataset, Detector
from foveate.tiling import TilePlan

MOST_PICTURES = 60


def sweep(
    detector: Detector,
    info: ModelInfo,
    dataset: Dataset,
    plans: Mapping[str, TilePlan],
    bins: SizeBins,
    kept: Path | None = None,
) -> list[Tried]:
    """Run every plan over (at most 60 of) the pictures, and mark the knee.

    Args:
        detector: To run.
        info: What its file says.
        dataset: Pictures that the model has not learned from.
        plans: By name.
        bins: Size bins; the knee is that of AP of the smallest.
        kept: File in which finished plans are kept, so that a sweep that was stopped goes on.

    Raises:
        FoveateError: If pictures cannot be read: figures of fewer pictures would not compare.
    """
    some = _some(dataset)
    identity = {
        "model": info.recipe_hash or info.name,
        "dataset": some.name,
        "labels": _fingerprint(some),
        "sizes": bins.name,
    }
    done = _kept(kept, identity)
    tried: list[Tried] = []
    for name, plan in plans.items():
        key = json.dumps([name, plan.model_dump(mode="json")], sort_keys=True)
        if key not in done:
            done[key] = _try(detector, info, some, name, plan, bins)
            if kept is not None:
                content = {"identity": identity, "done": done}
                write_atomically(kept, json.dumps(content, indent=1).encode())
        values = done[key]
        tried.append(Tried(name, plan, values["metrics"], values["seconds"]))
    return with_knee(tried, deciding_metric(tried, bins.labels))


def _try(
    detector: Detector,
    info: ModelInfo,
    dataset: Dataset,
    name: str,
    plan: TilePlan,
    bins: SizeBins,
) -> dict[str, Any]:
    failures: dict[Location, str] = {}
    predicted = predict_dataset(detector, info, dataset, plan_options(plan), name, failures)
    if failures:
        raise FoveateError("a sweep needs every picture: mend or leave out those named above")
    metrics = evaluate_detections(dataset, predicted.predictions, bins).flat()
    times = [result.seconds for result in predicted.results.values()]
    return {"metrics": metrics, "seconds": float(np.median(times))}


def _some(dataset: Dataset) -> Dataset:
    rows = np.unique(np.linspace(0, len(dataset) - 1, MOST_PICTURES).astype(int))
    return replace(dataset, samples=tuple(dataset.samples[row] for row in rows))


def _fingerprint(dataset: Dataset) -> str:
    """Of names and labels: figures for labels that were mended since do not count."""
    digest = hashlib.sha256(repr(dataset.class_names).encode())
    for sample in dataset.samples:
        digest.update(repr(sample.path.name).encode())
        objects = sample.annotations
        for column in (objects.boxes, objects.labels, objects.ignore):
            digest.update(column.tobytes())
    return digest.hexdigest()


def _kept(path: Path | None, identity: dict[str, Any]) -> dict[str, Any]:
    """What an earlier sweep of the same pictures by the same model left.

    Raises:
        FoveateError: If it was damaged.
    """
    if path is None or not path.is_file():
        return {}
    content = read_json(path)
    if not isinstance(content, dict) or content.get("identity") != identity:
        return {}
    done = content.get("done")
    if not isinstance(done, dict) or not all(map(_is_sound, done.values())):
        raise FoveateError(f"{path} was damaged; delete it, and the sweep begins anew")
    return done


def _is_sound(values: Any) -> bool:
    """Whether it is what `_try` gives."""
    if not isinstance(values, dict) or not isinstance(values.get("metrics"), dict):
        return False
    figures = (values.get("seconds"), *values["metrics"].values())
    return all(isinstance(figure, float) for figure in figures)
