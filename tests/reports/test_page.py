from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from reports_data import (
    Page,
    annotations_of,
    boxes_of,
    detections_of,
    one_box,
    photo,
    result,
    scene,
)

from foveate.data.images import ArraySource
from foveate.reports import (
    Gallery,
    Section,
    Table,
    comparison_section,
    picture_section,
    table_html,
    write_page,
)
from foveate.structures import Detections, Tile

NAMES = ("ball", "player")
NASTY = "<script>alert(1)</script>\"'&.png"


def gallery_page(path: Path, count: int, most: int = 20) -> str:
    gallery = Gallery(NAMES, most=most)
    for number in range(count):
        gallery.add(photo(seed=number), result(f"{number}.png"))
    write_page(path, "Title & more", gallery.sections(), subtitle="tiles", score_threshold=0.33)
    return path.read_text(encoding="utf-8")


def test_page_is_whole_and_loads_nothing(tmp_path: Path) -> None:
    text = gallery_page(tmp_path / "new folder" / "page.html", 3)
    page = Page(text)
    assert "Title &amp; more" in text
    links = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset")
    ]
    assert links
    assert all(link.startswith(("data:image/", "#i")) for link in links)
    assert "http:" not in text
    assert "https:" not in text
    assert not re.search(r"url\((?!#)|@import", text)
    policy = next(m for m in page.all("meta") if "http-equiv" in m)["content"]
    assert "default-src 'none'" in policy
    used = {u["href"].removeprefix("#") for u in page.all("use")}
    assert used == {p["id"] for p in page.all("path") if "id" in p}


def test_names_are_escaped(tmp_path: Path) -> None:
    found = result(NASTY)
    names = ("<b>ball</b>", "player")
    sections = [
        picture_section(photo(), found, names),
        comparison_section(scene(), found, found, names),
        Section(NASTY, table_html(Table(NASTY, (NASTY,), ((NASTY,),), NASTY))),
    ]
    write_page(tmp_path / "p.html", NASTY, sections, subtitle=NASTY)
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "<b>ball" not in text
    page = Page(text)
    assert len(page.all("script")) == 1
    assert "".join(page.text).count("<script>alert(1)</script>\"'&.png") >= 6
    assert any(NASTY in s.get("aria-label", "") for s in page.all("svg"))


def test_names_that_no_page_can_hold(tmp_path: Path) -> None:
    odd = "red \x1b[31m, bell \x07, half \ud800"
    sections = [Section(odd, table_html(Table(odd, (odd,), ((odd,),))))]
    write_page(tmp_path / "p.html", odd, sections)
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert text.count("red \ufffd[31m, bell \ufffd, half \ufffd") == 6
    assert not set("\x1b\x07") & set(text)


def test_only_the_first_pictures_are_shown_and_the_page_says_so(tmp_path: Path) -> None:
    text = gallery_page(tmp_path / "page.html", 7, most=4)
    assert "The first 4 of 7 pictures are shown below." in text
    assert text.count("<h2>") == 4
    assert text.count(".png</td>") == 7
    assert "are shown below" not in gallery_page(tmp_path / "page.html", 4, most=4)


def test_equal_input_gives_an_equal_page(tmp_path: Path) -> None:
    one = gallery_page(tmp_path / "a.html", 2)
    assert one == gallery_page(tmp_path / "b.html", 2)


def test_the_slider_starts_at_the_threshold(tmp_path: Path) -> None:
    page = Page(gallery_page(tmp_path / "a.html", 1))
    (slider,) = [i for i in page.all("input") if i.get("id") == "score"]
    assert (slider["min"], slider["value"]) == ("0.3", "0.3")
    scores = {float(g["data-score"]) for g in page.all("g") if "data-score" in g}
    assert min(scores) >= 0.3


def test_no_pictures_make_a_page_too(tmp_path: Path) -> None:
    text = gallery_page(tmp_path / "a.html", 0)
    Page(text)
    assert 'class="tools"' not in text


