"""Players and ball in the video of a fixed camera: tiles against speed, and what motion brings.

    python benchmarks/pitch.py --scale smoke              # a minute or two
    python benchmarks/pitch.py --scale cpu --resume       # hours on two cores; stop it any time
    python benchmarks/pitch.py --scale gpu --only motion --resume

Matches are rendered, those to learn from and those held out from other seeds: other stadium,
camera, light, kits and play. Of every held-out match one frame is scored, its last, so that the
95 % intervals are over matches and not over frames that are alike; the frames before it are there
for motion and for the gate.

Each detector is trained once, at every scale of showing alike, and then shown the held-out matches
in six ways. Of the ball, `center-point` is trained with each mode of motion and without, everything
else the same, and shown 4 x 3 tiles; and once more (`-fine`) in tiles of pictures enlarged 1.5
times, for in 4 x 3 tiles a ball has less than four pixels. Since an IoU of .5 asks for a place
within a pixel then, the ball is also scored by whether it is found within ten pixels.

Times are of motion, tiling, detection and merging, not of reading the picture.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from article import Report, differences
from claims import Showing, Trial, laid_over
from clip_trials import ClipWorkshop
from trials import ROOT, SHORT, TINY, Scale, Shown, Workshop

from foveate.data.formats.coco_video import Clip
from foveate.data.motion import MOTION
from foveate.data.pitch import PitchConfig, write_dataset
from foveate.evaluation import SizeBins, bootstrap_interval, paired_bootstrap
from foveate.evaluation.sizes import MAX_SIDE
from foveate.inference.gate import MotionGate
from foveate.inference.settings import Options
from foveate.structures import Dataset, Detections, FloatArray
from foveate.tiling import TilePlan, plan_tiles

DETECTORS = {"ssd": "ssd", "yolov3": "yolov3", "center-point": "pitch"}
"""Each detector's recipe."""
GRIDS = {"2x2": (2, 2), "3x2": (3, 2), "4x3": (4, 3)}
"""Tiles across and down."""
FINEST = "4x3"
MODES = ("plain", *GRIDS, f"{FINEST}-full", f"{FINEST}-gated")
"""How pictures are shown."""
NO_MOTION, BALL = "none", "ball"
MOTIONS = (NO_MOTION, *MOTION)
FINE, FINER = "-fine", 1.5
"""End of a mode's name where pictures are enlarged so much."""
NEAR_SIDE = 30
"""Side of squares around centres, picture pixels: two within 10 px along an axis have an IoU of .5
or more. WASB counts a ball found within 4 px of a picture 512 wide [S], which is 20 px here."""
METRICS = ("AP@player", "AP_far@player", "AP_near@player", "AP@ball", "AP50@ball")
WIDTH, HEIGHT = 2560, 1440
FAR_SIDE = 28
"""Side, √area in pixels of a picture 2560 wide, up to which a player is far: about the median."""
TEST_SEED = 1000
AUGMENT = {"any_turn": 0.0, "quarter_turn": 0.0, "turned_box": "corners", "paste": 0.5,
           "scale_low": 0.8, "scale_high": 1.25}  # fmt: skip
SMOKE = ("center-point", NO_MOTION, "difference")
"""What the smoke scale measures if nothing is named: the others take the same path."""


