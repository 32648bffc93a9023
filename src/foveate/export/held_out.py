"""How well a refiner does on crops of pictures that it has not learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from foveate.export.refiner import load_refiner_run
from foveate.models.mtgan import Refiner, as_values, bicubic, psnr
from foveate.structures import Dataset, UInt8Image
from foveate.training.crops import BACKGROUND, Crops, mine
from foveate.training.loop import RECIPE
from foveate.training.mtgan import MtganRecipe

_CACHE = "held-out"
_BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Held-out crops, what the refiner makes of them, and how near that is.

    Shapes: N = crops, R = real ones among them, S = side of a real crop, L = S / 4, C = channels.

    Attributes:
        class_names: What the labels mean.
        labels: ``(N,)`` int64, or `BACKGROUND`.
        sides: ``(N,)`` float32: root of the found box's area, picture pixels.
        low: ``(N, L, L, C)`` uint8.
        enlarged: ``(N, S, S, C)`` uint8: bicubic.
        generated: Likewise; None of a refiner without a generator.
        real: ``(R, S, S, C)`` uint8; row ``real_row[i]`` belongs to crop i.
        real_row: ``(N,)`` int64; -1 where there is no real crop.
        objectness: ``(N,)`` float32: probability that a crop holds an object, by the refiner.
        figures: `crops`, `real`, `objects` (their share), `told_right` (share of crops whose class,
            or that there is none, is right); `psnr_bicubic`, `psnr_generated`, dB, and
            `ssim_bicubic`, `ssim_generated`, means over real crops. NaN where there are none.
    """

    class_names: tuple[str, ...]
    labels: NDArray[np.int64]
    sides: NDArray[np.float32]
    low: UInt8Image
    enlarged: UInt8Image
    generated: UInt8Image | None
    real: UInt8Image
    real_row: NDArray[np.int64]
    objectness: NDArray[np.float32]
    figures: dict[str, float]


def judge_held_out(
    run: Path,
    base: Path,
    dataset: Dataset,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> HeldOut:
    """Mine held-out pictures as in training, and look at what the refiner makes of the crops.

    Args:
        run: The refiner's run folder; the crops are kept there.
        base: The detector that it was trained on.
        dataset: Labelled pictures that neither has learned from.
        progress: Called with pictures mined and in all.

    Raises:
        FoveateError: As `mine`, and if `run` holds no run.
    """
    model, _ = load_refiner_run(run)
    recipe = MtganRecipe.from_yaml(run / RECIPE)
    mined = mine(base, dataset, recipe.crops, run / _CACHE, progress)
    crops = mined.crops
    parts = [_judge(model, crops, at) for at in range(0, len(crops), _BATCH)]
    if not parts:
        parts = [_judge(model, crops, 0)]
    enlarged, generated, probabilities = (
        np.concatenate([part[i] for part in parts]) for i in range(3)
    )
    made = None if model.generator is None else generated
    return HeldOut(
        mined.class_names, crops.labels, crops.sides, crops.low, enlarged, made, crops.high,
        crops.high_row, probabilities.sum(axis=1),
        _figures(crops, probabilities, enlarged, made),
    )  # fmt: skip


@torch.no_grad()
def _judge(model: Refiner, crops: Crops, at: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a batch: bicubic crops, what the judge is shown, and probabilities ``(N, K)``."""
    low = torch.from_numpy(crops.low[at : at + _BATCH])
    found = torch.from_numpy(crops.found[at : at + _BATCH])
    values = as_values(low)
    shown = model.shown(values) if model.generator is not None else bicubic(values)
    return _as_pixels(bicubic(values)), _as_pixels(shown), model(low, found).probabilities.numpy()


def _as_pixels(values: Tensor) -> UInt8Image:
    """``(N, C, S, S)`` in ``[0, 1]`` to ``(N, S, S, C)`` uint8."""
    pixels = (values.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1)
    return np.ascontiguousarray(pixels.numpy())


def _figures(
    crops: Crops, probabilities: np.ndarray, enlarged: UInt8Image, generated: UInt8Image | None
) -> dict[str, float]:
    background = 1 - probabilities.sum(axis=1, keepdims=True)
    said = np.concatenate([probabilities, background], axis=1).argmax(axis=1)
    wanted = np.where(crops.labels == BACKGROUND, probabilities.shape[1], crops.labels)
    is_real = crops.high_row >= 0
    real = as_values(torch.from_numpy(crops.high[crops.high_row[is_real]]))
    figures = {
        "crops": float(len(crops)),
        "real": float(is_real.sum()),
        "objects": _mean(crops.labels != BACKGROUND),
        "told_right": _mean(said == wanted),
    }
    for name, made in (("bicubic", enlarged), ("generated", generated)):
        near = (float("nan"), float("nan"))
        if made is not None and len(real):
            near = nearness(as_values(torch.from_numpy(made[is_real])), real)
        figures |= {f"psnr_{name}": near[0], f"ssim_{name}": near[1]}
    return figures


def nearness(made: Tensor, real: Tensor) -> tuple[float, float]:
    """Mean peak signal-to-noise ratio, dB, and mean SSIM (Wang 2004, its Gaussian window) of crops.

    Args:
        made: ``(N, C, S, S)`` in ``[0, 1]``, at least one.
        real: Likewise.
    """
    ssim = structural_similarity_index_measure(made, real, data_range=1.0)
    assert isinstance(ssim, Tensor)
    return float(psnr(made, real).mean()), float(ssim)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
