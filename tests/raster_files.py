"""Rasters on disk to read."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

PIXEL = 0.5
"""Metres."""
EAST, NORTH = 600_000.0, 5_300_000.0


def noise(bands: int = 3, height: int = 300, width: int = 400) -> NDArray[np.uint8]:
    """``(bands, H, W)``, none of it 0."""
    return np.random.default_rng(0).integers(1, 256, (bands, height, width), np.uint8)


def write_raster(path: Path, values: NDArray[Any], **profile: Any) -> Path:
    """Write ``(bands, H, W)``; a GeoTIFF in UTM zone 32 unless the profile says otherwise."""
    placed: dict[str, Any] = {
        "driver": "GTiff",
        "crs": "EPSG:32632",
        "transform": Affine(PIXEL, 0, EAST, 0, -PIXEL, NORTH),
    }
    bands, height, width = values.shape
    size = {"count": bands, "height": height, "width": width, "dtype": values.dtype}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **(placed | size | profile)) as file:
            file.write(values)
    return path


def vrt(sources: str, width: int = 400, height: int = 300) -> str:
    """A virtual raster of one band, or what a test makes of it."""
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">'
        f'<VRTRasterBand dataType="Byte" band="1">{sources}</VRTRasterBand></VRTDataset>'
    )


def simple_source(name: str, relative: bool = True) -> str:
    """One file as a source of a band."""
    return (
        f'<SimpleSource><SourceFilename relativeToVRT="{int(relative)}">{name}</SourceFilename>'
        '<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="400" ySize="300"/>'
        '<DstRect xOff="0" yOff="0" xSize="400" ySize="300"/></SimpleSource>'
    )
