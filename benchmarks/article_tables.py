"""Tables of what `benchmarks/article.py` measured, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from claims import CLAIMS, SERIES, SHOWINGS, TRIALS

Rows = list[list[str]]
SIZES = ("small", "medium", "large")


def claims_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """What the article claims, what the paper measured, what was measured here."""
    head = ["claim", "on", "paper", "here: AP", "AP small", "difference of AP", "of AP small",
            "holds"]  # fmt: skip
    rows = []
    for name, claim in CLAIMS.items():
        judged = report["claims"].get(name)
        trial = TRIALS[SHOWINGS[claim.treatment].trial]
        on = f"{trial.recipe}, {trial.data}"
        if judged is None:
            rows.append([claim.says, on, claim.published, *["-"] * 4, "not measured"])
            continue
        sides = [report["showings"][judged[side]] for side in ("control", "treatment")]
        rows.append(
            [
                claim.says,
                on,
                claim.published,
                " → ".join(figure(side, "AP") for side in sides),
                " → ".join(figure(side, "AP_small") for side in sides),
                difference(judged["differences"]["AP"]),
                difference(judged["differences"]["AP_small"]),
                verdict(judged["differences"]["AP"], claim.gains),
            ]
        )
    return head, rows


def verdict(seeds: Sequence[Sequence[float | None]], gains: bool) -> str:
    """Whether a claim holds: every interval on the claimed side, on the other, or neither.

    Args:
        seeds: Value, low and high of each seed's difference.
        gains: Whether the treatment is claimed to gain; if not, to bring nothing or to cost.
    """
    low, high = _hull(seeds)
    if low is None or high is None:
        return "undefined"
    if low <= 0 <= high:
        return "not told" if gains else "no gain told"
    return "yes" if (low > 0) == gains else "no"


def difference(seeds: Sequence[Sequence[float | None]]) -> str:
    """Mean over the seeds, and the hull of their intervals."""
    low, high = _hull(seeds)
    if low is None or high is None:
        return "-"
    return f"{fmean(_known(one[0] for one in seeds)):+.3f} ({low:+.3f} to {high:+.3f})"


def figure(seeds: Sequence[Mapping[str, Any]], name: str) -> str:
    """Mean over the seeds; `-` where there is nothing to measure it on."""
    values = _known(row.get(name) for row in seeds)
    return f"{fmean(values):.3f}" if values else "-"


def series_table(report: Mapping[str, Any], name: str) -> tuple[list[str], Rows]:
    """AP by object size of several showings, and what each costs."""
    head = ["", "AP", "AP50", *(f"AP {size}" for size in SIZES), "CPU s / picture", "parameters"]
    rows = []
    for label, showing in SERIES[name].showings.items():
        if showing not in report["showings"]:
            rows.append([label, *["-"] * (len(head) - 1)])
            continue
        seeds = report["showings"][showing]
        shown = [figure(seeds, key) for key in ("AP", "AP50", *(f"AP_{size}" for size in SIZES))]
        trial = report["trials"].get(SHOWINGS[showing].trial)
        parameters = f"{trial[0]['parameters'] / 1e6:.1f} M" if trial else "-"
        rows.append([label, *shown, figure(seeds, "cpu_seconds_per_image"), parameters])
    return head, rows


def classes_table(report: Mapping[str, Any], name: str) -> tuple[list[str], Rows]:
    """A claim class by class, the hardest for the control first."""
    judged = report["claims"][name]
    control, treatment = (report["showings"][judged[side]] for side in ("control", "treatment"))
    found = control[0]["by_class"]
    rows = []
    for label in sorted(found, key=lambda one: _mean_of(control, one)):
        told = judged["differences"].get(f"AP@{label}", [[None] * 3])
        sides = [f"{_mean_of(side, label):.3f}" for side in (control, treatment)]
        rows.append([label, *sides, difference(told)])
    return ["class", "AP, control", "AP, treatment", "difference"], rows


def series_classes_table(report: Mapping[str, Any], name: str) -> tuple[list[str], Rows]:
    """AP of each class over several showings, the hardest for the first one first."""
    shown = {label: report["showings"][showing] for label, showing in SERIES[name].showings.items()}
    first = next(iter(shown.values()))
    labels = sorted(first[0]["by_class"], key=lambda one: _mean_of(first, one))
    return ["class", *shown], [
        [label, *(f"{_mean_of(seeds, label):.3f}" for seeds in shown.values())] for label in labels
    ]


def refiner_table(report: Mapping[str, Any], name: str) -> tuple[list[str], Rows]:
    """AP of small objects, what it costs, and how near a generator's crops are to real ones."""
    head = ["", "AP", "AP small", "AP below 16 px", "CPU s / picture", "crops told right",
            "PSNR, dB", "SSIM"]  # fmt: skip
    rows = []
    for label, showing in SERIES[name].showings.items():
        if showing not in report["showings"]:
            rows.append([label, *["-"] * (len(head) - 1)])
            continue
        seeds = report["showings"][showing]
        shown = [figure(seeds, key) for key in ("AP", "AP_small", "AP_tiny")]
        trials = report["trials"].get(SHOWINGS[showing].trial, [])
        judged = [trial["held_out"] for trial in trials if "held_out" in trial]
        inputs = TRIALS[SHOWINGS[showing].trial].settings.get("inputs", "generated")
        kind = "generated" if inputs == "generated" else "bicubic"
        near = [
            f"{fmean(_known(one[key] for one in judged)):.{digits}f}" if judged else "-"
            for key, digits in (("told_right", 3), (f"psnr_{kind}", 1), (f"ssim_{kind}", 3))
        ]
        if inputs == "plain":
            near[1:] = ["-", "-"]
        rows.append([label, *shown, figure(seeds, "cpu_seconds_per_image"), *near])
    return head, rows


def agreement_table(report: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """AP by torch and by the runtime on the same pictures."""
    head = ["training", "AP by torch", "AP by the runtime", "apart", "pictures"]
    rows = []
    for name, seeds in report["trials"].items():
        for facts in (facts for facts in seeds if "AP_torch" in facts):
            pair = facts["AP_torch"], facts["AP_runtime"]
            apart = f"{abs(pair[0] - pair[1]):.4f}"
            shown = [f"{value:.4f}" for value in pair]
            rows.append([name, *shown, apart, str(facts["compared_pictures"])])
    return head, rows


def _mean_of(seeds: Sequence[Mapping[str, Any]], label: str) -> float:
    return fmean(row["by_class"][label] or 0.0 for row in seeds)


def _hull(seeds: Sequence[Sequence[float | None]]) -> tuple[float | None, float | None]:
    lows, highs = _known(one[1] for one in seeds), _known(one[2] for one in seeds)
    return (min(lows), max(highs)) if lows and highs else (None, None)


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None and not math.isnan(value)]
