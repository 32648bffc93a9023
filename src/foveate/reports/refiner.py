"""The page of a refiner: what its generator makes of held-out crops, beside what is real."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foveate.reports.cards import Crop, CropGroup, KeyFigure, contact_sheet, key_figures
from foveate.reports.page import Section
from foveate.structures import UInt8Image

_FACTOR = 2.0
_ROWS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Enlarged:
    """One crop and its enlargements.

    Attributes:
        name: Of the class, or that there is no object.
        side: Root of the found box's area, picture pixels.
        objectness: Probability that it holds an object, by the refiner.
        low: ``(L, L, C)``: what the refiner is given.
        bicubic: ``(S, S, C)``.
        generated: Likewise; None without a generator.
        real: Likewise; None where the picture has no more pixels.
    """

    name: str
    side: float
    objectness: float
    low: UInt8Image
    bicubic: UInt8Image
    generated: UInt8Image | None
    real: UInt8Image | None


def refiner_sections(crops: Sequence[Enlarged], figures: Mapping[str, float]) -> list[Section]:
    """The page's parts: figures first, then crops with a real one, then small ones without.

    Args:
        crops: In the order they shall be shown; the first dozen of either kind are.
        figures: As `foveate.export.held_out.HeldOut` has them.
    """
    with_real = [crop for crop in crops if crop.real is not None][:_ROWS]
    without = [crop for crop in crops if crop.real is None][:_ROWS]
    parts = [
        ("", key_figures(_key_figures(figures))),
        ("Held-out crops, reduced and enlarged again", contact_sheet(_rows(with_real))),
        ("Held-out crops of small boxes", contact_sheet(_rows(without))),
    ]
    return [Section(title, body) for title, body in parts if body]


def _key_figures(figures: Mapping[str, float]) -> list[KeyFigure]:
    shown = []
    for name, caption, unit in (("psnr", "PSNR", " dB"), ("ssim", "SSIM", "")):
        own, plain = figures[f"{name}_generated"], figures[f"{name}_bicubic"]
        if not math.isnan(plain):
            digits = 1 if unit else 3
            value = plain if math.isnan(own) else own
            note = "bicubic" if math.isnan(own) else f"bicubic {plain:.{digits}f}{unit}"
            shown.append(KeyFigure(f"{value:.{digits}f}{unit}", caption, note))
    if not math.isnan(figures["told_right"]):
        note = f"of {figures['crops']:,.0f}; {figures['objects']:.0%} hold an object"
        shown.append(KeyFigure(f"{figures['told_right']:.0%}", "crops told right", note))
    return shown


def _rows(crops: Sequence[Enlarged]) -> list[CropGroup]:
    rows = []
    for crop in crops:
        enlargements = (
            ("low resolution", crop.low, 4 * _FACTOR), ("bicubic", crop.bicubic, _FACTOR),
            ("generated", crop.generated, _FACTOR), ("real", crop.real, _FACTOR),
        )  # fmt: skip
        shown = [Crop(image, text, factor=by) for text, image, by in enlargements
                 if image is not None]  # fmt: skip
        note = f"{crop.side:.0f} px, object with probability {crop.objectness:.2f}"
        rows.append(CropGroup(crop.name, shown, note))
    return rows
