"""What some tiles of a raster give, with nothing remembered between them: any process can look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foveate.inference.layers import SourceView, StillSource
from foveate.inference.pipeline import OnTiles, look_at
from foveate.inference.profile import Profile
from foveate.inference.raster_records import Chunk, Counts
from foveate.inference.selecting import SkippingSource
from foveate.inference.settings import RunSettings
from foveate.inference.trust import trusted
from foveate.structures import Detector, ImageSource, Tile, TiledDetections, UInt8Image


@dataclass(slots=True, eq=False)
class WholeTiles(SourceView):
    """A raster without the tiles in which a block cannot be read.

    Attributes:
        source: The raster.
        left_out: Such tiles so far.
    """

    source: ImageSource
    left_out: int = 0

    def read(self, tile: Tile) -> UInt8Image | None:
        """The tile's region; None also where a part of it cannot be read."""
        before = getattr(self.source, "failed_reads", 0)
        region = self.source.read(tile)
        if getattr(self.source, "failed_reads", 0) == before:
            return region
        self.left_out += 1
        return None


def look_at_chunk(
    raster: ImageSource,
    detector: Detector,
    settings: RunSettings,
    tiles: Sequence[Tile],
    *,
    on_tiles: OnTiles | None = None,
    profile: Profile | None = None,
) -> Chunk:
    """Show some tiles of a raster to the network.

    What comes depends on the tiles alone. Of blocks that cannot be read, all are listed that the
    raster knows of.

    Args:
        raster: Where they are read from.
        detector: As of `detect_image`.
        settings: Of the run.
        tiles: Of its plan.
        on_tiles: Told after each batch; what it raises ends the run.
        profile: Where times are added to.

    Raises:
        FoveateError: If the raster cannot be read or does not suit the detector.
    """
    whole = WholeTiles(raster)
    skipping = SkippingSource(whole)
    source: ImageSource = skipping
    if settings.motion is not None:
        source = StillSource(skipping, settings.motion)
    shown, found, capped = look_at(
        source,
        detector,
        tiles,
        score_threshold=least_score(settings),
        size_multiple=settings.size_multiple,
        padding=settings.padding,
        batch_size=settings.batch_size,
        alone=True,
        on_tiles=on_tiles,
        profile=profile or Profile(),
    )
    tiled = TiledDetections.gather(found, shown, (raster.width, raster.height))
    if settings.pyramid is not None:
        tiled = trusted(tiled, shown, settings.pyramid)
    empty = len(tiles) - len(shown) - whole.left_out
    are_shown = set(shown)
    return Chunk(
        tiled,
        Counts(len(shown), empty, whole.left_out, capped, skipping.uniform),
        np.array([tile in are_shown for tile in tiles]),
        list(getattr(raster, "unread", ())),
    )


def least_score(settings: RunSettings) -> float:
    """Of what takes part in the merge: a refiner can raise a box above the threshold."""
    refiner, threshold = settings.refiner, settings.score_threshold
    return threshold if refiner is None else min(threshold, refiner.info.least_score)
