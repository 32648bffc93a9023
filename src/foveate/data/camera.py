"""How the camera moved between two frames: to align them, and to say whether it moves at all.

Estimated on reduced frames, whose longer side is 640 pixels; more takes longer and tells no more
of what the whole frame does. What moves in the scene is an outlier to either method as long as it
covers the smaller part of what has texture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

GreyImage: TypeAlias = NDArray[np.uint8]
"""``(H, W)``."""

Alignment: TypeAlias = NDArray[np.float64]
"""``(3, 3)`` homography from pixels of the present frame to those of an earlier one."""

MOVING = 0.5
"""Pixels a frame, of the picture, from which on a camera is said to move [D].

At a half, every edge of the background shows in the difference of two frames. Of frames larger
than what is measured on it is `_TELLS` reduced pixels: compression alone moves a fixed camera's
picture by 0.3 pixels of 2560.
"""

_TELLS = 0.25
"""Reduced pixels that can be told from nothing."""

_SIDE = 640
_CORNERS = 400
_LEAST_CORNERS = 12
_LEAST_AGREEING = 0.4
"""Share of the corners found again that must move as one."""
_TOLERANCE = 1.0
"""Reduced pixels by which a corner may miss the common movement."""
_ECC_STEPS = 40


def align_by_features(earlier: GreyImage, present: GreyImage) -> Alignment | None:
    """Homography of corners that are followed from frame to frame, by RANSAC.

    Corners after Shi and Tomasi, followed by pyramidal Lucas-Kanade: OpenCV's own [M].

    Args:
        earlier: ``(H, W)``.
        present: ``(H, W)``, of the same size.

    Returns:
        None where too few corners are found, or they do not move as one.
    """
    scaling, *small = _reduced(earlier, present)
    corners = _followed(*small)
    if corners is None:
        return None
    matrix, agreeing = cv2.findHomography(*corners, cv2.RANSAC, _TOLERANCE)
    if matrix is None or not _enough(agreeing):
        return None
    return _enlarged(np.asarray(matrix), scaling)


def align_by_ecc(earlier: GreyImage, present: GreyImage) -> Alignment | None:
    """Affine map that makes the frames correlate best (enhanced correlation coefficient).

    Evangelidis and Psarakis 2008, OpenCV's own [M]. Slower than features, and works where there
    are no corners. Affine and not a homography, which seldom converges on little texture [D].

    Args:
        earlier: ``(H, W)``.
        present: ``(H, W)``, of the same size.

    Returns:
        None where it does not converge.
    """
    scaling, small_earlier, small_present = _reduced(earlier, present)
    ends = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ECC_STEPS, 1e-4)
    start = np.eye(2, 3, dtype=np.float32)
    try:
        _, affine = cv2.findTransformECC(
            small_present, small_earlier, start, cv2.MOTION_AFFINE, ends
        )
    except cv2.error:
        return None
    return _enlarged(np.vstack([affine, [0, 0, 1]]), scaling)


ALIGNMENTS: dict[str, Callable[[GreyImage, GreyImage], Alignment | None]] = {
    "ecc": align_by_ecc,
    "features": align_by_features,
}
"""Every way to align frames by its name."""


def aligned(earlier: GreyImage, present: GreyImage, alignment: Alignment) -> GreyImage:
    """The earlier frame as the present camera would have seen it.

    Where it saw nothing, the present frame's pixels stand in: nothing is known to move there.
    """
    height, width = present.shape
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(
        earlier,
        alignment,
        (width, height),
        dst=present.copy(),
        flags=how,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    return np.asarray(warped, np.uint8)


def displacement(alignment: Alignment, width: int, height: int) -> float:
    """How far an alignment moves the picture: mean over a 3 x 3 grid of points, pixels."""
    grid = np.meshgrid(np.linspace(0, width, 3), np.linspace(0, height, 3))
    points = np.stack([axis.ravel() for axis in grid] + [np.ones(9)])  # (3, 9)
    moved = alignment @ points
    return float(np.hypot(*(moved[:2] / moved[2] - points[:2])).mean())


def camera_motion(earlier: GreyImage, present: GreyImage) -> float | None:
    """How far the camera moved between two frames, pixels; `MOVING` says what counts.

    Args:
        earlier: ``(H, W)``.
        present: ``(H, W)``, the frame after it.

    Returns:
        None where the frames do not tell: too little texture, or a cut.
    """
    scaling, *small = _reduced(earlier, present)
    corners = _followed(*small)
    if corners is None:
        return None
    # Shift, turn and scale only: a homography's further freedom is noise at the frame's corners.
    matrix, agreeing = cv2.estimateAffinePartial2D(
        *corners, method=cv2.RANSAC, ransacReprojThreshold=_TOLERANCE
    )
    if matrix is None or not _enough(agreeing):
        return None
    alignment = _enlarged(np.vstack([matrix, [0, 0, 1]]), scaling)
    return displacement(alignment, present.shape[1], len(present))


def moves(motion: float, width: int, height: int) -> bool:
    """Whether a measured motion, pixels a frame, is that of a camera that moves.

    Args:
        motion: As `camera_motion` gives it.
        width: Of the frame, pixels.
        height: Of the frame, pixels.
    """
    return motion >= max(MOVING, _TELLS * max(width, height) / _SIDE)


def _followed(earlier: GreyImage, present: GreyImage) -> tuple[Any, Any] | None:
    """Corners of the present frame and where they were, ``(K, 1, 2)`` each; None for too few."""
    corners: Any = cv2.goodFeaturesToTrack(present, _CORNERS, 0.01, 8)
    if corners is None or len(corners) < _LEAST_CORNERS:
        return None
    nowhere: Any = None  # OpenCV takes where to begin, and would write there
    followed, found, _ = cv2.calcOpticalFlowPyrLK(present, earlier, corners, nowhere)
    kept = np.asarray(found).ravel() == 1
    if kept.sum() < _LEAST_CORNERS:
        return None
    return corners[kept], np.asarray(followed)[kept]


def _enough(agreeing: Any) -> bool:
    """Whether so many corners move as one that it is the camera's motion."""
    return bool(np.sum(agreeing) >= max(_LEAST_CORNERS, _LEAST_AGREEING * len(agreeing)))


def _reduced(earlier: GreyImage, present: GreyImage) -> tuple[Alignment, GreyImage, GreyImage]:
    """The map from picture pixels to reduced ones, and both frames reduced."""
    height, width = present.shape
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    scales = size[0] / width, size[1] / height
    scaling = np.diag([*scales, 1.0])
    scaling[:2, 2] = [(s - 1) / 2 for s in scales]  # pixels have their centres at whole numbers
    if scale == 1:
        return scaling, earlier, present
    small = [cv2.resize(grey, size, interpolation=cv2.INTER_AREA) for grey in (earlier, present)]
    return scaling, np.asarray(small[0], np.uint8), np.asarray(small[1], np.uint8)


def _enlarged(matrix: NDArray[Any], scaling: Alignment) -> Alignment:
    """A map between reduced frames as one between whole ones."""
    whole = np.linalg.inv(scaling) @ matrix.astype(np.float64) @ scaling
    return np.asarray(whole / whole[2, 2], np.float64)
