"""XML elements by their local names: for formats that exist in several namespaces."""

from lxml import etree


def local(element: etree._Element) -> str:
    """The tag without its namespace; empty for what is not an element."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def child(element: etree._Element | None, name: str) -> etree._Element | None:
    """The first child called `name`."""
    return None if element is None else next((each for each in element if local(each) == name), None)


def value(element: etree._Element | None, name: str) -> str | None:
    """The attribute called `name`, in whatever namespace."""
    if element is None:
        return None
    return next((text for key, text in element.items() if key.rpartition("}")[2] == name), None)
