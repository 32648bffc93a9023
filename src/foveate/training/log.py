"""What a run writes down as it goes."""

from __future__ import annotations

import csv
from pathlib import Path


def append_row(path: Path, row: dict[str, float]) -> None:
    """Add a row to a CSV file; the first one brings the header.

    Args:
        path: The file.
        row: Values by the names of the columns, the same in every row.
    """
    new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
