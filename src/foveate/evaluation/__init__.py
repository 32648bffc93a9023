"""How good the boxes are, by object size."""

from foveate.evaluation.analysis import Analysis, analyse
from foveate.evaluation.average_precision import (
    MAX_DETECTIONS,
    METRICS,
    Scores,
    evaluate_detections,
)
from foveate.evaluation.bootstrap import Groups, Interval, bootstrap_interval, paired_bootstrap
from foveate.evaluation.comparison import Comparison, Difference, compare_predictions
from foveate.evaluation.curves import (
    BestThreshold,
    Calibration,
    PrecisionCurves,
    SizeWindow,
)
from foveate.evaluation.errors import ERROR_KINDS, ErrorCounts, ErrorTypes
from foveate.evaluation.images import CountErrors, ImageOutcomes
from foveate.evaluation.matching import Match, Outcomes, count_outcomes, match_detections
from foveate.evaluation.pairs import CRITERIA
from foveate.evaluation.predictions import read_predictions, to_coco_results
from foveate.evaluation.seams import SEAM_KINDS, SeamCounts
from foveate.evaluation.sizes import SIZE_BINS, SizeBins, parse_size_bins

__all__ = [
    "CRITERIA",
    "ERROR_KINDS",
    "MAX_DETECTIONS",
    "METRICS",
    "SEAM_KINDS",
    "SIZE_BINS",
    "Analysis",
    "BestThreshold",
    "Calibration",
    "Comparison",
    "CountErrors",
    "Difference",
    "ErrorCounts",
    "ErrorTypes",
    "Groups",
    "ImageOutcomes",
    "Interval",
    "Match",
    "Outcomes",
    "PrecisionCurves",
    "Scores",
    "SeamCounts",
    "SizeBins",
    "SizeWindow",
    "analyse",
    "bootstrap_interval",
    "compare_predictions",
    "count_outcomes",
    "evaluate_detections",
    "match_detections",
    "paired_bootstrap",
    "parse_size_bins",
    "read_predictions",
    "to_coco_results",
]
