"""`Finding`: one thing that is wrong or worth knowing about a data set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
"""An error makes scores or training wrong; a warning probably does; a note is good to know."""

MOST_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing found, however often it occurs.

    Attributes:
        kind: Short id, such as "empty-box".
        severity: How bad it is.
        count: How many boxes, pictures or classes it concerns.
        message: One sentence: what it is and what to do.
        examples: A few of them, each named by picture, annotation or class.
    """

    kind: str
    severity: Severity
    count: int
    message: str
    examples: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "count": self.count,
            "message": self.message,
            "examples": list(self.examples),
        }


def plural(count: int, one: str, many: str = "") -> str:
    """``1 box``, ``2,000 boxes``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def number(value: float) -> str:
    """Three digits, or from a thousand on a whole number: ``0.25``, ``12.5``, ``9,130``."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, then warnings, then notes; else in the order given."""
    ranks = ("error", "warning", "note")
    return sorted(findings, key=lambda finding: ranks.index(finding.severity))