@dataclass(frozen=True)
class PitchScale(Scale):
    """How much is spent; `tile` is a tile's side at test.

    Attributes:
        learned: Side of a tile in training, network pixels.
        train: Matches to learn from.
        test: Matches held out.
        before: Frames of a match before one that is learned from or scored.
        drawn: Frames of a match that are learned from.
        step: Frames between them.
        width: Of the pictures; the height is nine sixteenths of it.
    """

    learned: int = 256
    train: int = 60
    test: int = 40
    before: int = 20
    drawn: int = 2
    step: int = 10
    width: int = WIDTH

    @property
    def config(self) -> PitchConfig:
        """Of the renderer."""
        return PitchConfig(width=self.width, height=self.width * HEIGHT // WIDTH)


SCALES = {
    "smoke": PitchScale("smoke", 3, 2, 128, (0,), SHORT | TINY, compared=1,
                        learned=64, train=2, test=2, before=6, drawn=1, step=1, width=480),
    "cpu": PitchScale("cpu", 400, 8, 512, (0,), SHORT, compared=60),
    "gpu": PitchScale("gpu", 4000, 16, 512, (0, 1, 2), {"optimiser": {"warmup": 100, "ema": 0.998}},
                      compared=120, learned=384, train=240, test=120, before=30, drawn=4),
}  # fmt: skip


@dataclass(frozen=True)
class GatedShowing(Showing):
    """Tiles are looked at where something changed."""


def grid_scale(columns: int, rows: int, scale: PitchScale) -> float:
    """The enlargement at which a picture is covered by so many tiles."""
    config, side, overlap = scale.config, scale.tile, scale.tile // 8
    fits = (
        (count * (side - overlap) + overlap) / length
        for count, length in ((columns, config.width), (rows, config.height))
    )
    found = min(fits)
    while len(plan_tiles(config.width, config.height, _plan(found, scale))) > columns * rows:
        found *= 0.995  # overlaps are whole pixels of the picture
    return round(found, 4)


def _plan(scale: float, spent: PitchScale) -> TilePlan:
    return TilePlan(size=spent.tile, overlap=spent.tile // 8, scale=scale)


def trials(scale: PitchScale) -> dict[str, Trial]:
    """Every training, by name: the detectors, and `motion-MODE`."""
    finest = grid_scale(*GRIDS[FINEST], scale)
    common = {
        "tile_plan": {"overlap": scale.tile // 8, "scale": finest},
        "sampling": {"tile": scale.learned, "on_object": 0.8, "first_frame": scale.before,
                     "frame_step": scale.step},
        "augment": AUGMENT,
    }  # fmt: skip
    shown = [grid_scale(*grid, scale) for grid in GRIDS.values()]
    shown.append(scale.tile / scale.config.width)
    factors = {"augment": {"scales": [round(one / finest, 4) for one in shown]}}
    found = {
        name: Trial(recipe, "pitch", laid_over(common, factors))
        for name, recipe in DETECTORS.items()
    }
    fine = laid_over(common, {"tile_plan": {"scale": FINER}})
    for mode in MOTIONS:
        motion = None if mode == NO_MOTION else {"mode": mode, "warm_up": scale.before}
        found[f"motion-{mode}"] = Trial("pitch-motion", "pitch", common | {"motion": motion})
        found[f"motion-{mode}{FINE}"] = Trial("pitch-motion", "pitch", fine | {"motion": motion})
    return found


def showings(scale: PitchScale) -> dict[str, Showing]:
    """Every showing, by name: `DETECTOR-MODE`, and each training as its recipe shows it."""
    found = {name: Showing(name) for name in trials(scale)}
    for name in DETECTORS:
        found[f"{name}-plain"] = Showing(name, Options(plain=True))
        for grid, (columns, rows) in GRIDS.items():
            enlarged = Options(scale=grid_scale(columns, rows, scale), overlap=scale.tile // 8)
            found[f"{name}-{grid}"] = Showing(name, enlarged)
        found[f"{name}-{FINEST}-full"] = Showing(name, Options(full_image=True))
        found[f"{name}-{FINEST}-gated"] = GatedShowing(name)
    return found


class PitchWorkshop(ClipWorkshop):
    """Trains on rendered matches and shows others, one frame of each."""

    metrics = METRICS

    def __init__(self, scale: PitchScale, runs: Path, *, anew: bool = False) -> None:
        side = FAR_SIDE * scale.width / WIDTH
        bins = SizeBins("pitch", ("far", "near"), ((0, side), (side, MAX_SIDE)))
        super().__init__(
            scale, runs, runs, anew=anew, trials=trials(scale), showings=showings(scale), bins=bins
        )
        self.spent = scale

    def splits(self, trial: Trial) -> tuple[Path, Path]:
        """Label files of the matches to learn from and of those held out; rendered at first."""
        spent = self.spent
        learned = spent.before + 1 + (spent.drawn - 1) * spent.step
        files = []
        for name, seed, count, frames in (
            ("train", 0, spent.train, learned),
            ("test", TEST_SEED, spent.test, spent.before + 1),
        ):
            folder = self.runs / f"matches-{name}"
            if not folder.is_dir():
                started = time.perf_counter()
                jobs = max(1, min(os.cpu_count() or 1, count // 8))
                write_dataset(folder, count, seed, spent.config, frames=frames, jobs=jobs)
                took = time.perf_counter() - started
                print(f"{count} matches of {frames} frames rendered in {took:.0f} s", flush=True)
            files.append(folder / "annotations.json")
        return files[0], files[1]

    def scored(self, clip: Clip) -> list[int]:
        """The last frame of every match."""
        return [len(clip) - 1]

    def gate(self, showing: Showing) -> MotionGate | None:
        """Of a gated showing."""
        return MotionGate() if isinstance(showing, GatedShowing) else None


class PitchReport(Report):
    """The result file: each detector in every mode, and each mode of motion against none."""

    judged = ("detectors", "motion")

    def add(self, name: str, workshop: Workshop) -> None:
        """Measure a detector, or a mode of motion, and write the file."""
        if name in DETECTORS:
            shown = {mode: f"{name}-{mode}" for mode in MODES}
            control = shown["plain"]
            self._measure([*shown.values()], workshop)
            self.values["detectors"][name] = {
                "showings": shown,
                "minus_plain": _differences(control, shown, workshop),
                "gated_minus_all": differences(
                    shown[FINEST], shown[f"{FINEST}-gated"], workshop, METRICS
                ),
            }
        else:
            control, own = f"motion-{NO_MOTION}{FINE if FINE in name else ''}", f"motion-{name}"
            self._measure([control, own], workshop)
            apart = differences(control, own, workshop, METRICS) if own != control else {}
            self.values["motion"][name] = {
                "showing": own, "control": control, "minus_none": apart,
                "near_ball": near_ball(control, own, workshop),
            }  # fmt: skip
        print(name, {row: self.values["showings"][row] for row in self._rows(name)}, flush=True)
        self.write()

    def _rows(self, name: str) -> list[str]:
        if name in DETECTORS:
            return list(self.values["detectors"][name]["showings"].values())
        return [self.values["motion"][name]["showing"]]


def near_ball(control: str, own: str, workshop: Workshop) -> list[dict[str, Any]]:
    """AP of the ball where its place decides, and how much more than the control's, a seed."""
    told = []
    for seed in workshop.scale.seeds:
        a, b = (_as_squares(workshop.shown(name, seed)) for name in (control, own))
        metric = f"AP50@{BALL}"
        figure = bootstrap_interval(*b, (metric,))[metric].to_dict()
        apart = paired_bootstrap(b[0], a[1], b[1], (metric,))[metric].to_dict()
        told.append({"AP": figure, "minus_none": apart if own != control else None})
    return told


def _as_squares(shown: Shown) -> tuple[Dataset, dict[int, Detections]]:
    """All boxes as squares of one size around their centres."""
    samples = tuple(
        replace(s, annotations=replace(s.annotations, boxes=_squares(s.annotations.boxes)))
        for s in shown.dataset.samples
    )
    found = {key: replace(one, boxes=_squares(one.boxes)) for key, one in shown.found.items()}
    return replace(shown.dataset, samples=samples), found


def _squares(boxes: FloatArray) -> FloatArray:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.concatenate([centres - NEAR_SIDE / 2, centres + NEAR_SIDE / 2], axis=1)


def _differences(control: str, shown: Mapping[str, str], workshop: Workshop) -> dict[str, Any]:
    others = {mode: showing for mode, showing in shown.items() if showing != control}
    return {mode: differences(control, one, workshop, METRICS) for mode, one in others.items()}


def main() -> None:
    """Measure and write ``benchmarks/results/pitch-SCALE.json``, one part at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=tuple(SCALES), default="cpu")
    fine = tuple(f"{mode}{FINE}" for mode in MOTIONS)
    parts = ("detectors", "motion", "fine", *DETECTORS, *MOTIONS, *fine)
    parser.add_argument("--only", nargs="+", choices=parts, help="some of them")
    parser.add_argument("--resume", action="store_true", help="keep what is there")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "pitch-benchmark")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args()
    scale = SCALES[args.scale]
    groups = {"detectors": tuple(DETECTORS), "motion": MOTIONS, "fine": fine}
    default = SMOKE if args.scale == "smoke" else (*DETECTORS, *MOTIONS, *fine)
    asked = [one for name in args.only or default for one in groups.get(name, (name,))]
    workshop = PitchWorkshop(scale, args.runs, anew=not args.resume)
    report = PitchReport(args.results / f"pitch-{scale.name}.json", scale, keep=args.resume)
    for name in dict.fromkeys(asked):
        if report.has(name):
            print(f"{name}: already in {report.path.name}", flush=True)
        else:
            report.add(name, workshop)


if __name__ == "__main__":
    main()
