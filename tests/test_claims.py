"""The table of claims: a treatment and its control differ in one thing; verdicts follow figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import article_tables
import pytest
from claims import CLAIMS, SERIES, SHOWINGS, TRIALS


def leaves(settings: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in settings.items():
        nested = isinstance(value, Mapping) and key != "focal"  # gamma and alpha are one choice
        found |= leaves(value, f"{path}{key}.") if nested else {path + key: value}
    return found


def everything(showing: str) -> dict[str, Any]:
    shown = SHOWINGS[showing]
    trial = TRIALS[shown.trial]
    return {
        "recipe": trial.recipe, "data": trial.data, "base": trial.base, **leaves(trial.settings),
        **({"options": shown.options} if shown.options else {}),
    }  # fmt: skip


@pytest.mark.parametrize("name", CLAIMS)
def test_treatment_and_control_differ_in_what_the_claim_says_alone(name: str) -> None:
    claim = CLAIMS[name]
    a, b = everything(claim.control), everything(claim.treatment)
    different = [key for key in a.keys() | b.keys() if a.get(key) != b.get(key)]
    if b["base"] and b["base"] == SHOWINGS[claim.control].trial:
        different = ["a refiner of what the control finds"]
    assert len(different) == claim.changes


@pytest.mark.parametrize("name", SERIES)
def test_a_series_is_of_one_data_set(name: str) -> None:
    data = {TRIALS[SHOWINGS[one].trial].data for one in SERIES[name].showings.values()}
    assert len(data) == 1


@pytest.mark.parametrize(
    ("seeds", "gains", "said"),
    [
        ([[0.1, 0.05, 0.2]], True, "yes"),
        ([[-0.1, -0.2, -0.05]], True, "no"),
        ([[0.1, -0.05, 0.2]], True, "not told"),
        ([[0.1, 0.05, 0.2], [0.0, -0.1, 0.1]], True, "not told"),
        ([[0.1, 0.05, 0.2]], False, "no"),
        ([[-0.1, -0.2, -0.05]], False, "yes"),
        ([[0.0, -0.1, 0.1]], False, "no gain told"),
        ([[None, None, None]], True, "undefined"),
    ],
)
def test_verdict(seeds: list[list[float | None]], gains: bool, said: str) -> None:
    assert article_tables.verdict(seeds, gains) == said


def report() -> dict[str, Any]:
    row = {"AP": 0.25, "AP50": 0.5, "AP_small": 0.125, "cpu_seconds_per_image": 0.5,
           "by_class": {"ship": 0.5, "tank": 0.25}}  # fmt: skip
    better = row | {"AP": 0.75, "by_class": {"ship": 0.5, "tank": 0.75}}
    told = [[0.5, 0.25, 0.625]]
    return {
        "claims": {
            "focal-classes": {
                "control": "vhr10-retinanet-ce", "treatment": "vhr10-retinanet",
                "differences": {"AP": told, "AP_small": told, "AP@ship": told},
            }
        },
        "series": {"scale-small": {}},
        "showings": {"vhr10-retinanet-ce": [row], "vhr10-retinanet": [better, better]},
        "trials": {
            "vhr10-retinanet": [{"parameters": 2_500_000, "AP_torch": 0.5, "AP_runtime": 0.25,
                                 "compared_pictures": 20}]
        },
    }  # fmt: skip


def test_claims_table_has_a_row_a_claim() -> None:
    head, rows = article_tables.claims_table(report())
    assert len(rows) == len(CLAIMS)
    judged = rows[list(CLAIMS).index("focal-classes")]
    assert dict(zip(head, judged, strict=True)) == {
        "claim": CLAIMS["focal-classes"].says,
        "on": "retinanet, vhr10",
        "paper": CLAIMS["focal-classes"].published,
        "here: AP": "0.250 → 0.750",
        "AP small": "0.125 → 0.125",
        "difference of AP": "+0.500 (+0.250 to +0.625)",
        "of AP small": "+0.500 (+0.250 to +0.625)",
        "holds": "yes",
    }
    assert all(row[-1] == "not measured" for row in rows if row is not judged)


def test_classes_table_has_the_hardest_first() -> None:
    _, rows = article_tables.classes_table(report(), "focal-classes")
    assert [row[0] for row in rows] == ["tank", "ship"]
    assert rows[1] == ["ship", "0.500", "0.500", "+0.500 (+0.250 to +0.625)"]


def test_series_table_has_what_is_measured() -> None:
    _, rows = article_tables.series_table(report(), "baselines-vhr10")
    shown = rows[list(SERIES["baselines-vhr10"].showings).index("RetinaNet")]
    assert shown == ["RetinaNet", "0.750", "0.500", "0.125", "-", "-", "0.500", "2.5 M"]


def test_classes_of_a_series_are_in_columns_the_hardest_first() -> None:
    shown = report()
    (plain,) = shown["showings"]["vhr10-retinanet-ce"]
    names = SERIES["remote-vhr10"].showings
    shown["showings"] = {showing: [plain] for showing in names.values()}
    head, rows = article_tables.series_classes_table(shown, "remote-vhr10")
    assert head == ["class", *names]
    assert rows == [["tank", *["0.250"] * len(names)], ["ship", *["0.500"] * len(names)]]


def test_refiner_table_has_what_its_judge_and_generator_do() -> None:
    shown = report()
    figures = {"told_right": 0.875, "psnr_bicubic": 30.0, "psnr_generated": 31.5,
               "ssim_bicubic": 0.75, "ssim_generated": 0.5}  # fmt: skip
    row = {"AP": 0.25, "AP_small": 0.125, "cpu_seconds_per_image": 0.5}
    forms = ("plain", "bicubic", "generated")
    shown["showings"] |= {f"vhr10-mtgan-{form}": [row] for form in forms}
    shown["trials"] |= {f"vhr10-mtgan-{form}": [{"held_out": figures}] for form in forms}
    _, rows = article_tables.refiner_table(shown, "mtgan-vhr10")
    near = {row[0]: row[-3:] for row in rows}
    assert near["the detector alone"] == ["-", "-", "-"]
    assert near["judged again"] == ["0.875", "-", "-"]
    assert near["judged again, bicubic x4"] == ["0.875", "30.0", "0.750"]
    assert near["judged again, generated x4 (SOD-MTGAN)"] == ["0.875", "31.5", "0.500"]


def test_agreement_table_says_how_far_apart() -> None:
    _, rows = article_tables.agreement_table(report())
    assert rows == [["vhr10-retinanet", "0.5000", "0.2500", "0.2500", "20"]]
