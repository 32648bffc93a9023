"""Tell when two adversaries no longer teach each other. Bounds and means are our choice [D]."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Collapse(NamedTuple):
    """A sign that the two networks no longer teach each other.

    Attributes:
        name: Short.
        message: One line that says what to try.
    """

    name: str
    message: str


_ONE_SIDED = Collapse(
    "one-sided", "the discriminator tells every generated crop: try --relativistic, or "
    "--discriminator.spectral-norm"
)  # fmt: skip
_ALIKE = Collapse(
    "alike", "the generator makes all crops alike: try a smaller --weights.adversarial, or more "
    "--pretrain"
)  # fmt: skip


class CollapseWatch:
    """Says when one network has won: from running means, so that one odd batch says nothing.

    Args:
        accuracy: Running mean of the discriminator's accuracy.
        variety: Running mean of `variety`.
        seen: Steps seen.
    """

    _DECAY, _PATIENCE = 0.98, 100
    _SURE, _LEAST_VARIETY = 0.995, 0.2

    def __init__(self, accuracy: float = 0.5, variety: float = 1.0, seen: int = 0) -> None:
        self.accuracy, self.variety, self.seen = accuracy, variety, seen

    def see(self, accuracy: float, variety: float) -> None:
        """Take in one step."""
        self.accuracy += (1 - self._DECAY) * (accuracy - self.accuracy)
        self.variety += (1 - self._DECAY) * (variety - self.variety)
        self.seen += 1

    def found(self) -> list[Collapse]:
        """What has collapsed by now."""
        if self.seen < self._PATIENCE:
            return []
        one_sided, alike = self.accuracy > self._SURE, self.variety < self._LEAST_VARIETY
        return [_ONE_SIDED] * one_sided + [_ALIKE] * alike

    def state(self) -> list[float]:
        """What the constructor takes."""
        return [self.accuracy, self.variety, self.seen]


def variety(made: Tensor, plain: Tensor) -> float:
    """How much generated crops differ from each other, relative to their plain enlargements.

    Args:
        made: ``(N, C, S, S)``.
        plain: ``(N, C, S, S)``.

    Returns:
        Ratio of the mean deviations over the batch; 1 where plain ones do not differ either.
    """
    differ, expected = (values.std(dim=0).mean().item() for values in (made, plain))
    return differ / expected if expected > 0 else 1.0
