"""What motion channels bring on real clips of the sky, and what a moving camera takes from them.

    python benchmarks/sky_motion.py --scale cpu --resume     # an hour or two; stop it any time
    python benchmarks/sky_motion.py --scale gpu --only sky-ir --resume

On infrared and on visible clips of fixed cameras, `center-point` is trained with each mode of
motion and without, everything else the same: pictures, steps, tiles and seed. Clips that nothing
was learned from are scored, one frame in 24; the 95 % intervals draw whole clips, since the frames
of one are alike. Then the same models see clips of cameras that move, plainly and with earlier
frames aligned to the present one.

The data are those that `FOVEATE_DATA` names; frames are taken from them by `scripts/sky_data.py`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from article import Report, differences
from claims import Showing, Trial
from clip_trials import ClipWorkshop
from trials import ROOT, SHORT, TINY, Scale

from foveate.data.formats.coco_video import Clip
from foveate.data.motion import MOTION, MotionConfig
from foveate.evaluation import Groups
from foveate.inference.settings import Options
from foveate.structures import Dataset

SETS = ("sky-ir", "sky-visible")
NO_MOTION = "none"
LONG = "difference-long"
MODES: dict[str, dict[str, Any] | None] = {
    NO_MOTION: None,
    **{mode: {"mode": mode} for mode in MOTION},
    LONG: {"mode": "difference", "lags": (5, 15)},
}
"""Each mode's settings."""
STARTED = ("sky-ir", "difference")
"""Set and mode of the ablation of how the first layer's new channels begin."""
STARTS = ("zero", "random")
"""Other ways than the default."""
METRICS = ("AP", "AP50", "AP_tiny", "AP_small", "AP_medium")


@dataclass(frozen=True)
class SkyScale(Scale):
    """How much is spent.

    Attributes:
        before: Frames before each that is learned from or scored.
        every: Frames of a clip between two that are learned from, and between two scored.
    """

    before: int = 20
    every: tuple[int, int] = (48, 24)


SCALES = {
    "smoke": SkyScale("smoke", 3, 2, 128, (0,), SHORT | TINY, compared=1, every=(250, 250)),
    "cpu": SkyScale("cpu", 400, 8, 256, (0,), SHORT, compared=60),
    "gpu": SkyScale("gpu", 3000, 16, 384, (0, 1, 2),
                    {"optimiser": {"warmup": 100, "ema": 0.998}}, compared=120, every=(24, 24)),
}  # fmt: skip


def trials(scale: SkyScale) -> dict[str, Trial]:
    """Every training, by name: `SET-MODE`, and those that begin otherwise."""
    sampling = {"first_frame": scale.every[0], "frame_step": scale.every[0]}
    found = {}
    for data in SETS:
        for mode, settings in MODES.items():
            motion = None if settings is None else settings | {"warm_up": scale.before}
            found[f"{data}-{mode}"] = Trial("sky", data, {"motion": motion, "sampling": sampling})
    begun = found["-".join(STARTED)]
    for start in STARTS:
        settings = {**begun.settings, "method": {"backbone": {"start": start}}}
        found[f"{'-'.join(STARTED)}-{start}"] = Trial("sky", begun.data, settings)
    return found


def aligns(mode: str) -> bool:
    """Whether a mode compares frames, which can be aligned."""
    settings = MODES[mode]
    return settings is not None and MOTION[MotionConfig.model_validate(settings).mode].aligns


