"""`Result`: what was found in one picture, for people who write Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from foveate.inference.pipeline import ImageResult
from foveate.structures import Detections, GeoReference, ImageSource, Tile, UInt8Image
from foveate.tiling import look


class Drawn(NamedTuple):
    """What is drawn of a picture, as JPEG files.

    Attributes:
        annotated: It, with its boxes.
        crops: Every detection with its surroundings, in their order.
    """

    annotated: bytes
    crops: tuple[bytes, ...] = ()


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
        seconds: Wall time of tiling, detection and merging; decoding a file is not in it.
        capped_tiles: Tiles that gave as many boxes as the model can give one: some may be missing.
        skipped_tiles: Tiles of the plan that the network was not shown: nothing is there, or not
            enough to be worth a look.
        geo: Where the picture lies, if it says so.
        source: The picture.
        remarks: What should be known of how it was shown to the model.
        uniform_tiles: Of those skipped, the ones whose pixels are all alike.
        unselected_tiles: Looks saved by choosing where objects may be.
        expected_miss: At most this share of objects is missed for that choice, as the glance's
            file says; None where there was none.
        planned_pixels: Of the network, that all tiles of the plan would show it.
        drawn: What a worker of a cluster drew of it; None where that is done here.
    """

    name: str
    width: int
    height: int
    detections: Detections
    class_names: tuple[str, ...]
    tiles: list[Tile]
    seconds: float
    capped_tiles: int
    skipped_tiles: int
    geo: GeoReference | None
    source: ImageSource
    remarks: tuple[str, ...] = ()
    uniform_tiles: int = 0
    unselected_tiles: int = 0
    expected_miss: float | None = None
    planned_pixels: int = 0
    drawn: Drawn | None = None

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
            skipped_tiles=found.skipped_tiles,
            geo=found.geo,
            source=source,
            remarks=found.notes,
            uniform_tiles=found.uniform_tiles,
            unselected_tiles=found.unselected_tiles,
            expected_miss=found.expected_miss,
            planned_pixels=found.planned_pixels,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be known of how the picture was read, and shown to the model."""
        return (*getattr(self.source, "notes", ()), *self.remarks)

    @property
    def unread(self) -> tuple[tuple[int, int, int, int], ...]:
        """Parts that could not be read, xyxy pixels: they were black to the network."""
        return tuple(getattr(self.source, "unread", ()))

    def pixels(self, most: int | None = None) -> UInt8Image:
        """The picture, ``(H, W, C)``; a view where it is in memory.

        Args:
            most: Pixels of the longer side; a longer picture is reduced. None gives every pixel,
                also of a raster that is larger than memory.
        """
        return look(self.source, (0, 0, self.width, self.height), most)

    def __repr__(self) -> str:
        """Short: the arrays and the picture are left out."""
        return (
            f"Result({self.name!r}, {self.width}x{self.height}, {len(self.detections)} detections, "
            f"{len(self.tiles)} tiles, {self.seconds:.2f} s)"
        )

    def save(self, out: str | Path) -> None:
        """Write ``OUT/NAME.json`` (COCO results) and ``OUT/annotated/NAME.jpg``.

        Of a picture that says where it lies, also ``OUT/geo/NAME.geojson`` and ``NAME.gpkg``. NAME
        is the file name without its ending. Each file appears whole or not at all.

        Raises:
            FoveateError: If `out` cannot be written to.
        """
        from foveate.api.output import OutputFolder
        from foveate.reports.geo import GEO_EXPORTS, geo_formats_installed

        placed = self.geo is not None and geo_formats_installed()
        exports = [export(self.class_names) for export in GEO_EXPORTS.values()] if placed else []
        folder = OutputFolder(out, exports)
        folder.write_picture(self)
        folder.write_json(f"{Path(self.name).stem}.json")
