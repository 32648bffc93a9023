"""``foveate demo``: what tiles are for, on a rendered picture with known answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from foveate.api.output import OutputFolder, encode_jpeg
from foveate.cli.arguments import Folder, Threads, parse
from foveate.cli.scoring import LEAST_SCORE, label_map, relabel, score_run
from foveate.cli.terminal import note, show_json, show_table
from foveate.data.images import ArraySource
from foveate.errors import FoveateError, UsageError
from foveate.evaluation import MAX_DETECTIONS, SIZE_BINS, match_detections
from foveate.inference.bundled import bundled_names, bundled_path
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.pipeline import ImageResult, detect_image
from foveate.inference.settings import Options, run_settings
from foveate.reports.comparison import comparison_section
from foveate.reports.draw import draw_match
from foveate.reports.page import Section, page_html, table_html
from foveate.reports.results import Run, coco_results, evaluation_summary
from foveate.reports.tables import scores_table
from foveate.structures import Annotations, Dataset, Sample, UInt8Image

_MODEL = "pitch"
_TRAINED_SEEDS = 2000
"""Seeds below this are for training and validating the bundled model; the demo takes others."""


@dataclass(frozen=True)
class Demo:
    """Detect players and ball in a rendered 2560 x 1440 picture, plain and in tiles.

    Writes OUT/plain.jpg, OUT/tiled.jpg, OUT/detections-plain.json, OUT/detections-tiled.json
    (COCO results), OUT/scores.json and OUT/index.html.

    Attributes:
        out: Folder for the results.
        seed: Which picture; every number is another match.
        threads: Tiles worked on side by side.
        json: Print the scores as JSON on stdout.
    """

    out: Folder = Path("out")
    seed: int = 0
    threads: Threads = None
    json: bool = False


@dataclass(frozen=True)
class _Side:
    """One way of showing the picture to the network.

    Attributes:
        run: Its scores.
        result: What a user is shown: detections from the model's threshold up.
    """

    run: Run
    result: ImageResult


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    flags = parse(Demo, "demo", arguments)
    if flags.seed < 0:
        raise UsageError(f"--seed must be 0 or more, got {flags.seed}")
    if _MODEL not in bundled_names():
        raise FoveateError(f"this copy of foveate has no bundled model {_MODEL!r}; install it anew")
    out = OutputFolder(flags.out)
    detector = OnnxDetector(bundled_path(_MODEL), flags.threads)
    image, annotations = _render(flags.seed)
    dataset = _dataset(image, annotations)
    source = ArraySource("pitch", image)
    plain = _detect(source, detector, dataset, plain=True)
    tiled = _detect(source, detector, dataset, plain=False)
    _write(out, image, annotations, dataset, plain, tiled)
    if flags.json:
        show_json(evaluation_summary(dataset.name, [plain.run, tiled.run]))
    else:
        show_table(scores_table([plain.run, tiled.run], dataset.name))
    note(f"open {out.path / 'index.html'}; plain.jpg, tiled.jpg and the JSON files lie beside it")


def _render(seed: int) -> tuple[UInt8Image, Annotations]:
    from foveate.data.pitch import render_still

    note("rendering a football match ...")
    return render_still(_TRAINED_SEEDS + seed)


def _dataset(image: UInt8Image, annotations: Annotations) -> Dataset:
    from foveate.data.pitch import CLASS_NAMES

    height, width = image.shape[:2]
    sample = Sample(Path("pitch"), 1, width, height, annotations)
    return Dataset(
        f"a rendered match, {width} x {height}",
        CLASS_NAMES,
        tuple(range(1, len(CLASS_NAMES) + 1)),
        (sample,),
    )


def _detect(source: ArraySource, detector: OnnxDetector, dataset: Dataset, *, plain: bool) -> _Side:
    settings = run_settings(detector, Options(plain=plain))
    run = partial(
        detect_image,
        source,
        detector,
        settings.plan,
        settings.merge,
        score_threshold=LEAST_SCORE,
        size_multiple=settings.size_multiple,
    )
    if plain:
        run()  # Opening the model for a single tile takes as long as the tile; it is not timed.
    result = run()
    found = relabel(result.detections, label_map(detector.info.class_names, dataset))
    scored = score_run(
        "plain" if plain else "tiled",
        dataset,
        {1: found},
        SIZE_BINS["coco"],
        MAX_DETECTIONS,
        settings.score_threshold,
        result.seconds,
    )
    shown = found[found.scores >= settings.score_threshold]
    return _Side(scored, replace(result, detections=shown))


def _write(
    out: OutputFolder,
    image: UInt8Image,
    annotations: Annotations,
    dataset: Dataset,
    plain: _Side,
    tiled: _Side,
) -> None:
    for side in (plain, tiled):
        found = side.result.detections
        drawn = draw_match(image, found, annotations, match_detections(found, annotations))
        out.write(f"{side.run.name}.jpg", encode_jpeg(drawn))
        results = coco_results([side.result], dataset.category_ids)
        out.write(f"detections-{side.run.name}.json", json.dumps(results).encode())
    runs = [plain.run, tiled.run]
    summary = evaluation_summary(dataset.name, runs)
    out.write("scores.json", json.dumps(summary, indent=1).encode())
    sections = [
        Section("", table_html(scores_table(runs))),
        comparison_section(image, plain.result, tiled.result, dataset.class_names, annotations),
    ]
    page = page_html("Plain against tiled", sections, f"Model {_MODEL} on {dataset.name}")
    out.write("index.html", page.encode())
