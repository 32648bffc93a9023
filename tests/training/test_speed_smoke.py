"""The headline benchmark from end to end, without other libraries."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import speed
from speed_parts import SCALES
from speed_systems import ALL, SELECTIVE


def test_measures_and_resumes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["speed.py", "--scale", "smoke", "--only", "pitch", "--results", str(tmp_path)]
    arguments += ["--runs", str(tmp_path / "runs"), "--resume"]
    monkeypatch.setattr(sys, "argv", arguments)
    speed.main()
    report = json.loads((tmp_path / "speed-smoke.json").read_text())
    part = report["parts"]["pitch"]
    rows = {row["system"]: row for row in part["rows"]}
    assert rows.keys() == {ALL, SELECTIVE}
    for row in rows.values():
        assert 0 < row["AP_small"] < 1
        assert len(row["rounds"]) == SCALES["smoke"].rounds
        assert row["stages"]["network"] > 0
    assert 0 < rows[SELECTIVE]["tiles_per_picture"] <= rows[ALL]["tiles_per_picture"]
    value, low, high = part["differences"][SELECTIVE]["AP_small"]
    assert value == pytest.approx(rows[SELECTIVE]["AP_small"] - rows[ALL]["AP_small"], abs=1e-4)
    assert low <= value <= high
    # Three matches were held out: even if none of their objects is missed, that promises .368.
    asked = float(part["glance"]["select"].removeprefix("recall="))
    assert 0 < asked <= 0.368
    capsys.readouterr()
    speed.main()
    assert json.loads((tmp_path / "speed-smoke.json").read_text()) == report
    assert "pitch: already in speed-smoke.json" in capsys.readouterr().out
