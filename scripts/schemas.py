"""Read settings classes from their source, so that those of the torch half need no torch."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import docstring_parser

SOURCE = Path(__file__).resolve().parent.parent / "src"
_ROOTS = ("Config", "BaseModel")


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of a settings class.

    Attributes:
        name: Of the field.
        kind: Its type, as written.
        default: Its default, as written; None if a value is needed.
        meaning: Its line in the docstring.
        home: The module that it is written in.
    """

    name: str
    kind: str
    default: str | None
    meaning: str
    home: str = ""

    @property
    def is_nested(self) -> bool:
        """Whether it is a settings class itself: its default is a call of a class."""
        return re.match(r"[A-Z]\w*\(", self.default or "") is not None


def read_settings(module: str, name: str) -> list[Setting]:
    """The fields of a settings class, in their order, those of the classes it derives from first.

    Args:
        module: Where it is, or where it is imported, such as ``foveate.tiling``.
        name: Of the class.

    Raises:
        KeyError: If there is no such class, or a field has no line in its docstring.
    """
    home, found = _find(module, name)
    bases = [ast.unparse(base) for base in found.bases]
    inherited = [s for base in bases if base not in _ROOTS for s in read_settings(home, base)]
    documented = docstring_parser.parse(ast.get_docstring(found) or "").params
    meaning = {entry.arg_name: " ".join((entry.description or "").split()) for entry in documented}
    constants = _constants(home)
    own = {
        key: Setting(
            key, ast.unparse(node.annotation), _default(node.value, constants), meaning[key], home
        )
        for node in found.body
        if isinstance(node, ast.AnnAssign)
        for key in [ast.unparse(node.target)]
    }
    # A field that is said anew stays where it was.
    return list(({setting.name: setting for setting in inherited} | own).values())


def walk_settings(module: str, name: str, path: str = "") -> Iterator[tuple[str, list[Setting]]]:
    """The fields of a settings class and, after them, of every such class within it.

    Yields:
        The dotted path of keys that leads to the class (empty for the outermost), and its fields
        with the defaults they have there. Where a key may hold one of several classes, each is
        named in brackets: ``method[retinanet].backbone``.
    """
    settings = read_settings(module, name)
    yield path, settings
    for setting in settings:
        if not setting.is_nested:
            continue
        inner = f"{path}.{setting.name}" if path else setting.name
        for its_home, choice in _choices(setting.home, setting.kind):
            label = f"{inner}[{_name_of(its_home, choice)}]" if choice != setting.kind else inner
            for place, fields in walk_settings(its_home, choice, label):
                yield place, _as_there(fields, setting, choice) if place == label else fields


def _as_there(fields: Sequence[Setting], setting: Setting, name: str) -> list[Setting]:
    """The fields of the class that a setting is, with the defaults that its own default gives."""
    call = ast.parse(setting.default or "", mode="eval").body
    assert isinstance(call, ast.Call)
    if ast.unparse(call.func) != name:
        return list(fields)
    changed = {word.arg: ast.unparse(word.value) for word in call.keywords}
    return [replace(field, default=changed.get(field.name, field.default)) for field in fields]


def _choices(module: str, kind: str) -> list[tuple[str, str]]:
    """Module and name of the classes that a type is: itself, or a union's members."""
    for node in _parse(module).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == kind:
            assert node.value is not None
            return [(module, name) for name in ast.unparse(node.value).split(" | ")]
        if isinstance(node, ast.ImportFrom) and kind in {alias.name for alias in node.names}:
            return _choices(node.module or "", kind)
    return [(module, kind)]


def _name_of(module: str, name: str) -> str:
    """The default of a settings class's `name`."""
    named = next(s.default for s in read_settings(module, name) if s.name == "name")
    return str(ast.literal_eval(named or ""))


def _find(module: str, name: str) -> tuple[str, ast.ClassDef]:
    """The module that defines a class, following imports, and the class."""
    for node in _parse(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return _find(node.module or "", name)
    raise KeyError(f"{module} has no class {name}")


def _parse(module: str) -> ast.Module:
    path = SOURCE.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def _constants(module: str) -> dict[str, str]:
    """What a module's own names stand for, where that is a literal."""
    return {
        ast.unparse(node.targets[0]): ast.unparse(node.value)
        for node in _parse(module).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }


def _default(value: ast.expr | None, constants: dict[str, str]) -> str | None:
    """A default as written; what stands within ``Field(...)`` if it is one."""
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "Field":
        given = {word.arg: ast.unparse(word.value) for word in value.keywords}
        if "default_factory" in given:
            return f"{given['default_factory']}()"
        default = given.get("default")
        return constants.get(default or "", default)
    if value is None:
        return None
    written = ast.unparse(value)
    return constants.get(written, written)
