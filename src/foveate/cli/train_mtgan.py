"""``foveate train mtgan``: a refiner of small boxes on top of a trained detector."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from foveate.cli.arguments import OptionalFile, OptionalFolder, parse
from foveate.cli.terminal import note, progress
from foveate.config import write_atomically
from foveate.errors import FoveateError

if TYPE_CHECKING:
    from foveate.training.mtgan import MtganRecipe

NAME = "mtgan"
_PAGE, _FIGURES = "index.html", "held-out.json"


def main(arguments: Sequence[str]) -> None:
    """Run the command; the arguments are those after the name."""
    from foveate.training.mtgan import MtganRecipe

    recipe = MtganRecipe()
    config = _parse(recipe, arguments).config
    if config is not None:
        recipe = MtganRecipe.from_yaml(config)
    _train(_parse(recipe, arguments))


def _train(flags: Any) -> None:
    from foveate.export.refiner import REFINER_FILE, export_refiner
    from foveate.training.mtgan import train_refiner

    if not flags.data.exists():
        raise FoveateError(f"{flags.data}: no such data set")
    out = flags.out or Path("runs") / flags.settings.name
    try:
        train_refiner(flags.settings, flags.base, flags.data, out, resume=not flags.fresh)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"the same command goes on from the last checkpoint in {out}"
        ) from None
    path = export_refiner(out, out / REFINER_FILE)
    _judge(flags, out)
    note(f"done: {path}; now 'foveate detect SOURCE --model {flags.base} --refine {path}'")


def _judge(flags: Any, out: Path) -> None:
    """Write what the refiner makes of held-out crops: figures and a page."""
    from foveate.export.held_out import judge_held_out
    from foveate.reports.page import write_page
    from foveate.reports.refiner import Enlarged, refiner_sections
    from foveate.training.loader import training_splits

    _, part = training_splits(flags.data)
    if part is None:
        note(f"{flags.data} has no 'val' part: nothing is held out to judge the refiner by")
        return
    held_out = part.dataset
    with progress("held-out pictures", len(held_out)) as step:
        judged = judge_held_out(out, flags.base, held_out, lambda done, total: step())
    write_atomically(out / _FIGURES, json.dumps(judged.figures, indent=1).encode())
    names = (*judged.class_names, "no object")
    crops = [
        Enlarged(
            names[label], side, objectness, low, enlarged,
            None if judged.generated is None else judged.generated[i],
            None if row < 0 else judged.real[row],
        )
        for i, (label, side, objectness, low, enlarged, row) in enumerate(zip(
            judged.labels.tolist(), judged.sides.tolist(), judged.objectness.tolist(),
            judged.low, judged.enlarged, judged.real_row.tolist(), strict=True,
        ))
    ]  # fmt: skip
    subtitle = f"{len(crops)} boxes that the base found in {len(held_out)} held-out pictures"
    page = out / _PAGE
    write_page(page, flags.settings.name, refiner_sections(crops, judged.figures),
               subtitle=subtitle)  # fmt: skip
    note(f"{page} shows what it makes of held-out crops")


def _parse(recipe: MtganRecipe, arguments: Sequence[str]) -> Any:
    """The command's own flags, and every setting of the recipe as a flag."""
    help_of = tyro.conf.arg
    base = Annotated[
        Path, help_of(metavar="RUN", help="A run folder with a model.onnx, or the file.")
    ]
    data = Annotated[Path, help_of(metavar="PATH", help="A data set of the base's classes.")]
    out = Annotated[OptionalFolder, help_of(help="The run's folder; runs/NAME by default.")]
    config = Annotated[OptionalFile, help_of(help="A recipe in YAML; flags stand above it.")]
    fresh = Annotated[bool, help_of(help="Start anew, not from the folder's last checkpoint.")]
    schema = make_dataclass(
        "TrainMtgan",
        [
            ("base", base),
            ("data", data),
            ("out", out, None),
            ("config", config, None),
            ("fresh", fresh, False),
            ("settings", Annotated[type(recipe), help_of(name="")], recipe),
        ],
        frozen=True,
    )
    schema.__doc__ = "Train SOD-MTGAN, a reconstruction: super-resolve and judge small boxes anew."
    return parse(schema, f"train {NAME}", arguments)
