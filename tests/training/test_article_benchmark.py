"""The benchmark of the article's claims, at its smallest scale, from labels to the result file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import article
import pytest
from claims import CLAIMS


def judge(monkeypatch: pytest.MonkeyPatch, folder: Path, *more: str) -> dict[str, Any]:
    arguments = ["article.py", "--scale", "smoke", "--runs", str(folder / "runs")]
    monkeypatch.setattr(sys, "argv", [*arguments, "--results", str(folder), *more])
    article.main()
    report: dict[str, Any] = json.loads((folder / "article-smoke.json").read_text())
    return report


def test_judges_a_claim_and_resumes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = judge(monkeypatch, tmp_path)
    (name,) = article.SMOKE
    judged = report["claims"][name]
    assert (judged["control"], judged["treatment"]) == (
        CLAIMS[name].control,
        CLAIMS[name].treatment,
    )
    values = judged["differences"]["AP"]
    assert len(values) == 1
    low, high = values[0][1:]
    assert low <= high
    trials = report["trials"]
    assert trials.keys() == {CLAIMS[name].control, CLAIMS[name].treatment}
    for (facts,) in trials.values():
        assert facts["AP_torch"] == pytest.approx(facts["AP_runtime"], abs=0.002)
        assert facts["parameters"] > 1e6
    models = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.onnx")}
    assert len(models) == 2
    capsys.readouterr()
    assert judge(monkeypatch, tmp_path, "--resume") == report
    assert f"{name}: already in article-smoke.json" in capsys.readouterr().out
    assert models == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.onnx")}
