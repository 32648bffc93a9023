"""The docs say what the code and the benchmark results say: no stale page, no dead link."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path

import generate_docs
import pytest
import tables

import foveate
from foveate.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PROSE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PROSE += [*sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
FLAG = re.compile(r"(?<![\w-])--[a-z][\w.-]*")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

ROW = {
    "system": "foveate",
    "setting": "tiled",
    "AP": 0.5,
    "AP50": 0.75,
    "AP_small": 0.25,
    "interval_AP_small": [0.2, 0.3],
    "seconds_per_image": 1.5,
}
PROVENANCE = {"cpu": "A processor", "cores": 2, "date": "2026-01-01"}


@pytest.mark.parametrize("name", sorted(set(generate_docs.PAGES) - {"cli.md"}))
def test_generated_page_is_fresh(name: str) -> None:
    if name == "figures/focal-loss.svg":
        pytest.importorskip("torch", reason="it draws the loss itself", exc_type=ImportError)
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == generate_docs.PAGES[name](), f"docs/{name} is stale; run make docs"


@pytest.mark.parametrize("command", generate_docs.documented_commands())
def test_cli_reference_is_fresh(command: str) -> None:
    if command.startswith(("train", "glance")):
        pytest.importorskip("torch", reason="its flags are a recipe's", exc_type=ImportError)
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    heading = f"## foveate {command}".rstrip()
    section = re.search(rf"^{heading}\n\n```text\n(.*?)\n```", written, re.MULTILINE | re.DOTALL)
    assert section is not None
    said = generate_docs.help_of(command)
    assert words(section[1]) == words(said), "docs/cli.md is stale; run make docs"


def test_cli_reference_has_every_command() -> None:
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    found = re.findall(r"^## foveate ?(.*)$", written, re.MULTILINE)
    assert found == generate_docs.documented_commands()
    assert set(found) > set(COMMANDS)


def words(said: str) -> list[str]:
    # Without the usage line, and only the words: releases of tyro differ in how they draw.
    return sorted(re.findall(r"[\w.,-]*\w", said.partition("\n\n")[2]))


@pytest.mark.parametrize("name", tables.PAGES)
def test_benchmark_tables_are_fresh(name: str) -> None:
    page = ROOT / name
    assert page.exists()
    assert not tables.is_stale(page), f"{name} is stale; run make docs"


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    dead = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if is_dead(link, page)]
    assert not dead


def is_dead(link: str, page: Path) -> bool:
    if re.match(r"https?:", link):
        return False
    file, _, place = link.partition("#")
    target = page.parent / file if file else page
    if not target.exists():
        return True
    return bool(place) and place not in anchors(target.read_text(encoding="utf-8"))


def anchors(text: str) -> set[str]:
    kept = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in HEADING.findall(text))
    return {heading.strip().replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_examples_use_what_there_is(page: Path) -> None:
    for example in PYTHON.findall(page.read_text(encoding="utf-8")):
        tree = ast.parse(example)
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "foveate"
        }
        assert used <= set(foveate.__all__)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names)


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_flags_are_those_of_the_command_line(page: Path) -> None:
    reference = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    known = set(FLAG.findall(reference))
    shell = "\n".join(SHELL.findall(page.read_text(encoding="utf-8")))
    lines = [line for line in shell.splitlines() if line.startswith("foveate ")]
    assert {flag for line in lines for flag in FLAG.findall(line)} <= known


def test_every_page_is_linked_from_the_readme() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked


def test_every_result_is_shown_somewhere() -> None:
    shown = {source for _, source in tables.TABLES.values()}
    assert {path.name for path in tables.RESULTS.glob("*.json")} <= shown


def test_table_without_a_result_says_so(tmp_path: Path) -> None:
    page = "before\n<!-- table:nuclei -->\nold\n<!-- /table -->\nafter\n"
    expected = f"before\n<!-- table:nuclei -->\n{tables.NOT_MEASURED}\n<!-- /table -->\nafter\n"
    assert tables.fill(page, tmp_path) == expected


def test_table_comes_from_the_result(tmp_path: Path) -> None:
    report = {"provenance": PROVENANCE, "rows": [ROW, ROW | {"interval_AP_small": None}]}
    (tmp_path / "nuclei.json").write_text(json.dumps(report))
    filled = tables.fill("<!-- table:nuclei -->\n<!-- /table -->\n", tmp_path)
    assert "| foveate | tiled | 0.500 | 0.750 | 0.250 | 0.200 to 0.300 | 1.500 |" in filled
    assert "| foveate | tiled | 0.500 | 0.750 | 0.250 |  | 1.500 |" in filled
    assert "2026-01-01, A processor, 2 cores" in filled
    assert tables.fill(filled, tmp_path) == filled


def test_each_class_has_its_own_column_where_there_are_several(tmp_path: Path) -> None:
    row = ROW | {"AP50_by_class": {"player": 0.9, "ball": 0.4}}
    (tmp_path / "pitch.json").write_text(json.dumps({"provenance": PROVENANCE, "rows": [row]}))
    filled = tables.fill("<!-- table:pitch -->\n<!-- /table -->\n", tmp_path)
    assert "| CPU s / picture | AP50 player | AP50 ball |" in filled
    assert "| 1.500 | 0.900 | 0.400 |" in filled


def test_unknown_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="nuclie"):
        tables.fill("<!-- table:nuclie -->\n<!-- /table -->\n", tmp_path)
