"""Train one trial, show it held-out pictures, keep what came out: every step is resumed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from claims import SHOWINGS, TRIALS, Showing, Trial, laid_over

from foveate.config import write_atomically
from foveate.data.formats import load_dataset
from foveate.data.formats.coco_video import Clip, load_clips
from foveate.data.images import open_image
from foveate.data.pitch import PitchConfig, write_dataset
from foveate.evaluation import (
    SIZE_BINS,
    Groups,
    SizeBins,
    evaluate_detections,
    read_predictions,
    to_coco_results,
)
from foveate.export.held_out import judge_held_out
from foveate.export.onnx import export_run, load_run
from foveate.export.refiner import export_refiner, load_refiner_run
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.pipeline import ImageResult
from foveate.inference.settings import Options, run_settings, runner
from foveate.structures import Dataset, Detections, Sample
from foveate.tiling.pyramid import Pyramid, plan_pyramid
from foveate.training.loop import FACTS, train
from foveate.training.mtgan import MtganRecipe, train_refiner
from foveate.training.recipe import Recipe, load_recipe
from foveate.training.validate import LEAST_SCORE, validate

BINS = SizeBins("article", ("tiny", *SIZE_BINS["coco"].labels), ((0, 16), *SIZE_BINS["coco"].sides))
"""COCO's, and what is below 16 px."""
MODEL = "model.onnx"
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Scale:
    """How much is spent on each trial.

    Attributes:
        name: `smoke`, `cpu` or `gpu`.
        iterations: Steps of training.
        batch_size: Tiles a step.
        tile: Side of a tile, network pixels, in training and at test.
        seeds: A training for each.
        settings: Further settings of all recipes.
        refiner: Settings of a refiner's recipe.
        compared: Tiles of the pictures on which the AP of torch and of the runtime are set side by
            side; the first picture at least.
        pitch: Everything is learned on so many rendered pictures; 0 takes the trial's own data.
    """

    name: str
    iterations: int
    batch_size: int
    tile: int
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]
    refiner: Mapping[str, Any] = field(default_factory=dict)
    compared: int = 3000
    pitch: int = 0


SHORT = {"optimiser": {"warmup": 40, "ema": 0.99}, "save_every": 50}
TINY = {"method": {"backbone": {"weights": "none"}, "max_detections": 50}}
SMALL_CROPS = {"crops": {"size": 64}, "batch_size": 16}
SCALES = {
    "smoke": Scale(
        "smoke", 3, 2, 128, (0,), SHORT | TINY,
        {"crops": {"size": 16, "least_score": 0.0, "hard_score": 0.0, "real_side": 0.25},
         "pretrain": 2, "iterations": 3, "batch_size": 4,
         "discriminator": {"backbone": {"weights": "none", "strides": (4,)}}},
        compared=1, pitch=2,
    ),
    "cpu": Scale("cpu", 400, 8, 256, (0,), SHORT,
                 SMALL_CROPS | {"generator": {"width": 32}, "pretrain": 200, "iterations": 600,
                                "ema": 0.99}),
    "gpu": Scale("gpu", 2500, 16, 384, (0, 1, 2), {"optimiser": {"warmup": 100, "ema": 0.998}},
                 {"crops": {"size": 128}, "batch_size": 64, "pretrain": 1000, "iterations": 4000}),
}  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """What a trained model found in the held-out pictures.

    Attributes:
        dataset: The pictures and their labels.
        found: Image id to detections.
        row: Scores, seconds a picture, scale of showing.
    """

    dataset: Dataset
    found: Mapping[int, Detections]
    row: dict[str, Any]


@dataclass(frozen=True)
class Look:
    """A picture that was shown to a model.

    Attributes:
        sample: The picture.
        result: What was found.
        wall: Seconds, decoding included.
        cpu: Likewise, of all threads.
    """

    sample: Sample
    result: ImageResult
    wall: float
    cpu: float


