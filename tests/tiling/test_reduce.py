import numpy as np

from foveate.data.images import ArraySource
from foveate.inference.layers import SourceView
from foveate.structures import Tile
from foveate.tiling.reduce import reduced, reduced_size


def test_parts_are_those_of_the_whole() -> None:
    image = np.random.default_rng(0).integers(0, 256, (83, 117, 3), dtype=np.uint8)
    source = ArraySource("noise", image)
    assert reduced_size(source, 4) == (29, 20)
    whole = reduced(source, (0, 0, 29, 20), 4, 3)
    assert whole.shape == (20, 29, 3)
    mean = image[:80, :116].reshape(20, 4, 29, 4, 3).mean(axis=(1, 3))
    assert np.abs(whole - mean).max() <= 0.51
    assert (reduced(source, (7, 3, 20, 11), 4, 3) == whole[3:11, 7:20]).all()


def test_a_picture_smaller_than_a_pixel_is_one() -> None:
    source = ArraySource("dot", np.full((2, 3, 3), 7, np.uint8))
    assert reduced_size(source, 8) == (1, 1)
    assert (reduced(source, (0, 0, 1, 1), 8, 3) == 7).all()


def test_where_nothing_is_it_is_black() -> None:
    class Nothing(SourceView):
        source = ArraySource("n", np.ones((64, 64, 3), np.uint8))

        def read(self, tile: Tile) -> None:
            return None

    assert not reduced(Nothing(), (0, 0, 8, 8), 8, 3).any()
