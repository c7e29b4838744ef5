"""Office formulas (OMML) on one line, as one would type them."""

from lxml import etree

from ingestion.parse.markup import child, local, value


def linear(element: etree._Element) -> str:
    """The formula below `element`: `x^2`, `a_i`, `(a+b)/c`, `√(x)`, `∑_i^n`."""
    return "".join(map(_one, element))


def _one(element: etree._Element) -> str:
    match local(element):
        case "t":
            return element.text or ""
        case "f":
            return f"{_group(element, 'num')}/{_group(element, 'den')}"
        case "sSup":
            return f"{_part(element, 'e')}^{_group(element, 'sup')}"
        case "sSub":
            return f"{_part(element, 'e')}_{_group(element, 'sub')}"
        case "sSubSup":
            return f"{_part(element, 'e')}_{_group(element, 'sub')}^{_group(element, 'sup')}"
        case "rad":
            return f"{_part(element, 'deg')}√({_part(element, 'e')})"
        case "nary":
            sign = value(child(child(element, "naryPr"), "chr"), "val") or "∫"
            bounds = "".join(
                f"{mark}{_group(element, name)}" for mark, name in (("_", "sub"), ("^", "sup")) if _part(element, name)
            )
            return f"{sign}{bounds} {_part(element, 'e')}"
        case "d":
            return f"({', '.join(linear(part) for part in element if local(part) == 'e')})"
        case "rPr" | "ctrlPr":
            return ""
        case _:
            return linear(element)


def _part(element: etree._Element, name: str) -> str:
    part = child(element, name)
    return linear(part) if part is not None else ""


def _group(element: etree._Element, name: str) -> str:
    text = _part(element, name)
    return text if len(text) <= 1 or text.isalnum() else f"({text})"
