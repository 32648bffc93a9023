"""Pictures and labels in: readers, sources, augmentation, and the rendered scene."""

from foveate.data.formats import FORMATS, load_dataset, to_coco
from foveate.data.images import (
    MAX_PIXELS,
    PICTURE_ENDINGS,
    ArraySource,
    as_image,
    find_images,
    image_size,
    load_image,
    open_image,
)

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "PICTURE_ENDINGS",
    "ArraySource",
    "as_image",
    "find_images",
    "image_size",
    "load_dataset",
    "load_image",
    "open_image",
    "to_coco",
]
