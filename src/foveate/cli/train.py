"""``foveate train``: from a recipe and labelled pictures to a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import make_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from foveate.cli import train_mtgan
from foveate.cli.arguments import OptionalFile, OptionalFolder, parse
from foveate.cli.terminal import note
from foveate.config import read_yaml
from foveate.errors import FoveateError, UsageError

if TYPE_CHECKING:
    from foveate.training.recipe import Recipe

_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "lightning_fabric",
    "onnx",
    "onnxscript",
    "safetensors",
)


def require_training(command: str) -> None:
    """See that what training needs is installed; nothing is imported.

    Raises:
        FoveateError: If something is missing, with the command that installs it.
    """
    missing = [name for name in _PACKAGES if not _is_installed(name)]
    if missing:
        raise FoveateError(
            f'{command} needs {missing[0]}, which is not installed: pip install "foveate[train]"'
        )


def can_train() -> bool:
    """Whether what training needs is installed; nothing is imported."""
    return all(map(_is_installed, _PACKAGES))


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    require_training("train")
    if arguments and arguments[0] == train_mtgan.NAME:
        train_mtgan.main(arguments[1:])
        return
    from foveate.training.recipe import load_recipe, shipped_recipes

    if not arguments:
        names = ", ".join([*shipped_recipes(), train_mtgan.NAME])
        raise UsageError(f"say which recipe: {names}, or a YAML file")
    asked = _parse_by_any(_recipes_of_all_methods(arguments), arguments)
    recipe = load_recipe(asked.recipe)
    if asked.config is not None:
        recipe = _merged(recipe, asked.config)
    flags = _parse(recipe, arguments)
    _train(flags)


def _train(flags: Any) -> None:
    from foveate.training.loop import train

    if not flags.data.exists():
        raise FoveateError(f"{flags.data}: no such data set")
    out = flags.out or Path("runs") / flags.settings.name
    try:
        train(flags.settings, flags.data, out, resume=not flags.fresh)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"the same command goes on from the last checkpoint in {out}"
        ) from None
    note(f"done: {out}; now 'foveate export {out}'")


def _recipes_of_all_methods(arguments: Sequence[str]) -> list[Recipe]:
    """A shipped recipe of every method; those that the arguments name come first."""
    from foveate.training.recipe import load_recipe, shipped_recipes

    shipped = shipped_recipes()
    named = [word for word in arguments if word in shipped]
    recipes: dict[str, Recipe] = {}
    for name in [*named, *shipped]:
        recipe = load_recipe(name)
        recipes.setdefault(recipe.method.name, recipe)
    return list(recipes.values())


def _parse_by_any(recipes: Sequence[Recipe], arguments: Sequence[str]) -> Any:
    """Parse by the first recipe that has all of the flags: which one is asked for is a flag itself.

    Raises:
        UsageError: If none has; of what each says, the first that does not blame an unknown flag.
    """
    errors = []
    for recipe in recipes:
        try:
            return _parse(recipe, arguments)
        except UsageError as error:
            errors.append(error)
    raise min(errors, key=lambda error: str(error).startswith("unknown: "))


def _parse(recipe: Recipe, arguments: Sequence[str]) -> Any:
    """The command's own flags, and every setting of the recipe as a flag."""
    help_of = tyro.conf.arg
    recipe_name = Annotated[
        str,
        help_of(
            metavar="RECIPE",
            help="A shipped recipe, or a YAML file; or mtgan, a refiner with flags of its own.",
        ),
    ]
    data = Annotated[
        Path,
        help_of(metavar="PATH", help="A folder with train.json and val.json, or a data set."),
    ]
    out = Annotated[OptionalFolder, help_of(help="The run's folder; runs/NAME by default.")]
    config = Annotated[OptionalFile, help_of(help="YAML over the recipe; flags stand above it.")]
    fresh = Annotated[bool, help_of(help="Start anew, not from the folder's last checkpoint.")]
    of_its_method: Any = tyro.conf.AvoidSubcommands  # the flags of one method, not of all
    schema = make_dataclass(
        "Train",
        [
            ("recipe", tyro.conf.Positional[recipe_name]),
            ("data", data),
            ("out", out, None),
            ("config", config, None),
            ("fresh", fresh, False),
            ("settings", Annotated[type(recipe), help_of(name=""), of_its_method], recipe),
        ],
        frozen=True,
    )
    schema.__doc__ = "Train a detector. Every setting of the recipe is a flag as well."
    return parse(schema, "train", arguments)


def _merged(recipe: Recipe, path: Path) -> Recipe:
    """The recipe with a file's settings over its own, key by key."""
    over = read_yaml(path)
    if not isinstance(over, dict):
        raise UsageError(f"{path}: expected key: value pairs")
    return type(recipe).from_dict(_update(recipe.model_dump(mode="json"), over), origin=str(path))


def _update(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        # Another method has other settings: none of the old one's are left.
        anew = (
            key == "method" and both and value.get("name", base[key]["name"]) != base[key]["name"]
        )
        merged[key] = _update(base[key], value) if both and not anew else value
    return merged


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:
        return False
