"""Open files the user named, with errors that say what to do."""

from __future__ import annotations

import difflib
import json
import stat
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from foveate.data.remote import Location, RemoteFile
from foveate.errors import FoveateError

_NEIGHBOURS_LOOKED_AT = 5000


def open_file(path: Location) -> BinaryIO:
    """Open a regular file, or what is behind an address, for reading.

    Raises:
        FoveateError: If it is missing (with the nearest name beside it), is no regular file, or
            may not be read.
    """
    if isinstance(path, RemoteFile):
        return path.open()
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder" if path.is_dir() else "neither a file nor a folder"
            raise FoveateError(f"{path} is {what}; give a file")
        return path.open("rb")
    except FileNotFoundError:
        raise missing(path) from None
    except (OSError, ValueError) as error:
        raise FoveateError(f"{path} cannot be read: {reason_of(error)}") from None


def read_file(path: Path) -> bytes:
    """The whole content of a regular file; raises as `open_file` does."""
    with open_file(path) as file:
        try:
            return file.read()
        except OSError as error:
            raise FoveateError(f"{path} cannot be read: {reason_of(error)}") from None


def read_text(path: Path) -> str:
    """The content of a UTF-8 text file, with or without a byte-order mark.

    Raises:
        FoveateError: As `open_file` does, or if it is no UTF-8 text.
    """
    try:
        return read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FoveateError(f"{path} is not UTF-8 text (byte {error.start})") from None


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        FoveateError: As `read_text` does, or if it is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise FoveateError(
            f"{path} is not valid JSON: {error.msg.lower()} at line {error.lineno}"
        ) from None
    except RecursionError:
        raise FoveateError(f"{path} is not usable JSON: nested too deeply") from None


def missing(path: Path) -> FoveateError:
    """The error for a path that does not exist, with the nearest name beside it."""
    try:
        names = [entry.name for entry in islice(path.parent.iterdir(), _NEIGHBOURS_LOOKED_AT)]
    except OSError:
        return FoveateError(f"{path} does not exist: there is no folder {path.parent}")
    near = difflib.get_close_matches(path.name, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return FoveateError(f"{path} does not exist{hint}")


def reason_of(error: Exception) -> str:
    """What the operating system says went wrong, for the end of a line."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    return str(getattr(error, "strerror", None) or error).lower()
