"""Cut a picture into tiles the network can see well."""

from foveate.tiling.crop import canvas_size, look, show_tile, shown_pixels, tile_batch
from foveate.tiling.plan import TilePlan, plan_tiles
from foveate.tiling.pyramid import Pyramid, plan_pyramid

__all__ = [
    "Pyramid",
    "TilePlan",
    "canvas_size",
    "look",
    "plan_pyramid",
    "plan_tiles",
    "show_tile",
    "shown_pixels",
    "tile_batch",
]
