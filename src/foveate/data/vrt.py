"""Virtual rasters: a VRT is read only if all it names lies in its own folder or below.

A VRT is a text that can name any file of the machine, and addresses on the network. Whoever is
sent one should not thereby read, and publish boxes of, something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as Xml

from foveate.data.files import read_file
from foveate.data.headers import is_vrt
from foveate.errors import FoveateError

_MOST_BYTES = 1 << 28
"""A mosaic of a million files is half of that."""


def require_local(path: Path) -> None:
    """See that a VRT, and every VRT that it names, names only files beside or below itself.

    Raises:
        FoveateError: If not, or if it is damaged or names a file that does not exist.
    """
    folder = path.resolve().parent
    waiting, seen = [path], {path.resolve()}
    while waiting:
        current = waiting.pop()
        for name, relative in _named_files(current):
            target = current.parent / name if relative else Path(name)
            if "://" in name or name.startswith("/vsi") or not _within(target, folder):
                raise FoveateError(
                    f"{path} points elsewhere, to {name}; move the VRT to a folder that holds all "
                    "its files, and let it name them from there"
                )
            if not target.is_file():
                raise FoveateError(f"{path} names {name}, which does not exist")
            resolved = target.resolve()
            if resolved not in seen:
                seen.add(resolved)
                if _is_vrt_file(target):
                    waiting.append(target)


def _within(target: Path, folder: Path) -> bool:
    try:
        return target.resolve().is_relative_to(folder)
    except (OSError, ValueError):
        return False


def _is_vrt_file(path: Path) -> bool:
    with path.open("rb") as file:
        return is_vrt(file)


def _named_files(path: Path) -> Iterator[tuple[str, bool]]:
    """Every file that a VRT names, and whether from its own folder."""
    if path.stat().st_size > _MOST_BYTES:
        raise FoveateError(f"{path} is no usable VRT: it has {path.stat().st_size:,} bytes")
    data = read_file(path)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise FoveateError(f"{path} is no usable VRT: it defines entities")
    try:
        root = Xml.fromstring(data)
    except Xml.ParseError as error:
        raise FoveateError(f"{path} is damaged: a VRT that is not XML ({error})") from None
    for element in root.iter():
        tag, text = element.tag.lower(), (element.text or "").strip()
        # Also the longitude and latitude files of a geolocated raster.
        names_file = tag.endswith(("filename", "dataset")) or (
            tag == "mdi" and element.get("key", "").endswith("_DATASET")
        )
        if text and names_file:
            relative = {key.lower(): value for key, value in element.items()}.get("relativetovrt")
            yield text, relative == "1"
