"""Write the pages of ``docs/`` that say what the code says already.

    python scripts/generate_docs.py

Each row of `PAGES` is one page: the CLI reference from the commands' own help, the methods from
their docstrings, the bundled models from their metadata, the settings from their classes; or one
figure, drawn from the code or from benchmark results.
``tests/test_docs.py`` fails when a page is stale.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from figures import focal_figure, memory_figure, scale_figure, speed_figure
from schemas import Setting, read_settings, walk_settings

from foveate.cli import COMMANDS
from foveate.evaluation.sizes import MAX_SIDE, SIZE_BINS, SizeBins
from foveate.inference.bundled import bundled_models
from foveate.inference.foreign import LAYOUTS
from foveate.inference.model_info import Measured, ModelInfo

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "src" / "foveate" / "models"
GENERATED = (
    "<!-- Written by scripts/generate_docs.py: change what it reads, then run make docs. -->"
)


def main() -> None:
    """Write every page."""
    for name, write in PAGES.items():
        (ROOT / "docs" / name).write_text(write(), encoding="utf-8")
        print(f"docs/{name}: written")


def page(title: str, *parts: str) -> str:
    """A page from its title and its paragraphs."""
    return "\n\n".join([f"# {title}", GENERATED, *parts]) + "\n"


def cli_page() -> str:
    """Every command's help, as a terminal of 100 columns shows it."""
    parts = []
    for command in documented_commands():
        parts += [f"## foveate {command}".rstrip(), f"```text\n{help_of(command)}\n```"]
    return page("Command line", CLI_INTRODUCTION, *parts)


def documented_commands() -> list[str]:
    """The command line as a whole, each command, and what has flags of its own within one."""
    within = {"train": ["train mtgan"]}
    return ["", *(one for name in COMMANDS for one in (name, *within.get(name, ())))]


def help_of(command: str) -> str:
    """What ``foveate COMMAND --help`` prints, without colour."""
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    call = [sys.executable, "-m", "foveate", *command.split(), "--help"]
    done = subprocess.run(call, check=True, capture_output=True, text=True, env=environment)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    return "\n".join(line.rstrip() for line in plain.splitlines()).strip()


def methods_page() -> str:
    """Every detection method, from the table in the code and the docstrings of its files."""
    rows, sections = [], []
    for name, module in method_files().items():
        docstring = ast.get_docstring(ast.parse((MODELS / module).read_text(encoding="utf-8")))
        headline, _, body = (docstring or "").partition("\n")
        summary = headline.removeprefix(f"{name}: ").rstrip(".")
        link = f"[`models/{module}`](../src/foveate/models/{module})"
        rows.append([f"[`{name}`](#{name})", summary, link])
        sections.append(f"## {name}\n\n{body.strip()}")
    return page(
        "Methods", METHODS_INTRODUCTION, markdown(["method", "what it is", "file"], rows), *sections
    )


def method_files() -> dict[str, str]:
    """Each method's file by its name: read from the source, so that no torch is needed."""
    tree = ast.parse((MODELS / "__init__.py").read_text(encoding="utf-8"))
    module_of: dict[str, str] = {}
    table: ast.Dict | None = None
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            file = node.module.rpartition(".")[2] + ".py"
            module_of |= {alias.asname or alias.name: file for alias in node.names}
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "METHODS":
            assert isinstance(node.value, ast.Dict)
            table = node.value
    assert table is not None, "models/__init__.py has no METHODS"
    pairs = zip(table.keys, table.values, strict=True)
    return {ast.literal_eval(key): module_of[ast.unparse(row)] for key, row in pairs if key}


def refining_page() -> str:
    """The page of the refiner, with every key of its recipe in its place."""
    parts = []
    for path, settings in walk_settings("foveate.training.mtgan", "MtganRecipe"):
        parts += [f"### {path}", settings_table(settings)] if path else [settings_table(settings)]
    return with_block("refining.md", "\n\n".join(parts))


def models_page() -> str:
    """Every bundled model, from the metadata in its file."""
    models = bundled_models()
    if not models:
        return page("Bundled models", "None is bundled yet.")
    head = ["model", "finds", "classes", "trained on", "weights' licence"]
    rows = [
        [
            f"[`{model.name}`](#{model.name})",
            model.description,
            ", ".join(model.class_names),
            f"{model.dataset} ({model.data_licence})",
            model.licence,
        ]
        for model in models
    ]
    sections = map(model_section, models)
    return page("Bundled models", MODELS_INTRODUCTION, markdown(head, rows), *sections)


def model_section(model: ModelInfo) -> str:
    """What one model's metadata says."""
    plan = model.tile_plan
    facts = {
        "method": f"[`{model.method}`](methods.md#{model.method})",
        "tile": f"{plan.size} px, overlap {plan.overlap:g}, scale {plan.scale:g}",
        "merge": f"`{model.merge.method}`, {model.merge.metric} {model.merge.threshold:g}",
        "least score": f"{model.score_threshold:g}",
        "most boxes a tile": str(model.max_detections),
        "data": f"{model.dataset}; {model.attribution} ({model.data_licence})",
        "made": f"{model.created}, foveate {model.foveate_version}",
    }
    if model.quantisation is not None:
        how = model.quantisation
        facts["arithmetic"] = (
            f"[{how.precision}](speed.md#int8), {how.weight_bits}-bit weights, calibrated on "
            f"{how.tiles} tiles of {how.calibration}"
        )
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return f"## {model.name}\n\n{model.description}\n\n{listed}" + measured_table(model.measured)


