"""Names for the classes of a model that does not carry them."""

from __future__ import annotations

from pathlib import Path

from foveate.errors import FoveateError, UsageError

_COCO = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, "
    "fire hydrant, , stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, "
    "elephant, bear, zebra, giraffe, , backpack, umbrella, , , handbag, tie, suitcase, frisbee, "
    "skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, "
    "tennis racket, bottle, , wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, "
    "orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, , "
    "dining table, , , toilet, , tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, "
    "toaster, sink, refrigerator, , book, clock, vase, scissors, teddy bear, hair drier, toothbrush"
)
"""COCO's categories by id, from 1; the empty ones are ids that its data sets do not use."""

_BY_ID = ("background", *(name or "unused" for name in _COCO.split(", ")))
PRESETS: dict[str, tuple[str, ...]] = {
    "coco": tuple(name for name in _COCO.split(", ") if name),
    "coco-91": _BY_ID,
}
"""``coco``: the 80 in use, as YOLO models number them; ``coco-91``: by category id, from 0."""


def parse_class_names(text: str) -> tuple[str, ...]:
    """Class names as a user gives them: a preset, a text file with a name a line, or a,b,c.

    Raises:
        UsageError: If there is none.
        FoveateError: If the file cannot be read.
    """
    if text in PRESETS:
        return PRESETS[text]
    path = Path(text)
    if path.suffix and path.exists():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise FoveateError(f"{path}: expected a text file with one class name a line") from None
    else:
        lines = text.split(",")
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise UsageError(f"no class names in {text!r}: give names as a,b,c, a text file with one "
                         f"a line, or one of {', '.join(PRESETS)}")  # fmt: skip
    return names
