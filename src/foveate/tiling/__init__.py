"""Cut a picture into tiles the network can see well."""

from foveate.tiling.crop import canvas_size, look, show_tile, tile_batch
from foveate.tiling.plan import TilePlan, plan_tiles

__all__ = ["TilePlan", "canvas_size", "look", "plan_tiles", "show_tile", "tile_batch"]
