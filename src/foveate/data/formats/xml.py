"""XML of label formats: read without entities, written with every name escaped."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from foveate.data.files import read_file
from foveate.errors import FoveateError


class PlainTree(ElementTree.TreeBuilder):
    """Builds elements, and refuses a document type: its entities can expand without bound."""

    def doctype(self, name: str, public_id: str | None, system_id: str | None) -> None:
        """Called by the parser before any entity is defined."""
        raise ElementTree.ParseError("it declares a document type, which is not allowed")


def read_xml(file: Path, tree: PlainTree | None = None) -> ElementTree.Element:
    """Parse an XML file.

    Args:
        file: Of any encoding that its own first line states.
        tree: Builds the elements; may take some of them out while the file is read.

    Returns:
        The root element.

    Raises:
        FoveateError: If the file cannot be read, is no XML, was cut short, or declares a document
            type.
    """
    try:
        parser = ElementTree.XMLParser(target=tree or PlainTree())
        return ElementTree.fromstring(read_file(file), parser)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise FoveateError(f"{file} is not usable XML: {error}") from None


def add(parent: ElementTree.Element, name: str, value: object) -> None:
    """Append an element that holds a text."""
    ElementTree.SubElement(parent, name).text = str(value)


def document(root: ElementTree.Element) -> bytes:
    """The whole file, indented. It writes into `root`: white space between the elements."""
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"
