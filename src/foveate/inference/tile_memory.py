"""What each tile gave when it was last looked at: it stands in while the tile is not."""

from __future__ import annotations

from collections.abc import Sequence

from foveate.structures import Detections, Tile


class TileMemory:
    """The boxes of every tile of one stream, before merging.

    Tiles are merged anew in every frame, those looked at and those remembered together: where
    nothing changed, the result is that of looking at all of them.
    """

    def __init__(self) -> None:
        self._boxes: dict[Tile, Detections] = {}

    def completed(
        self, tiles: Sequence[Tile], shown: Sequence[Tile], found: Sequence[Detections]
    ) -> tuple[list[Tile], list[Detections]]:
        """Remember what the tiles shown gave, and add what the others gave before.

        Args:
            tiles: All tiles of the plan.
            shown: Those looked at now.
            found: What each of them gave, picture pixels.

        Returns:
            The tiles of which anything is known, in the plan's order, and what each gave.
        """
        self._boxes.update(zip(shown, found, strict=True))
        known = [tile for tile in tiles if tile in self._boxes]
        return known, [self._boxes[tile] for tile in known]