class Workshop:
    """Trains and shows at one scale.

    Args:
        scale: How much is spent.
        data: Folder of the data sets.
        runs: Where run folders are kept.
        anew: Remove what earlier runs of this scale left there.
        trials: What can be trained.
        showings: How it can be shown.
        bins: Sizes of objects in the scores.
    """

    def __init__(
        self,
        scale: Scale,
        data: Path,
        runs: Path,
        *,
        anew: bool = False,
        trials: Mapping[str, Trial] = TRIALS,
        showings: Mapping[str, Showing] = SHOWINGS,
        bins: SizeBins = BINS,
    ) -> None:
        self.scale, self.data, self.runs = scale, data, runs / scale.name
        self.trials, self.showings, self.bins = trials, showings, bins
        if anew and self.runs.is_dir():
            shutil.rmtree(self.runs)

    def splits(self, trial: Trial) -> tuple[Path, Path]:
        """Label files of the pictures to learn from, and of those held out."""
        if not self.scale.pitch:
            return self.data / trial.data / "train.json", self.data / trial.data / "val.json"
        config = PitchConfig(width=480, height=270)
        files = []
        for seed, name in ((0, "train"), (1000, "val")):
            folder = self.runs / f"pitch-{name}"
            if not folder.is_dir():
                write_dataset(folder, self.scale.pitch, seed, config)
            files.append(folder / "annotations.json")
        return files[0], files[1]

    def trained(self, name: str, seed: int) -> Path:
        """The run folder of a trial, with its model file; trained now or before."""
        trial, out = self.trials[name], self._folder(name, seed)
        if not (out / MODEL).is_file():
            base = self.trained(trial.base, seed) if trial.base else None
            started = time.perf_counter()
            labels = self.splits(trial)[0]
            if base is None:
                recipe = recipe_of(name, self.scale, self.trials).model_copy(update={"seed": seed})
                train(recipe, labels, out)
                export_run(out, out / MODEL)
            else:
                refiner = refiner_of(name, self.scale, self.trials).model_copy(
                    update={"seed": seed}
                )
                train_refiner(refiner, base, labels, out)
                export_refiner(out, out / MODEL)
            print(f"{name}: trained in {time.perf_counter() - started:.0f} s", flush=True)
        return out

    def shown(self, name: str, seed: int) -> Shown:
        """One of the showings; taken now or before."""
        showing = self.showings[name]
        out = self.trained(showing.trial, seed)
        held_out = self.held_out(self.trials[showing.trial])
        path = out / f"{name}.json"
        if not path.is_file():
            base = self.trials[showing.trial].base
            if base:
                refining = showing.options | Options(refine=out / MODEL)
                showing = replace(showing, options=refining)
            self._show(self.trained(base, seed) if base else out, held_out, showing, path)
        kept = json.loads(path.read_text())
        found = read_predictions(out / f"{name}-found.json", held_out)
        return Shown(held_out, found, kept)

    def held_out(self, trial: Trial) -> Dataset:
        """The pictures that nothing was learned from, labelled."""
        return load_dataset(self.splits(trial)[1])

    def groups(self, held_out: Dataset) -> Groups | None:
        """What is drawn as a whole for the intervals; None for each picture by itself."""
        return None

    def clips(self, trial: Trial) -> tuple[Clip, ...]:
        """Of which the held-out pictures are frames."""
        return load_clips(self.splits(trial)[1])

    def facts(self, name: str, seed: int) -> dict[str, Any]:
        """Of a training: parameters, seconds, and AP by torch and by the runtime side by side."""
        path = self.trained(name, seed) / "trial.json"
        if not path.is_file():
            run = self.trained(name, seed)
            if self.trials[name].base:
                facts = self._refiner_facts(name, run, self.trained(self.trials[name].base, seed))
            else:
                facts = self._facts(name, run, self.shown(name, seed))
            write_atomically(path, json.dumps(facts).encode())
        return dict(json.loads(path.read_text()))

    def _facts(self, name: str, run: Path, shown: Shown) -> dict[str, Any]:
        model, recipe, _ = load_run(run)
        few = first_pictures(shown.dataset, recipe, self.scale.compared)
        found = {sample.image_id: shown.found[sample.image_id] for sample in few.samples}
        log = (run / "log.csv").open(encoding="utf-8")
        with log:
            *_, last = csv.DictReader(log)
        return {
            "parameters": sum(p.numel() for p in model.parameters()),
            "train_seconds": float(last["seconds"]),
            "AP_torch": validate(
                model,
                few,
                recipe.tile_plan,
                recipe.merge,
                pyramid=recipe.pyramid,
                motion=recipe.motion,
                clips=self.clips(self.trials[name]),
            ).overall["AP"],
            "AP_runtime": evaluate_detections(few, found).overall["AP"],
            "compared_pictures": len(few),
            "tile_plan": recipe.tile_plan.model_dump(mode="json"),
            "anchors": json.loads((run / FACTS).read_text()).get("anchors"),
        }

    def _refiner_facts(self, name: str, run: Path, base: Path) -> dict[str, Any]:
        held_out = self.held_out(self.trials[name])
        model, info = load_refiner_run(run)
        with (run / "log.csv").open(encoding="utf-8") as log:
            rows = list(csv.DictReader(log))
        return {
            "parameters": sum(p.numel() for p in model.parameters()),
            "train_seconds": float(rows[-1]["time"]) - float(rows[0]["time"]),
            "held_out": judge_held_out(run, base, held_out).figures,
            "recipe": info.recipe,
        }

    def _folder(self, name: str, seed: int) -> Path:
        return self.runs / f"{name}-{seed}"

    def _show(self, run: Path, held_out: Dataset, showing: Showing, path: Path) -> None:
        """Detect in every held-out picture; write detections, scores and times."""
        detector = OnnxDetector(run / MODEL, threads=os.cpu_count() or 1)
        settings = run_settings(detector, showing.options | Options(threshold=LEAST_SCORE))
        looks = list(self.looks(detector, showing, held_out))
        found = {look.sample.image_id: look.result.detections for look in looks}
        row = {**self.row(held_out, found), "shown": str(settings), **costs(looks)}
        results = to_coco_results(held_out, found)
        write_atomically(path.with_name(f"{path.stem}-found.json"), json.dumps(results).encode())
        write_atomically(path, json.dumps(row).encode())

    def looks(self, detector: OnnxDetector, showing: Showing, held_out: Dataset) -> Iterable[Look]:
        """Every held-out picture as the model sees it; timed, after a warm-up."""
        settings = run_settings(detector, showing.options | Options(threshold=LEAST_SCORE))
        run = runner(detector, settings)
        run(open_image(held_out.samples[0].path))
        for sample in held_out.samples:
            wall, cpu = time.perf_counter(), time.process_time()
            result = run(open_image(sample.path))
            yield Look(sample, result, time.perf_counter() - wall, time.process_time() - cpu)

    def row(self, held_out: Dataset, found: Mapping[int, Detections]) -> dict[str, Any]:
        """What is kept of the scores."""
        scores = evaluate_detections(held_out, found, self.bins)
        return {
            **scores.flat(),
            "by_class": {name: own["AP"] for name, own in scores.by_class.items()},
            "objects_by_size": dict(scores.objects_by_size),
            "images": scores.images,
        }


