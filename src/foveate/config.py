"""The strict configuration base class, and its YAML form.

Every configuration class lives beside the code it configures and derives from `Config`; each
default is written once, there.
"""

from __future__ import annotations

import difflib
import os
import tempfile
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from foveate.errors import UsageError


class Config(BaseModel):
    """Immutable, strict settings: an unknown key or a value of the wrong type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

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
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "value_error":  # a validator of ours; of a whole class without a key
        return f"{key}: ".removeprefix(": ") + first["msg"].removeprefix("Value error, ")
    if first["type"] != "extra_forbidden":
        return f"{key}: {first['msg'].lower()}, got {first['input']!r}"
    near = difflib.get_close_matches(str(first["loc"][-1]), _known_keys(schema), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown key {key!r}{hint}"


def _known_keys(schema: type[BaseModel]) -> set[str]:
    keys: set[str] = set()
    for name, field in schema.model_fields.items():
        keys.add(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys |= _known_keys(field.annotation)
    return keys


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Args:
        path: Target; missing parent folders are made.
        content: The whole file.

    Raises:
        OSError: As the file system gives it; the old file is then untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
