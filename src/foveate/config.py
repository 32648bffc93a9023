"""The strict configuration base class, and its YAML form.

Every configuration class lives beside the code it configures and derives from `Config`; each
default is written once, there.
"""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import UnionType
from typing import Any, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from foveate.errors import UsageError


class Config(BaseModel):
    """Immutable, strict settings: an unknown key or a value of the wrong type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _over_defaults(cls, values: Any) -> Any:
        """Lay the keys given of a nested class over those that its default here sets."""
        if not isinstance(values, dict):
            return values
        laid = dict(values)
        for name, field in cls.model_fields.items():
            default, given = field.default, values.get(name)
            same = isinstance(default, Config) and field.annotation is type(default)
            if same and isinstance(given, dict):
                set_here = {key: getattr(default, key) for key in default.model_fields_set}
                laid[name] = set_here | given
        return laid

    @classmethod
    def from_dict(cls, values: Any, origin: str = "settings") -> Self:
        """Build from plain data.

        Args:
            values: A mapping, as YAML or JSON gives it.
            origin: Where the values came from, named in errors.

        Raises:
            UsageError: With one line that names the key, what came, and the nearest right key.
        """
        if not isinstance(values, dict):
            raise UsageError(f"{origin}: expected key: value pairs, got {type(values).__name__}")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UsageError(f"{origin}: {describe(error, cls)}") from None

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read a YAML file (safe loader) into this class."""
        return cls.from_dict(read_yaml(path), origin=str(path))

    def to_yaml(self, path: str | Path) -> None:
        """Write these settings, all of them, so that the file alone repeats the run."""
        text = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
        write_atomically(path, text.encode())


def read_yaml(path: str | Path) -> Any:
    """Parse a YAML file with the safe loader.

    Raises:
        UsageError: If the file is missing or is not YAML.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error.__class__.__name__})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path}: not valid YAML{line}") from None


def describe(error: ValidationError, schema: type[BaseModel]) -> str:
    """Say the first validation error in one line, with the nearest known key for a typo."""
    first = error.errors()[0]
    keys, place = _located(first["loc"], schema)
    key = ".".join(keys)
    if first["type"] == "value_error":  # a validator of ours; of a whole class without a key
        return f"{key}: ".removeprefix(": ") + first["msg"].removeprefix("Value error, ")
    if first["type"] == "union_tag_invalid":
        expected, tag = first["ctx"]["expected_tags"], first["ctx"]["tag"]
        return f"{key}.name: expected one of {expected}, got {tag!r}"
    if first["type"] != "extra_forbidden":
        return f"{key}: {first['msg'].lower()}, got {first['input']!r}"
    near = [
        match
        for known in (set(place.model_fields), _known_keys(schema))
        for match in difflib.get_close_matches(keys[-1], known, n=1)
    ]
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown key {key!r}{hint}"


def _located(
    loc: tuple[int | str, ...], schema: type[BaseModel]
) -> tuple[list[str], type[BaseModel]]:
    """The keys that lead to an error, and the innermost class on the way.

    Pydantic names the chosen one of several classes on the way as well; a file does not.
    """
    keys: list[str] = []
    choice: dict[object, type[BaseModel]] = {}
    for part in loc:
        if part in choice:
            schema, choice = choice[part], {}
            continue
        keys.append(str(part))
        field = schema.model_fields.get(str(part))
        classes = [] if field is None else _classes(field.annotation)
        choice = {c.model_fields["name"].default: c for c in classes} if len(classes) > 1 else {}
        schema = classes[0] if len(classes) == 1 else schema
    return keys, schema


def _known_keys(schema: type[BaseModel]) -> set[str]:
    keys: set[str] = set()
    for name, field in schema.model_fields.items():
        keys.add(name)
        for inner in _classes(field.annotation):
            keys |= _known_keys(inner)
    return keys


def _classes(annotation: Any) -> list[type[BaseModel]]:
    """The settings classes that a field may be: one, or several told apart by their `name`."""
    members = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Args:
        path: Target; missing parent folders are made.
        content: The whole file.

    Raises:
        OSError: As the file system gives it; the old file is then untouched.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """The same for a file that is written in parts.

    Args:
        path: Target; missing parent folders are made.

    Yields:
        An empty file beside it, of the same ending, that takes its place at the end.

    Raises:
        OSError: As the file system gives it; the old file is then untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(path.suffix, f".{path.stem}.", path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
