"""What people see: tables, drawn pictures, one HTML page."""

from foveate.reports.comparison import comparison_section
from foveate.reports.draw import draw_detections, draw_match
from foveate.reports.page import Section, table_html, write_page
from foveate.reports.results import (
    PictureResult,
    Run,
    coco_results,
    detection_summary,
    evaluation_summary,
    picture_summary,
)
from foveate.reports.sections import Gallery, picture_section
from foveate.reports.tables import (
    Table,
    class_table,
    models_table,
    picture_row,
    pictures_table,
    scores_table,
    to_markdown,
    to_rich,
)

__all__ = [
    "Gallery",
    "PictureResult",
    "Run",
    "Section",
    "Table",
    "class_table",
    "coco_results",
    "comparison_section",
    "detection_summary",
    "draw_detections",
    "draw_match",
    "evaluation_summary",
    "models_table",
    "picture_row",
    "picture_section",
    "picture_summary",
    "pictures_table",
    "scores_table",
    "table_html",
    "to_markdown",
    "to_rich",
    "write_page",
]
