"""The benchmark of the article's claims, at its smallest scale, from labels to the result file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import article
import pytest
from claims import CLAIMS

CLAIM = "tiles-test-retinanet"
"""One training shown in two ways: the shortest of all."""


def judge(monkeypatch: pytest.MonkeyPatch, folder: Path, *more: str) -> dict[str, Any]:
    arguments = ["article.py", "--scale", "smoke", "--runs", str(folder / "runs")]
    monkeypatch.setattr(sys, "argv", [*arguments, "--results", str(folder), *more])
    article.main()
    report: dict[str, Any] = json.loads((folder / "article-smoke.json").read_text())
    return report


def test_judges_a_claim_and_resumes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = judge(monkeypatch, tmp_path, "--only", CLAIM)
    claim, judged = CLAIMS[CLAIM], report["claims"][CLAIM]
    assert (judged["control"], judged["treatment"]) == (claim.control, claim.treatment)
    assert report["showings"].keys() == {claim.control, claim.treatment}
    values = judged["differences"]["AP"]
    assert len(values) == 1
    low, high = values[0][1:]
    assert low <= high
    trials = report["trials"]
    assert trials.keys() == {claim.control}
    for (facts,) in trials.values():
        assert facts["AP_torch"] == pytest.approx(facts["AP_runtime"], abs=0.002)
        assert facts["parameters"] > 1e6
    models = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.onnx")}
    assert len(models) == 1
    capsys.readouterr()
    assert judge(monkeypatch, tmp_path, "--only", CLAIM, "--resume") == report
    assert f"{CLAIM}: already in article-smoke.json" in capsys.readouterr().out
    assert models == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.onnx")}
