"""A football match seen by a fixed camera, rendered from a seed, with exact boxes.

`camera`, `world`, `match` and `pose` say what is where; `backdrop`, `ground`, `stands`,
`furniture`, `people`, `ball` and `shadows` paint it; `render` puts it together. The same seed gives
the same picture with the same versions of numpy and OpenCV; between processors a pixel may differ
by a grey level.
"""

from foveate.data.pitch.config import CLASS_NAMES, PitchConfig
from foveate.data.pitch.dataset import write_dataset
from foveate.data.pitch.render import Frame, render_clip, render_frames, render_still

__all__ = [
    "CLASS_NAMES",
    "Frame",
    "PitchConfig",
    "render_clip",
    "render_frames",
    "render_still",
    "write_dataset",
]
