"""Array types shared by every room."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float32]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
UInt8Image: TypeAlias = NDArray[np.uint8]
"""``(H, W, C)``; RGB order when C is 3, grey when C is 1."""
