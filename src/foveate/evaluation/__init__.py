"""How good the boxes are, by object size."""

from foveate.evaluation.average_precision import (
    MAX_DETECTIONS,
    METRICS,
    Scores,
    evaluate_detections,
)
from foveate.evaluation.bootstrap import Interval, bootstrap_interval, paired_bootstrap
from foveate.evaluation.matching import Match, Outcomes, count_outcomes, match_detections
from foveate.evaluation.predictions import read_predictions, to_coco_results
from foveate.evaluation.sizes import SIZE_BINS, SizeBins, parse_size_bins

__all__ = [
    "MAX_DETECTIONS",
    "METRICS",
    "SIZE_BINS",
    "Interval",
    "Match",
    "Outcomes",
    "Scores",
    "SizeBins",
    "bootstrap_interval",
    "count_outcomes",
    "evaluate_detections",
    "match_detections",
    "paired_bootstrap",
    "parse_size_bins",
    "read_predictions",
    "to_coco_results",
]
