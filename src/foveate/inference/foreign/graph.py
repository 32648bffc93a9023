"""`Graph`: what a foreign model file declares, by which its layout is recognised."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

Shape: TypeAlias = tuple[int | None, ...]
"""Axes of a tensor; None where the file leaves a length open."""

COLOURS = 3


class Port(NamedTuple):
    """One declared input or output.

    Attributes:
        name: In the graph.
        dtype: As ONNX Runtime writes it, without ``tensor()``: ``float``, ``int64``.
        shape: Its axes.
    """

    name: str
    dtype: str
    shape: Shape

    def __str__(self) -> str:
        """As in ``images float (1, 3, 640, 640)``, an open length as ``?``."""
        axes = ", ".join("?" if length is None else str(length) for length in self.shape)
        return f"{self.name} {self.dtype} ({axes})"


@dataclass(frozen=True, slots=True)
class Graph:
    """The inputs and outputs that a model file declares, and its metadata.

    Attributes:
        inputs: In the file's order.
        outputs: Likewise.
        metadata: The file's own properties.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str]

    @classmethod
    def of(cls, session: onnxruntime.InferenceSession, metadata: Mapping[str, str]) -> Graph:
        """Read the declarations of a loaded model."""
        return cls(_ports(session.get_inputs()), _ports(session.get_outputs()), metadata)

    @property
    def image(self) -> Port:
        """The input that takes the picture: the first."""
        return self.inputs[0]

    @property
    def input_names(self) -> set[str]:
        """Names of all inputs."""
        return {port.name for port in self.inputs}

    @property
    def output_names(self) -> set[str]:
        """Names of all outputs."""
        return {port.name for port in self.outputs}

    @property
    def takes_one_picture(self) -> bool:
        """Whether the first input is ``(N, 3, H, W)`` or ``(3, H, W)``."""
        shape = self.image.shape
        return len(shape) in (3, 4) and shape[-3] in (COLOURS, None)

    @property
    def batch(self) -> int | None:
        """Pictures a run: a number, or None where any will do; 1 where there is no such axis."""
        return self.image.shape[0] if len(self.image.shape) == 4 else 1

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Height and width that the model takes, network pixels; None where it takes any."""
        return self.image.shape[-2], self.image.shape[-1]

    def lone_output(self, rank: int) -> Shape | None:
        """The axes of the only output, if there is one and it has `rank` axes."""
        if len(self.outputs) != 1 or len(self.outputs[0].shape) != rank:
            return None
        return self.outputs[0].shape

    def class_names(self) -> tuple[str, ...]:
        """What the metadata's ``names`` says: a dictionary or list in Python's or JSON's spelling.

        Empty where there is none, or it cannot be read.
        """
        try:
            names = ast.literal_eval(self.metadata.get("names", ""))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return ()
        if isinstance(names, dict):
            if sorted(names) != list(range(len(names))):
                return ()
            names = [names[i] for i in range(len(names))]
        return tuple(map(str, names)) if isinstance(names, (list, tuple)) else ()

    def __str__(self) -> str:
        """In one line, for a message."""
        inputs, outputs = ("; ".join(map(str, ports)) for ports in (self.inputs, self.outputs))
        return f"inputs {inputs}; outputs {outputs}"


def _ports(nodes: list[onnxruntime.NodeArg]) -> tuple[Port, ...]:
    return tuple(
        Port(
            node.name,
            node.type.removeprefix("tensor(").removesuffix(")"),
            tuple(
                length if isinstance(length, int) and length > 0 else None for length in node.shape
            ),
        )
        for node in nodes
    )
