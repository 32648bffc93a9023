"""The plan of the benchmark of motion on real clips; its data are not there in tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sky_motion
from trials import recipe_of

from foveate.data.clips import drawn_frames
from foveate.data.formats.coco_video import Clip
from foveate.structures import Annotations, Dataset, Sample


@pytest.fixture
def clip() -> Clip:
    """Frames 0, 28 to 48 and 76 to 96 of a video, as `scripts/sky_data.py` keeps them."""
    index = [0, *range(28, 49), *range(76, 97)]
    none = Annotations(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))
    samples = tuple(
        Sample(Path(f"IR_BIRD_001-{frame:04}.jpg"), i + 1, 320, 256, none)
        for i, frame in enumerate(index)
    )
    return Clip("IR_BIRD_001", samples, np.array(index), (np.zeros(0, np.int64),) * len(index))


def test_trainings_differ_in_the_motion_alone(clip: Clip) -> None:
    scale = sky_motion.SCALES["cpu"]
    trials = sky_motion.trials(scale)
    dataset = Dataset("sky", ("bird",), (1,), clip.samples)
    for data in sky_motion.SETS:
        recipes = {mode: recipe_of(f"{data}-{mode}", scale, trials) for mode in sky_motion.MODES}
        control = recipes[sky_motion.NO_MOTION]
        assert control.motion is None
        for mode, recipe in recipes.items():
            alike = {"name": control.name, "motion": None}
            assert recipe.model_copy(update=alike) == control, mode
            drawn = drawn_frames(
                dataset, [clip], recipe.sampling.frame_step, recipe.motion,
                recipe.sampling.first_frame,
            )  # fmt: skip
            assert [s.path.stem[-4:] for s in drawn.samples] == ["0048", "0096"], mode


def test_scores_frames_with_all_before_them_and_draws_whole_clips(
    clip: Clip, tmp_path: Path
) -> None:
    workshop = sky_motion.SkyWorkshop(sky_motion.SCALES["cpu"], tmp_path, tmp_path)
    scored = [clip.samples[position] for position in workshop.scored(clip)]
    assert [sample.path.stem[-4:] for sample in scored] == ["0048", "0096"]
    assert set(workshop.groups(Dataset("sky", ("bird",), (1,), clip.samples)).values()) == {
        "IR_BIRD_001"
    }


def test_only_what_compares_frames_is_shown_aligned(tmp_path: Path) -> None:
    workshop = sky_motion.SkyWorkshop(sky_motion.SCALES["cpu"], tmp_path, tmp_path, "moving")
    aligned = {name for name in workshop.showings if name.endswith("-aligned")}
    assert aligned == {
        f"{data}-{mode}-moving-aligned"
        for data in sky_motion.SETS
        for mode in ("difference", "grey-stack", sky_motion.LONG)
    }


def test_other_starts_differ_in_the_start_alone() -> None:
    scale = sky_motion.SCALES["cpu"]
    trials = sky_motion.trials(scale)
    default = "-".join(sky_motion.STARTED)
    for start in sky_motion.STARTS:
        recipe, control = (
            recipe_of(name, scale, trials).model_dump() for name in (f"{default}-{start}", default)
        )
        assert recipe["method"]["backbone"].pop("start") == start
        assert control["method"]["backbone"].pop("start") == "mean"
        assert recipe.pop("name") != control.pop("name")
        assert recipe == control
