"""The benchmark of players and ball: its plan, and its smallest scale from matches to figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pitch
import pytest
from trials import recipe_of

from foveate.structures.boxes import box_iou
from foveate.tiling import plan_tiles


@pytest.mark.parametrize("name", pitch.SCALES)
@pytest.mark.parametrize("grid", pitch.GRIDS)
def test_a_grid_has_as_many_tiles_as_it_is_called(name: str, grid: str) -> None:
    scale = pitch.SCALES[name]
    columns, rows = pitch.GRIDS[grid]
    plan = pitch._plan(pitch.grid_scale(columns, rows, scale), scale)
    tiles = plan_tiles(scale.config.width, scale.config.height, plan)
    assert len({tile.x for tile in tiles}) == columns
    assert len({tile.y for tile in tiles}) == rows


@pytest.mark.parametrize("name", pitch.SCALES)
def test_trainings_differ_in_the_motion_alone(name: str) -> None:
    scale = pitch.SCALES[name]
    trials = pitch.trials(scale)
    recipes = {trial: recipe_of(trial, scale, trials) for trial in trials}
    control = recipes["motion-none"]
    assert control.motion is None
    for mode in pitch.MOTIONS[1:]:
        recipe, fine = recipes[f"motion-{mode}"], recipes[f"motion-{mode}{pitch.FINE}"]
        assert recipe.motion is not None
        assert recipe.motion.mode == mode
        assert recipe.motion.frames_before <= scale.before
        assert recipe.model_copy(update={"name": control.name, "motion": None}) == control
        assert fine.tile_plan.scale == pitch.FINER
        assert (
            fine.model_copy(update={"name": recipe.name, "tile_plan": recipe.tile_plan}) == recipe
        )
    for showing in pitch.showings(scale).values():
        assert showing.trial in trials


def test_measures_motion_and_resumes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["pitch.py", "--scale", "smoke", "--runs", str(tmp_path / "runs")]
    arguments += ["--results", str(tmp_path), "--only", "median"]
    monkeypatch.setattr(sys, "argv", arguments)
    pitch.main()
    report = json.loads((tmp_path / "pitch-smoke.json").read_text())
    judged = report["motion"]["median"]
    assert judged["showing"] == "motion-median"
    assert judged["minus_none"].keys() == set(pitch.METRICS)
    (near,) = judged["near_ball"]
    assert 0 <= near["AP"]["value"] <= 1
    assert near["minus_none"].keys() >= {"value", "low", "high"}
    assert report["showings"].keys() == {"motion-none", "motion-median"}
    for (row,) in report["showings"].values():
        assert row["images"] == pitch.SCALES["smoke"].test
        assert row["tiles_per_image"] == 12
        value, low, high = row["AP_far@player"]
        assert low <= value <= high
    for (facts,) in report["trials"].values():
        assert facts["AP_torch"] == pytest.approx(facts["AP_runtime"], abs=0.002)
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", [*arguments, "--resume"])
    pitch.main()
    assert json.loads((tmp_path / "pitch-smoke.json").read_text()) == report
    assert "median: already in pitch-smoke.json" in capsys.readouterr().out


def test_a_ball_is_near_within_ten_pixels() -> None:
    boxes = np.array([[100, 50, 104, 54], [109, 50, 114, 54], [112, 50, 118, 54]], np.float32)
    one, near, far = pitch._squares(boxes)[:, None]
    assert box_iou(one, near)[0, 0] > 0.5 > box_iou(one, far)[0, 0]
