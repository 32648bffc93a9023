"""Files behind an address that fsspec knows: ``s3://``, ``gs://``, ``https://``, ``memory://``.

A picture is fetched whole, one at a time; a raster is copied to a temporary file: GDAL reads from
several threads, which rasterio's way through fsspec does not bear (1.4: blocks that it could not
read, and crashes). What opens an address is fsspec's and the protocol's own package (s3fs, gcsfs,
adlfs), with its own settings and credentials; the user installs it.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

from foveate.errors import FoveateError
from foveate.libraries import import_library, one_line

WHOLE_BYTES = 64 << 20
"""A file of more is not fetched into memory to be told what it is."""
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_WEB = ("http", "https")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file behind an address.

    Attributes:
        address: As fsspec takes it.
        data: Its content, once fetched.
    """

    address: str
    data: bytes | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        """The address."""
        return self.address

    @property
    def name(self) -> str:
        """The last part of the address, without what a web address asks for."""
        path = self.address.partition("?")[0] if _is_web(self.address) else self.address
        return PurePosixPath(path).name

    @property
    def suffix(self) -> str:
        """The name's ending, with its dot."""
        return PurePosixPath(self.name).suffix

    def fetched(self) -> RemoteFile:
        """The same with its content, if that is not more than `WHOLE_BYTES`.

        Raises:
            FoveateError: If it cannot be read.
        """
        system, path = file_system(self.address)
        with _plain_errors(self.address):
            size = system.info(path).get("size")
            if size is not None and size > WHOLE_BYTES:
                return self
            return replace(self, data=system.cat_file(path))

    def open(self) -> BinaryIO:
        """Open for reading, from memory if it is fetched.

        Raises:
            FoveateError: If it cannot be.
        """
        if self.data is not None:
            return io.BytesIO(self.data)
        system, path = file_system(self.address)
        with _plain_errors(self.address):
            opened: BinaryIO = system.open(path, "rb")
            return opened

    def copied(self) -> tuple[Path, Callable[[], None]]:
        """A local copy, which is never in memory as a whole.

        Returns:
            The file, and what removes it.

        Raises:
            FoveateError: If it cannot be read, or there is no room for it.
        """
        system, path = file_system(self.address)
        with _plain_errors(self.address):
            size = system.info(path).get("size") or 0
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if size > free:
            raise FoveateError(
                f"{self.address} is copied to be read, and takes {size >> 20:,} MB; "
                f"{tempfile.gettempdir()} has {free >> 20:,} MB free (TMPDIR names another folder)"
            )
        folder = tempfile.mkdtemp(prefix="foveate-")
        remove = partial(shutil.rmtree, folder, ignore_errors=True)
        copy = Path(folder, self.name)
        try:
            with _plain_errors(self.address):
                system.get_file(path, str(copy))
        except BaseException:
            remove()
            raise
        return copy, remove

    def stamp(self) -> tuple[int, int]:
        """Bytes, and a number that changes with the content, as far as the store tells.

        Raises:
            FoveateError: If it cannot be read.
        """
        system, path = file_system(self.address)
        with _plain_errors(self.address):
            about = system.info(path)
        told = [str(about.get(key)) for key in ("ETag", "etag", "LastModified", "mtime", "created")]
        digest = hashlib.sha256(" ".join(told).encode()).hexdigest()
        return int(about.get("size") or 0), int(digest[:12], 16)


Location: TypeAlias = Path | RemoteFile
"""Where a picture is; both have `name` and `suffix`, and ``str()`` gives what the user named."""


def is_remote(source: str | Path | RemoteFile) -> bool:
    """Whether a source is an address, ``file://`` included."""
    return isinstance(source, RemoteFile) or _ADDRESS.match(str(source)) is not None


def location_of(source: str | Path | RemoteFile) -> Location:
    """A path, or what is behind an address; ``file://`` is a path."""
    if isinstance(source, RemoteFile) or not is_remote(source):
        return source if isinstance(source, RemoteFile) else Path(source)
    parts = urlsplit(str(source))
    if parts.scheme.lower() in ("file", "local"):
        return Path(url2pathname(parts.netloc + parts.path))
    return RemoteFile(str(source))


def find_remote(address: str, endings: Sequence[str]) -> list[RemoteFile]:
    """List the files that an address means: one, a folder's, or those that match a pattern.

    Args:
        address: With ``*`` for a pattern. With one of the endings it names a file.
        endings: In lower case, of the files of a folder or pattern.

    Returns:
        In no order; those of a folder or pattern without hidden ones.

    Raises:
        FoveateError: If nothing is there, or the store cannot be asked.
    """
    system, path = file_system(address)
    with _plain_errors(address):
        if "*" in path or (not _is_web(address) and "[" in path):
            names = system.glob(path)
        elif RemoteFile(address).suffix.lower() in endings and system.exists(path):
            return [RemoteFile(address)]
        elif system.isdir(path):
            listed = system.ls(path, detail=True)
            names = [entry["name"] for entry in listed if entry["type"] == "file"]
        elif system.exists(path):
            return [RemoteFile(address)]
        else:
            raise FileNotFoundError
        found = [RemoteFile(system.unstrip_protocol(name)) for name in names]
    return [
        file for file in found if file.suffix.lower() in endings and not file.name.startswith(".")
    ]


def file_system(address: str) -> tuple[Any, str]:
    """The file system of fsspec for an address, and the path within it.

    Raises:
        FoveateError: If fsspec or the protocol's package is not installed, or there is no such
            protocol.
    """
    fsspec = import_library("fsspec", address, "'foveate[remote]'")
    try:
        system, path = fsspec.core.url_to_fs(address)
    except ImportError:
        raise FoveateError(
            f"{address} needs the library {_package(address)}: pip install {_package(address)}"
        ) from None
    except ValueError as error:
        known = "s3, gs, az, https, ..."
        raise FoveateError(
            f"{address} cannot be read: {one_line(error).lower()} (known are {known})"
        ) from None
    except Exception as error:  # what a store's package raises when it is set up is its own
        raise FoveateError(f"{address} cannot be read: {one_line(error)}") from None
    return system, path


def _package(address: str) -> str:
    """What is to be installed for an address."""
    known = import_library("fsspec.registry", address).known_implementations
    row = known.get(address.partition("://")[0].lower(), {})
    package = str(row.get("class", "")).partition(".")[0]
    return "aiohttp" if _is_web(address) else package or "for its protocol"


def _is_web(address: str) -> bool:
    return address.partition("://")[0].lower() in _WEB


@contextmanager
def _plain_errors(address: str) -> Iterator[None]:
    """What a store's package raises, as one line that names the address."""
    try:
        yield
    except FoveateError:
        raise
    except FileNotFoundError:
        raise FoveateError(
            f"{address} does not exist: there is no such bucket, folder or file"
        ) from None
    except PermissionError:
        raise FoveateError(
            f"{address}: access is refused; give the credentials in the way that the library of "
            "this protocol reads them (for s3: AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret)"
        ) from None
    except MemoryError:
        raise FoveateError(f"{address} cannot be read: not enough memory") from None
    except Exception as error:  # anything: each store's package has errors of its own
        raise FoveateError(f"{address} cannot be read: {one_line(error)}") from None