def test_the_old_page_survives_a_failure(tmp_path: Path) -> None:
    gallery_page(tmp_path / "a.html", 1)
    target = tmp_path / "a.html" / "b.html"
    with pytest.raises(OSError, match=r"a\.html"):
        write_page(target, "t", [])
    assert (tmp_path / "a.html").stat().st_size > 1000
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]


def test_picture_without_objects_and_odd_sizes() -> None:
    for width, height in ((1, 1), (3, 2000), (320, 240)):
        found = result(width=320, height=240)
        found.width, found.height, found.detections = width, height, Detections.empty()
        section = picture_section(
            ArraySource("a", np.zeros((height, width, 3), np.uint8)), found, NAMES
        )
        assert "At full resolution" not in section.body
        Page(section.body)


def test_many_objects_are_cut_down_and_counted() -> None:
    found = result(count=2300)
    section = picture_section(photo(), found, NAMES)
    assert "The best 2000 are outlined; 300 more are not." in section.body
    # The picture's frame only; crops repeat outlines.
    figure = section.body.split("</figure>")[0]
    assert sum(int(n) for n in re.findall(r'data-count="(\d+)"', figure)) == 2000


def test_crops_show_small_objects_of_a_large_picture() -> None:
    image = photo(1600, 1200, 50)
    found = result(width=1600, height=1200, count=50)
    body = picture_section(image, found, NAMES).body
    assert body.count('class="crop"') == 4
    assert body.count("<image") == 5
    assert ">4</text>" in body


def test_capped_tiles_are_told() -> None:
    found = result()
    found.capped_tiles = 2
    assert "2 of the tiles gave as many objects" in picture_section(photo(), found, NAMES).body
    gallery = Gallery(NAMES)
    gallery.add(photo(), found)
    assert "2 tiles gave as many objects" in gallery.sections()[0].body


def test_a_page_of_twenty_noisy_pictures_stays_small(tmp_path: Path) -> None:
    gallery = Gallery(NAMES)
    noise = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), dtype=np.uint8)
    found = result(width=1280, height=720, count=1000)
    for _ in range(4):
        gallery.add(ArraySource("noise", noise), found)
    sizes = [len(section.body) for section in gallery.sections()]
    assert sum(sizes[:4]) + 17 * sizes[4] < 8e6


def test_comparison_with_labels() -> None:
    boxes = boxes_of(1600, 1200, 60)
    everything = detections_of(boxes)
    labels = annotations_of(everything)
    tiled = result("x.png", 1600, 1200)
    tiled.detections = everything[:50]
    plain = result("x.png", 1600, 1200)
    plain.detections = Detections.concatenate([everything[:10], one_box(1, 1, 400, 400)])
    plain.tiles = [Tile(0, 0, 1600, 1200, 400, 300)]
    section = comparison_section(scene(1600, 1200, 60), plain, tiled, NAMES, labels)
    page = Page(section.body)
    text = " ".join(page.text)
    assert "found 10 50" in text
    assert "missed 50 10" in text
    assert "false 1 0" in text
    assert "0.25x" in text
    assert "40 objects found by tiled only" in text
    clips = {c["id"] for c in page.all("clippath")}
    assert len(clips) == 2
    assert len(page.all("input")) == 1
    assert 1 <= section.body.count("pair crop") <= 6


def test_comparison_without_labels_takes_the_tiles_as_truth() -> None:
    tiled, plain = result(width=1600, height=1200), result(width=1600, height=1200)
    plain.detections = tiled.detections[:12]
    section = comparison_section(scene(1600, 1200), plain, tiled, NAMES)
    text = " ".join(Page(section.body).text)
    assert "objects 12 30" in text
    assert "18 objects found by tiled only" in text
    assert "missed" not in text


def test_comparison_of_equals_has_no_crops() -> None:
    found = result()
    body = comparison_section(scene(), found, found, NAMES).body
    assert "only in tiles" not in body
    Page(body)