def measured_table(measured: tuple[Measured, ...]) -> str:
    """The results in a model's metadata; nothing if there are none."""
    if not measured:
        return ""
    names = list(dict.fromkeys(name for row in measured for name in row.metrics))
    rows = [
        [
            row.dataset,
            row.setting,
            *(f"{row.metrics[n]:.3f}" if n in row.metrics else "" for n in names),
        ]
        for row in measured
    ]
    return "\n\n" + markdown(["data", "setting", *names], rows)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])


def recipes_page() -> str:
    """The shipped recipes, and every key that a recipe may have."""
    shipped = sorted((ROOT / "src" / "foveate" / "recipes").glob("*.yaml"))
    links = [f"[`{file.stem}`](../src/foveate/recipes/{file.name})" for file in shipped]
    parts = [RECIPES_INTRODUCTION, f"Shipped: {', '.join(links)}."]
    for path, settings in walk_settings("foveate.training.recipe", "Recipe"):
        parts += [f"## {path}", settings_table(settings)] if path else [settings_table(settings)]
    return page("Recipes", *parts)


def model_file_page() -> str:
    """The page of the model file, with the metadata's schema in its place."""
    table = settings_table(read_settings("foveate.inference.model_info", "ModelInfo"))
    return with_block("model-file.md", table)


def evaluation_page() -> str:
    """The page on evaluation, with the presets of size bins in their place."""
    rows = [
        [f"`{name}`", ", ".join(f"{label} {low:g}-{high:g}" for label, low, high in triples(bins))]
        for name, bins in SIZE_BINS.items()
    ]
    table = markdown(["preset", "side in pixels"], rows)
    return with_block("evaluation.md", table.replace(f"-{MAX_SIDE:g}", " and more"))


def foreign_page() -> str:
    """The page of other tools' models, with the layouts that are read in their place."""
    rows = [
        [f"`{name}`", layout.summary.replace("|", "\\|"), f"{layout.score_threshold:g}"]
        for name, layout in LAYOUTS.items()
    ]
    return with_block("foreign-models.md", markdown(["layout", "what", "least score"], rows))


def triples(bins: SizeBins) -> list[tuple[str, float, float]]:
    """Label, least and greatest side of each bin."""
    return [(label, *sides) for label, sides in zip(bins.labels, bins.sides, strict=True)]


def with_block(name: str, block: str) -> str:
    """A hand-written page with its one generated block made anew."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    before, rest = text.split(BLOCK_START, 1)
    after = rest.split(BLOCK_END, 1)[1]
    return f"{before}{BLOCK_START}\n{block}\n\n{BLOCK_END}{after}"


def settings_table(settings: Sequence[Setting]) -> str:
    """Every key of a settings class: its default and its docstring."""
    rows = [[f"`{s.name}`", default_of(s), s.meaning.replace("|", "\\|")] for s in settings]
    return markdown(["key", "default", "meaning"], rows)


def default_of(setting: Setting) -> str:
    """A default as code; in words where there is none, where it is empty, or has keys itself."""
    if setting.default is None:
        return "needed"
    if setting.is_nested:
        return "its defaults"
    return "empty" if setting.default in ("''", "()", "dict()") else f"`{setting.default}`"


def paragraph(text: str) -> str:
    """A triple-quoted text without its indentation."""
    return inspect.cleandoc(text)


BLOCK_START, BLOCK_END = "<!-- generated -->", "<!-- /generated -->"
CLI_INTRODUCTION = paragraph("""
    Exit codes: 0 done, 1 a failure with a one-line cause, 2 wrong usage. `--json` prints results
    on stdout and everything else on stderr.
""")
METHODS_INTRODUCTION = paragraph("""
    A recipe names one of these under `method`. `[S]` marks what was read in a paper or its
    authors' code, `[D]` what is our choice. What judges the small boxes of any of them once more,
    SOD-MTGAN, stands in [refining](refining.md).
""")
RECIPES_INTRODUCTION = paragraph("""
    A recipe is a YAML file with these keys; each has a default but those that say *needed*. On the
    command line every key is a flag, over the file's value: `--tile-plan.scale 2`. The keys of
    `method` are those of its `name`: `method[retinanet]` is about `name: retinanet`.
""")
MODELS_INTRODUCTION = paragraph("""
    Small models that come with the package and work offline; `foveate models` lists them too.
    Each file carries this page's facts as its own [metadata](model-file.md).

    Each was made with `foveate train NAME` from the [recipe](recipes.md) of its name, and
    `scripts/bundle.py RUN LABELS --size TILE --overlap OVERLAP` with the tile given below, which
    exports it and measures it on held-out pictures; the default score threshold is the one with the
    best F1 on those. `scripts/pitch_data.py` renders the pictures of `pitch`. A model named
    `NAME-int8` is the same in [int8](speed.md#int8), made by `scripts/bundle_int8.py` where that
    costs no more than .003 AP: smaller and faster.
""")

PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "methods.md": methods_page,
    "bundled-models.md": models_page,
    "recipes.md": recipes_page,
    "refining.md": refining_page,
    "evaluation.md": evaluation_page,
    "model-file.md": model_file_page,
    "foreign-models.md": foreign_page,
    "figures/focal-loss.svg": focal_figure,
    "figures/scale.svg": scale_figure,
    "figures/speed.svg": speed_figure,
    "figures/speed-brief.svg": partial(speed_figure, ("sky", "pitch")),
    "figures/video-memory.svg": memory_figure,
}

if __name__ == "__main__":
    main()