class SkyWorkshop(ClipWorkshop):
    """Trains on clips of fixed cameras and shows others.

    Args:
        scale: How much is spent.
        data: Folder of the data sets.
        runs: Where run folders are kept.
        split: Which clips are shown: `val`, or `moving`.
        anew: Remove what earlier runs left there.
    """

    metrics = METRICS

    def __init__(
        self, scale: SkyScale, data: Path, runs: Path, split: str = "val", *, anew: bool = False
    ) -> None:
        own = trials(scale)
        showings = {name: Showing(name) for name in own}
        if split != "val":
            shown = [f"{data}-{mode}" for data in SETS for mode in MODES]
            showings = {f"{name}-{split}": Showing(name) for name in shown}
            showings |= {
                f"{data}-{mode}-{split}-aligned": Showing(
                    f"{data}-{mode}", Options(stabilise="features")
                )
                for data in SETS
                for mode in MODES
                if aligns(mode)
            }
        super().__init__(scale, data, runs, anew=anew, trials=own, showings=showings)
        self.spent, self.split = scale, split

    def splits(self, trial: Trial) -> tuple[Path, Path]:
        """Label files of the clips to learn from and of those shown; frames are taken at first."""
        folder = self.runs / "frames"
        if not (folder / f"{trial.data}-moving.json").is_file():
            every = [str(number) for number in self.spent.every]
            command = [sys.executable, str(ROOT / "scripts" / "sky_data.py"), str(folder)]
            command += ["--before", str(self.spent.before), "--every", *every, "--moving"]
            environment = os.environ | {"FOVEATE_DATA": str(self.data)}
            subprocess.run(command, check=True, env=environment)
        return folder / f"{trial.data}-train.json", folder / f"{trial.data}-{self.split}.json"

    def scored(self, clip: Clip) -> list[int]:
        """Frames that have all the others before them."""
        before = self.spent.before
        return [p for p in range(len(clip)) if len(clip.history(p, before)) > before]

    def groups(self, held_out: Dataset) -> Groups:
        """Each frame's clip, by which its file is named."""
        return {s.image_id: s.path.stem.rpartition("-")[0] for s in held_out.samples}


class SkyReport(Report):
    """The result file: each mode against none, on clips of fixed cameras and of moving ones."""

    judged = ("fixed", "moving", "starts")

    def add_both(self, name: str, fixed: SkyWorkshop, moving: SkyWorkshop) -> None:
        """Measure one training on the clips of both workshops, and write the file."""
        self._add("fixed", name, fixed)
        self._add("moving", name, moving)
        self.write()

    def add_start(self, name: str, workshop: SkyWorkshop) -> None:
        """Measure another way to begin beside the default, and write the file."""
        default = "-".join(STARTED)
        self._measure([default, name], workshop)
        apart = differences(default, name, workshop, METRICS)
        self.values["starts"][name] = {"showing": name, "minus_default": apart}
        print(name, self.values["showings"][name][0]["AP_small"], apart, flush=True)
        self.write()

    def _add(self, section: str, name: str, workshop: SkyWorkshop) -> None:
        data = next(data for data in SETS if name.startswith(data))
        names = [shown for shown, one in workshop.showings.items() if one.trial == name]
        control = next(
            shown for shown, one in workshop.showings.items()
            if one.trial == f"{data}-{NO_MOTION}"
        )  # fmt: skip
        self._measure([control, *names], workshop)
        for shown in names:
            apart = differences(control, shown, workshop, METRICS) if shown != control else {}
            self.values[section][shown] = {"showing": shown, "minus_none": apart}
            print(shown, self.values["showings"][shown][0]["AP_small"], apart, flush=True)


def main() -> None:
    """Measure and write ``benchmarks/results/sky-motion-SCALE.json``, one training at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=tuple(SCALES), default="cpu")
    parser.add_argument("--only", nargs="+", choices=(*SETS, *MODES, "starts"), help="some of them")
    parser.add_argument("--resume", action="store_true", help="keep what is there")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "sky-motion-benchmark")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args()
    data = Path(os.environ.get("FOVEATE_DATA", ROOT.parent / "shared" / "data"))
    scale = SCALES[args.scale]
    fixed = SkyWorkshop(scale, data, args.runs, anew=not args.resume)
    moving = SkyWorkshop(scale, data, args.runs, "moving")
    report = SkyReport(args.results / f"sky-motion-{scale.name}.json", scale, keep=args.resume)
    wanted = set(args.only or (*SETS, *MODES, "starts"))
    names = [f"{'-'.join(STARTED)}-{start}" for start in STARTS]
    for name in [*_asked(wanted), *(names if "starts" in wanted else ())]:
        if report.has(name):
            print(f"{name}: already in {report.path.name}", flush=True)
        elif name in names:
            report.add_start(name, fixed)
        else:
            report.add_both(name, fixed, moving)


def _asked(wanted: set[str]) -> list[str]:
    if wanted == {"starts"}:
        return []
    sets = [data for data in SETS if data in wanted] or [*SETS]
    modes = [mode for mode in MODES if mode in wanted] or [*MODES]
    return [f"{data}-{mode}" for mode in modes for data in sets]


if __name__ == "__main__":
    main()
