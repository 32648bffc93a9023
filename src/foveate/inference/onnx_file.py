"""Read what an ONNX file says of itself, without ONNX Runtime and without a protobuf library.

Only the fields needed are walked (field numbers from onnx.proto, ONNX 1.17, Apache-2.0); weights
are skipped, not copied, so that listing models takes milliseconds.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from foveate.errors import FoveateError
from foveate.inference.model_info import METADATA_KEY, SCHEMA_VERSION, ModelInfo

Buffer: TypeAlias = memoryview

_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = (5, 10), (6, 11)
_TENSOR_DATA_LOCATION, _EXTERNAL = 14, 1
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_WIRE_VARINT, _WIRE_64, _WIRE_BYTES, _WIRE_32 = 0, 1, 2, 5


def read_model_info(path: str | Path) -> ModelInfo:
    """Read and check the metadata of a model file made by ``foveate export``.

    Raises:
        FoveateError: If the file is missing, is no ONNX file, carries no foveate metadata or
            metadata of another version, or keeps its weights in other files.
    """
    path = Path(path)
    metadata, external = _walk_file(path)
    if external:
        raise FoveateError(
            f"{path}: its weights lie in other files (external data), which is refused; "
            f"save the model as one file"
        )
    if METADATA_KEY not in metadata:
        raise FoveateError(
            f"{path}: an ONNX model without foveate's metadata; models of other tools are not "
            f"read yet: make one with 'foveate export RUN'"
        )
    return _parse_info(path, metadata[METADATA_KEY])


def _parse_info(path: Path, text: str) -> ModelInfo:
    try:
        values = json.loads(text)
    except ValueError:
        raise FoveateError(f"{path}: its foveate metadata is not JSON; export it again") from None
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != SCHEMA_VERSION:
        raise FoveateError(
            f"{path}: its metadata has schema version {version!r} and this foveate reads "
            f"{SCHEMA_VERSION}; export the model again, or update foveate"
        )
    try:
        info = ModelInfo.from_dict(values, origin="metadata")
    except FoveateError as error:
        raise FoveateError(f"{path}: invalid {error}; export it again") from None
    if len(info.mean) != info.channels or len(info.std) != info.channels:
        raise FoveateError(
            f"{path}: invalid metadata: mean and std need {info.channels} values, one a channel"
        )
    return info


def _walk_file(path: Path) -> tuple[dict[str, str], bool]:
    """The metadata properties, and whether any weight lies outside the file."""
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


def _walk_model(model: Buffer) -> tuple[dict[str, str], bool]:
    metadata: dict[str, str] = {}
    graphs = 0
    external = False
    for number, value in _fields(model):
        if number == _MODEL_METADATA:
            entry = {n: bytes(_message(v)).decode() for n, v in _fields(_message(value))}
            metadata[entry.get(_ENTRY_KEY, "")] = entry.get(_ENTRY_VALUE, "")
        elif number == _MODEL_GRAPH:
            graphs += 1
            external = external or _has_external_data(_message(value))
    if graphs != 1:
        raise ValueError("a model has one graph")
    return metadata, external


def _has_external_data(graph: Buffer) -> bool:
    for number, value in _fields(graph):
        if number == _GRAPH_INITIALIZER and _is_external(_message(value)):
            return True
        if number == _GRAPH_SPARSE and any(
            _is_external(_message(part)) for n, part in _fields(_message(value)) if n in (1, 2)
        ):
            return True
        if number == _GRAPH_NODE and _node_has_external_data(_message(value)):
            return True
    return False


def _node_has_external_data(node: Buffer) -> bool:
    for number, attribute in _fields(node):
        if number != _NODE_ATTRIBUTE:
            continue
        for kind, value in _fields(_message(attribute)):
            if kind in _ATTRIBUTE_TENSORS and _is_external(_message(value)):
                return True
            if kind in _ATTRIBUTE_GRAPHS and _has_external_data(_message(value)):
                return True
    return False


def _is_external(tensor: Buffer) -> bool:
    return any(n == _TENSOR_DATA_LOCATION and v == _EXTERNAL for n, v in _fields(tensor))


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
