"""Colours that people with any colour vision can tell apart, on dark and light pictures.

After Okabe and Ito's palette, lightened so that a thin line with a dark halo is seen on grass,
tarmac, sea and tissue. What a box *means* is told by its shape as well, never by colour alone.
"""

from __future__ import annotations

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

CLASS_COLOURS: tuple[Colour, ...] = (
    (255, 214, 10),  # yellow
    (86, 200, 255),  # sky blue
    (255, 140, 200),  # pink
    (120, 235, 150),  # green
    (255, 150, 40),  # orange
    (200, 170, 255),  # lavender
    (255, 255, 255),  # white
    (60, 225, 210),  # turquoise
)

FOUND: Colour = (86, 200, 255)
MISSED: Colour = (255, 214, 10)
FALSE: Colour = (255, 100, 60)


def class_colour(label: int) -> Colour:
    """The colour of a class; they repeat after eight."""
    return CLASS_COLOURS[label % len(CLASS_COLOURS)]


def css(colour: Colour) -> str:
    """As CSS writes it: ``#ffd60a``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
