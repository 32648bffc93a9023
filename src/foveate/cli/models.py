"""``foveate models``: what is bundled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foveate.cli.arguments import parse
from foveate.cli.terminal import note, show_json, show_table
from foveate.inference.bundled import bundled_models, bundled_path, choices
from foveate.reports.tables import models_table


@dataclass(frozen=True)
class Models:
    """List the bundled models: what they find, input, size, licence and measured AP.

    Attributes:
        json: Print everything their files say, as JSON on stdout.
    """

    json: bool = False


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    flags = parse(Models, "models", arguments)
    models = bundled_models()
    if flags.json:
        show_json([model.model_dump(mode="json") for model in models])
        return
    if not models:
        note(f"No model: {choices()}.")
        return
    sizes = {model.name: bundled_path(model.name).stat().st_size for model in models}
    show_table(models_table(models, sizes))
    note("Use one with 'foveate detect SOURCE --model NAME'; make your own with 'foveate train'.")
