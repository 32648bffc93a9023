"""What is sent to workers is the same again when it is unpacked there."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

import foveate
from foveate.inference.settings import Options, run_settings
from foveate.inference.shipping import shipped, shipped_options, unpacked_options
from foveate.structures import UInt8Image


def test_detectors_find_the_same_again(
    tmp_path: Path, blob_model: Path, paint_blobs: Callable[..., UInt8Image]
) -> None:
    image = paint_blobs(128, 128, [(20, 20), (80, 100)])
    plain = foveate.load(blob_model)
    for detector in (plain, foveate.FlippedDetector(plain, iou=0.5)):
        # As Ray sends it.
        sent = pickle.loads(pickle.dumps(shipped(detector)))
        again = sent.unpacked(tmp_path, 1)
        assert type(again) is type(detector)
        assert again.parallel == 1
        (found,), (before,) = again([image]), detector([image])
        assert np.array_equal(found.boxes, before.boxes)
        assert np.array_equal(found.scores, before.scores)


def test_options_with_a_glance(
    tmp_path: Path, blob_model: Path, make_glance: Callable[..., Path]
) -> None:
    detector = foveate.load(blob_model)
    options = Options(tile=96, select="recall=0.95", glance=make_glance())
    sent = pickle.loads(pickle.dumps(shipped_options(options)))
    there = tmp_path / "there"
    there.mkdir()
    again = unpacked_options(sent, there, 1)
    assert run_settings(detector, again).to_dict() == run_settings(detector, options).to_dict()


def test_a_callable_goes_as_it_is(tmp_path: Path) -> None:
    assert shipped(len).unpacked(tmp_path, 1) is len  # type: ignore[arg-type]
