import numpy as np

from foveate.structures import GeoReference


def test_a_turned_grid_maps_corners_in_order() -> None:
    geo = GeoReference("EPSG:32632", (0.0, 2.0, 100.0, -3.0, 0.0, 50.0))
    boxes = np.array([[1, 2, 4, 8]], np.float32)
    assert geo.corners(boxes).tolist() == [[[104, 47], [104, 38], [116, 38], [116, 47]]]
    assert geo.to_ground(np.array([0.0, 0.0])).tolist() == [100, 50]
    assert geo.corners(np.zeros((0, 4), np.float32)).shape == (0, 4, 2)


def test_coordinates_keep_millimetres_far_from_the_origin() -> None:
    geo = GeoReference("EPSG:32632", (0.05, 0, 699_999.25, 0, -0.05, 5_299_999.75))
    corner = geo.corners(np.array([[60_000.25, 1, 60_001, 2]], np.float32))[0, 0]
    assert np.abs(corner - [699_999.25 + 60_000.25 * 0.05, 5_299_999.75 - 0.05]).max() < 1e-6
