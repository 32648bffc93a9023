"""Results as plain data: COCO results JSON, and the summaries that ``--json`` prints.

Every number is a plain int or float; what is not defined is None, never NaN or -1. Boxes are
xyxy pixels under the key `boxes`, except in COCO's own `bbox`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from foveate.evaluation import Analysis, Interval, Outcomes, Scores, to_coco_results
from foveate.structures import Detections, GeoReference, Tile
from foveate.tiling import shown_pixels


class PictureResult(Protocol):
    """What was found in one picture: `foveate.Result` and the pipeline's `ImageResult` are two."""

    @property
    def name(self) -> str:
        """File name, or a label."""
        ...

    @property
    def width(self) -> int:
        """Picture pixels."""
        ...

    @property
    def height(self) -> int:
        """Picture pixels."""
        ...

    @property
    def detections(self) -> Detections:
        """In picture pixels."""
        ...

    @property
    def tiles(self) -> list[Tile]:
        """That the network was shown."""
        ...

    @property
    def seconds(self) -> float:
        """Wall time."""
        ...

    @property
    def capped_tiles(self) -> int:
        """Tiles that gave as many boxes as the model can give one."""
        ...

    @property
    def skipped_tiles(self) -> int:
        """Tiles of the plan that the network was not shown."""
        ...

    @property
    def uniform_tiles(self) -> int:
        """Of those, the ones whose pixels are all alike."""
        ...

    @property
    def unselected_tiles(self) -> int:
        """Looks saved by choosing where objects may be."""
        ...

    @property
    def expected_miss(self) -> float | None:
        """Share of objects missed at most for that choice; None where there was none."""
        ...

    @property
    def planned_pixels(self) -> int:
        """Of the network, that all tiles of the plan would show it."""
        ...

    @property
    def geo(self) -> GeoReference | None:
        """Where the picture lies, if it says so."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """One evaluated run: a column of a comparison.

    Attributes:
        name: Such as ``plain`` or ``tiled``.
        scores: AP and AR.
        outcomes: Found, missed and false at the score threshold in use, if counted.
        intervals: By the names of `Scores.flat`.
        seconds: Time a picture, if measured.
        analysis: The run from every side, if it was analysed.
    """

    name: str
    scores: Scores
    outcomes: Outcomes | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    seconds: float | None = None
    analysis: Analysis | None = None

    @classmethod
    def of(cls, name: str, analysis: Analysis, seconds: float | None = None) -> Run:
        """An analysed run."""
        return cls(name, analysis.scores, analysis.outcomes, analysis.intervals, seconds, analysis)


def class_name(class_names: Sequence[str], label: int) -> str:
    """The name of a label, also where the detector names none."""
    return class_names[label] if label < len(class_names) else f"class {label}"


def class_counts(detections: Detections, class_names: Sequence[str]) -> dict[str, int]:
    """How many of each class, every named class included, in the order of the labels."""
    counts = np.bincount(detections.labels, minlength=len(class_names)).tolist()
    return {class_name(class_names, label): count for label, count in enumerate(counts)}


def coco_results(
    pictures: Iterable[PictureResult],
    category_ids: Sequence[int] | None = None,
    image_ids: Sequence[int] | None = None,
) -> list[dict[str, Any]]:
    """COCO results of many pictures, each entry with the `file_name` beside the `image_id`.

    COCO's tools pass over the extra key; it tells people without a data set which picture an
    entry is from.

    Args:
        pictures: In order.
        category_ids: One a class; the label plus 1 by default.
        image_ids: One a picture; its position from 1 by default.

    Returns:
        One ``{image_id, file_name, category_id, bbox, score}`` a detection; `bbox` is x, y,
        width, height in pixels.
    """
    entries = []
    for number, picture in enumerate(pictures):
        found = picture.detections
        ids = category_ids or range(1, int(found.labels.max(initial=0)) + 2)
        image_id = image_ids[number] if image_ids else number + 1
        for entry in to_coco_results(ids, {image_id: found}):
            entries.append({"image_id": image_id, "file_name": picture.name, **entry})
    return entries


def picture_summary(picture: PictureResult, class_names: Sequence[str]) -> dict[str, Any]:
    """One picture for ``foveate detect --json``.

    Returns:
        - `name`, `width`, `height`: the picture.
        - `tiles`: how many the network was shown.
        - `capped_tiles`: how many of them gave as many boxes as the model can give one, so that
          some objects may be missing.
        - `skipped_tiles`: how many of the plan it was not shown, and of them
          - `uniform_tiles`: how many are all alike;
          - `unselected_tiles`: how many looks a glance saved (the others have no valid pixel).
        - `looked_share`: of the network pixels of all tiles of the plan, those shown.
        - `expected_miss`: at most this share of objects is missed for what the glance saved, or
          None where all tiles were looked at.
        - `seconds`: wall time of tiling, detection and merging; pictures that are worked on at the
          same time share it.
        - `counts`: class name to number of objects.
        - `boxes`: xyxy pixels, `scores`, `labels` (indices into `class_names`), best first as
          the detector's merge left them.
    """
    found = picture.detections
    return {
        "name": picture.name,
        "width": picture.width,
        "height": picture.height,
        "tiles": len(picture.tiles),
        "capped_tiles": picture.capped_tiles,
        "skipped_tiles": picture.skipped_tiles,
        "uniform_tiles": picture.uniform_tiles,
        "unselected_tiles": picture.unselected_tiles,
        "looked_share": _rounded(looked_share(picture)),
        "expected_miss": _rounded(picture.expected_miss),
        "seconds": round(picture.seconds, 4),
        "counts": class_counts(found, class_names),
        "boxes": np.round(found.boxes.astype(np.float64), 3).tolist(),
        "scores": np.round(found.scores.astype(np.float64), 6).tolist(),
        "labels": found.labels.tolist(),
    }


def looked_share(picture: PictureResult) -> float:
    """The share of the network pixels of all tiles of the plan that was shown."""
    planned = picture.planned_pixels
    return shown_pixels(picture.tiles) / planned if planned else 1.0


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def detection_summary(
    pictures: Sequence[Mapping[str, Any]],
    class_names: Sequence[str],
    *,
    model: str,
    settings: Mapping[str, Any],
    seconds: float,
    failures: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """All that ``foveate detect --json`` prints.

    Args:
        pictures: From `picture_summary`.
        class_names: In the order of the labels.
        model: Name or path.
        settings: Tile plan, merge and threshold in plain data.
        seconds: Wall time of all, in which several pictures may be worked on at once.
        failures: Picture to the reason why it could not be done.

    Returns:
        - `model`, `class_names`, `settings`: as given.
        - `images`: one `picture_summary` a picture that was done.
        - `failures`: a list of ``{name, error}``.
        - `totals`: `images`, `failed`, `detections`, `tiles`, `skipped_tiles`, `capped_tiles`,
          `seconds`, and `counts` by class.
    """
    failed = [{"name": name, "error": error} for name, error in (failures or {}).items()]
    counts: dict[str, int] = {}
    for picture in pictures:
        for name, count in picture["counts"].items():
            counts[name] = counts.get(name, 0) + count
    return {
        "model": model,
        "class_names": list(class_names),
        "settings": dict(settings),
        "images": list(pictures),
        "failures": failed,
        "totals": {
            "images": len(pictures),
            "failed": len(failed),
            "detections": sum(len(picture["boxes"]) for picture in pictures),
            "tiles": sum(picture["tiles"] for picture in pictures),
            "skipped_tiles": sum(picture["skipped_tiles"] for picture in pictures),
            "capped_tiles": sum(picture["capped_tiles"] for picture in pictures),
            "seconds": round(seconds, 4),
            "counts": counts,
        },
    }


def evaluation_summary(dataset: str, runs: Sequence[Run]) -> dict[str, Any]:
    """All that ``foveate evaluate --json`` prints.

    Returns:
        - `dataset`: its name.
        - `runs`: run name (such as `plain`, `tiled`) to

          - `scores`: `Scores.to_dict`: `overall`, `by_size`, `by_class` and the counts;
          - `outcomes`: `Outcomes.to_dict`, or None: `found`, `missed`, `false`, `recall`,
            `precision`, `by_size`, at the score threshold in use and IoU .5;
          - `intervals`: metric to `value`, `low`, `high`, `level`, `repeats`;
          - `seconds_per_image`: or None;
          - `analysis`: what else `Analysis.to_dict` has, or None: `criteria`, `errors`, `curves`,
            `best_threshold`, `best_threshold_by_class`, `by_side`, `calibration`, `counting`,
            `worst_images`, `seams`.
    """
    return {
        "dataset": dataset,
        "runs": {
            run.name: {
                "scores": run.scores.to_dict(),
                "outcomes": run.outcomes.to_dict() if run.outcomes else None,
                "intervals": {name: one.to_dict() for name, one in run.intervals.items()},
                "seconds_per_image": None if run.seconds is None else round(run.seconds, 4),
                "analysis": run.analysis and _beyond_scores(run.analysis),
            }
            for run in runs
        },
    }


def _beyond_scores(analysis: Analysis) -> dict[str, Any]:
    values = analysis.to_dict()
    return {k: v for k, v in values.items() if k not in ("scores", "outcomes", "intervals")}
