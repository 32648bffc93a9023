"""Judge the article's claims: each treatment beside a control that differs in that alone.

    python benchmarks/article.py --scale smoke              # a minute, on the rendered pitch
    python benchmarks/article.py --scale cpu --resume       # hours on two cores; stop it any time
    python benchmarks/article.py --scale cpu --only focal-retinanet context --resume
    python benchmarks/article.py --scale gpu --only focal-retinanet --resume

What is trained, shown and compared stands in `claims.py`. Treatment and control have the same
pictures, steps, tiles and seeds; both are exported, and scored in the torch-free runtime on
pictures that neither has learned from. Differences carry 95 % intervals over resampled pictures,
one for each seed. With --resume a stopped run goes on where it was, and what the result file
already holds is not measured again; without it everything starts anew.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claims import CLAIMS, SERIES, SHOWINGS, TRIALS
from provenance import provenance
from trials import ROOT, SCALES, Scale, Workshop

from foveate.config import write_atomically
from foveate.data.formats import load_dataset
from foveate.evaluation import paired_bootstrap
from foveate.inspection.advice import advise
from foveate.inspection.crowding import measure_crowding
from foveate.inspection.objects import Objects

METRICS = ("AP", "AP50", "AP_tiny", "AP_small", "AP_medium", "AP_large")
SMOKE = ("focal-retinanet",)
"""What the smoke scale judges if nothing is named: the others take the same path."""


def main() -> None:
    """Measure and write ``benchmarks/results/article-SCALE.json``, one claim at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=tuple(SCALES), default="cpu")
    parser.add_argument("--only", nargs="+", choices=(*CLAIMS, *SERIES), help="some of them")
    parser.add_argument("--resume", action="store_true", help="keep what is there")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "article")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args()
    data = Path(os.environ.get("FOVEATE_DATA", ROOT.parent / "shared" / "data"))
    scale = SCALES[args.scale]
    wanted = args.only or (SMOKE if args.scale == "smoke" else (*CLAIMS, *SERIES))
    workshop = Workshop(scale, data, args.runs, anew=not args.resume)
    target = args.results / f"article-{scale.name}.json"
    report = Report(target, scale, keep=args.resume)
    for name in wanted:
        if report.has(name):
            print(f"{name}: already in {target.name}", flush=True)
            continue
        report.add(name, workshop)


class Report:
    """The result file of one scale.

    Args:
        path: The file.
        scale: Of all in it.
        keep: Go on from what it holds.

    Attributes:
        judged: Sections of the file that hold what is judged, by name.
    """

    judged: tuple[str, ...] = ("claims", "series")

    def __init__(self, path: Path, scale: Scale, *, keep: bool) -> None:
        self.path, self.scale = path, scale
        self.values: dict[str, Any] = {
            "scale": {"iterations": scale.iterations, "batch_size": scale.batch_size,
                      "tile": scale.tile, "seeds": list(scale.seeds)},
            **{section: {} for section in (*self.judged, "showings", "trials")},
        }  # fmt: skip
        if keep and path.is_file():
            kept = json.loads(path.read_text())
            if kept["scale"] == self.values["scale"]:
                self.values = kept

    def has(self, name: str) -> bool:
        """Whether a claim or series has been judged."""
        return any(name in self.values[section] for section in self.judged)

    def add(self, name: str, workshop: Workshop) -> None:
        """Judge a claim, or measure a series, and write the file."""
        if name in CLAIMS:
            claim = CLAIMS[name]
            self._measure([claim.control, claim.treatment], workshop)
            self.values["claims"][name] = {
                "control": claim.control,
                "treatment": claim.treatment,
                "differences": differences(claim.control, claim.treatment, workshop),
            }
            print(name, self.values["claims"][name]["differences"], flush=True)
        else:
            series = SERIES[name]
            known = self.values["showings"]
            self._measure([n for n in series.showings.values() if n not in known], workshop)
            first = TRIALS[SHOWINGS[next(iter(series.showings.values()))].trial]
            self.values["series"][name] = {
                "showings": dict(series.showings),
                "advised_scale": advised_scale(workshop.splits(first)[0]),
            }
        self.write()

    def write(self) -> None:
        """Write all so far."""
        self.values["provenance"] = provenance(self.scale.seeds[0])
        write_atomically(self.path, (json.dumps(self.values, indent=1) + "\n").encode())

    def _measure(self, names: list[str], workshop: Workshop) -> None:
        for name in names:
            trial = workshop.showings[name].trial
            seeds = workshop.scale.seeds
            self.values["showings"][name] = [workshop.shown(name, seed).row for seed in seeds]
            self.values["trials"][trial] = [workshop.facts(trial, seed) for seed in seeds]


def differences(
    control: str, treatment: str, workshop: Workshop, metrics: Sequence[str] = ()
) -> dict[str, Any]:
    """Treatment minus control: metric to value, low and high of each seed; None where undefined.

    Args:
        control: A showing.
        treatment: Another of the same pictures.
        workshop: That shows them.
        metrics: Which; those of the article, and the AP of each class, if not given.
    """
    found: dict[str, list[list[float | None]]] = {}
    for seed in workshop.scale.seeds:
        a, b = workshop.shown(control, seed), workshop.shown(treatment, seed)
        names = a.dataset.class_names
        wanted = metrics or [*METRICS, *(f"AP@{name}" for name in names if len(names) > 1)]
        groups = workshop.groups(a.dataset)
        told = paired_bootstrap(a.dataset, a.found, b.found, wanted, workshop.bins, groups=groups)
        for metric, one in told.items():
            plain = one.to_dict()
            found.setdefault(metric, []).append([plain["value"], plain["low"], plain["high"]])
    return found


def advised_scale(labels: Path) -> float:
    """What `foveate inspect` says of the pictures to learn from."""
    objects = Objects.of(load_dataset(labels))
    return float(advise(objects, measure_crowding(objects)).plan.scale)


if __name__ == "__main__":
    main()
