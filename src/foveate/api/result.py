"""`Result`: what was found in one picture, for people who write Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foveate.inference.pipeline import ImageResult
from foveate.structures import Detections, ImageSource, Tile, UInt8Image


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What was found in one picture.

    It keeps the picture in memory, to draw on; drop it, or keep only `detections`, when many are
    done.

    Attributes:
        name: File name, or ``array`` for a picture from memory.
        width: Picture pixels.
        height: Picture pixels.
        detections: Merged, in picture pixels, best first.
        class_names: What the labels mean; empty if the detector does not say.
        tiles: That the network was shown.
        seconds: Wall time of tiling, detection and merging; reading the file is not in it.
        capped_tiles: Tiles that gave as many boxes as the model can give one: some may be missing.
        source: The picture.
    """

    name: str
    width: int
    height: int
    detections: Detections
    class_names: tuple[str, ...]
    tiles: list[Tile]
    seconds: float
    capped_tiles: int
    source: ImageSource

    @classmethod
    def of(cls, found: ImageResult, source: ImageSource, class_names: tuple[str, ...]) -> Result:
        """Join what the pipeline found with what it was found in."""
        return cls(
            name=found.name,
            width=found.width,
            height=found.height,
            detections=found.detections,
            class_names=class_names,
            tiles=found.tiles,
            seconds=found.seconds,
            capped_tiles=found.capped_tiles,
            source=source,
        )

    def pixels(self) -> UInt8Image:
        """The picture, ``(H, W, C)``; a view where it is in memory."""
        whole = Tile(0, 0, self.width, self.height, self.width, self.height)
        return self.source.read(whole)

    def __repr__(self) -> str:
        """Short: the arrays and the picture are left out."""
        return (
            f"Result({self.name!r}, {self.width}x{self.height}, {len(self.detections)} detections, "
            f"{len(self.tiles)} tiles, {self.seconds:.2f} s)"
        )

    def save(self, out: str | Path) -> None:
        """Write ``OUT/NAME.json`` (COCO results) and ``OUT/annotated/NAME.jpg``.

        NAME is the file name without its ending. Each file appears whole or not at all.

        Raises:
            FoveateError: If `out` cannot be written to.
        """
        from foveate.api.output import OutputFolder

        folder = OutputFolder(out)
        folder.write_picture(self)
        folder.write_json(f"{Path(self.name).stem}.json")
