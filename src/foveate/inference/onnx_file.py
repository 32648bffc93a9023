"""Read what an ONNX file says of itself, without ONNX Runtime and without a protobuf library.

Only the fields needed are walked (field numbers from onnx.proto, ONNX 1.17, Apache-2.0); weights
are skipped, not copied, so that listing models takes milliseconds.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from foveate.config import Config
from foveate.errors import FoveateError
from foveate.inference.model_info import (
    GLANCE,
    METADATA_KEY,
    REFINER,
    SCHEMA_VERSION,
    ModelInfo,
)

C = TypeVar("C", bound=Config)
Buffer: TypeAlias = memoryview

_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = (5, 10), (6, 11)
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION, _EXTERNAL = 13, 14, 1
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_WIRE_VARINT, _WIRE_64, _WIRE_BYTES, _WIRE_32 = 0, 1, 2, 5


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata properties of any ONNX file, having seen that all its weights are there.

    Raises:
        FoveateError: If the file is missing, is no ONNX file, or keeps weights in a file that is
            missing or lies outside its own folder.
    """
    path = Path(path)
    metadata, locations = _walk_file(path)
    for location in sorted(locations):
        inside = (path.parent / location).resolve().is_relative_to(path.parent.resolve())
        if not inside:
            raise FoveateError(
                f"{path}: its weights lie outside its folder ({location}), which is refused; "
                "save the model as one file"
            )
        if not (path.parent / location).is_file():
            raise FoveateError(
                f"{path}: its weights are missing; they belong beside it, in {location}"
            )
    return metadata


def read_model_info(path: str | Path) -> ModelInfo:
    """Read and check the metadata of a model file made by ``foveate export``.

    Raises:
        FoveateError: As `read_record`, and if the file is no detector.
    """
    path = Path(path)
    values = read_record(path)
    if values.get("kind") == REFINER:
        raise FoveateError(
            f"{path}: a refiner, which judges what a detector finds: give it with --refine, "
            "and the detector with --model"
        )
    if values.get("kind") == GLANCE:
        raise FoveateError(
            f"{path}: a glance, which says where a detector should look: give it with --glance, "
            "and the detector with --model"
        )
    info = record_as(ModelInfo, values, path)
    if not info.class_names:
        raise FoveateError(f"{path}: invalid metadata: class_names is empty; export it again")
    if len(info.mean) != info.channels or len(info.std) != info.channels:
        raise FoveateError(
            f"{path}: invalid metadata: mean and std need {info.channels} values, one a channel"
        )
    return info


def read_record(path: Path) -> dict[str, Any]:
    """What a file made by foveate says of itself, as plain data of the version that is read here.

    Raises:
        FoveateError: As `read_metadata`, and if the file carries no foveate metadata, or metadata
            of another version.
    """
    metadata = read_metadata(path)
    if METADATA_KEY not in metadata:
        raise FoveateError(f"{path}: an ONNX model without foveate's metadata")
    try:
        values = json.loads(metadata[METADATA_KEY])
    except ValueError:
        raise FoveateError(f"{path}: its foveate metadata is not JSON; export it again") from None
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != SCHEMA_VERSION:
        raise FoveateError(
            f"{path}: its metadata has schema version {version!r} and this foveate reads "
            f"{SCHEMA_VERSION}; export the model again, or update foveate"
        )
    return dict(values)


def record_as(kind: type[C], values: dict[str, Any], path: Path) -> C:
    """The record of a file, checked.

    Raises:
        FoveateError: If a value cannot be.
    """
    try:
        return kind.from_dict(values, origin="metadata")
    except FoveateError as error:
        raise FoveateError(f"{path}: invalid {error}; export it again") from None


def _walk_file(path: Path) -> tuple[dict[str, str], set[str]]:
    """The metadata properties, and the other files that hold weights, as the model writes them."""
    try:
        with path.open("rb") as file:
            # Never closed by hand: it goes with the last view of it.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _walk_model(memoryview(data))
    except FileNotFoundError:
        raise FoveateError(f"{path}: no such model file") from None
    except OSError as error:
        raise FoveateError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise FoveateError(f"{path}: not an ONNX model, or damaged") from None


def _walk_model(model: Buffer) -> tuple[dict[str, str], set[str]]:
    metadata: dict[str, str] = {}
    locations: set[str] = set()
    graphs = 0
    for number, value in _fields(model):
        if number == _MODEL_METADATA:
            key, text = _entry(value)
            metadata[key] = text
        elif number == _MODEL_GRAPH:
            graphs += 1
            locations.update(_locations(_message(value)))
    if graphs != 1:
        raise ValueError("a model has one graph")
    return metadata, locations


def _entry(value: int | Buffer) -> tuple[str, str]:
    """A key and its text."""
    entry = {n: bytes(_message(v)).decode() for n, v in _fields(_message(value))}
    return entry.get(_ENTRY_KEY, ""), entry.get(_ENTRY_VALUE, "")


def _locations(graph: Buffer) -> Iterator[str]:
    """Files outside this one that a graph's weights lie in."""
    for number, value in _fields(graph):
        if number == _GRAPH_INITIALIZER:
            yield from _location(_message(value))
        elif number == _GRAPH_SPARSE:
            for part, tensor in _fields(_message(value)):
                if part in (1, 2):
                    yield from _location(_message(tensor))
        elif number == _GRAPH_NODE:
            yield from _locations_in_node(_message(value))


def _locations_in_node(node: Buffer) -> Iterator[str]:
    for number, attribute in _fields(node):
        if number != _NODE_ATTRIBUTE:
            continue
        for kind, value in _fields(_message(attribute)):
            if kind in _ATTRIBUTE_TENSORS:
                yield from _location(_message(value))
            elif kind in _ATTRIBUTE_GRAPHS:
                yield from _locations(_message(value))


def _location(tensor: Buffer) -> Iterator[str]:
    """The file that a tensor lies in, if not in this one."""
    external, entries = False, {}
    for number, value in _fields(tensor):
        if number == _TENSOR_DATA_LOCATION:
            external = value == _EXTERNAL
        elif number == _TENSOR_EXTERNAL_DATA:
            key, text = _entry(value)
            entries[key] = text
    if external:
        yield entries.get("location", "")


def _message(value: Any) -> Buffer:
    if not isinstance(value, memoryview):
        raise ValueError("expected a length-delimited field")
    return value


def _fields(message: Buffer) -> Iterator[tuple[int, int | Buffer]]:
    """The fields of a protobuf message in file order; bytes are views, never copies.

    Raises:
        ValueError: If it is no well-formed message.
    """
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("field number 0")
        if wire == _WIRE_VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire == _WIRE_BYTES:
            length, position = _varint(message, position)
        elif wire in (_WIRE_32, _WIRE_64):
            length = 4 if wire == _WIRE_32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if position + length > len(message):
            raise ValueError("message cut short")
        yield number, message[position : position + length]
        position += length


def _varint(message: Buffer, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(message) and shift < 70:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("number cut short")