def costs(looks: Iterable[Look]) -> dict[str, float]:
    """Mean seconds and tiles a picture."""
    looks = list(looks)
    cpu, wall = zip(*((look.cpu, look.wall) for look in looks), strict=True)
    return {
        "cpu_seconds_per_image": float(np.mean(cpu)),
        "wall_seconds_per_image": float(np.mean(wall)),
        "tiles_per_image": float(np.mean([len(look.result.tiles) for look in looks])),
        "network_pixels_per_image": float(
            np.mean([sum(t.out_width * t.out_height for t in look.result.tiles) for look in looks])
        ),
        "skipped_tiles_per_image": float(np.mean([look.result.skipped_tiles for look in looks])),
    }


def first_pictures(dataset: Dataset, recipe: Recipe, most_tiles: int) -> Dataset:
    """As many of the first pictures as have so many tiles together; one at least."""
    kept, tiles = 1, 0
    pyramid = recipe.pyramid or Pyramid(scales=(recipe.tile_plan.scale,))
    for number, sample in enumerate(dataset.samples, start=1):
        tiles += len(plan_pyramid(sample.width, sample.height, recipe.tile_plan, pyramid))
        if tiles <= most_tiles:
            kept = number
    return replace(dataset, samples=dataset.samples[:kept])


def refiner_of(name: str, scale: Scale, trials: Mapping[str, Trial] = TRIALS) -> MtganRecipe:
    """The recipe of a refiner's trial at a scale."""
    values = laid_over(laid_over({"name": name}, scale.refiner), trials[name].settings)
    return MtganRecipe.from_dict(values, origin=name)


def recipe_of(name: str, scale: Scale, trials: Mapping[str, Trial] = TRIALS) -> Recipe:
    """The recipe of a trial at a scale."""
    trial = trials[name]
    settings = dict(trial.settings)
    base = load_recipe(trial.recipe).model_dump(mode="json")
    size = {
        "name": name,
        "iterations": scale.iterations,
        "batch_size": scale.batch_size,
        "tile_plan": {"size": scale.tile, "overlap": 0.25},
        "sampling": {"tile": scale.tile},
    }
    side = settings.pop("plain", None)
    if side is not None:
        settings["tile_plan"] = {"size": side, "plain": True}
    for over in (size, scale.settings, settings):
        base = laid_over(base, over)
    return Recipe.from_dict(base, origin=name)
