from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from foveate.reports.cards import (
    Advice,
    Crop,
    CropGroup,
    KeyFigure,
    advice_list,
    contact_sheet,
    key_figures,
)

NASTY = "<script>alert(1)</script>&"


def noise(side: int, seed: int = 0) -> Crop:
    image = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    return Crop(image, f"{seed}.jpg", np.array([4, 4, 9, 9], np.float32), factor=4)


def test_key_figures_and_advice() -> None:
    row = key_figures([KeyFigure("11 px", "median object", "of 9,000"), KeyFigure("62%", "lost")])
    root = ET.fromstring(row)
    assert [item.text for item in root.iter("dd")] == ["11 px", "62%"]
    assert [item.text for item in root.iter("dt")] == ["median object", "lost"]
    assert [item.text for item in root.iter("small")] == ["of 9,000"]
    steps = ET.fromstring(advice_list([Advice("Tile", "too small", "+42%"), Advice("Look", "odd")]))
    assert len(list(steps)) == 2
    assert [item.text for item in steps.iter("b")] == ["Tile", "Look"]
    assert [item.text for item in steps.iter("span")] == ["+42%"]
    assert key_figures([]) == advice_list([]) == contact_sheet([]) == ""


def test_a_sheet_has_a_row_for_each_class() -> None:
    groups = [
        CropGroup("ball", [noise(32, i) for i in range(3)], "1,204 objects"),
        CropGroup("player", [Crop(np.zeros((8, 300, 1), np.uint8), "grey, long")]),
        CropGroup("nothing", []),
    ]
    html = contact_sheet(groups)
    root = ET.fromstring(html)
    assert [h.text for h in root.iter("h3")] == ["ball ", "player"]
    assert len(list(root.iter("image"))) == 4
    assert len([c for c in root.iter("figcaption") if c.text]) == 4
    assert html.count('data-count="1"') == 3
    assert "pixels" in html
    assert re.findall(r"width:(\d+)px", html) == ["128"] * 3 + ["230"]
    assert contact_sheet(groups) == html


@pytest.mark.parametrize("most_bytes", [0, 3_000, 40_000, 400_000])
def test_a_sheet_keeps_to_its_bytes_and_tells_what_it_leaves_out(most_bytes: int) -> None:
    groups = [CropGroup(f"class {g}", [noise(64, g * 9 + i) for i in range(4)]) for g in range(3)]
    html = contact_sheet(groups, most_bytes)
    pictures = re.findall(r'href="(data:[^"]+)"', html)
    assert sum(map(len, pictures)) <= most_bytes
    left_out = 12 - len(pictures)
    assert (f"{left_out} crop" in html) == (left_out > 0)
    if most_bytes == 40_000:
        # What there is room for is shared among the classes.
        shown = [len(re.findall("<image", part)) for part in html.split("<h3>")[1:]]
        assert len(shown) == 3
        assert max(shown) - min(shown) <= 1


def test_texts_of_cards_are_escaped() -> None:
    crop = Crop(np.zeros((9, 9, 3), np.uint8), NASTY)
    for html in (
        key_figures([KeyFigure(NASTY, NASTY, NASTY)]),
        advice_list([Advice(NASTY, NASTY, NASTY)]),
        contact_sheet([CropGroup(NASTY, [crop], NASTY)]),
    ):
        ET.fromstring(html)
        assert "<script" not in html
        assert html.count("&lt;script") >= 3
